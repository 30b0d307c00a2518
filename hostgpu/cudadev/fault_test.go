package cudadev

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/cudadev/driver"
	"github.com/assaynet/assay/hostgpu/cudadev/driver/emulated"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/failover"
	"github.com/assaynet/assay/hostgpu/plugin"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/sandbox"
)

// powParams are the smallest transformerpow that uses every op: one layer of
// width 128, two heads, 256 columns of its feed-forward, four tokens.
func powParams() (out []byte) {
	for _, x := range []uint32{1, 128, 2, 2, 256, 4} {
		out = append(out, byte(x), byte(x>>8), byte(x>>16), byte(x>>24))
	}
	return out
}

const batchUnits = 4

// pow is the shipped proof of work, compiled once for all tests.
var pow = sync.OnceValues(func() (*sandbox.Module, error) {
	rt, err := sandbox.New(sandbox.Config{})
	if err != nil {
		return nil, err
	}
	e, err := catalog.Get("transformerpow")
	if err != nil {
		return nil, err
	}
	return rt.Admit(e.Wasm)
})

// mine computes batches of units in the sandbox and returns their digests;
// before is called before each.
func mine(t *testing.T, dev device.Device, batches int, before func(batch int)) (digests []byte) {
	t.Helper()
	mod, err := pow()
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	in, err := mod.Start(ctx, sandbox.Job{Device: dev, TensorBytes: 4 << 20, Seed: [32]byte{7}, Identity: []byte("miner"), Params: powParams(), Gas: 1 << 50})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if out, err := in.PowSetup(ctx); err != nil || out.Trap != abi.TrapNone {
		t.Fatalf("set-up: %v, %v", out.Trap, err)
	}
	for b := range batches {
		before(b)
		indexes := make([]uint64, batchUnits)
		for i := range indexes {
			indexes[i] = uint64(batchUnits*b + i)
		}
		us, out, err := in.PowUnits(ctx, indexes, nil)
		if err != nil || out.Trap != abi.TrapNone {
			t.Fatalf("batch %d: %v, %v", b, out.Trap, err)
		}
		for _, u := range us {
			digests = append(digests, u.Digest[:]...)
		}
	}
	return digests
}

func quietly(int) {}

// reference is what an undisturbed processor computes.
func reference(t *testing.T, batches int) []byte {
	t.Helper()
	cpu, err := cpudev.New(cpudev.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer cpu.Close()
	return mine(t, cpu, batches, quietly)
}

// TestUnits: the proof of work through the sandbox, on the PTX of both images.
func TestUnits(t *testing.T) {
	want := reference(t, 2)
	for name, gpu := range gpus {
		if got := mine(t, newDevice(t, gpu, Config{ScratchBytes: 1 << 20}), 2, quietly); !bytes.Equal(got, want) {
			t.Errorf("%s: digests differ from the processor's", name)
		}
	}
}

// process is a device process on the emulated driver, under failover.
type process struct {
	t      *testing.T
	dev    device.Device
	b      *plugin.Backend
	mu     sync.Mutex
	events []failover.Event
}

func startProcess(t *testing.T, fault string, cfg plugin.Config) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t}
	cfg.Path, cfg.Stderr, cfg.MaxCrashes = exe, os.Stderr, 1000
	cfg.Env = append(cfg.Env, roleEnv+"="+fault, lifeEnv+"="+filepath.Join(t.TempDir(), "lived"))
	fb, err := failover.New(failover.Config{
		Candidates: []failover.Candidate{{Name: "cudadev", Open: func() (b device.Backend, err error) {
			p.b, err = plugin.NewBackend(cfg)
			return p.b, err
		}}},
		Notify: func(e failover.Event) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.events = append(p.events, e)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.dev = device.New(fb)
	t.Cleanup(func() {
		if err := p.dev.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return p
}

// restarts are the events, which must all be of a device that came back.
func (p *process) restarts() (causes []string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		p.t.Logf("%v", e)
		if e.Kind != failover.Restarted {
			p.t.Errorf("%v", e)
		}
		causes = append(causes, e.String())
	}
	return causes
}

// TestFaults: a miner never learns that its GPU's process died, however.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a dozen processes")
	}
	faults(t, nil)
	t.Run("hang", func(t *testing.T) {
		t.Parallel()
		p := startProcess(t, "h40", plugin.Config{HangTimeout: 10 * time.Second})
		if got := mine(t, p.dev, faultBatches, quietly); !bytes.Equal(got, reference(t, faultBatches)) {
			t.Error("digests differ")
		}
		if causes := p.restarts(); len(causes) < 1 || !strings.Contains(causes[0], "no progress") {
			t.Errorf("%q", causes)
		}
	})
}

