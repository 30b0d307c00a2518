package sandbox

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
)

// grower grows its memory by a page until that fails, in the named export.
func grower(export string, maxPages int) []byte {
	// loop: br_if 0 (memory.grow 1 != -1)
	body := cat(0x03, 0x40, i32c(1), 0x40, 0, i32c(-1), 0x47, 0x0D, 0, 0x0B)
	funcs := []wasmFunc{abiFunc, {Export: export, Body: body}}
	if export != abi.ExportInfer {
		funcs = append(funcs, wasmFunc{Export: abi.ExportInfer})
	}
	return wasmMod{Min: 1, Max: maxPages, Funcs: funcs}.encode()
}

// TestMemoryPages: a job's bound holds like one in the module, on both engines,
// fresh or from a snapshot, whatever bound the jobs before had.
func TestMemoryPages(t *testing.T) {
	ctx := context.Background()
	for _, e := range engines(t) {
		for _, export := range []string{abi.ExportInfer, abi.ExportInitialize} {
			m := admit(t, e.rt, grower(export, 9))
			declared := map[uint32]Outcome{}
			for _, pages := range []uint32{3, 0, 3, 9, 4, 65536, 3, 9} {
				in, err := m.Start(ctx, Job{Gas: testGas, MemoryPages: pages})
				if err != nil {
					t.Fatal(err)
				}
				out, err := in.Infer(ctx)
				if err != nil || !out.Trap.OK() {
					t.Fatal(out, err)
				}
				want := min(pages, 9)
				if pages == 0 {
					want = 9
				}
				if got := in.res.size / wasmPage; got != uint64(want) {
					t.Fatalf("%s: %s with %d pages has %d", e.name, export, pages, got)
				}
				if first, ok := declared[want]; ok && first.GasUsed != out.GasUsed {
					t.Fatalf("gas %d and %d", first.GasUsed, out.GasUsed)
				}
				declared[want] = out
				in.Close()
			}
			// The module that declares the bound itself uses the same gas.
			own := admit(t, e.rt, grower(export, 4))
			in, err := own.Start(ctx, Job{Gas: testGas})
			if err != nil {
				t.Fatal(err)
			}
			if out, err := in.Infer(ctx); err != nil || out.GasUsed != declared[4].GasUsed {
				t.Fatalf("%+v %v, want gas %d", out, err, declared[4].GasUsed)
			}
			in.Close()
		}
		two := wasmMod{Min: 2, Max: 4, Funcs: []wasmFunc{abiFunc}}.encode()
		var limit *meter.LimitError
		var host *HostError
		if _, err := admit(t, e.rt, two).Start(ctx, Job{MemoryPages: 1}); !errors.As(err, &limit) || errors.As(err, &host) {
			t.Fatal(err)
		}
	}
}

// bigMemory admits memories of 16,384 pages.
func bigMemory() *meter.Limits {
	l := meter.DefaultLimits()
	l.MemoryPages = 16_384
	return &l
}

// TestGrowIsLinear: 10,000 grows of one page make each byte accessible once
// and move nothing; the last one fails by rule.
func TestGrowIsLinear(t *testing.T) {
	const pages = 10_001
	for _, interp := range []bool{false, true} {
		rt, err := New(Config{Interpreter: interp, Limits: bigMemory(), TrustModules: true})
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		in, err := admit(t, rt, grower(abi.ExportInfer, pages)).Start(context.Background(), Job{Gas: MaxGas})
		if err != nil {
			t.Fatal(err)
		}
		base := &in.res.space.addr[0]
		out, err := in.Infer(context.Background())
		if err != nil || !out.Trap.OK() {
			t.Fatal(out, err)
		}
		if in.res.size != pages*wasmPage || in.res.committed != pages*wasmPage || base != &in.res.space.addr[0] {
			t.Fatalf("size %d, committed %d", in.res.size, in.res.committed)
		}
		in.Close()
	}
}

// BenchmarkGrow prints ns a grow, which must not depend on their number.
func BenchmarkGrow(b *testing.B) {
	rt, err := New(Config{Limits: bigMemory(), TrustModules: true})
	if err != nil {
		b.Fatal(err)
	}
	defer rt.Close()
	for _, pages := range []int{100, 1_000, 10_000} {
		b.Run(strconv.Itoa(pages), func(b *testing.B) {
			m := admit(b, rt, grower(abi.ExportInfer, pages+1))
			for range b.N {
				b.StopTimer()
				in, err := m.Start(context.Background(), Job{Gas: MaxGas})
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if out, err := in.Infer(context.Background()); err != nil || !out.Trap.OK() {
					b.Fatal(out, err)
				}
				b.StopTimer()
				in.Close()
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*pages), "ns/grow")
		})
	}
}

