//go:build linux

package cpudev_test

import (
	"testing"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
)

// Sizes of a transformer layer of width 2048 over four units of 16 tokens.
const (
	benchRows  = 64
	benchSeg   = 16
	benchWidth = 2048
	benchFFN   = 5504
	benchHeads = 16
)

// BenchmarkOps reports, for every op that is not a plain matrix product,
// elements a second of one thread, in billions (attention: keys × columns).
func BenchmarkOps(b *testing.B) {
	const m, k = benchRows, benchWidth
	ops := map[string]func(x *bench) (work float64, f func()){
		"linear-16x64": func(x *bench) (float64, func()) { // K small: the finish dominates
			dst := x.alloc(device.S32, m, k)
			a, as := x.quantized(m, 16)
			w, ws := x.quantized(k, 16)
			return m * k, func() { x.run(device.OpLinear, []device.Handle{dst, a, as, w, ws, 0, dst}, 60) }
		},
		"quant": func(x *bench) (float64, func()) {
			src, q, s := x.activations(m, k), x.alloc(device.S8, m, k), x.alloc(device.ScaleT, m, 1)
			return m * k, func() { x.run(device.OpQuant, []device.Handle{q, s, src}, 16) }
		},
		"norm": func(x *bench) (float64, func()) {
			src, gain, dst := x.activations(m, k), x.activations(1, k), x.alloc(device.S32, m, k)
			return m * k, func() { x.run(device.OpNorm, []device.Handle{dst, src, gain}, 1<<30) }
		},
		"norm_quant": func(x *bench) (float64, func()) {
			src, gain := x.activations(m, k), x.activations(1, k)
			q, s := x.alloc(device.S8, m, k), x.alloc(device.ScaleT, m, 1)
			return m * k, func() { x.run(device.OpNormQuant, []device.Handle{q, s, src, gain}, 1<<30) }
		},
		"rope": func(x *bench) (float64, func()) {
			src, dst := x.activations(m, k), x.alloc(device.S32, m, k)
			table, pos := x.activations(benchSeg, k/benchHeads), x.alloc(device.S32, m, 1)
			return m * k, func() { x.run(device.OpRope, []device.Handle{dst, src, table, pos}) }
		},
		"silu_mul": func(x *bench) (float64, func()) {
			gate, up, dst := x.activations(m, benchFFN), x.activations(m, benchFFN), x.alloc(device.S32, m, benchFFN)
			return m * benchFFN, func() { x.run(device.OpSiluMul, []device.Handle{dst, gate, up}) }
		},
		"add": func(x *bench) (float64, func()) {
			src, dst := x.activations(m, k), x.alloc(device.S32, m, k)
			return m * k, func() { x.run(device.OpAdd, []device.Handle{dst, src, src}) }
		},
		"digest": func(x *bench) (float64, func()) {
			src, dst := x.activations(m, k), x.alloc(device.U8, 1, 32)
			return 4 * m * k, func() { x.run(device.OpDigest, []device.Handle{dst, src, 0}) }
		},
		"expand": func(x *bench) (float64, func()) {
			dst, seed := x.alloc(device.S8, 1024, 1024), x.alloc(device.U8, 1, 32)
			return 1 << 20, func() { x.run(device.OpExpand, []device.Handle{dst, seed}, 1) }
		},
		"attention-16": func(x *bench) (float64, func()) { return x.attention(m, m, benchSeg, benchSeg) },
		"attention-1k": func(x *bench) (float64, func()) { return x.attention(16, 1024, 16, 1024) },
	}
	for name, f := range ops {
		b.Run(name, func(b *testing.B) {
			eachISA(b, func(b *testing.B, cfg cpudev.Config) {
				work, call := f(newBench(b, cfg))
				measure(b, work, "Gelem", call)
			})
		})
	}
}

func (b *bench) attention(m, keys, seg, kseg int) (float64, func()) {
	const d = benchWidth / benchHeads
	q, qs := b.quantized(m*benchHeads, d)
	k, ks := b.quantized(keys*benchHeads, d)
	v, vs := b.quantized(keys*benchHeads, d)
	tensors := []device.Handle{b.alloc(device.S32, m, benchWidth),
		b.view(q, m, benchWidth), b.view(qs, m, benchHeads), b.view(k, keys, benchWidth), b.view(ks, keys, benchHeads),
		b.view(v, keys, benchWidth), b.view(vs, keys, benchHeads)}
	return float64(m * kseg * benchWidth), func() {
		b.run(device.OpAttention, tensors, int64(seg), 1549082005, 33, 47)
	}
}