const faultBatches = 4

// faults are those that a GPU can be made to have too; env is the device
// process's.
func faults(t *testing.T, env []string) {
	const batches = faultBatches
	want := reference(t, batches)
	t.Run("illegal address", func(t *testing.T) {
		t.Parallel()
		for _, at := range []string{"i1", "i101", "p3", "p60"} {
			if env != nil && at[0] == 'i' {
				continue // the emulated driver's
			}
			p := startProcess(t, at, plugin.Config{Env: env})
			if got := mine(t, p.dev, batches, quietly); !bytes.Equal(got, want) {
				t.Errorf("%s: digests differ", at)
			}
			causes := p.restarts()
			if len(causes) != 1 || !strings.Contains(causes[0], "CUDA_ERROR_ILLEGAL_ADDRESS") || !strings.Contains(causes[0], ErrWedged.Error()) {
				t.Errorf("%s: %q", at, causes)
			}
		}
	})
	t.Run("kill", func(t *testing.T) {
		t.Parallel()
		p := startProcess(t, "n0", plugin.Config{Env: env})
		got := mine(t, p.dev, batches, func(b int) {
			if b == 0 {
				return
			}
			pid, err := strconv.Atoi(p.b.Pid())
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		})
		if !bytes.Equal(got, want) {
			t.Error("digests differ")
		}
		if causes := p.restarts(); len(causes) != batches-1 {
			t.Errorf("%d restarts of %d kills: %q", len(causes), batches-1, causes)
		}
	})
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		p := startProcess(t, "n0", plugin.Config{Env: env})
		for range 3 {
			if _, err := p.dev.NewSpace(1 << 40); !errors.Is(err, device.ErrDeviceMemory) {
				t.Fatalf("more than a GPU has: %v", err)
			}
		}
		if got := mine(t, p.dev, batches, quietly); !bytes.Equal(got, want) {
			t.Error("digests differ")
		}
		if causes := p.restarts(); len(causes) > 0 {
			t.Errorf("exhausted memory restarts the device: %q", causes)
		}
	})
}

// TestWedged: what one process sees of a context that is lost, and that the
// next device takes over where there is no process to restart.
func TestWedged(t *testing.T) {
	gpu := emulated.New(emulated.Config{Faults: emulated.Faults{IllegalAddress: 20}})
	b, err := NewBackend(Config{Driver: gpu, ScratchBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	q, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	other, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	m := alloc(t, q, 256)
	for err == nil {
		if err = q.Run(task(device.OpCopy, tensor(m, 0, 128), tensor(m, 128, 128))); err == nil {
			err = q.Sync()
		}
	}
	check := func(what string, err error) {
		t.Helper()
		var e *driver.Error
		if !errors.Is(err, ErrWedged) || !errors.Is(err, driver.ErrFault) || !errors.As(err, &e) || e.Result != driver.IllegalAddress {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("the fault", err)
	_, aerr := other.Alloc(64)
	_, oerr := b.Open()
	check("alloc", aerr)
	check("open", oerr)
	check("reserve", b.Reserve(64))
	check("write", other.Write(m, 0, make([]byte, 4)))
	check("read", other.Read(m, 0, make([]byte, 4)))
	check("sync", other.Sync())
	q.Free(m)
	check("close of a queue", q.Close())
	check("close of a queue", other.Close())
	if err := b.Close(); err != nil {
		t.Errorf("close: %v", err)
	}

	var events []failover.Event
	fb, err := failover.New(failover.Config{Notify: func(e failover.Event) { events = append(events, e) }, Candidates: []failover.Candidate{
		{Name: "cudadev", Open: func() (device.Backend, error) {
			return NewBackend(Config{Driver: emulated.New(emulated.Config{Faults: emulated.Faults{IllegalAddress: 50}}), ScratchBytes: 1 << 20})
		}},
		{Name: "cpudev", Open: func() (device.Backend, error) { return cpudev.NewBackend(cpudev.Config{Threads: 1}) }},
	}})
	if err != nil {
		t.Fatal(err)
	}
	dev := device.New(fb)
	if got := mine(t, dev, 2, quietly); !bytes.Equal(got, reference(t, 2)) {
		t.Error("digests differ")
	}
	if len(events) != 1 || events[0].Kind != failover.FellBack || !errors.Is(events[0].Err, ErrWedged) {
		t.Errorf("%v", events)
	}
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
}
