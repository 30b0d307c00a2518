package kernels_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/assaynet/assay/hostgpu/cudadev/kernels"
	"github.com/assaynet/assay/hostgpu/cudadev/ptx"
	"github.com/assaynet/assay/hostgpu/device"
)

// emulated is a device that runs this package's launches on an emulated GPU,
// with every check on. Memory is handed out 64 bytes aligned and no more, with
// nothing between allocations that would hide an access out of bounds.
type emulated struct {
	m     *ptx.Machine
	mod   *ptx.Module
	props kernels.Props
	seen  map[string]int // launches of each kernel
	queue []*device.Task // not run yet
}

func newEmulated(t testing.TB, p kernels.Props) *emulated {
	t.Helper()
	text, err := kernels.Image(p)
	if err != nil {
		t.Fatal(err)
	}
	mod, err := parsed(text)
	if err != nil {
		t.Fatal(err)
	}
	m := ptx.NewMachine(ptx.Config{Major: p.Major, Minor: p.Minor, SMs: p.SMs, SharedPerBlock: p.SharedPerBlock, Memory: 4 << 30})
	return &emulated{m: m, mod: mod, props: p, seen: map[string]int{}}
}

var modules = map[string]*ptx.Module{}

// parsed parses an image once.
func parsed(text []byte) (*ptx.Module, error) {
	if mod, ok := modules[string(text)]; ok {
		return mod, nil
	}
	mod, err := ptx.Parse(text)
	if err == nil {
		modules[string(text)] = mod
	}
	return mod, err
}

func (e *emulated) Name() string                { return "emulated" }
func (e *emulated) Reserve(int64) error         { return nil }
func (e *emulated) Release(int64)               {}
func (e *emulated) Open() (device.Queue, error) { return e, nil }
func (e *emulated) Close() error                { return nil }
func (e *emulated) Sync() error                 { return e.flush() }

func (e *emulated) Alloc(n int64) (device.Mem, error) {
	a, err := e.m.Alloc(n)
	if err != nil {
		return nil, err
	}
	return a, e.m.Fill(a, 0, n)
}

func (e *emulated) Free(m device.Mem) {
	if err := e.flush(); err != nil {
		panic(err)
	}
	if err := e.m.Free(m.(uint64)); err != nil {
		panic(err)
	}
}

func (e *emulated) Write(m device.Mem, off int64, p []byte) error {
	if err := e.flush(); err != nil {
		return err
	}
	return e.m.Write(m.(uint64)+uint64(off), p)
}

func (e *emulated) Read(m device.Mem, off int64, p []byte) error {
	if err := e.flush(); err != nil {
		return err
	}
	return e.m.Read(m.(uint64)+uint64(off), p)
}

func (e *emulated) Run(t *device.Task) error {
	e.queue = append(e.queue, t)
	return nil
}

// flush runs what is queued, in batches where the package says so.
func (e *emulated) flush() error {
	addr := func(x device.Tensor) uint64 { return x.Mem.(uint64) + uint64(x.Off) }
	for len(e.queue) > 0 {
		n := kernels.Batch(e.queue, addr)
		if err := e.launch(e.queue[:n], addr); err != nil {
			e.queue = nil
			return err
		}
		e.queue = e.queue[n:]
	}
	return nil
}

func (e *emulated) launch(tasks []*device.Task, addr func(device.Tensor) uint64) error {
	n, scratch := kernels.Scratch(tasks[0], e.props)*int64(len(tasks)), uint64(0)
	if n > 0 {
		var err error
		if scratch, err = e.m.Alloc(n); err != nil {
			return err
		}
		defer e.m.Free(scratch)
	}
	for _, l := range kernels.PlanBatch(nil, tasks, addr, scratch, e.props) {
		e.seen[l.Kernel]++
		if err := e.m.Launch(context.Background(), e.mod, l.Kernel, l.Grid, l.Block, l.Shared, l.Args, ptx.AllChecks()); err != nil {
			return fmt.Errorf("%s %v %v: %w", l.Kernel, l.Grid, l.Block, err)
		}
	}
	return nil
}
