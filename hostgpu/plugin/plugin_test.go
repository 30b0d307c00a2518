package plugin

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/devicetest"
)

// The test binary is its own device process.
const roleEnv = "ASSAY_PLUGIN_TEST_ROLE"

func TestMain(m *testing.M) {
	protocol, records := protocolVersion, uint32(recordVersion)
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case "protocol":
		protocol++
	case "records":
		records++
	case "crash":
		os.Exit(3)
	case "hostile":
		seed, _ := strconv.ParseUint(os.Getenv("ASSAY_HOSTILE_SEED"), 10, 64)
		hostile(seed)
	}
	report := func(context.Context) ([]byte, error) { return []byte(`{"ok":true}`), nil }
	if os.Getenv(roleEnv) == "truncate" {
		report = func(context.Context) ([]byte, error) { return json.Marshal(truncations()) }
	}
	b, err := cpudev.NewBackend(cpudev.Config{Threads: 1, Memory: 1 << 30})
	if err != nil {
		panic(err)
	}
	serve(ServeConfig{Backend: b, Telemetry: report}, protocol, records)
}

func config(t testing.TB, role string) Config {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Config{Path: exe, Env: []string{roleEnv + "=" + role}, Stderr: os.Stderr, MaxCrashes: 100, StartTimeout: time.Hour}
}

func startDevice(t testing.TB, cfg Config) *Device {
	t.Helper()
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

func TestConformance(t *testing.T) {
	for name, noShared := range map[string]bool{"shared memory": false, "gRPC": true} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, "serve")
			cfg.NoSharedMemory = noShared
			d := startDevice(t, cfg)
			if d.Name() != "cpudev" {
				t.Errorf("name %q", d.Name())
			}
			devicetest.Run(t, d)
		})
	}
}

func space(t testing.TB, d device.Device) device.Space {
	t.Helper()
	s, err := d.NewSpace(64 << 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func alloc(t testing.TB, s device.Space, dt device.DType, rows, cols int) device.Handle {
	t.Helper()
	h, err := s.Alloc(dt, device.Shape{Rows: rows, Cols: cols})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func kill(t testing.TB, d *Device) {
	t.Helper()
	pid, err := strconv.Atoi(d.Pid())
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// TestKill: killing the process in the middle of a batch fails its spaces with
// a typed error, and the next space works in a new process.
func TestKill(t *testing.T) {
	for name, noShared := range map[string]bool{"shared memory": false, "gRPC": true} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, "serve")
			cfg.NoSharedMemory = noShared
			d := startDevice(t, cfg)
			first := d.Pid()
			s := space(t, d)
			idle := space(t, d)
			a, one := alloc(t, s, device.S32, 1, 1024), alloc(t, s, device.S32, 1, 1024)
			for range 100 {
				if err := s.Run(device.Call{Op: device.OpAdd, Tensors: []device.Handle{a, a, one}}); err != nil {
					t.Fatal(err)
				}
			}
			kill(t, d)
			buf := make([]byte, 4096)
			err := s.Read(a, 0, buf)
			for err == nil { // what was done before the signal may still arrive
				err = s.Read(a, 0, buf)
			}
			var internal *device.InternalError
			if !errors.As(err, &internal) || !errors.Is(err, ErrExited) {
				t.Fatalf("read after kill: %v", err)
			}
			if err := s.Run(device.Call{Op: device.OpAdd, Tensors: []device.Handle{a, a, one}}); !errors.As(err, &internal) {
				t.Errorf("run in a dead space: %v", err)
			}
			if err := idle.Sync(); !errors.As(err, &internal) {
				t.Errorf("sync of a dead space: %v", err)
			}
			begin := time.Now()
			n := space(t, d)
			b, c := alloc(t, n, device.S32, 1, 1024), alloc(t, n, device.S32, 1, 1024)
			if err := n.Write(b, 0, bytes.Repeat([]byte{1, 0, 0, 0}, 1024)); err != nil {
				t.Fatal(err)
			}
			if err := n.Run(device.Call{Op: device.OpAdd, Tensors: []device.Handle{c, b, b}}); err != nil {
				t.Fatal(err)
			}
			if err := n.Read(c, 0, buf); err != nil {
				t.Fatal(err)
			}
			t.Logf("serving again after %v", time.Since(begin))
			if got := binary.LittleEndian.Uint32(buf[4092:]); got != 2 {
				t.Errorf("1 + 1 = %d", got)
			}
			if d.Pid() == first {
				t.Error("the process is the same")
			}
		})
	}
}

// TestCrashLoop: a process that dies too often is not started for ever.
func TestCrashLoop(t *testing.T) {
	cfg := config(t, "serve")
	cfg.MaxCrashes = 3
	d := startDevice(t, cfg)
	for range 2 {
		kill(t, d)
		if s, err := untilNewSpace(d); err != nil {
			t.Fatalf("restart: %v", err)
		} else {
			s.Close()
		}
	}
	kill(t, d)
	_, err := untilNewSpace(d)
	var le *LaunchError
	if !errors.As(err, &le) || !errors.Is(err, ErrCrashLoop) {
		t.Fatalf("third crash: %v", err)
	}
}

