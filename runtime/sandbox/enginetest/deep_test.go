package enginetest_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/internal/frames"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/sandbox/enginetest"
)

// TestDeepGo: stock Go recurses as deeply as its own libraries allow, also on
// a goroutine stack that has grown before, so that nothing unwinds.
// encoding/json refuses depths above 10,000.
func TestDeepGo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a Go guest")
	}
	out := filepath.Join(t.TempDir(), "deep.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", out, "./testdata/deep")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, msg)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	cfg := enginetest.Profile()
	cfg.MemoryPages = 1024
	res, err := meter.Rewrite(wasm, cfg)
	if err != nil {
		t.Fatal(err)
	}
	type step struct {
		fn   string
		n    uint64
		want uint64
	}
	steps := []step{{"nested", 5000, 10_000}, {"nested", 5000, 10_000}, {"decoded", 10_000, 1}, {"decoded", 10_000, 1}, {"list", 20_000, 20_000}, {"list", 20_000, 20_000}}
	frames.Lift()
	var first []int64
	for _, rc := range []wazero.RuntimeConfig{wazero.NewRuntimeConfigCompiler(), wazero.NewRuntimeConfigInterpreter()} {
		ctx := context.Background()
		rt := wazero.NewRuntimeWithConfig(ctx, rc)
		defer rt.Close(ctx)
		wasi_snapshot_preview1.MustInstantiate(ctx, rt)
		m, err := rt.InstantiateWithConfig(ctx, res.Wasm, wazero.NewModuleConfig().WithStartFunctions())
		if err != nil {
			t.Fatal(err)
		}
		global := func(name string) api.MutableGlobal { return m.ExportedGlobal(name).(api.MutableGlobal) }
		call := func(fn string, args ...uint64) ([]uint64, int64) {
			const gas = 1 << 40
			global(abi.GlobalGas).Set(gas)
			global(abi.GlobalStack).Set(uint64(meter.DefaultStack))
			global(abi.GlobalTrap).Set(0)
			r, err := m.ExportedFunction(fn).Call(ctx, args...)
			if err != nil {
				t.Fatalf("%s(%v): %v, status %v", fn, args, err, abi.Trap(global(abi.GlobalTrap).Get()))
			}
			return r, gas - int64(global(abi.GlobalGas).Get())
		}
		call(abi.ExportInitialize)
		var used []int64
		for _, s := range steps {
			r, gas := call(s.fn, s.n)
			if r[0] != s.want {
				t.Errorf("%s(%d) = %d, want %d", s.fn, s.n, r[0], s.want)
			}
			used = append(used, gas)
		}
		if first == nil {
			first = used
		}
		for i := range used {
			if used[i] != first[i] {
				t.Errorf("%s(%d): %d gas on one engine, %d on the other", steps[i].fn, steps[i].n, first[i], used[i])
			}
		}
	}
	t.Logf("gas %v", first)
}
