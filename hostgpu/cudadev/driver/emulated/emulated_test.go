package emulated

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
	"github.com/assaynet/assay/hostgpu/cudadev/ptx"
)

// inc adds one to n bytes at p, a thread each, and reads one byte behind them
// if the third word says so.
const inc = `
.version 7.0
.target sm_80
.address_size 64

.visible .entry inc(
	.param .align 8 .b8 inc_param_0[16]
)
{
	.reg .pred %p<3>;
	.reg .b32 %r<8>;
	.reg .b64 %rd<6>;

	ld.param.u64 %rd1, [inc_param_0];
	ld.param.u32 %r1, [inc_param_0+8];
	ld.param.u32 %r2, [inc_param_0+12];
	mov.u32 %r3, %ctaid.x;
	mov.u32 %r4, %ntid.x;
	mov.u32 %r5, %tid.x;
	mad.lo.s32 %r6, %r3, %r4, %r5;
	add.s32 %r7, %r6, %r2;
	setp.ge.u32 %p1, %r6, %r1;
	@%p1 bra $L_done;
	cvta.to.global.u64 %rd2, %rd1;
	cvt.u64.u32 %rd3, %r7;
	add.s64 %rd4, %rd2, %rd3;
	ld.global.u8 %r4, [%rd4];
	add.s32 %r4, %r4, 1;
	st.global.u8 [%rd4], %r4;
$L_done:
	ret;
}
`

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bench is a context with a stream, n zeroed bytes and the kernel.
type bench struct {
	t   testing.TB
	d   *Driver
	ctx driver.Context
	s   driver.Stream
	f   driver.Function
	p   driver.Ptr
	n   int
}

func setUp(t testing.TB, cfg Config) *bench {
	t.Helper()
	d := New(cfg)
	t.Cleanup(d.Kill)
	b := &bench{t: t, d: d, n: 4096}
	b.ctx = must[driver.Context](t)(d.Context(0, driver.WaitAuto))
	m := must[driver.Module](t)(b.ctx.Load([]byte(inc)))
	b.f = must[driver.Function](t)(m.Function("inc"))
	b.s = must[driver.Stream](t)(b.ctx.NewStream())
	b.p = must[driver.Ptr](t)(b.ctx.Alloc(int64(b.n)))
	ok(t, b.s.Fill(b.p, 0, int64(b.n)))
	return b
}

// launch is one over n bytes from off on.
func (b *bench) launch(off, n int) []driver.Launch {
	args := binary.LittleEndian.AppendUint64(nil, uint64(b.p))
	args = binary.LittleEndian.AppendUint32(args, uint32(n))
	args = binary.LittleEndian.AppendUint32(args, uint32(off))
	return []driver.Launch{{Function: b.f, Grid: [3]uint32{uint32(n+127) / 128, 1, 1}, Block: [3]uint32{128, 1, 1}, Args: args}}
}

func (b *bench) read() []byte {
	b.t.Helper()
	h := must[[]byte](b.t)(b.ctx.AllocHost(b.n))
	ok(b.t, b.s.CopyOut(h, b.p))
	ok(b.t, b.s.Sync())
	return h
}

func TestStream(t *testing.T) {
	b := setUp(t, Config{Checks: ptx.AllChecks()})
	const launches = 50
	for range launches {
		ok(t, b.s.Launch(b.launch(0, b.n)))
	}
	if got := b.read(); !bytes.Equal(got, bytes.Repeat([]byte{launches}, b.n)) {
		t.Errorf("after %d launches: %v ...", launches, got[:8])
	}
	if done, err := b.s.Done(); !done || err != nil {
		t.Errorf("done %v, %v", done, err)
	}
}

// TestEvents: two streams in turn on the same memory, ordered by events alone.
func TestEvents(t *testing.T) {
	b := setUp(t, Config{})
	s := [2]driver.Stream{b.s, must[driver.Stream](t)(b.ctx.NewStream())}
	ev := must[driver.Event](t)(b.ctx.NewEvent(true))
	start := must[driver.Event](t)(b.ctx.NewEvent(true))
	if done, err := ev.Done(); !done || err != nil {
		t.Errorf("an event that was never recorded: %v, %v", done, err)
	}
	ok(t, s[0].Record(start))
	const turns = 40
	for i := range turns {
		ok(t, s[i%2].Launch(b.launch(0, b.n)))
		ok(t, s[i%2].Record(ev))
		ok(t, s[1-i%2].Wait(ev))
	}
	ok(t, ev.Sync())
	if took, err := ev.Since(start); err != nil || took <= 0 {
		t.Errorf("%v since the start, %v", took, err)
	}
	if got := b.read(); !bytes.Equal(got, bytes.Repeat([]byte{turns}, b.n)) {
		t.Errorf("after %d turns: %v ...", turns, got[:8])
	}
}

