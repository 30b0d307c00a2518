//go:build linux && (amd64 || arm64)

package driver

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"
)

// builds are the fakes made, by their flags.
var builds struct {
	mu   sync.Mutex
	done map[string][]byte
}

// fake builds testdata/fakecuda.c as a shared library. Each test has a copy of
// its own: a library is loaded once a file, and keeps its state.
func fake(t testing.TB, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "libcuda.so.1")
	builds.mu.Lock()
	defer builds.mu.Unlock()
	key := strings.Join(flags, " ")
	if code := builds.done[key]; code != nil {
		ok(t, os.WriteFile(path, code, 0o700))
		return path
	}
	args := append([]string{"-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", path, "testdata/fakecuda.c"}, flags...)
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	if builds.done == nil {
		builds.done = map[string][]byte{}
	}
	builds.done[key] = must[[]byte](t)(os.ReadFile(path))
	return path
}

// probe reads and sets what the fake has beside the driver's functions.
type probe struct {
	t      testing.TB
	handle uintptr
}

func (p probe) symbol(name string) uintptr {
	p.t.Helper()
	a, err := purego.Dlsym(p.handle, name)
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

func (p probe) fail(name string, code Result, nth int) {
	p.t.Helper()
	text := append([]byte(name), 0)
	purego.SyscallN(p.symbol("fake_fail"), uintptr(unsafe.Pointer(&text[0])), uintptr(code), uintptr(nth))
}

func (p probe) call(name string, dev int) int {
	r, _, _ := purego.SyscallN(p.symbol(name), uintptr(dev))
	return int(int32(r))
}

// at is n bytes of one of the fake's variables.
func (p probe) at(name string, n int) []byte {
	a := p.symbol(name)
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&a)), n)
}

func (p probe) number(name string) int64 { return int64(binary.LittleEndian.Uint64(p.at(name, 8))) }

func (p probe) balance() {
	p.t.Helper()
	if n := p.number("fake_live"); n != 0 {
		p.t.Errorf("%d objects of the driver were not freed", n)
	}
}

func open(t testing.TB, flags ...string) (Driver, probe) {
	t.Helper()
	path := fake(t, flags...)
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := purego.Dlopen(path, purego.RTLD_NOW)
	if err != nil {
		t.Fatal(err)
	}
	return d, probe{t, h}
}

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

func TestOpenFails(t *testing.T) {
	for _, c := range []struct {
		flags []string
		want  error
		says  string
	}{
		{[]string{"-DVERSION=10020"}, ErrOldDriver, "CUDA 10.2"},
		{[]string{"-DOMIT_cuLaunchKernel"}, ErrOldDriver, "cuLaunchKernel"},
		{[]string{"-DINIT=100"}, ErrNoDevice, "nvidia-smi"},
		{[]string{"-DINIT=803"}, ErrUnavailable, "reboot"},
		{[]string{"-DINIT=34"}, ErrNoDriver, "LD_LIBRARY_PATH"},
		{[]string{"-DINIT=977"}, ErrCall, "CUDA_ERROR_FROM_THE_FUTURE"},
	} {
		_, err := Open(fake(t, c.flags...))
		var e *Error
		if !errors.Is(err, c.want) || !errors.As(err, &e) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v", c.flags, err)
		}
	}
	_, err := Open("libthere-is-none.so.1", filepath.Join(t.TempDir(), "x"))
	if !errors.Is(err, ErrNoDriver) || !strings.Contains(err.Error(), "install") || Sticky(err) {
		t.Errorf("without a driver: %v", err)
	}
}

// TestZeroDevices: a driver that starts and has nothing, as with MIG on and no
// instance.
func TestZeroDevices(t *testing.T) {
	path := fake(t)
	h := must[uintptr](t)(purego.Dlopen(path, purego.RTLD_NOW))
	probe{t, h}.fail("cuDeviceGetCount", NoDevice, 1)
	if _, err := Open(path); !errors.Is(err, ErrNoDevice) || !strings.Contains(err.Error(), "MIG") {
		t.Errorf("no device: %v", err)
	}
}

func TestInfo(t *testing.T) {
	d, _ := open(t)
	if d.Version() != 12040 || d.Count() != 2 || VersionString(d.Version()) != "12.4" {
		t.Errorf("version %d, %d devices", d.Version(), d.Count())
	}
	want := Info{Name: "Fake H100", UUID: "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f", Major: 9, SMs: 132, Memory: 80 << 30,
		SharedPerBlock: 232448, ClockKHz: 1980000, MemoryPeak: 3352320000000, ECC: true, PCI: "0000:1b:00.0"}
	if got := must[Info](t)(d.Info(0)); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := must[Info](t)(d.Info(1)); !got.Exclusive || got.Ordinal != 1 || !strings.HasPrefix(got.UUID, "MIG-0001") {
		t.Errorf("instance: %+v", got)
	}
	if _, err := d.Info(2); !errors.Is(err, ErrNoDevice) {
		t.Errorf("third of two: %v", err)
	}
	old, _ := open(t, "-DOMIT_cuDeviceGetUuid_v2")
	if got := must[Info](t)(old.Info(0)); !strings.HasPrefix(got.UUID, "GPU-abababab-") {
		t.Errorf("UUID of an older driver: %s", got.UUID)
	}
}