// untilNewSpace opens spaces until the process's death has been noticed.
func untilNewSpace(d *Device) (device.Space, error) {
	pid := d.Pid()
	for {
		s, err := d.NewSpace(1 << 20)
		if err != nil {
			return nil, err
		}
		if d.Pid() != pid {
			return s, nil
		}
		s.Close()
	}
}

func TestRefused(t *testing.T) {
	cases := map[string]struct {
		cfg  func(*Config)
		want error
	}{
		"checksum":         {func(c *Config) { c.SHA256 = &[32]byte{1} }, ErrChecksum},
		"protocol version": {func(c *Config) { c.Env = []string{roleEnv + "=protocol"} }, ErrVersion},
		"record version":   {func(c *Config) { c.Env = []string{roleEnv + "=records"} }, ErrVersion},
		"no such file":     {func(c *Config) { c.Path = "/nonexistent/device" }, os.ErrNotExist},
		"dies at once":     {func(c *Config) { c.Env = []string{roleEnv + "=crash"} }, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, "serve")
			tc.cfg(&cfg)
			d, err := New(cfg)
			if err == nil {
				d.Close()
				t.Fatal("started")
			}
			var le *LaunchError
			if !errors.As(err, &le) {
				t.Errorf("%v is not a *LaunchError", err)
			}
			if tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

// TestMemoryRefused: the device's own limit comes back as its typed error.
func TestMemoryRefused(t *testing.T) {
	d := startDevice(t, config(t, "serve"))
	if _, err := d.NewSpace(2 << 30); !errors.Is(err, device.ErrDeviceMemory) {
		t.Fatalf("2 GiB of 1: %v", err)
	}
	s, err := d.NewSpace(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = d.NewSpace(1 << 30); err != nil {
		t.Fatalf("reservation was not given back: %v", err)
	}
	s.Close()
}

// TestLargeTransfers crosses every chunk boundary, with more spaces open than
// there are channels.
func TestLargeTransfers(t *testing.T) {
	d := startDevice(t, config(t, "serve"))
	var wg sync.WaitGroup
	for i := range channels + 4 {
		s, err := d.NewSpace(8 << 20)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		h := alloc(t, s, device.U8, 1, 5<<20)
		if i%12 != 0 && i < channels {
			continue
		}
		wg.Go(func() {
			in := make([]byte, 5<<20)
			for j := range in {
				in[j] = byte(j*7 + j>>9 + i)
			}
			out := make([]byte, len(in))
			for range 3 {
				if err := s.Write(h, 0, in); err != nil {
					t.Error(err)
				}
				if err := s.Read(h, 0, out); err != nil {
					t.Error(err)
				}
				if !bytes.Equal(in, out) {
					t.Error("bytes changed on the way")
				}
			}
		})
	}
	wg.Wait()
}

// TestShare reads a tensor of another space.
func TestShare(t *testing.T) {
	d := startDevice(t, config(t, "serve"))
	model, job := space(t, d), space(t, d)
	w := alloc(t, model, device.U8, 1, 4)
	if err := model.Write(w, 0, []byte("abcd")); err != nil {
		t.Fatal(err)
	}
	h, err := job.Share(model, w)
	if err != nil {
		t.Fatal(err)
	}
	c := alloc(t, job, device.U8, 1, 4)
	if err := job.Run(device.Call{Op: device.OpCopy, Tensors: []device.Handle{c, h}}); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if err := job.Read(c, 0, got); err != nil || string(got) != "abcd" {
		t.Fatalf("%q, %v", got, err)
	}
}

// TestShareKeepsReservation: memory that a share keeps from the grave of its
// space is not promised to another.
func TestShareKeepsReservation(t *testing.T) {
	d := startDevice(t, config(t, "serve")) // of 1 GiB
	model, err := d.NewSpace(600 << 20)
	if err != nil {
		t.Fatal(err)
	}
	job := space(t, d)
	h, err := job.Share(model, alloc(t, model, device.U8, 1, 4))
	if err != nil {
		t.Fatal(err)
	}
	if err := model.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.NewSpace(600 << 20); !errors.Is(err, device.ErrDeviceMemory) {
		t.Errorf("while shared: %v", err)
	}
	if err := job.Free(h); err != nil {
		t.Fatal(err)
	}
	s, err := d.NewSpace(600 << 20)
	if err != nil {
		t.Fatalf("afterwards: %v", err)
	}
	s.Close()
}

func TestTelemetry(t *testing.T) {
	d := startDevice(t, config(t, "serve"))
	r, err := d.Telemetry(t.Context())
	if err != nil || string(r) != `{"ok":true}` {
		t.Errorf("%q, %v", r, err)
	}
}

// TestHostGone: the device process ends when its host is killed.
func TestHostGone(t *testing.T) {
	d, err := New(config(t, "serve"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	p := d.backend.proc
	if err := p.lifeline.Close(); err != nil { // as the kernel does for a dead host
		t.Fatal(err)
	}
	select {
	case <-p.rpc.ctx.Done():
	case <-time.After(10 * time.Second):
		t.Error("the device process outlives its host")
	}
}

// TestNotByHand: without a host the process explains itself and fails.
func TestNotByHand(t *testing.T) {
	cmd := exec.Command(config(t, "").Path)
	cmd.Env = append(os.Environ(), roleEnv+"=serve")
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("started by hand: %s", out)
	}
}
