package failover

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/plugin"
)

// The test binary is its own device process.
const roleEnv = "ASSAY_FAILOVER_TEST_DEVICE"

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) == "" {
		os.Exit(m.Run())
	}
	b, err := cpudev.NewBackend(cpudev.Config{Threads: 1, Memory: 1 << 30})
	if err != nil {
		panic(err)
	}
	plugin.Serve(plugin.ServeConfig{Backend: b})
}

// processes is a candidate that runs in a process of its own.
type processes struct {
	t   testing.TB
	cfg plugin.Config
	b   *plugin.Backend
}

func newProcesses(t testing.TB) *processes {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &processes{t: t, cfg: plugin.Config{Path: exe, Env: []string{roleEnv + "=1"}, Stderr: os.Stderr, MaxCrashes: 1000, StartTimeout: time.Hour}}
}

func (p *processes) candidate() Candidate {
	return Candidate{"process", func() (device.Backend, error) {
		b, err := plugin.NewBackend(p.cfg)
		p.b = b
		return b, err
	}}
}

// signal sends a signal to the process that serves now; one that has just
// ended takes none.
func (p *processes) signal(s syscall.Signal) {
	pid, err := strconv.Atoi(p.b.Pid())
	if err != nil {
		p.t.Error(err)
		return
	}
	if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		p.t.Error(err)
	}
}

// kills is how often during kills: a device that never lives long enough to
// restore a space would not be a device.
const kills = 8

// during kills the process, and each that follows, after random times up to
// limit, while f runs.
func (p *processes) during(seed uint64, limit time.Duration, f func()) {
	rng := rand.New(rand.NewPCG(seed, 9))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for range kills {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(rng.Int64N(int64(limit)))):
				p.signal(syscall.SIGKILL)
			}
		}
	})
	f()
	close(stop)
	wg.Wait()
}

// restored fails unless every kill was answered by a restart.
func restored(t *testing.T, ev *events) {
	t.Helper()
	var longest time.Duration
	ev.mu.Lock()
	defer ev.mu.Unlock()
	for _, e := range ev.all {
		if e.Kind != Restarted || !errors.Is(e.Err, plugin.ErrExited) {
			t.Errorf("unexpected: %v", e)
		}
		longest = max(longest, e.Took)
	}
	t.Logf("restored %d times, in %v at most", len(ev.all), longest)
}

// TestKillJobs: kill -9 at random moments while several spaces that share
// weights are at work changes nothing that the jobs see.
func TestKillJobs(t *testing.T) {
	const jobs, width, steps = 3, 64, 1000
	want := undisturbed(t, jobs, width, steps)
	for seed := range uint64(3) {
		for _, noShared := range []bool{false, true} {
			t.Run(fmt.Sprintf("seed %d without shared memory %t", seed, noShared), func(t *testing.T) {
				p := newProcesses(t)
				p.cfg.NoSharedMemory = noShared
				d, ev := open(t, Config{Candidates: []Candidate{p.candidate()}})
				p.signal(syscall.SIGKILL) // at least once, and while idle
				p.during(seed, 150*time.Millisecond, func() {
					got, err := play(d, jobs, width, steps)
					if err != nil {
						t.Error(err)
					} else if !equal(got, want) {
						t.Error("results differ from those of a device that never failed")
					}
				})
				restored(t, ev)
			})
		}
	}
}

// TestKillTransfers: kill -9 in the middle of uploads and of reads.
func TestKillTransfers(t *testing.T) {
	p := newProcesses(t)
	d, ev := open(t, Config{Candidates: []Candidate{p.candidate()}})
	sp, err := d.NewSpace(64 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	const size = 8 << 20
	h, err := sp.Alloc(device.U8, device.Shape{Rows: 1, Cols: size})
	if err != nil {
		t.Fatal(err)
	}
	in, out := make([]byte, size), make([]byte, size)
	write := func(round int) {
		for i := range in {
			in[i] = byte(i>>8 + i*round)
		}
		for off := 0; off < size; off += size / 8 {
			if err := sp.Write(h, int64(off), in[off:off+size/8]); err != nil {
				t.Fatal(err)
			}
		}
	}
	read := func(what string) {
		clear(out)
		if err := sp.Read(h, 0, out); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(in, out) {
			t.Fatalf("%s: bytes differ", what)
		}
	}
	write(0)
	// One kill for certain in each phase, whatever the others hit.
	p.signal(syscall.SIGKILL)
	read("after a kill between upload and read")
	p.during(1, 60*time.Millisecond, func() {
		for round := range 12 {
			write(round + 1)
		}
	})
	read("after kills during the upload")
	p.during(2, 60*time.Millisecond, func() {
		for range 12 {
			read("killed during the read")
		}
	})
	restored(t, ev)
}

// TestHungProcess: a process that is stopped, not dead, is killed after a while
// and costs no job anything either.
func TestHungProcess(t *testing.T) {
	const jobs, width, steps = 2, 64, 300
	want := undisturbed(t, jobs, width, steps)
	p := newProcesses(t)
	p.cfg.HangTimeout = 300 * time.Millisecond
	d, ev := open(t, Config{Candidates: []Candidate{p.candidate()}})
	p.signal(syscall.SIGSTOP)
	got, err := play(d, jobs, width, steps)
	if err != nil {
		t.Fatal(err)
	}
	if !equal(got, want) {
		t.Error("results differ")
	}
	ev.mu.Lock()
	defer ev.mu.Unlock()
	if len(ev.all) == 0 || !errors.Is(ev.all[0].Err, plugin.ErrHung) {
		t.Errorf("events %v", ev.all)
	}
}

// TestCrashLoop: after three crashes the next device of the list takes over in
// the middle of the jobs, with one line that says why.
func TestCrashLoop(t *testing.T) {
	const jobs, width, steps = 2, 48, 300
	want := undisturbed(t, jobs, width, steps)
	p := newProcesses(t)
	p.cfg.MaxCrashes = 3
	p.cfg.CrashWindow = time.Hour
	d, ev := open(t, Config{Candidates: []Candidate{p.candidate(), wasm(t)}})
	first := p.b
	for range 2 {
		p.signal(syscall.SIGKILL)
		if sp, err := d.NewSpace(1); err != nil {
			t.Fatal(err)
		} else if err := sp.Close(); err != nil {
			t.Fatal(err)
		}
	}
	pid := p.b.Pid()
	p.during(3, 20*time.Millisecond, func() {
		got, err := play(d, jobs, width, steps)
		if err != nil {
			t.Error(err)
		} else if !equal(got, want) {
			t.Error("results differ")
		}
	})
	if first.Pid() != pid {
		t.Error("the process was started again after its third crash")
	}
	ev.mu.Lock()
	defer ev.mu.Unlock()
	last := ev.all[len(ev.all)-1]
	if last.Kind != FellBack || last.To != "wasmdev" || !errors.Is(last.Err, plugin.ErrCrashLoop) || d.Name() != "wasmdev" {
		t.Errorf("on %s after %v", d.Name(), ev.all)
	}
	t.Log(last)
}