func TestModule(t *testing.T) {
	d, p := open(t)
	c := must[Context](t)(d.Context(0, WaitBlock))
	if p.call("fake_flags", 0) != 4 || p.call("fake_retained", 0) != 1 {
		t.Errorf("flags %d, retained %d", p.call("fake_flags", 0), p.call("fake_retained", 0))
	}
	if _, err := c.Load([]byte(".version 99.0")); !errors.Is(err, ErrPTXVersion) || !strings.Contains(err.Error(), "update") {
		t.Errorf("newer PTX: %v", err)
	}
	if _, err := c.Load([]byte("text")); !errors.Is(err, ErrImage) || !strings.Contains(err.Error(), "ptxas fatal: no version") {
		t.Errorf("bad PTX: %v", err)
	}
	m := must[Module](t)(c.Load([]byte(".version 7.0")))
	if _, err := m.Function("copy17"); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "copy17") {
		t.Errorf("unknown kernel: %v", err)
	}
	f := must[Function](t)(m.Function("none"))
	if i := must[FunctionInfo](t)(f.Info()); i != (FunctionInfo{MaxThreads: 1024, Shared: 512, Local: 8, Registers: 40}) {
		t.Errorf("kernel: %+v", i)
	}
	s := must[Stream](t)(c.NewStream())
	big := []Launch{{Function: f, Grid: [3]uint32{3, 4, 5}, Block: [3]uint32{32, 2, 1}, Shared: 100 << 10}}
	if err := s.Launch(big); !errors.Is(err, ErrCall) {
		t.Errorf("100 KiB of shared memory without asking: %v", err)
	}
	ok(t, f.AllowShared(100<<10))
	ok(t, s.Launch(big))
	if g := p.number("fake_last_grid"); g != 3|4<<8|5<<16 || p.number("fake_last_shared") != 100<<10 {
		t.Errorf("grid %x", g)
	}
	ok(t, s.Close())
	ok(t, m.Unload())
	ok(t, c.Close())
	p.balance()
	if p.call("fake_retained", 0) != 0 {
		t.Error("the context was not released")
	}
}

func TestMemory(t *testing.T) {
	d, p := open(t)
	c := must[Context](t)(d.Context(1, WaitAuto))
	_, err := c.Alloc(2 << 20)
	if !errors.Is(err, ErrOutOfMemory) || Sticky(err) || !strings.Contains(err.Error(), "2097152 bytes asked, 1048576 of 1048576 free") {
		t.Errorf("too much: %v", err)
	}
	const n = 4096
	a, b := must[Ptr](t)(c.Alloc(n)), must[Ptr](t)(c.Alloc(n))
	if free, total, err := c.MemInfo(); err != nil || free != 1<<20-2*n || total != 1<<20 {
		t.Errorf("%d of %d free: %v", free, total, err)
	}
	h := must[[]byte](t)(c.AllocHost(n))
	s := must[Stream](t)(c.NewStream())
	m := must[Module](t)(c.Load([]byte(".version 7.0\x00")))
	f := must[Function](t)(m.Function("copy16"))
	for i := range h {
		h[i] = byte(i * 7)
	}
	want := bytes.Clone(h)
	ok(t, s.Fill(b, 0x11, n))
	ok(t, s.CopyIn(a, h))
	args := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(b)), uint64(a))
	args = binary.LittleEndian.AppendUint64(args, n/2)
	ok(t, s.Launch([]Launch{{Function: f, Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{1, 1, 1}, Args: args}}))
	if !bytes.Equal(p.at("fake_last_args", len(args)), args) {
		t.Errorf("the kernel was given % x", p.at("fake_last_args", len(args)))
	}
	ok(t, s.Copy(b+n/2+1, b, 1))
	clear(h)
	ok(t, s.CopyOut(h, b))
	ok(t, s.Sync())
	for i := n / 2; i < n; i++ {
		want[i] = 0x11
	}
	want[n/2+1] = want[0]
	if !bytes.Equal(h, want) {
		t.Error("the bytes that come back are others")
	}
	ok(t, c.Free(a))
	ok(t, c.Free(b))
	ok(t, c.FreeHost(h))
	ok(t, s.Close())
	ok(t, m.Unload())
	ok(t, c.Close())
	p.balance()
}