// TestIllegalAddress: a kernel that touches memory which is not there is told
// late, and then by everything.
func TestIllegalAddress(t *testing.T) {
	for name, provoke := range map[string]func(t *testing.T) *bench{
		"kernel": func(t *testing.T) *bench {
			b := setUp(t, Config{})
			ok(t, b.s.Launch(b.launch(b.n-1, 2))) // one byte behind the allocation
			return b
		},
		"injected": func(t *testing.T) *bench {
			b := setUp(t, Config{Faults: Faults{IllegalAddress: 3}})
			for range 2 {
				ok(t, b.s.Launch(b.launch(0, b.n)))
			}
			ok(t, b.s.Sync())
			// The launch itself is accepted.
			ok(t, b.s.Launch(b.launch(0, b.n)))
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := provoke(t)
			var e *driver.Error
			if err := b.s.Sync(); !errors.As(err, &e) || e.Result != driver.IllegalAddress || !driver.Sticky(err) || !errors.Is(err, driver.ErrFault) {
				t.Fatalf("sync: %v", err)
			}
			if !strings.Contains(e.Detail, "inc") {
				t.Errorf("the kernel is not named: %v", e)
			}
			_, alloc := b.ctx.Alloc(1)
			_, _, info := b.ctx.MemInfo()
			_, stream := b.ctx.NewStream()
			for _, err := range []error{alloc, info, stream, b.s.Launch(b.launch(0, 1)), b.s.Fill(b.p, 1, 1), b.ctx.Free(b.p), b.ctx.Close()} {
				if !errors.As(err, &e) || e.Result != driver.IllegalAddress {
					t.Errorf("a later call: %v", err)
				}
			}
		})
	}
}

// TestHang: a kernel that never ends holds its stream alone, until the end.
func TestHang(t *testing.T) {
	b := setUp(t, Config{Faults: Faults{Hang: 1}})
	other := must[driver.Stream](t)(b.ctx.NewStream())
	ok(t, b.s.Sync())
	ok(t, b.s.Launch(b.launch(0, b.n)))
	ok(t, other.Launch(b.launch(0, b.n)))
	ok(t, other.Sync())
	if done, err := b.s.Done(); done || err != nil {
		t.Errorf("the stream of a kernel that never ends: %v, %v", done, err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		var e *driver.Error
		if err := b.s.Sync(); !errors.As(err, &e) || e.Result != driver.Deinitialized {
			t.Errorf("sync after the end: %v", err)
		}
	})
	b.d.Kill()
	wg.Wait()
}

func TestMemory(t *testing.T) {
	d := New(Config{Memory: 1 << 20})
	c := must[driver.Context](t)(d.Context(0, driver.WaitAuto))
	p := must[driver.Ptr](t)(c.Alloc(1 << 19))
	_, err := c.Alloc(1 << 20)
	if !errors.Is(err, driver.ErrOutOfMemory) || driver.Sticky(err) {
		t.Errorf("too much: %v", err)
	}
	if free, total, err := c.MemInfo(); free != 1<<19 || total != 1<<20 || err != nil {
		t.Errorf("%d of %d free, %v", free, total, err)
	}
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), "1 allocations") {
		t.Errorf("a context is closed with memory: %v", err)
	}
	ok(t, c.Free(p))
	if err := c.Free(p); err == nil {
		t.Error("memory is freed twice")
	}
	fails := New(Config{Faults: Faults{Fail: func(_ int, call string) driver.Result {
		if call == "cuMemAlloc" {
			return driver.ECCUncorrectable
		}
		return driver.Success
	}}})
	c = must[driver.Context](t)(fails.Context(0, driver.WaitAuto))
	if _, err := c.Alloc(1); !errors.Is(err, driver.ErrHardware) {
		t.Errorf("provoked: %v", err)
	}
	if _, err := c.NewStream(); !errors.Is(err, driver.ErrHardware) {
		t.Errorf("after an ECC error: %v", err)
	}
}

// TestRefused: what a driver refuses at the call.
func TestRefused(t *testing.T) {
	b := setUp(t, Config{})
	good := b.launch(0, 1)[0]
	for what, change := range map[string]func(*driver.Launch){
		"no blocks":    func(l *driver.Launch) { l.Grid[0] = 0 },
		"grid":         func(l *driver.Launch) { l.Grid[1] = 1 << 16 },
		"threads":      func(l *driver.Launch) { l.Block = [3]uint32{64, 32, 1} },
		"shared":       func(l *driver.Launch) { l.Shared = 49 << 10 },
		"parameters":   func(l *driver.Launch) { l.Args = l.Args[:8] },
		"deep block":   func(l *driver.Launch) { l.Block = [3]uint32{1, 1, 65} },
		"huge grid":    func(l *driver.Launch) { l.Grid[0] = 1 << 31 },
		"other device": func(l *driver.Launch) { l.Function = nil },
	} {
		bad := good
		change(&bad)
		if err := b.s.Launch([]driver.Launch{bad}); !errors.Is(err, driver.ErrCall) || driver.Sticky(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := b.f.AllowShared(1 << 20); !errors.Is(err, driver.ErrCall) {
		t.Errorf("1 MiB of shared memory: %v", err)
	}
	ok(t, b.f.AllowShared(100<<10))
	large := good
	large.Shared = 100 << 10
	ok(t, b.s.Launch([]driver.Launch{large}))
	ok(t, b.s.Sync())

	old := must[driver.Context](t)(New(Config{Version: 11000}).Context(0, driver.WaitAuto))
	must[driver.Module](t)(old.Load([]byte(inc)))
	if _, err := old.Load([]byte(strings.Replace(inc, "7.0", "8.0", 1))); !errors.Is(err, driver.ErrPTXVersion) {
		t.Errorf("newer PTX: %v", err)
	}
	if _, err := old.Load([]byte("nonsense")); !errors.Is(err, driver.ErrImage) || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("nonsense: %v", err)
	}
	if _, err := New(Config{}).Context(1, driver.WaitAuto); !errors.Is(err, driver.ErrNoDevice) {
		t.Errorf("second GPU of one: %v", err)
	}
}
