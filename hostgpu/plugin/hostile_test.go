//go:build linux

package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/devicetest"
)

// hostile flips random bits of the memory that this process shares with its
// host, while it serves like any other.
func hostile(seed uint64) {
	shared, err := inherited()
	if err != nil {
		panic(err)
	}
	go func() {
		rng := rand.New(rand.NewPCG(seed, 5))
		for {
			time.Sleep(time.Duration(rng.IntN(200)) * time.Microsecond) // pace, not synchronisation
			// The first queues' channels: mostly their headers, where positions are.
			at := rng.IntN(3)*channelSize + rng.IntN([]int{256, headerBytes, channelSize}[rng.IntN(3)])
			shared[at] ^= 1 << rng.IntN(8)
		}
	}()
}

// truncations tries to cut off, grow and unseal the shared memory.
func truncations() (errs []string) {
	for _, size := range []int64{0, sharedBytes / 2, sharedBytes * 2} {
		if err := syscall.Ftruncate(sharedFD, size); err != nil {
			errs = append(errs, err.Error())
		}
	}
	return errs
}

// TestHostileMemory: whatever a device process writes to the memory it shares
// with the host, the host goes on, and its calls end in a result or in an
// error of the device.
func TestHostileMemory(t *testing.T) {
	failed := 0
	for seed := range 12 {
		cfg := config(t, "hostile")
		cfg.Env = append(cfg.Env, "ASSAY_HOSTILE_SEED="+strconv.Itoa(seed))
		cfg.HangTimeout = 200 * time.Millisecond
		d, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := abuse(d); err != nil {
				failed++
				var ie *device.InternalError
				if !errors.As(err, &ie) && !errors.Is(err, ErrExited) {
					t.Errorf("seed %d: untyped: %v", seed, err)
				}
			}
		}
		_ = d.Close() // its spaces may have failed
	}
	if failed == 0 {
		t.Error("nothing ever failed: that tests nothing")
	}
	t.Logf("%d of 36 jobs failed", failed)
}

// abuse uses all of a space's calls until one fails.
func abuse(d *Device) error {
	s, err := d.NewSpace(8 << 20)
	if err != nil {
		return err
	}
	defer s.Close()
	h, err := s.Alloc(device.S32, device.Shape{Rows: 1, Cols: 1 << 18})
	if err != nil {
		return err
	}
	one, err := s.Alloc(device.S32, device.Shape{Rows: 1, Cols: 1 << 18})
	if err != nil {
		return err
	}
	p := make([]byte, 1<<20)
	for range 40 {
		if err := s.Write(h, 0, p); err != nil {
			return err
		}
		for range 50 {
			if err := s.Run(device.Call{Op: device.OpAdd, Tensors: []device.Handle{h, h, one}}); err != nil {
				return err
			}
		}
		if err := s.Read(h, 0, p); err != nil {
			return err
		}
	}
	return nil
}

// TestPositions: positions, states and lengths that cannot be are noticed as
// such, and the process that wrote them is ended.
func TestPositions(t *testing.T) {
	cases := map[string]func(h *ringHeader){
		"ahead":          func(h *ringHeader) { h.head.Store(h.tail.Load() + 1<<40) },
		"far ahead":      func(h *ringHeader) { h.head.Store(1 << 63) },
		"back":           func(h *ringHeader) { h.head.Store(0) },
		"unknown status": func(h *ringHeader) { h.status.Store(99) },
		"endless text":   func(h *ringHeader) { h.messageLen = 1 << 31; h.status.Store(3) },
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			d := startDevice(t, config(t, "serve"))
			s := space(t, d)
			x := alloc(t, s, device.S32, 1, 16)
			p := make([]byte, 64)
			if err := s.Read(x, 0, p); err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(d.Pid())
			if err != nil {
				t.Fatal(err)
			}
			stop(t, pid)                               // so that it does not repair the damage
			h := channelAt(d.backend.proc.shared, 0).h // the first queue's
			damage(h)
			if h.status.Load() != 0 {
				if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
			}
			err = s.Read(x, 0, p)
			var ie *device.InternalError
			if !errors.As(err, &ie) || !errors.Is(err, ErrProtocol) {
				t.Errorf("got %v", err)
			}
			if err != nil && len(err.Error()) > 3*maxMessage {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

// stop stops a child process and returns once all of its threads stand still:
// the signal alone leaves those on other processors running for a while.
func stop(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("%v, status %#x", err, uint32(status))
	}
}

// TestSealed: the process cannot cut off memory that the host has mapped, which
// would end the host at its next access.
func TestSealed(t *testing.T) {
	d := startDevice(t, config(t, "truncate"))
	raw, err := d.Telemetry(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var errs []string
	if err := json.Unmarshal(raw, &errs); err != nil || len(errs) != 3 {
		t.Errorf("refused: %q, %v", errs, err)
	}
	s := space(t, d)
	x := alloc(t, s, device.U8, 1, 4)
	if err := s.Write(x, 0, []byte("abcd")); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 4)
	if err := s.Read(x, 0, p); err != nil || string(p) != "abcd" {
		t.Errorf("%q, %v", p, err)
	}
}

// TestBadInput: calls of which most are wrong get the same errors, handles and
// bytes through a process as in this one.
func TestBadInput(t *testing.T) {
	local, err := cpudev.New(cpudev.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	d := startDevice(t, config(t, "serve"))
	wrong := 0
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 6))
		data := make([]byte, 1500)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		want, err := devicetest.Script(local, data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := devicetest.Script(d, data)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: the device process differs", seed)
		}
		for _, line := range want {
			if bytes.Contains([]byte(line), []byte("device: ")) {
				wrong++
			}
		}
	}
	if wrong < 1000 {
		t.Errorf("only %d wrong calls", wrong)
	}
}

// TestNothingLeft: killed processes leave no file behind.
func TestNothingLeft(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	d, err := New(config(t, "serve"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		kill(t, d)
		s, err := untilNewSpace(d)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	kill(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	// Nor does one that loses its host, which then cannot clean up.
	if d, err = New(config(t, "serve")); err != nil {
		t.Fatal(err)
	}
	p := d.backend.proc
	if err := p.lifeline.Close(); err != nil { // as the kernel does for a dead host
		t.Fatal(err)
	}
	<-p.rpc.ctx.Done()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
