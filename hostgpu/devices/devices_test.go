package devices

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/failover"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/sandbox"
)

// The test binary is also the program that serves a device.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		f := flag.NewFlagSet("serve", flag.ExitOnError)
		name, threads, memory := f.String("device", "", ""), f.Int("threads", 0, ""), f.Int64("memory", 0, "")
		_ = f.Parse(os.Args[2:]) // ExitOnError
		if os.Getenv(timedEnv) != "" {
			if err := serveTimed(); err != nil {
				os.Stderr.WriteString(err.Error() + "\n")
				os.Exit(1)
			}
			return
		}
		if err := Serve(*name, Config{Threads: *threads, MemoryBytes: *memory}); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// inProcess is the configuration of a device in a process of its own.
func inProcess(notify func(failover.Event)) Config {
	return Config{Threads: 1, Notify: notify, Process: &Process{Args: []string{"serve"}, Stderr: os.Stderr, MaxCrashes: 1000, StartTimeout: time.Hour}}
}

// begin starts a transformerpow instance on a device; its set-up is done.
func begin(t testing.TB, rt *sandbox.Runtime, dev device.Device, params []byte) *sandbox.Instance {
	t.Helper()
	e, err := catalog.Get("transformerpow")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := rt.Admit(e.Wasm)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mod.Close() })
	in, err := mod.Start(context.Background(), sandbox.Job{Device: dev, TensorBytes: 1 << 30, Seed: [32]byte{1}, Identity: []byte("miner"), Params: params, Gas: 1 << 50})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := in.PowSetup(context.Background()); err != nil || out.Trap != abi.TrapNone {
		t.Fatalf("set-up: %v, %v", out.Trap, err)
	}
	return in
}

// units computes n units from first on.
func units(t testing.TB, in *sandbox.Instance, first, n int) (digests []byte) {
	t.Helper()
	indexes := make([]uint64, n)
	for i := range indexes {
		indexes[i] = uint64(first + i)
	}
	us, out, err := in.PowUnits(context.Background(), indexes, nil)
	if err != nil || out.Trap != abi.TrapNone {
		t.Fatalf("units: %v, %v", out.Trap, err)
	}
	for _, u := range us {
		digests = append(digests, u.Digest[:]...)
	}
	return digests
}

// mine computes batches of units and returns their digests. before is called
// before each.
func mine(t *testing.T, rt *sandbox.Runtime, dev device.Device, batches int, before func(batch int)) (digests []byte) {
	t.Helper()
	in := begin(t, rt, dev, u32s(2, 256, 4, 4, 512, 16))
	defer in.Close()
	for b := range batches {
		before(b)
		digests = append(digests, units(t, in, 32*b, 32)...)
	}
	return digests
}

func u32s(v ...uint32) (out []byte) {
	for _, x := range v {
		out = append(out, byte(x), byte(x>>8), byte(x>>16), byte(x>>24))
	}
	return out
}

// TestKillMiner: a miner whose device process is killed again and again
// computes the same units, and never learns of it.
func TestKillMiner(t *testing.T) {
	rt, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	const batches = 40
	plain, err := Open("cpudev", Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := mine(t, rt, plain, batches, func(int) {})
	if err := plain.Close(); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(2) {
		var mu sync.Mutex
		var events []failover.Event
		dev, err := Open("cpudev,wasmdev", inProcess(func(e failover.Event) {
			mu.Lock()
			events = append(events, e)
			mu.Unlock()
		}))
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(seed, 3))
		var wg sync.WaitGroup
		got := mine(t, rt, dev, batches, func(b int) {
			if b%10 == 5 {
				wg.Go(func() {
					<-time.After(time.Duration(rng.Int64N(int64(20 * time.Millisecond))))
					kill(t, dev)
				})
			}
		})
		wg.Wait()
		if !bytes.Equal(got, want) {
			t.Errorf("seed %d: digests differ from those of an undisturbed run", seed)
		}
		if dev.Name() != "cpudev" || len(events) < 2 {
			t.Errorf("on %s after %v", dev.Name(), events)
		}
		for _, e := range events {
			t.Logf("seed %d: %v", seed, e)
		}
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	}
}

func kill(t testing.TB, dev *Device) {
	pid, err := strconv.Atoi(dev.Pid())
	if err != nil {
		t.Error(err)
		return
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Error(err)
	}
}

func TestOpenLists(t *testing.T) {
	for _, names := range []string{"nothing", "cpudev,nothing", "cpudev,,wasmdev"} {
		if _, err := Open(names, Config{}); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v", names, err)
		}
	}
	if _, err := Open("cpudev,cpudev", Config{}); err == nil {
		t.Error("a device listed twice is accepted")
	}
	d, err := Open("cpudev, wasmdev", Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.Name() != "cpudev" {
		t.Errorf("opened %s", d.Name())
	}
	if _, err := d.Telemetry(t.Context()); !errors.Is(err, ErrNoTelemetry) {
		t.Errorf("telemetry without a process: %v", err)
	}
}

// TestTelemetry: the device process reports, or says why it does not.
func TestTelemetry(t *testing.T) {
	d, err := Open("cpudev", inProcess(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r, err := d.Telemetry(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Note == "" && r.Driver == nil {
		t.Errorf("neither a driver nor a reason: %+v", r)
	}
}