func TestEvents(t *testing.T) {
	d, p := open(t)
	c := must[Context](t)(d.Context(0, WaitAuto))
	s := must[Stream](t)(c.NewStream())
	a, b := must[Event](t)(c.NewEvent(true)), must[Event](t)(c.NewEvent(true))
	ok(t, s.Record(a))
	ok(t, s.Record(b))
	ok(t, s.Wait(a))
	ok(t, b.Sync())
	if took, err := b.Since(a); err != nil || took.Microseconds() != 1500 {
		t.Errorf("%v between events: %v", took, err)
	}
	p.fail("cuEventQuery", NotReady, 1)
	if done, err := a.Done(); done || err != nil {
		t.Errorf("an event that has not happened: %v, %v", done, err)
	}
	p.fail("cuStreamQuery", NotReady, 1)
	if done, err := s.Done(); done || err != nil {
		t.Errorf("a stream that works: %v, %v", done, err)
	}
	if done, err := s.Done(); !done || err != nil {
		t.Errorf("a stream that is done: %v, %v", done, err)
	}
	plain := must[Event](t)(c.NewEvent(false))
	if _, err := plain.Since(a); err == nil {
		t.Error("an event without timing has a time")
	}
	for _, e := range []Event{a, b, plain} {
		ok(t, e.Close())
	}
	ok(t, s.Close())
	ok(t, c.Close())
	p.balance()
}

// TestSticky: what a fault leaves behind, and that an exhausted memory leaves
// nothing.
func TestSticky(t *testing.T) {
	for _, c := range []struct {
		code   Result
		want   error
		sticky bool
	}{
		{OutOfMemory, ErrOutOfMemory, false}, {IllegalAddress, ErrFault, true}, {LaunchFailed, ErrFault, true},
		{ECCUncorrectable, ErrHardware, true}, {LaunchTimeout, ErrTimeout, true}, {LaunchOutOfResources, ErrResources, false},
	} {
		d, p := open(t)
		x := must[Context](t)(d.Context(0, WaitAuto))
		s := must[Stream](t)(x.NewStream())
		p.fail("cuStreamSynchronize", c.code, 1)
		if err := s.Sync(); !errors.Is(err, c.want) || Sticky(err) != c.sticky {
			t.Errorf("%v: %v", c.code, err)
		}
		if !c.sticky || c.code < 700 { // the fake lets codes from 700 on stick
			continue
		}
		if _, err := x.Alloc(1); !errors.Is(err, c.want) || !Sticky(err) {
			t.Errorf("%v: the next call: %v", c.code, err)
		}
	}
	if Sticky(nil) || Sticky(errors.New("x")) {
		t.Error("any error is sticky")
	}
}

// TestThreads: goroutines that move between threads, on two GPUs at once. The
// fake refuses a call that meets no context, or that of the other GPU.
func TestThreads(t *testing.T) {
	d, p := open(t)
	var wg sync.WaitGroup
	var all [2]Context
	for dev := range all {
		c := must[Context](t)(d.Context(dev, WaitAuto))
		all[dev] = c
		m := must[Module](t)(c.Load([]byte(".version 7.0")))
		f := must[Function](t)(m.Function("none"))
		t.Cleanup(func() { ok(t, m.Unload()) })
		for range 8 {
			wg.Go(func() {
				s, err := c.NewStream()
				if err != nil {
					t.Error(err)
					return
				}
				batch := []Launch{{Function: f, Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{1, 1, 1}}}
				for range 500 {
					h, err := c.AllocHost(64)
					if err == nil {
						err = errors.Join(s.Launch(batch), s.Sync(), c.FreeHost(h))
					}
					if err != nil {
						t.Errorf("device %d: %v", dev, err)
						return
					}
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if n := p.number("fake_live"); n != 2 {
		t.Errorf("%d objects live, want the two modules", n)
	}
}

// BenchmarkLaunch is Go's side of a launch: alone, in a batch of 8, and through
// a goroutine that owns a thread, the other design.
func BenchmarkLaunch(b *testing.B) {
	d, _ := open(b)
	c := must[Context](b)(d.Context(0, WaitAuto))
	m := must[Module](b)(c.Load([]byte(".version 7.0")))
	f := must[Function](b)(m.Function("none"))
	s := must[Stream](b)(c.NewStream())
	batch := make([]Launch, 8)
	for i := range batch {
		batch[i] = Launch{Function: f, Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{32, 1, 1}, Args: make([]byte, 64)}
	}
	b.Run("each", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ok(b, s.Launch(batch[:1]))
		}
	})
	b.Run("batch-of-8", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ok(b, s.Launch(batch))
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/8, "ns/launch")
	})
	b.Run("owned-thread", func(b *testing.B) {
		calls, done := make(chan []Launch), make(chan error)
		go onThread(s, calls, done)
		b.ReportAllocs()
		for b.Loop() {
			calls <- batch[:1]
			ok(b, <-done)
		}
		close(calls)
	})
}
