package recheck

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/wasmdev"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/verifier/commit"
)

// One runtime for all tests: compiling a Go guest takes seconds.
var shared *sandbox.Runtime

func TestMain(m *testing.M) {
	var err error
	if shared, err = sandbox.New(sandbox.Config{}); err != nil {
		panic(err)
	}
	for _, name := range catalog.Names() { // held, so that no test compiles again
		e, err := catalog.Get(name)
		if err != nil {
			panic(err)
		}
		if _, err := shared.Admit(e.Wasm); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if err := shared.Close(); err != nil {
		panic(err)
	}
	os.Exit(code)
}

func newRuntime(testing.TB) *sandbox.Runtime { return shared }

func cpu(t testing.TB) device.Device {
	t.Helper()
	d, err := cpudev.New(cpudev.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func checker(t testing.TB, rt *sandbox.Runtime, dev device.Device, idle int) *Checker {
	t.Helper()
	c := New(Config{Runtime: rt, Device: dev, Idle: idle})
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// workOf is a shipped module's work, with ample gas: what a manifest declares
// is for the catalog's tests to measure.
func workOf(t testing.TB, name string, identity byte) Work {
	t.Helper()
	e, err := catalog.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	m := e.Manifest
	return Work{ModuleHash: [32]byte(m.Hash), Wasm: e.Wasm, Params: m.Params, Seed: [32]byte{1, 2, 3},
		Identity: slices.Repeat([]byte{identity}, 20), TensorBytes: m.TensorBytes, GasSetup: 16 * m.GasSetup, GasUnit: 16 * m.GasUnit}
}

// The fresh and the kept instance, in any order and batch, on both devices,
// give the same digests; another seed, identity or index gives others.
func TestUnitsAgree(t *testing.T) {
	rt := newRuntime(t)
	ref, err := wasmdev.New(wasmdev.Config{Sandbox: rt})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ref.Close() })
	fast, slow := checker(t, rt, cpu(t), 2), checker(t, rt, ref, 2)
	indexes := []uint64{7, 0, 1 << 40, 8, 3}
	key := &[32]byte{9}
	for _, name := range []string{catalog.TransformerPow, catalog.HashPow} {
		w := workOf(t, name, 1)
		kept, err := fast.Units(t.Context(), w, indexes, key)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		reference, err := slow.Units(t.Context(), w, indexes, key)
		if err != nil || !slices.Equal(kept, reference) {
			t.Fatalf("%s: devices differ: %v", name, err)
		}
		reversed := slices.Clone(indexes)
		slices.Reverse(reversed)
		again, err := fast.Units(t.Context(), w, reversed, nil)
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(again)
		if !slices.Equal(Digests(again), Digests(kept)) {
			t.Errorf("%s: digests depend on the batch", name)
		}
		d, err := fast.Unit(t.Context(), w, indexes[2])
		if err != nil || d != kept[2].Digest {
			t.Errorf("%s: fresh instance differs: %v", name, err)
		}
		if err := fast.Confirm(t.Context(), w, 7, kept[0].Digest); !errors.Is(err, ErrImpure) {
			t.Errorf("%s: a true unit confirmed as false: %v", name, err)
		}
		if err := fast.Confirm(t.Context(), w, 7, kept[1].Digest); err != nil {
			t.Errorf("%s: a false unit not confirmed: %v", name, err)
		}
		seen := map[commit.Digest]bool{}
		for _, u := range kept {
			seen[u.Digest], seen[u.Keyed] = true, true
		}
		other := w
		other.Identity = []byte("somebody else")
		reseeded := w
		reseeded.Seed[31] ^= 1
		for _, v := range []Work{other, reseeded} {
			units, err := fast.Units(t.Context(), v, indexes, &[32]byte{10})
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range units {
				seen[u.Digest], seen[u.Keyed] = true, true
			}
		}
		if len(seen) != 6*len(indexes) {
			t.Errorf("%s: %d different digests, want %d", name, len(seen), 6*len(indexes))
		}
	}
}

// One set-up instance serves every claimant of a work, in any order, with the
// digests of fresh ones.
func TestClaimantsShareSetup(t *testing.T) {
	rt := newRuntime(t)
	c := checker(t, rt, cpu(t), 4)
	for _, name := range []string{catalog.TransformerPow, catalog.HashPow} {
		for _, id := range []byte{1, 2, 1, 3, 2} {
			w := workOf(t, name, id)
			got, err := c.Units(t.Context(), w, []uint64{5, 6}, nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want, err := c.Unit(t.Context(), w, 6)
			if err != nil || got[1].Digest != want {
				t.Fatalf("%s, claimant %d: kept instance differs from a fresh one: %v", name, id, err)
			}
		}
		if n := len(c.idle[workOf(t, name, 9).key()]); n != 1 {
			t.Errorf("%s: %d instances kept, want one for all claimants", name, n)
		}
	}
}

// Instances are spread over the devices, and each device's count returns.
func TestSpreadsOverDevices(t *testing.T) {
	rt := newRuntime(t)
	devs := []device.Device{cpu(t), cpu(t), cpu(t)}
	c := New(Config{Runtime: rt, Device: devs[0], More: devs[1:], Idle: 6})
	for seed := range byte(6) { // kept instances of works that share none
		w := workOf(t, catalog.TransformerPow, 1)
		w.Seed[0] = seed
		if _, err := c.Units(t.Context(), w, []uint64{0}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(c.busy, []int{2, 2, 2}) {
		t.Errorf("six instances spread as %v", c.busy)
	}
	bad := workOf(t, catalog.TransformerPow, 1)
	bad.GasSetup = 1000
	if _, err := c.Units(t.Context(), bad, []uint64{0}, nil); err == nil {
		t.Error("no error without gas")
	}
	if _, err := c.Unit(t.Context(), workOf(t, catalog.TransformerPow, 2), 3); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.busy, []int{0, 0, 0}) {
		t.Errorf("left on the devices: %v", c.busy)
	}
}

// The cache is bounded, its instances are reused, and all are freed.
func TestCache(t *testing.T) {
	rt, dev := newRuntime(t), cpu(t)
	c := New(Config{Runtime: rt, Device: dev, Idle: 2})
	want := map[byte][]commit.Digest{}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for round := range 3 {
		for id := range byte(5) {
			wg.Add(1)
			go func() {
				defer wg.Done()
				w := workOf(t, catalog.TransformerPow, 1)
				w.Seed[0] = id // works that share no instance
				units, err := c.Units(context.Background(), w, []uint64{0, 1}, nil)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("round %d: %v", round, err)
				} else if want[id] == nil {
					want[id] = Digests(units)
				} else if !slices.Equal(want[id], Digests(units)) {
					t.Errorf("seed %d: digests changed", id)
				}
			}()
		}
		wg.Wait()
		c.mu.Lock()
		if n := c.recent.Len(); n > 2 {
			t.Errorf("%d idle instances, bound 2", n)
		}
		c.mu.Unlock()
	}
	if len(c.held) == 0 || len(c.held) > 4 {
		t.Errorf("%d modules held, bound 4", len(c.held))
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if c.recent.Len() != 0 || len(c.idle) != 0 || len(c.held) != 0 {
		t.Error("instances left after Close")
	}
	if _, err := c.Units(t.Context(), workOf(t, catalog.TransformerPow, 1), []uint64{0}, nil); err != nil {
		t.Errorf("after Close a call still works, unkept: %v", err)
	}
	if c.recent.Len() != 0 || len(c.held) != 0 {
		t.Error("kept an instance or module after Close")
	}
}

// The module's fault is a TrapError with the trap; the host's is not.
func TestFaults(t *testing.T) {
	rt := newRuntime(t)
	c := checker(t, rt, cpu(t), 2)
	base := workOf(t, catalog.TransformerPow, 1)
	for name, tc := range map[string]struct {
		bend func(*Work)
		trap abi.Trap
	}{
		"no gas for setup": {func(w *Work) { w.GasSetup = 1000 }, abi.TrapOutOfGas},
		"no gas for units": {func(w *Work) { w.GasUnit = 1000 }, abi.TrapOutOfGas},
		"no memory":        {func(w *Work) { w.TensorBytes = 1 << 12 }, abi.TrapTensorMemory},
		"no parameters":    {func(w *Work) { w.Params = nil }, abi.TrapAbort},
	} {
		w := base
		tc.bend(&w)
		var trap *TrapError
		if _, err := c.Unit(t.Context(), w, 0); !errors.As(err, &trap) || trap.Trap != tc.trap {
			t.Errorf("%s: %v, want %v", name, err, tc.trap)
		}
		if _, err := c.Units(t.Context(), w, []uint64{0, 1}, nil); !errors.As(err, &trap) || trap.Trap != tc.trap {
			t.Errorf("%s, kept: %v, want %v", name, err, tc.trap)
		}
	}
	w := base
	w.Wasm = w.Wasm[:len(w.Wasm)-1]
	if _, err := c.Unit(t.Context(), w, 0); !errors.Is(err, ErrModule) {
		t.Errorf("other bytes: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var host *sandbox.HostError
	var trap *TrapError
	if _, err := c.Unit(ctx, base, 0); !errors.As(err, &host) || errors.As(err, &trap) {
		t.Errorf("cancelled: %v", err)
	}
	tiny, err := cpudev.New(cpudev.Config{Memory: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	defer tiny.Close()
	if _, err := checker(t, rt, tiny, 1).Unit(t.Context(), base, 0); !errors.As(err, &host) || !errors.Is(err, device.ErrDeviceMemory) {
		t.Errorf("small device: %v", err)
	}
}

// A module that counts its own calls: kept and fresh instances disagree, and
// nobody is accused for it.
func TestImpureModule(t *testing.T) {
	c := checker(t, newRuntime(t), nil, 1)
	wasm := impure()
	w := Work{ModuleHash: [32]byte(manifest.HashOf(wasm)), Wasm: wasm, GasSetup: 1 << 20, GasUnit: 1 << 20}
	first, err := c.Units(t.Context(), w, []uint64{0}, nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Units(t.Context(), w, []uint64{0}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if first[0].Digest == second[0].Digest {
		t.Fatal("the test module is not impure")
	}
	if err := c.Confirm(t.Context(), w, 0, first[0].Digest); !errors.Is(err, ErrImpure) {
		t.Errorf("%v, want ErrImpure", err)
	}
	for range 3 {
		if d, err := c.Unit(t.Context(), w, 0); err != nil || d != first[0].Digest {
			t.Errorf("fresh instances differ: %v", err)
		}
	}
}

// impure is a guest whose pow_units records a byte that it increments.
func impure() []byte {
	leb := func(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }
	cat := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	name := func(s string) []byte { return cat(leb(len(s)), []byte(s)) }
	section := func(id byte, body ...[]byte) []byte {
		b := cat(body...)
		return cat([]byte{id}, leb(len(b)), b)
	}
	code := func(body ...byte) []byte {
		b := cat([]byte{0}, body, []byte{0x0B})
		return cat(leb(len(b)), b)
	}
	return cat([]byte("\x00asm\x01\x00\x00\x00"),
		section(1, []byte{4, 0x60, 3, 0x7F, 0x7F, 0x7F, 0, 0x60, 0, 1, 0x7F, 0x60, 0, 0, 0x60, 1, 0x7F, 0}),
		section(2, []byte{1}, name(abi.ModuleAssay), name("record_bytes"), []byte{0, 0}),
		section(3, []byte{3, 1, 2, 3}),
		section(5, []byte{1, 1, 1, 1}),
		section(7, []byte{4}, name(abi.ExportMemory), []byte{2, 0}, name(abi.ExportABI), []byte{0, 1},
			name(abi.ExportPowSetup), []byte{0, 2}, name(abi.ExportPowUnits), []byte{0, 3}),
		section(10, []byte{3},
			code(0x41, abi.Version),
			code(),
			code(0x41, 0, 0x41, 0, 0x28, 2, 0, 0x41, 1, 0x6A, 0x36, 2, 0, // mem[0]++
				0x41, 0, 0x41, 0, 0x41, 4, 0x10, 0))) // record_bytes(0, 0, 4)
}

func BenchmarkUnit(b *testing.B) {
	rt := newRuntime(b)
	ref, err := wasmdev.New(wasmdev.Config{Sandbox: rt})
	if err != nil {
		b.Fatal(err)
	}
	defer ref.Close()
	for name, dev := range map[string]device.Device{"cpudev": cpu(b), "wasmdev": ref} {
		c := checker(b, rt, dev, 2)
		w := workOf(b, catalog.TransformerPow, 1)
		indexes := make([]uint64, 50)
		for i := range indexes {
			indexes[i] = uint64(i) * 97
		}
		b.Run(name+"/kept50", func(b *testing.B) {
			for b.Loop() {
				if _, err := c.Units(b.Context(), w, indexes, &[32]byte{1}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/fresh1", func(b *testing.B) {
			for b.Loop() {
				if _, err := c.Unit(b.Context(), w, 5); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