// resident is what the process has in memory, in bytes.
func resident(t testing.TB) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("needs /proc")
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// TestMemoryIsReturned: what a guest touched goes back to the system when its
// instance closes.
func TestMemoryIsReturned(t *testing.T) {
	const bytes = 256 << 20
	fill := cat(i32c(0), i32c(7), i32c(bytes), 0xFC, 11, 0)
	wasm := wasmMod{Min: bytes / wasmPage, Max: bytes / wasmPage, Funcs: []wasmFunc{abiFunc, {Export: abi.ExportInfer, Body: fill}}}.encode()
	rt := engines(t)[0].rt
	m := admit(t, rt, wasm)
	debug.FreeOSMemory()
	before := resident(t)
	for range 3 {
		in, err := m.Start(context.Background(), Job{Gas: MaxGas})
		if err != nil {
			t.Fatal(err)
		}
		if out, err := in.Infer(context.Background()); err != nil || !out.Trap.OK() {
			t.Fatal(out, err)
		}
		if got := resident(t) - before; got < bytes/10*9 {
			t.Fatalf("only %d bytes more while it runs", got)
		}
		in.Close()
		debug.FreeOSMemory()
		if got := resident(t) - before; got > bytes/10 {
			t.Fatalf("%d bytes more after it", got)
		}
	}
}

// TestShares: refusal, reservation, order of waiting, and giving back.
func TestShares(t *testing.T) {
	ctx := context.Background()
	rt, err := New(Config{MemoryBudget: 10 * wasmPage, TrustModules: true})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	m := admit(t, rt, inferGuest(nil, nil)) // at most 4 pages
	start := func(ctx context.Context, job Job) (*Instance, error) {
		job.Gas = testGas
		return m.Start(ctx, job)
	}
	judge, err := rt.Reserve(4 * wasmPage)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rt.Reserve(7 * wasmPage); !errors.Is(err, ErrMemory) {
		t.Fatal(err)
	}
	one, err := start(ctx, Job{Wait: true})
	if err != nil {
		t.Fatal(err)
	}
	var host *HostError
	if _, err := start(ctx, Job{}); !errors.As(err, &host) || !errors.Is(err, ErrMemory) {
		t.Fatal(err)
	}
	// The reservation is there all the same, once.
	in, err := start(ctx, Job{Memory: judge})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := start(ctx, Job{Memory: judge}); !errors.Is(err, ErrMemory) {
		t.Fatal(err)
	}
	judge.Close()
	if _, err := start(ctx, Job{Memory: judge}); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if rt.budget.used != 8*wasmPage {
		t.Fatalf("%d bytes used", rt.budget.used)
	}
	in.Close() // now the share goes back
	if rt.budget.used != 4*wasmPage {
		t.Fatalf("%d bytes used", rt.budget.used)
	}
	// A smaller one does not pass one that waits.
	two, err := start(ctx, Job{})
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan *Instance)
	go func() {
		in, err := start(ctx, Job{Wait: true})
		if err != nil {
			t.Error(err)
		}
		waiting <- in
	}()
	for queued := 0; queued == 0; {
		rt.budget.mu.Lock()
		queued = rt.budget.waiting.Len()
		rt.budget.mu.Unlock()
	}
	if _, err := start(ctx, Job{MemoryPages: 1}); !errors.Is(err, ErrMemory) {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := start(cancelled, Job{Wait: true}); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrMemory) {
		t.Fatal(err)
	}
	one.Close()
	(<-waiting).Close()
	two.Close()
	if rt.budget.used != 0 || rt.budget.waiting.Len() != 0 {
		t.Fatalf("%d bytes used", rt.budget.used)
	}
	// What can never fit does not wait.
	big := admit(t, rt, wasmMod{Min: 1, Max: 11, Funcs: []wasmFunc{abiFunc}}.encode())
	if _, err := big.Start(ctx, Job{Wait: true}); !errors.Is(err, ErrMemory) {
		t.Fatal(err)
	}
	if in, err := big.Start(ctx, Job{Wait: true, MemoryPages: 10}); err != nil {
		t.Fatal(err)
	} else {
		in.Close()
	}
}

// TestBudgetHolds: instances that wait all run, and never more than fit.
func TestBudgetHolds(t *testing.T) {
	const room, each = 3, 4
	rt, err := New(Config{MemoryBudget: room * each * wasmPage, TrustModules: true})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	m := admit(t, rt, inferGuest(imp("emit"), cat(i32c(0), i32c(0), i32c(0), call(0), 0x1A)))
	var running, most atomic.Int64
	var wg sync.WaitGroup
	for range 12 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 50 {
				in, err := m.Start(t.Context(), Job{Gas: testGas, Wait: true, Emit: func(uint32, []byte) bool {
					n := running.Load()
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					return false
				}})
				if err != nil {
					t.Error(err)
					return
				}
				running.Add(1)
				if out, err := in.Infer(t.Context()); err != nil || !out.Trap.OK() {
					t.Error(out, err)
				}
				running.Add(-1)
				in.Close()
			}
		}()
	}
	wg.Wait()
	if most.Load() > room {
		t.Fatalf("%d ran at once", most.Load())
	}
}

// TestRuntimeCloseEndsWaiting: who waits for memory is told.
func TestRuntimeCloseEndsWaiting(t *testing.T) {
	rt, err := New(Config{MemoryBudget: 4 * wasmPage, TrustModules: true})
	if err != nil {
		t.Fatal(err)
	}
	m := admit(t, rt, inferGuest(nil, nil))
	in, err := m.Start(t.Context(), Job{Gas: testGas})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := m.Start(context.Background(), Job{Gas: testGas, Wait: true})
		ended <- err
	}()
	for queued := 0; queued == 0; {
		rt.budget.mu.Lock()
		queued = rt.budget.waiting.Len()
		rt.budget.mu.Unlock()
	}
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	in.Close()
}
