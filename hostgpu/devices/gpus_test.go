package devices

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/sandbox"
)

func TestCountGPUs(t *testing.T) {
	for _, c := range []struct {
		files   []string
		visible string // "unset": not set
		want    int
	}{
		{nil, "unset", 0},
		{[]string{"dev/nvidiactl", "dev/nvidia-uvm"}, "unset", 0},
		{[]string{"dev/nvidia0", "dev/nvidiactl"}, "unset", 1},
		{[]string{"dev/nvidia0", "dev/nvidia1", "dev/nvidia2"}, "unset", 3},
		{[]string{"dev/nvidia5", "dev/nvidiactl"}, "unset", 1},
		{[]string{"usr/lib/wsl/lib/libcuda.so.1"}, "unset", 1},
		{[]string{"dev/nvidia0", "dev/nvidia1", "dev/nvidia2"}, "2,0", 2},
		{[]string{"dev/nvidia0", "dev/nvidia1"}, "", 0},
		{[]string{"dev/nvidia0", "dev/nvidia1"}, "0,-1,1", 1},
		{[]string{"dev/nvidia0"}, "MIG-1,MIG-2", 1},
		{[]string{"dev/nvidia0"}, "0,1,2", 1},
	} {
		root := t.TempDir()
		for _, f := range c.files {
			path := filepath.Join(root, f)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got := countGPUs(root, func(string) (string, bool) { return c.visible, c.visible != "unset" })
		if got != c.want {
			t.Errorf("%v, CUDA_VISIBLE_DEVICES %q: %d GPUs, want %d", c.files, c.visible, got, c.want)
		}
	}
}

func TestGPUNames(t *testing.T) {
	for _, name := range []string{"cudadev", "cudadev1", "cudadev63"} {
		if m, err := findOne(name); err != nil || m.name != name || !m.gpu {
			t.Errorf("%s: %v, %v", name, m.name, err)
		}
	}
	for _, name := range []string{"cudadev0", "cudadev01", "cudadev64", "cudadev-1", "cuda", "cudadev1 "} {
		if _, err := findOne(name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if !NeedsProcess("cpudev,cudadev") || NeedsProcess("cpudev") || NeedsProcess("nothing") {
		t.Error("wrong devices run in a process of their own")
	}
	if _, err := Open("cudadev+cudadev", Config{}); err == nil {
		t.Error("a device twice in a group is accepted")
	}
	if _, err := Open("cpudev,cudadev+wasmdev", Config{}); err == nil {
		t.Error("a group that is not first is accepted")
	}
}

// TestGPUMissing: a GPU that is asked for by name and is not there is an error
// with what to do; with others in the list the next one works.
func TestGPUMissing(t *testing.T) {
	if gpuCount() > 0 {
		t.Skip("this machine has a GPU")
	}
	if _, err := Open("cudadev", Config{}); !errors.Is(err, driver.ErrNoDriver) && !errors.Is(err, driver.ErrNoDevice) {
		t.Errorf("without a driver: %v", err)
	}
	d, err := Open("cudadev+cudadev1,cpudev", inProcess(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.Name() != "cpudev" || d.GPU() {
		t.Errorf("opened %s, a GPU: %v", d.Name(), d.GPU())
	}
}

// TestGroup: sessions spread over the devices of a group and give the units of
// one; one that dies for good leaves its work to the other.
func TestGroup(t *testing.T) {
	rt, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	params := u32s(1, 128, 2, 2, 256, 4)
	plain, err := Open("cpudev", Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	one := begin(t, rt, plain, params)
	defer one.Close()
	want := units(t, one, 0, 8)

	cfg := inProcess(nil)
	cfg.Process.MaxCrashes = 1 // the first crash is the end
	d, err := Open("cpudev+wasmdev", cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.Name() != "cpudev+wasmdev" || d.Parts() != 2 {
		t.Fatalf("%s of %d parts", d.Name(), d.Parts())
	}
	load := func(want ...int) {
		t.Helper()
		g := d.Device.(*group)
		g.mu.Lock()
		defer g.mu.Unlock()
		for i := range want {
			if g.open[i] != want[i] {
				t.Errorf("spaces %v, want %v", g.open, want)
			}
		}
	}
	var ins []*sandbox.Instance
	for range 4 {
		ins = append(ins, begin(t, rt, d, params))
	}
	load(2, 2)
	for i, in := range ins {
		if got := units(t, in, 0, 8); !bytes.Equal(got, want) {
			t.Errorf("session %d computes other units", i)
		}
	}
	kill(t, d.parts[0])
	for i, in := range ins {
		failed := false
		if _, _, err := in.PowUnits(t.Context(), []uint64{1}, nil); err != nil {
			failed = true
		}
		if failed != (i%2 == 0) {
			t.Errorf("session %d: failed %v", i, failed)
		}
		if err := in.Close(); err != nil && !failed {
			t.Error(err)
		}
	}
	load(0, 0)
	again := begin(t, rt, d, params)
	if got := units(t, again, 0, 8); !bytes.Equal(got, want) {
		t.Error("the remaining device computes other units")
	}
	load(0, 1)
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// TestGroupShares: tensors are shared on one device of a group, and a space
// that needs them lies there.
func TestGroupShares(t *testing.T) {
	d, err := Open("cpudev+wasmdev", Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	space := func(s device.Space, err error) device.Space {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	a, b := space(d.NewSpace(1<<20)), space(d.NewSpace(1<<20))
	for i, from := range []device.Space{a, b} {
		h, err := from.Alloc(device.U8, device.Shape{Rows: 1, Cols: 4})
		if err != nil {
			t.Fatal(err)
		}
		if err := from.Write(h, 0, []byte{1, 2, 3, byte(i)}); err != nil {
			t.Fatal(err)
		}
		for range 3 { // wherever the next space would go by itself
			near := space(device.NewSpaceNear(d, from, 1<<20))
			s, err := near.Share(from, h)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 4)
			if err := near.Read(s, 0, got); err != nil || !bytes.Equal(got, []byte{1, 2, 3, byte(i)}) {
				t.Errorf("shared: %v, %v", got, err)
			}
		}
		if _, err := []device.Space{b, a}[i].Share(from, h); !errors.Is(err, device.ErrHandle) {
			t.Errorf("shared between devices: %v", err)
		}
	}
}
