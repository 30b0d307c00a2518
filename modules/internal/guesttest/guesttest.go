// Package guesttest opens what tests of the shipped guests need: both engines,
// the devices, admitted modules and the small model. Only tests import it.
package guesttest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/wasmdev"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/runtime/sandbox"
)

// Gas is more than any call of a test needs.
const Gas = 1 << 50

type admitted struct {
	once sync.Once
	rt   *sandbox.Runtime
	m    *sandbox.Module
	err  error
}

var (
	mu  sync.Mutex
	all = map[string]*admitted{}
)

// Admit returns a module of the catalog and its runtime. Tests of one process
// share both: compiling a stock-Go guest takes a second.
func Admit(t testing.TB, name string, interpreter bool) (*sandbox.Runtime, *sandbox.Module) {
	t.Helper()
	mu.Lock()
	key := fmt.Sprint(name, interpreter)
	a := all[key]
	if a == nil {
		a = &admitted{}
		all[key] = a
	}
	mu.Unlock()
	a.once.Do(func() { a.rt, a.m, a.err = admit(name, interpreter) })
	if a.err != nil {
		t.Fatalf("admit %s: %v", name, a.err)
	}
	return a.rt, a.m
}

func admit(name string, interpreter bool) (*sandbox.Runtime, *sandbox.Module, error) {
	e, err := catalog.Get(name)
	if err != nil {
		return nil, nil, err
	}
	rt, err := sandbox.New(sandbox.Config{Interpreter: interpreter})
	if err != nil {
		return nil, nil, err
	}
	m, err := rt.Admit(e.Wasm)
	return rt, m, err
}

// CPU opens the native device.
func CPU(t testing.TB) device.Device {
	t.Helper()
	dev, err := cpudev.New(cpudev.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// Reference opens the reference device over a runtime.
func Reference(t testing.TB, rt *sandbox.Runtime) device.Device {
	t.Helper()
	dev, err := wasmdev.New(wasmdev.Config{Sandbox: rt, MemoryBytes: 512 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// Start makes an instance that lives as long as the test.
func Start(t testing.TB, m *sandbox.Module, job sandbox.Job) *sandbox.Instance {
	t.Helper()
	in, err := m.Start(context.Background(), job)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return in
}

// Model puts the small model on a device.
func Model(t testing.TB, dev device.Device) *sandbox.Model {
	t.Helper()
	blob, err := catalog.Model(catalog.Opticks)
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.DecodeModel(blob.Blob)
	if err != nil {
		t.Fatal(err)
	}
	return Upload(t, dev, m)
}

// Upload puts any model on a device.
func Upload(t testing.TB, dev device.Device, m *manifest.ModelFile) *sandbox.Model {
	t.Helper()
	// Devices count some bytes a tensor beside the data.
	sp, err := dev.NewSpace(m.Bytes() + int64(len(m.Tensors))*4096)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sp.Close() })
	out := &sandbox.Model{Config: m.Config, Space: sp, Tensors: map[string]device.Handle{}}
	for _, tn := range m.Tensors {
		h, err := sp.Alloc(device.DType(tn.DType), device.Shape{Rows: tn.Rows, Cols: tn.Cols})
		if err != nil {
			t.Fatal(err)
		}
		if err := sp.Write(h, 0, tn.Data); err != nil {
			t.Fatal(err)
		}
		out.Tensors[tn.Name] = h
	}
	return out
}
