package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/modules/transformerpow/admission"
	"github.com/assaynet/assay/runtime/sandbox"
)

// pass measures one device.
type pass struct {
	ctx     context.Context
	rep     *report
	mod     *sandbox.Module
	dev     device.Device
	digests map[uint64][32]byte // of units, whoever computed them first
	each    time.Duration
}

var (
	seed     = [32]byte{1, 2, 3}
	identity = []byte("claimant-one-address")
)

// start makes an instance and sets it up.
func (p *pass) start(dev device.Device, seed [32]byte, identity []byte, batch int) (*sandbox.Instance, int64, error) {
	s := p.rep.Shape
	in, err := p.mod.Start(p.ctx, sandbox.Job{Device: dev, TensorBytes: s.TensorBytes(batch), Seed: seed, Identity: identity, Params: s.Encode(), Gas: 1 << 50})
	if err != nil {
		return nil, 0, err
	}
	out, err := in.PowSetup(p.ctx)
	if err == nil && !out.Trap.OK() {
		err = fmt.Errorf("set-up: %v, %q", out.Trap, out.Log)
	}
	if err != nil {
		in.Close()
		return nil, 0, err
	}
	return in, out.GasUsed, nil
}

func (p *pass) units(in *sandbox.Instance, indexes []uint64) ([][32]byte, int64, error) {
	units, out, err := in.PowUnits(p.ctx, indexes, nil)
	if err == nil && !out.Trap.OK() {
		err = fmt.Errorf("units: %v, %q", out.Trap, out.Log)
	}
	if err != nil {
		return nil, 0, err
	}
	sums := make([][32]byte, len(units))
	for i := range units {
		sums[i] = units[i].Digest
	}
	return sums, out.GasUsed, nil
}

// check compares digests with what any device gave before.
func (p *pass) check(who string, indexes []uint64, sums [][32]byte) {
	for i, x := range indexes[:len(sums)] { // none after a failure
		want, seen := p.digests[x]
		if !seen {
			p.digests[x] = sums[i]
			if x == 0 {
				p.rep.Digest = hex.EncodeToString(sums[i][:])
			}
		} else if want != sums[i] {
			p.rep.fail("unit %d has another digest on %s, %s, in a batch of %d", x, p.dev.Name(), who, len(indexes))
		}
	}
}

func batchOf(n int) []uint64 {
	indexes := make([]uint64, n)
	for i := range indexes {
		indexes[i] = uint64(i)
	}
	return indexes
}

// openings of each figure. Which memory the operands get makes some percent of
// difference, so guest and direct calls open and close in turn, one reusing
// what the other gave back, and the fastest call of all openings counts.
const openings = 4

// measure compares the guest with the same operations from Go, batch by batch.
func (p *pass) measure(batches []int) error {
	if err := p.sameWork(&admission.Tracer{Device: p.dev}); err != nil {
		return err
	}
	for _, batch := range batches {
		if err := p.measureBatch(batch); err != nil {
			return err
		}
	}
	return nil
}

// unitsOf runs a batch and returns the digests.
type unitsOf func(indexes []uint64) ([][32]byte, error)

func (p *pass) measureBatch(batch int) error {
	g, err := newGemm(p.dev)
	if err != nil {
		return err
	}
	defer g.sp.Close()
	var guest, direct, gemm time.Duration
	for range openings {
		if err := p.timeGuest(batch, &guest); err != nil {
			return err
		}
		if err := p.timeDirect(batch, &direct); err != nil {
			return err
		}
		for range 3 {
			if gemm, err = fastest(gemm, g.run); err != nil {
				return err
			}
		}
	}
	ops := 2 * float64(p.rep.MACs) * float64(batch)
	r := rate{Device: p.dev.Name(), Batch: batch, GemmGOPS: g.ops / float64(gemm), Units: float64(batch) / guest.Seconds(),
		GOPS: ops / float64(guest), Direct: ops / float64(direct), Overhead: float64(guest)/float64(direct) - 1}
	r.OfGemm = r.GOPS / r.GemmGOPS
	p.rep.Rates = append(p.rep.Rates, r)
	return nil
}

func (p *pass) timeGuest(batch int, best *time.Duration) error {
	in, setup, err := p.start(p.dev, seed, identity, batch)
	if err != nil {
		return err
	}
	defer in.Close()
	p.rep.GasSetup = setup
	if _, _, err := p.units(in, batchOf(batch)); err != nil { // allocates
		return err
	}
	return p.time("in the sandbox", batch, best, func(indexes []uint64) ([][32]byte, error) {
		sums, gas, err := p.units(in, indexes)
		p.gas(batch, gas/int64(batch))
		return sums, err
	})
}

