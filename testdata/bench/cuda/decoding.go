package main

import (
	"errors"
	"fmt"
	"math"

	"github.com/assaynet/assay/hostgpu/device"
)

// model is the shape of a language model, and how long its context is.
type model struct{ layers, width, heads, groups, ffn, vocabulary, context int }

// llama8B is the shape of Llama-3.1-8B.
var llama8B = model{layers: 32, width: 4096, heads: 32, groups: 8, ffn: 14336, vocabulary: 128256, context: 512}

func (m model) head() int { return m.width / m.heads }
func (m model) kv() int   { return m.groups * m.head() }

// weights are the bytes of int8 weights that one token reads.
func (m model) weights() float64 {
	layer := 2*m.width*m.width + 2*m.width*m.kv() + 3*m.width*m.ffn
	return float64(m.layers)*float64(layer) + float64(m.width)*float64(m.vocabulary)
}

// cache is the bytes of keys and values that one token of each sequence reads.
func (m model) cache(batch int) float64 {
	return float64(m.layers) * 2 * float64(m.context) * float64(m.kv()) * float64(batch)
}

// layer is what one layer reads.
type layer struct {
	q, k, v, o, gate, up, down device.Handle
	kc, ks, vc, vs             device.Handle
}

// decoder runs one token of each of batch sequences, with the calls that the
// module llama makes: keys and values stay on the device, every weight is read
// once.
type decoder struct {
	*builder
	model
	batch                     int
	layers                    []layer
	output                    device.Handle
	sw, skv, sf, sv           device.Handle // channel scales by number of outputs
	gain, table, pos          device.Handle
	x, a, as                  device.Handle
	xq, xk, xv, att           device.Handle
	q8, q8s, k8, k8s          device.Handle
	gateOut, upOut, act, acts device.Handle
	logits, token             device.Handle
}

// bytes is above what the decoder allocates.
func (m model) bytes(batch int) int64 {
	return int64(m.weights()) + int64(m.cache(batch))*9/8 + int64(batch)*int64(16*(m.width+m.ffn)+8*m.vocabulary) + 256<<20
}

func newDecoder(dev device.Device, m model, batch int) (*decoder, error) {
	b, err := newBuilder(dev, m.bytes(batch))
	if err != nil {
		return nil, err
	}
	d := &decoder{builder: b, model: m, batch: batch}
	keys := batch * m.context
	for range m.layers {
		l := layer{q: b.s8(m.width, m.width), k: b.s8(m.kv(), m.width), v: b.s8(m.kv(), m.width), o: b.s8(m.width, m.width),
			gate: b.s8(m.ffn, m.width), up: b.s8(m.ffn, m.width), down: b.s8(m.width, m.ffn),
			kc: b.s8(keys, m.kv()), vc: b.s8(keys, m.kv())}
		l.ks, l.vs = d.view(b.scales(keys*m.groups), keys, m.groups), d.view(b.scales(keys*m.groups), keys, m.groups)
		d.layers = append(d.layers, l)
	}
	d.output = b.s8(m.vocabulary, m.width)
	d.sw, d.skv, d.sf, d.sv = b.scales(m.width), b.scales(m.kv()), b.scales(m.ffn), b.scales(m.vocabulary)
	d.gain, d.table, d.pos = b.s32(1, m.width), b.s32(m.context, m.head()), b.alloc(device.S32, batch, 1)
	d.x, d.a, d.as = b.s32(batch, m.width), b.alloc(device.S8, batch, m.width), b.alloc(device.ScaleT, batch, 1)
	d.xq, d.xk, d.xv = b.alloc(device.S32, batch, m.width), b.alloc(device.S32, batch, m.kv()), b.alloc(device.S32, batch, m.kv())
	d.att = b.alloc(device.S32, batch, m.width)
	d.q8, d.q8s = b.alloc(device.S8, batch, m.width), b.alloc(device.ScaleT, batch, m.heads)
	d.k8, d.k8s = b.alloc(device.S8, batch, m.kv()), b.alloc(device.ScaleT, batch, m.groups)
	d.gateOut, d.upOut = b.alloc(device.S32, batch, m.ffn), b.alloc(device.S32, batch, m.ffn)
	d.act, d.acts = b.alloc(device.S8, batch, m.ffn), b.alloc(device.ScaleT, batch, 1)
	d.logits, d.token = b.alloc(device.S32, batch, m.vocabulary), b.alloc(device.S32, 1, 1)
	if err := b.sync(); err != nil {
		return nil, errors.Join(err, b.sp.Close())
	}
	return d, nil
}

