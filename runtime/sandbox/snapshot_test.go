package sandbox

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
)

func memoryOf(in *Instance) []byte { return bytes.Clone(in.res.space.addr[:in.res.size]) }

// TestSnapshotIsUnobservable: an instance from a snapshot equals a fresh one
// after start and after a run, and writes of one reach no other.
func TestSnapshotIsUnobservable(t *testing.T) {
	ctx := context.Background()
	for _, request := range []string{"random", "timers", "map", "deep"} {
		for _, e := range cachedEngines(t) {
			m := admit(t, e.rt, guest(t, "wasi"))
			var starts, ends [][]byte
			var outs []Outcome
			for i := range 3 {
				in, err := m.Start(ctx, Job{Gas: 20_000_000_000, Request: []byte(request)})
				if err != nil {
					t.Fatal(err)
				}
				if got, want := in.res.mapped > 0, i > 0 && runtime.GOOS == "linux"; got != want {
					t.Fatalf("instance %d from a snapshot: %v", i, got)
				}
				starts = append(starts, memoryOf(in))
				out, err := in.Infer(ctx)
				if err != nil {
					t.Fatal(err)
				}
				ends, outs = append(ends, memoryOf(in)), append(outs, out)
				in.Close()
				if !bytes.Equal(starts[i], starts[0]) || !bytes.Equal(ends[i], ends[0]) {
					t.Fatalf("%s: memory of instance %d differs", request, i)
				}
				if outs[i].Trap != outs[0].Trap || outs[i].GasUsed != outs[0].GasUsed || !bytes.Equal(outs[i].Log, outs[0].Log) {
					t.Fatalf("%s: %+v and %+v", request, outs[i], outs[0])
				}
			}
			if bytes.Equal(starts[0], ends[0]) {
				t.Fatal("the run changed nothing")
			}
		}
	}
}

// TestSnapshotState covers what initialisation can change: memory beyond the
// initial size, globals of each numeric type, the clock, the log.
func TestSnapshotState(t *testing.T) {
	// Globals 0 to 3; _initialize adds to each, grows memory, writes to the
	// new page and logs; infer logs the written byte and traps unless the
	// globals have their values.
	init := cat(
		i32c(7), 0x24, 0, i64c(-5), 0x24, 1,
		0x43, "\x00\x00\x80\x3f", 0x24, 2, 0x44, "\x00\x00\x00\x00\x00\x00\xf0\x3f", 0x24, 3,
		i32c(2), 0x40, 0, 0x1A,
		i32c(2*wasmPage+5), i32c('!'), 0x36, 2, 0,
		i32c(0), i32c(2), call(0))
	check := cat(
		0x23, 0, i32c(7), 0x47, 0x04, 0x40, 0, 0x0B,
		0x23, 1, i64c(-5), 0x52, 0x04, 0x40, 0, 0x0B,
		0x23, 2, 0x43, "\x00\x00\x80\x3f", 0x5C, 0x04, 0x40, 0, 0x0B,
		0x23, 3, 0x44, "\x00\x00\x00\x00\x00\x00\xf0\x3f", 0x62, 0x04, 0x40, 0, 0x0B,
		0x3F, 0, i32c(3), 0x47, 0x04, 0x40, 0, 0x0B,
		i32c(2*wasmPage+5), i32c(1), call(0),
		i32c(0), 0x24, 0, i32c(2*wasmPage+5), i32c('?'), 0x36, 2, 0)
	wasm := wasmMod{Imports: imp("log"), Min: 1, Max: 8, Data: []byte("hi"), Funcs: []wasmFunc{
		abiFunc, {Export: abi.ExportInitialize, Body: init}, {Export: abi.ExportInfer, Body: check},
	}, Globals: [][]byte{
		cat(i32, 1, i32c(0), 0x0B), cat(i64, 1, i64c(0), 0x0B),
		cat(0x7D, 1, 0x43, "\x00\x00\x00\x00", 0x0B), cat(f64, 1, 0x44, "\x00\x00\x00\x00\x00\x00\x00\x00", 0x0B),
	}}.encode()
	for _, e := range engines(t) {
		m := admit(t, e.rt, wasm)
		for i := range 3 {
			in, err := m.Start(context.Background(), Job{Gas: testGas})
			if err != nil {
				t.Fatal(err)
			}
			out, err := in.Infer(context.Background())
			if err != nil || !out.Trap.OK() || string(out.Log) != "hi!" {
				t.Fatalf("%s: instance %d: %+v %v", e.name, i, out, err)
			}
			in.Close()
		}
		if got := m.snap.Load() != nil; got != (runtime.GOOS == "linux") {
			t.Fatalf("snapshot: %v", got)
		}
	}
}

