package wasmdev_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/devicetest"
	"github.com/assaynet/assay/hostgpu/wasmdev"
	"github.com/assaynet/assay/runtime/sandbox"
)

func open(t testing.TB, cfg wasmdev.Config) device.Device {
	t.Helper()
	dev, err := wasmdev.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	return dev
}

func TestConformance(t *testing.T) { devicetest.Run(t, open(t, wasmdev.Config{})) }

// TestInterpreter: wazero's interpreter gives the same bits.
func TestInterpreter(t *testing.T) {
	if testing.Short() {
		t.Skip("the interpreter is slow")
	}
	rep, err := devicetest.Check(open(t, wasmdev.Config{SandboxConfig: sandbox.Config{Interpreter: true}}))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range rep.Mismatches {
		t.Error(m)
	}
}

// TestRefusesTooMuch: a job that does not fit beside the others is refused
// before it starts, and fits again once they are gone.
func TestRefusesTooMuch(t *testing.T) {
	dev := open(t, wasmdev.Config{MemoryBytes: 1 << 20})
	a, err := dev.NewSpace(700 << 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dev.NewSpace(400 << 10); !errors.Is(err, device.ErrDeviceMemory) {
		t.Fatalf("second space: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := dev.NewSpace(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Alloc(device.U8, device.Shape{Rows: 1, Cols: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if _, err := dev.NewSpace(5 << 30); !errors.Is(err, device.ErrDeviceMemory) {
		t.Fatalf("5 GiB: %v", err)
	}
}

// TestMemoryGivenBack: a large space's memory does not stay with an idle
// device, and the device works on.
func TestMemoryGivenBack(t *testing.T) {
	dev := open(t, wasmdev.Config{})
	for range 3 {
		s, err := dev.NewSpace(1 << 30)
		if err != nil {
			t.Fatal(err)
		}
		h, err := s.Alloc(device.U8, device.Shape{Rows: 128, Cols: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 16)
		if err := s.Read(h, 100<<20, p); err != nil {
			t.Fatal(err)
		}
		if string(p) != string(make([]byte, 16)) {
			t.Fatal("memory is not zeroed")
		}
		if err := s.Write(h, 100<<20, []byte("0123456789abcdef")); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestConcurrentSpaces runs jobs at once that allocate, free and share, so that
// blocks move under each other; each must see only its own tensors.
func TestConcurrentSpaces(t *testing.T) {
	dev := open(t, wasmdev.Config{})
	model, err := dev.NewSpace(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	const n = 4096
	shared, err := model.Alloc(device.S32, device.Shape{Rows: 1, Cols: n})
	if err != nil {
		t.Fatal(err)
	}
	ones := make([]byte, 4*n)
	for i := range n {
		binary.LittleEndian.PutUint32(ones[4*i:], 1)
	}
	if err := model.Write(shared, 0, ones); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			if err := countUp(dev, model, shared, uint64(w), n); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// countUp adds the shared ones to a tensor of its own, with other allocations
// coming and going around it.
func countUp(dev device.Device, model device.Space, shared device.Handle, seed uint64, n int) error {
	rng := rand.New(rand.NewPCG(seed, 0))
	s, err := dev.NewSpace(64 << 20)
	if err != nil {
		return err
	}
	defer s.Close()
	one, err := s.Share(model, shared)
	if err != nil {
		return err
	}
	acc, err := s.Alloc(device.S32, device.Shape{Rows: 1, Cols: n})
	if err != nil {
		return err
	}
	const rounds = 300
	var junk []device.Handle
	for range rounds {
		h, err := s.Alloc(device.U8, device.Shape{Rows: 1, Cols: 1 + rng.IntN(200_000)})
		if err != nil {
			return err
		}
		if junk = append(junk, h); len(junk) > 20 {
			if err := s.Free(junk[0]); err != nil {
				return err
			}
			junk = junk[1:]
		}
		if err := s.Run(device.Call{Op: device.OpAdd, Tensors: []device.Handle{acc, acc, one}}); err != nil {
			return err
		}
	}
	p := make([]byte, 4*n)
	if err := s.Read(acc, 0, p); err != nil {
		return err
	}
	for i := range n {
		if got := binary.LittleEndian.Uint32(p[4*i:]); got != rounds {
			return fmt.Errorf("element %d is %d, want %d", i, got, rounds)
		}
	}
	return nil
}
