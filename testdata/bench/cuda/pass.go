package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/assaynet/assay/hostgpu/cudadev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/devices"
	"github.com/assaynet/assay/hostgpu/failover"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/transformerpow/admission"
	"github.com/assaynet/assay/modules/transformerpow/shape"
	"github.com/assaynet/assay/runtime/sandbox"
)

var seed, identity = [32]byte{1, 2, 3}, []byte("claimant-one-address")

// batches are units of one call.
func batches(o options) (shape.Shape, []int) {
	if o.small {
		return shape.Test, []int{2}
	}
	return shape.Production, []int{16, 64, 256}
}

// guest is an instance of the shipped proof of work.
type guest struct {
	rt  *sandbox.Runtime
	mod *sandbox.Module
	in  *sandbox.Instance
}

func (g *guest) close() error {
	err := g.in.Close()
	g.mod.Close()
	return errors.Join(err, g.rt.Close())
}

func newGuest(ctx context.Context, dev device.Device, s shape.Shape, batch int) (*guest, error) {
	rt, err := sandbox.New(sandbox.Config{})
	if err != nil {
		return nil, err
	}
	e, err := catalog.Get(catalog.TransformerPow)
	if err != nil {
		return nil, err
	}
	g := &guest{rt: rt}
	if g.mod, err = rt.Admit(e.Wasm); err != nil {
		return nil, err
	}
	g.in, err = g.mod.Start(ctx, sandbox.Job{Device: dev, TensorBytes: s.TensorBytes(batch), Seed: seed, Identity: identity, Params: s.Encode(), Gas: 1 << 60})
	if err != nil {
		return nil, err
	}
	out, err := g.in.PowSetup(ctx)
	if err == nil && !out.Trap.OK() {
		err = fmt.Errorf("set-up: %v", out.Trap)
	}
	return g, err
}

func (g *guest) units(ctx context.Context, n int) error {
	_, out, err := g.in.PowUnits(ctx, indexes(n), nil)
	if err == nil && !out.Trap.OK() {
		err = fmt.Errorf("units: %v", out.Trap)
	}
	return err
}

func indexes(n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = uint64(i)
	}
	return out
}

func nothing() error { return nil }

// pass measures the whole pass: through the sandbox, from Go, and from Go
// without digests.
func pass(ctx context.Context, dev device.Device, o options, r *report) error {
	s, sizes := batches(o)
	for _, batch := range sizes {
		g, err := newGuest(ctx, dev, s, batch)
		if err != nil {
			return err
		}
		sandboxed, err := repeat(o.each, func() error { return g.units(ctx, batch) }, nothing)
		if err = errors.Join(err, g.close()); err != nil {
			return err
		}
		net, err := admission.New(dev, admission.Config{Shape: s, Seed: seed, Identity: identity, Batch: batch})
		if err != nil {
			return err
		}
		direct, err := repeat(o.each, func() error { _, err := net.Digests(indexes(batch)...); return err }, nothing)
		if err = errors.Join(err, net.Close()); err != nil {
			return err
		}
		rate := 2 * float64(s.MACs()) * float64(batch) / sandboxed.Seconds()
		r.add(fmt.Sprintf("whole pass, batch %d", batch), fmt.Sprintf("%.1f TOPS", rate/1e12),
			fmt.Sprintf("%.1f units/s; the sandbox costs %.1f %%", float64(batch)/sandboxed.Seconds(), 100*(sandboxed.Seconds()/direct.Seconds()-1)))
		if err := digests(dev, o, s, batch, sandboxed, r); err != nil {
			return err
		}
	}
	return nil
}

// digests measures what the transcript of a batch costs: a digest for each layer
// and one for the end of each unit, the tensors of its tokens.
func digests(dev device.Device, o options, s shape.Shape, batch int, whole time.Duration, r *report) (err error) {
	n := (int(s.Layers) + 1) * batch
	b, err := newBuilder(dev, int64(batch)*int64(s.Tokens)*int64(s.Width)*8+int64(n)*64+32<<20)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.sp.Close()) }()
	state := b.s32(batch*int(s.Tokens), int(s.Width))
	var src, dst []device.Handle
	for i := range n {
		if b.err != nil {
			return b.err
		}
		v, err := b.sp.View(state, i%batch*int(s.Tokens), device.Shape{Rows: int(s.Tokens), Cols: int(s.Width)})
		if err != nil {
			return err
		}
		src, dst = append(src, v), append(dst, b.alloc(device.U8, 1, 32))
	}
	took, err := repeat(o.each, func() error {
		for i := range src {
			b.run(device.OpDigest, []device.Handle{dst[i], src[i], 0})
		}
		return b.err
	}, b.sync)
	if err != nil {
		return err
	}
	r.add(fmt.Sprintf("digests of a batch of %d", batch), took.Round(time.Microsecond).String(), percent(took.Seconds(), whole.Seconds())+" of the pass")
	return nil
}

// recovery kills the device's process in the middle of batches.
func recovery(ctx context.Context, o options, r *report) (err error) {
	s, sizes := batches(o)
	batch := sizes[len(sizes)-1]
	events := make(chan failover.Event, 16)
	dev, err := devices.Open(cudadev.Name(o.gpu), devices.Config{
		Process: &devices.Process{Path: o.device, Args: []string{"serve"}, Stderr: os.Stderr, MaxCrashes: 100},
		Notify:  func(e failover.Event) { events <- e },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	g, err := newGuest(ctx, dev, s, batch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	through, err := repeat(o.each, func() error { return g.units(ctx, batch) }, nothing)
	if err != nil {
		return err
	}
	r.add(fmt.Sprintf("whole pass through a process, batch %d", batch), fmt.Sprintf("%.1f units/s", float64(batch)/through.Seconds()), "")
	for range 3 {
		pid, err := strconv.Atoi(dev.Pid())
		if err != nil {
			return err
		}
		timer := time.AfterFunc(through/2, func() { _ = syscall.Kill(pid, syscall.SIGKILL) }) // or it is too late
		err = g.units(ctx, batch)
		for err == nil && !timer.Stop() && len(events) == 0 {
			err = g.units(ctx, batch) // the kill fell between two batches
		}
		if err != nil {
			return err
		}
		select {
		case e := <-events:
			r.add("recovery after kill -9 in a batch", e.Took.Round(time.Millisecond).String(), fmt.Sprintf("%v, %d operations repeated; 5 s and the weights", e.Kind == failover.Restarted, e.Replayed))
		default:
			r.add("recovery after kill -9 in a batch", "not measured", "the batch was over first")
		}
	}
	return nil
}
