package enginetest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// ttfFeatures are the profile's but for reference types, with which this generator
// makes use of the subtypes of a proposal.
var ttfFeatures = []string{"--mvp-features", "--enable-simd", "--enable-bulk-memory", "--enable-multivalue",
	"--enable-sign-ext", "--enable-nontrapping-float-to-int", "--enable-mutable-globals"}

// ttf lets binaryen turn the random bytes of a seed into a module.
func ttf(ctx context.Context, wasmOpt, dir string, seed uint64) ([]byte, error) {
	rng := rand.New(rand.NewPCG(seed, 11))
	data := make([]byte, 200+rng.IntN(6000))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out.wasm")
	if err := os.WriteFile(in, data, 0o600); err != nil {
		return nil, err
	}
	args := append([]string{in, "-ttf", "--quiet", "-o", out}, ttfFeatures...)
	if msg, err := exec.CommandContext(ctx, wasmOpt, args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("seed %d: %w\n%s", seed, err, msg)
	}
	return os.ReadFile(out)
}

// TestTTF runs modules of binaryen's fuzzer, wasm-opt -ttf.
func TestTTF(t *testing.T) {
	wasmOpt := os.Getenv("ASSAY_WASM_OPT")
	if wasmOpt == "" {
		t.Skip("ASSAY_WASM_OPT names no wasm-opt: make test-engines")
	}
	n, first := number(t, "ASSAY_TTF", 500), number(t, "ASSAY_SEED", 0)
	type made struct {
		wasm []byte
		err  error
	}
	modules := make(chan made, 4)
	dir := t.TempDir()
	go func() {
		defer close(modules)
		for seed := first; seed < first+n; seed++ {
			b, err := ttf(t.Context(), wasmOpt, dir, uint64(seed))
			select {
			case modules <- made{b, err}:
			case <-t.Context().Done():
				return
			}
		}
	}()
	t.Cleanup(func() {
		for range modules { // the folder goes when the generator has ended
		}
	})
	y := newTally(t)
	y.set.Every = shares(t)
	seed := first
	for m := range modules {
		if m.err != nil {
			t.Fatal(m.err)
		}
		y.run(t, fmt.Sprintf("ttf %d", seed), uint64(seed), unexport(m.wasm), 6)
		progress(t, y, seed-first)
		seed++
	}
	y.report(t)
}
