package devicecmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/assaynet/assay/hostgpu/devices"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/transformerpow/shape"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/sandbox"
)

// powGas is above what a batch of any shape that --width allows takes.
const powGas = 1 << 60

// UnitsResult is what a device gives as a miner's: units of the shipped proof
// of work through the sandbox, host calls and transcript digest included.
type UnitsResult struct {
	Shape          shape.Shape `json:"shape"`
	Units          int         `json:"units"`
	Nanoseconds    int64       `json:"nanoseconds"`
	UnitsPerSecond float64     `json:"units_per_second"`
	GOPS           float64     `json:"gops"` // two operations for each multiplication of the shape
	// Joules is what the GPU drew meanwhile; nil where the device does not tell.
	Joules        *float64 `json:"joules,omitempty"`
	UnitsPerJoule *float64 `json:"units_per_joule,omitempty"`
}

// powShape is the shape of a width: heads of 128 columns (at least two heads),
// a feed-forward layer of 2.6875 times the width, as of a common model of 7e9
// weights.
func powShape(layers, width, tokens int) (shape.Shape, error) {
	if layers < 1 || width < 1 || tokens < 1 || layers > shape.MaxLayers || width > shape.MaxWidth || tokens > shape.MaxTokens {
		return shape.Shape{}, fmt.Errorf("%w: %d layers, width %d, %d tokens", shape.ErrShape, layers, width, tokens)
	}
	heads := uint32(max(2, width/128))
	s := shape.Shape{Layers: uint32(layers), Width: uint32(width), Heads: heads, KVHeads: heads,
		FFN: uint32(width * 43 / 16), Tokens: uint32(tokens)}
	return s, s.Check()
}

// miner is an instance of the proof of work on a device.
type miner struct {
	rt    *sandbox.Runtime
	mod   *sandbox.Module
	inst  *sandbox.Instance
	first uint64 // the next unit
}

func newMiner(ctx context.Context, dev *devices.Device, s shape.Shape, batch int) (m *miner, err error) {
	e, err := catalog.Get("transformerpow")
	if err != nil {
		return nil, err
	}
	m = &miner{}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	if m.rt, err = sandbox.New(sandbox.Config{}); err != nil {
		return nil, err
	}
	if m.mod, err = m.rt.Admit(e.Wasm); err != nil {
		return nil, err
	}
	m.inst, err = m.mod.Start(ctx, sandbox.Job{Device: dev, TensorBytes: s.TensorBytes(batch), Params: s.Encode(), Gas: powGas})
	if err != nil {
		return nil, err
	}
	out, err := m.inst.PowSetup(ctx)
	if err == nil && out.Trap != abi.TrapNone {
		err = fmt.Errorf("set-up: %v", out.Trap)
	}
	return m, err
}

// units computes a batch.
func (m *miner) units(ctx context.Context, batch int) error {
	indexes := make([]uint64, batch)
	for i := range indexes {
		indexes[i] = m.first
		m.first++
	}
	_, out, err := m.inst.PowUnits(ctx, indexes, nil)
	if err == nil && out.Trap != abi.TrapNone {
		err = fmt.Errorf("units: %v", out.Trap)
	}
	return err
}

func (m *miner) Close() (err error) {
	if m.inst != nil {
		err = m.inst.Close()
	}
	if m.mod != nil {
		m.mod.Close()
	}
	if m.rt != nil {
		err = errors.Join(err, m.rt.Close())
	}
	return err
}

// MeasureUnits computes batches of units for about the given time, two batches
// at least of which the first is not counted.
func MeasureUnits(ctx context.Context, dev *devices.Device, s shape.Shape, batch int, each time.Duration) (r UnitsResult, err error) {
	m, err := newMiner(ctx, dev, s, batch)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := m.units(ctx, batch); err != nil {
		return r, err
	}
	r.Shape = s
	before, known := dev.Energy(ctx)
	begin := time.Now()
	for time.Since(begin) < each || r.Units == 0 {
		if err := m.units(ctx, batch); err != nil {
			return r, err
		}
		r.Units += batch
	}
	took := max(time.Since(begin), 1)
	after, known2 := dev.Energy(ctx)
	r.Nanoseconds = took.Nanoseconds()
	r.UnitsPerSecond = float64(r.Units) / took.Seconds()
	r.GOPS = r.UnitsPerSecond * 2 * float64(s.MACs()) / 1e9
	if joules := after - before; known && known2 && joules > 0 {
		perJoule := float64(r.Units) / joules
		r.Joules, r.UnitsPerJoule = &joules, &perJoule
	}
	return r, nil
}