// TestNoSnapshot: modules whose code can change tables or drop segments
// initialise afresh, and see their segments as Core 2.0 says.
func TestNoSnapshot(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		body []byte
		want abi.Trap
		pool bool
	}{
		"table.set":           {cat(i32c(0), 0xD0, 0x70, 0x26, 0), abi.TrapNone, false},
		"data.drop":           {cat(0xFC, 9, 1), abi.TrapNone, false},
		"passive":             {cat(i32c(9), i32c(0), i32c(2), 0xFC, 8, 1, 0), abi.TrapNone, true},
		"passive outside":     {cat(i32c(9), i32c(1), i32c(2), 0xFC, 8, 1, 0), abi.TrapMemoryOutOfBounds, true},
		"active, nothing":     {cat(i32c(9), i32c(0), i32c(0), 0xFC, 8, 0, 0), abi.TrapNone, true},
		"active is dropped":   {cat(i32c(9), i32c(0), i32c(1), 0xFC, 8, 0, 0), abi.TrapMemoryOutOfBounds, true},
		"passive, after drop": {cat(0xFC, 9, 1, i32c(9), i32c(0), i32c(1), 0xFC, 8, 1, 0), abi.TrapMemoryOutOfBounds, false},
	} {
		wasm := wasmMod{Imports: imp("log"), Min: 1, Max: 1, Table: 1, Data: []byte("active"), Passive: []byte("pp"), Funcs: []wasmFunc{
			abiFunc, {Export: abi.ExportInfer, Body: cat(c.body, i32c(0), i32c(12), call(0))},
		}}.encode()
		for _, e := range engines(t) {
			m := admit(t, e.rt, wasm)
			for range 3 {
				in, err := m.Start(ctx, Job{Gas: testGas})
				if err != nil {
					t.Fatal(err)
				}
				out, err := in.Infer(ctx)
				if err != nil || out.Trap != c.want {
					t.Fatalf("%s on %s: %+v %v", name, e.name, out, err)
				}
				want := "active\x00\x00\x00\x00\x00\x00"
				if name == "passive" {
					want = "active\x00\x00\x00pp\x00"
				}
				if c.want.OK() && string(out.Log) != want {
					t.Fatalf("%s: memory %q", name, out.Log)
				}
				in.Close()
			}
			if got := m.snap.Load() != nil; got != (c.pool && runtime.GOOS == "linux") {
				t.Fatalf("%s: snapshot: %v", name, got)
			}
		}
	}
}

// TestStartsLeaveNothing: instances give back memory, address space and files.
func TestStartsLeaveNothing(t *testing.T) {
	count := func(path string) int {
		if path == "/proc/self/maps" {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Skip("needs /proc")
			}
			return bytes.Count(b, []byte("\n"))
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			t.Skip("needs /proc")
		}
		return len(entries)
	}
	rt := engines(t)[0].rt
	m := admit(t, rt, inferGuest(nil, nil))
	start := func(n int) {
		for range n {
			in, err := m.Start(context.Background(), Job{Gas: testGas})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := in.Infer(context.Background()); err != nil {
				t.Fatal(err)
			}
			in.Close()
		}
	}
	start(100)
	maps, files := count("/proc/self/maps"), count("/proc/self/fd")
	start(5000)
	if n := count("/proc/self/maps"); n > maps+100 {
		t.Errorf("%d mappings, were %d", n, maps)
	}
	if n := count("/proc/self/fd"); n > files+5 {
		t.Errorf("%d files, were %d", n, files)
	}
	if used := rt.budget.used; used != 0 {
		t.Errorf("%d bytes still reserved", used)
	}
}

// TestConcurrent admits and runs one module from many goroutines.
func TestConcurrent(t *testing.T) {
	rt := engines(t)[0].rt
	wasm := cacheGuest(0)
	errs := make(chan error, 16)
	for range cap(errs) {
		go func() {
			errs <- func() error {
				for range 20 {
					m, err := rt.Admit(wasm)
					if err != nil {
						return err
					}
					in, err := m.Start(context.Background(), Job{Gas: testGas})
					m.Close()
					if err != nil {
						return err
					}
					out, err := in.Infer(context.Background())
					if err != nil || string(out.Log) != "ok" {
						t.Errorf("%+v %v", out, err)
					}
					if err := in.Close(); err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if len(rt.modules) != 0 {
		t.Fatal("module kept")
	}
}