func (d *decoder) view(h device.Handle, rows, cols int) device.Handle {
	if d.err != nil {
		return 0
	}
	v, err := d.sp.View(h, 0, device.Shape{Rows: rows, Cols: cols})
	d.err = err
	return v
}

// perHead quantizes with one scale for each head: rows seen as heads.
func (d *decoder) perHead(dst, scales, src device.Handle, heads int) {
	n := d.batch * heads
	d8, ds, s := d.view(dst, n, d.model.head()), d.view(scales, n, 1), d.view(src, n, d.model.head())
	d.run(device.OpQuant, []device.Handle{d8, ds, s}, 16)
	for _, h := range []device.Handle{d8, ds, s} {
		if d.err == nil {
			d.err = d.sp.Free(h)
		}
	}
}

const eout = 47 // results with 16 fraction bits

// step queues one token of each sequence.
func (d *decoder) step() error {
	linear := func(dst, a, as, w, ws, residual device.Handle) {
		d.run(device.OpLinear, []device.Handle{dst, a, as, w, ws, 0, residual}, eout)
	}
	norm := func() { d.run(device.OpNormQuant, []device.Handle{d.a, d.as, d.x, d.gain}, 1<<20) }
	for i := range d.layers {
		l := &d.layers[i]
		norm()
		linear(d.xq, d.a, d.as, l.q, d.sw, 0)
		linear(d.xk, d.a, d.as, l.k, d.skv, 0)
		linear(d.xv, d.a, d.as, l.v, d.skv, 0)
		d.run(device.OpRope, []device.Handle{d.xq, d.xq, d.table, d.pos})
		d.run(device.OpRope, []device.Handle{d.xk, d.xk, d.table, d.pos})
		d.perHead(d.q8, d.q8s, d.xq, d.heads)
		d.perHead(d.k8, d.k8s, d.xk, d.groups)
		d.perHead(d.k8, d.k8s, d.xv, d.groups)
		// A segment is a sequence: its one query sees its whole context.
		d.run(device.OpAttention, []device.Handle{d.att, d.q8, d.q8s, l.kc, l.ks, l.vc, l.vs}, 1, 1549082005, 33, eout)
		d.run(device.OpQuant, []device.Handle{d.a, d.as, d.att}, 16)
		linear(d.x, d.a, d.as, l.o, d.sw, d.x)
		norm()
		linear(d.gateOut, d.a, d.as, l.gate, d.sf, 0)
		linear(d.upOut, d.a, d.as, l.up, d.sf, 0)
		d.run(device.OpSiluMul, []device.Handle{d.gateOut, d.gateOut, d.upOut})
		d.run(device.OpQuant, []device.Handle{d.act, d.acts, d.gateOut}, 16)
		linear(d.x, d.act, d.acts, l.down, d.sw, d.x)
	}
	norm()
	linear(d.logits, d.a, d.as, d.output, d.sv, 0)
	for i := range d.batch {
		row := device.Handle(0)
		if d.err == nil {
			row, d.err = d.sp.View(d.logits, i, device.Shape{Rows: 1, Cols: d.vocabulary})
		}
		d.run(device.OpSample, []device.Handle{d.token, row, 0, d.seed}, int64(i), 0, 0, 1<<16, 1<<16)
		if d.err == nil {
			d.err = d.sp.Free(row)
		}
	}
	return d.err
}

// decoding measures tokens a second at batch 1 and 64.
func decoding(dev device.Device, o options, bandwidth float64, r *report) error {
	m := llama8B
	if o.small {
		m = model{layers: 1, width: 128, heads: 2, groups: 1, ffn: 256, vocabulary: 300, context: 8}
	}
	single := math.NaN()
	for _, batch := range []int{1, 64} {
		d, err := newDecoder(dev, m, batch)
		if errors.Is(err, device.ErrDeviceMemory) {
			r.add(fmt.Sprintf("decoding, Llama 8B's shape, batch %d", batch), "not measured", "too little memory")
			continue
		}
		if err != nil {
			return err
		}
		took, err := repeat(o.each, d.step, d.sync)
		if err = errors.Join(err, d.sp.Close()); err != nil {
			return err
		}
		rate := float64(batch) / took.Seconds()
		moved := m.weights() + m.cache(batch)
		against := fmt.Sprintf("%s of the bandwidth measured", percent(moved/took.Seconds(), bandwidth))
		if batch == 1 {
			single = rate
		} else {
			against = fmt.Sprintf("%.1f times batch 1; %s", rate/single, against)
		}
		r.add(fmt.Sprintf("decoding, Llama 8B's shape, %d keys, batch %d", m.context, batch), fmt.Sprintf("%.1f tokens/s", rate), against)
	}
	return nil
}