func (p *pass) timeDirect(batch int, best *time.Duration) error {
	net, err := admission.New(p.dev, admission.Config{Shape: p.rep.Shape, Seed: seed, Identity: identity, Batch: batch})
	if err != nil {
		return err
	}
	defer net.Close()
	return p.time("from Go", batch, best, func(indexes []uint64) ([][32]byte, error) { return net.Digests(indexes...) })
}

// time runs batches for its share of the time and keeps the fastest.
func (p *pass) time(who string, batch int, best *time.Duration, f unitsOf) error {
	indexes := batchOf(batch)
	for start, n := time.Now(), 0; n < 2 || time.Since(start) < p.each/(2*openings); n++ {
		var err error
		*best, err = fastest(*best, func() error {
			sums, err := f(indexes)
			p.check(who, indexes, sums)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// gas notes the gas of a unit in a batch, which no device may change.
func (p *pass) gas(batch int, gas int64) {
	for _, g := range p.rep.GasUnit {
		if g.Batch == batch {
			if g.Gas != gas {
				p.rep.fail("a unit costs %d gas on %s, %d elsewhere", gas, p.dev.Name(), g.Gas)
			}
			return
		}
	}
	p.rep.GasUnit = append(p.rep.GasUnit, gasOf{batch, gas})
}

// sameWork checks that gas, operations and multiply-accumulates of a unit are
// the same for other seeds, claimants and indexes, and those declared.
func (p *pass) sameWork(dev *admission.Tracer) error {
	var gas [2]int64
	var ops int
	for who := range byte(2) {
		in, setup, err := p.start(dev, [32]byte{who + 5}, []byte{who, 1, 2, 3}, 1)
		if err != nil {
			return err
		}
		defer in.Close()
		for _, index := range []uint64{0, 3, 1 << 63} {
			dev.Reset()
			_, used, err := p.units(in, []uint64{index})
			if err != nil {
				return err
			}
			if gas == [2]int64{} {
				gas, ops = [2]int64{setup, used}, len(dev.Ops)
			}
			if gas != [2]int64{setup, used} || ops != len(dev.Ops) {
				p.rep.fail("gas of set-up and unit %d and %d, %d operations; %v and %d with another input", setup, used, len(dev.Ops), gas, ops)
			}
			if dev.MACs != p.rep.MACs {
				p.rep.fail("%d multiply-accumulates on %s, %d declared", dev.MACs, p.dev.Name(), p.rep.MACs)
			}
		}
	}
	return nil
}

// admit takes the statistics.
func (p *pass) admit(o options) error {
	net, err := admission.New(p.dev, admission.Config{Shape: p.rep.Shape, Seed: seed, Identity: identity, Batch: 16})
	if err != nil {
		return err
	}
	defer net.Close()
	st, err := net.Measure(o.statistics)
	if err != nil {
		return err
	}
	p.rep.Statistics = &st
	if !st.OK() {
		p.rep.fail("a statistic is outside its limits")
	}
	if p.rep.Sensitivity, err = net.Sensitivity(o.perMatrix, o.perEntry, 1); err != nil {
		return err
	}
	for _, f := range p.rep.Sensitivity {
		if !f.OK() {
			p.rep.fail("one bit of a %s changes %.4f of the digests", f.What, f.Share())
		}
	}
	return nil
}

// gemm is the device's matrix product at 1024³.
type gemm struct {
	sp   device.Space
	call device.Call
	out  device.Handle
	ops  float64
}

func newGemm(dev device.Device) (*gemm, error) {
	const n = 1024
	sp, err := dev.NewSpace(8 * n * n)
	if err != nil {
		return nil, err
	}
	g := &gemm{sp: sp, ops: 2 * n * n * n}
	var first error
	alloc := func(dt device.DType, rows, cols int) device.Handle {
		h, err := sp.Alloc(dt, device.Shape{Rows: rows, Cols: cols})
		if first == nil {
			first = err
		}
		return h
	}
	key := alloc(device.U8, 1, 32)
	a, b := alloc(device.S8, n, n), alloc(device.S8, n, n)
	g.out = alloc(device.S32, n, n)
	for i, h := range []device.Handle{a, b} {
		if first == nil {
			first = sp.Run(device.Call{Op: device.OpExpand, Tensors: []device.Handle{h, key}, Imms: []int64{int64(i)}})
		}
	}
	if first != nil {
		sp.Close()
		return nil, first
	}
	g.call = device.Call{Op: device.OpGemm, Tensors: []device.Handle{g.out, a, b}}
	return g, nil
}

func (g *gemm) run() error {
	if err := g.sp.Run(g.call); err != nil {
		return err
	}
	return g.sp.Sync()
}
