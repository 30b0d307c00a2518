//go:build linux

package cpudev_test

import (
	"testing"
	"time"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
)

// layer is the weights and buffers of one transformer layer.
type layer struct {
	wqkvo, wup, wdown [3]device.Handle // up to three matrices each
	wo                device.Handle
}

// BenchmarkForward runs two layers of width 2048 over 16-token units and
// reports the rate of multiply-accumulates of its matrix products, to compare
// with BenchmarkGemm: the rest of the pass is what lies between.
func BenchmarkForward(b *testing.B) {
	for _, units := range []int{1, 4, 16} {
		b.Run("units="+string(rune('0'+units/10))+string(rune('0'+units%10)), func(b *testing.B) {
			eachISA(b, func(b *testing.B, cfg cpudev.Config) {
				if cfg.ISA == cpudev.Portable {
					b.Skip("takes minutes")
				}
				x := newBench(b, cfg)
				f := newForward(x, units*benchSeg)
				measure(b, f.work(), "GOPS", f.run)
				f.report(b)
			})
		})
	}
}

type forward struct {
	*bench
	m                       int
	layers                  [2]layer
	x, acc, gate, up, attn  device.Handle
	qkv                     [3]device.Handle
	a, as, ffn, ffns        device.Handle
	q8, q8s                 [3]device.Handle
	gain, table, pos, chan1 device.Handle
	digest                  device.Handle
	spent                   map[device.Op]time.Duration
}

// report prints each op's share of the passes, and that of what is neither a
// matrix product nor the digest.
func (f *forward) report(b *testing.B) {
	var all, vector time.Duration
	for op, d := range f.spent {
		all += d
		if op != device.OpLinear && op != device.OpDigest {
			vector += d
		}
	}
	for op, d := range f.spent {
		b.ReportMetric(100*float64(d)/float64(all), "%"+op.String())
	}
	b.ReportMetric(100*float64(vector)/float64(all), "%not-linear")
}

func newForward(x *bench, m int) *forward {
	f := &forward{bench: x, m: m, spent: map[device.Op]time.Duration{}}
	for i := range f.layers {
		l := &f.layers[i]
		for j := range 3 {
			l.wqkvo[j] = x.random(benchWidth, benchWidth, int64(10*i+j))
		}
		l.wo = x.random(benchWidth, benchWidth, int64(10*i+3))
		l.wup[0], l.wup[1] = x.random(benchFFN, benchWidth, int64(10*i+4)), x.random(benchFFN, benchWidth, int64(10*i+5))
		l.wdown[0] = x.random(benchWidth, benchFFN, int64(10*i+6))
	}
	_, s := x.quantized(benchFFN, 64)
	f.chan1 = s
	f.x, f.acc = x.activations(m, benchWidth), x.alloc(device.S32, m, benchWidth)
	f.attn = x.alloc(device.S32, m, benchWidth)
	f.gate, f.up = x.alloc(device.S32, m, benchFFN), x.alloc(device.S32, m, benchFFN)
	f.a, f.as = x.alloc(device.S8, m, benchWidth), x.alloc(device.ScaleT, m, 1)
	f.ffn, f.ffns = x.alloc(device.S8, m, benchFFN), x.alloc(device.ScaleT, m, 1)
	for j := range 3 {
		f.qkv[j] = x.alloc(device.S32, m, benchWidth)
		f.q8[j], f.q8s[j] = x.alloc(device.S8, m, benchWidth), x.alloc(device.ScaleT, m, benchHeads)
	}
	f.gain = x.activations(1, benchWidth)
	f.table, f.pos = x.activations(benchSeg, benchWidth/benchHeads), x.alloc(device.S32, m, 1)
	f.digest = x.alloc(device.U8, 1, 32)
	return f
}

// work is twice the multiply-accumulates of the matrix products of a pass.
func (f *forward) work() float64 {
	return 2 * 2 * float64(f.m) * (4*benchWidth*benchWidth + 3*benchWidth*benchFFN)
}

func (f *forward) run() {
	width := f.view(f.chan1, benchWidth, 1)
	call := func(op device.Op, imms []int64, t ...device.Handle) {
		begin := time.Now()
		f.bench.run(op, t, imms...)
		f.spent[op] += time.Since(begin)
	}
	frac, eout := []int64{16}, []int64{47}
	heads := func(h device.Handle) device.Handle { return f.view(h, f.m*benchHeads, benchWidth/benchHeads) }
	for _, l := range f.layers {
		call(device.OpNormQuant, []int64{1 << 30}, f.a, f.as, f.x, f.gain)
		for j := range 3 {
			call(device.OpLinear, eout, f.qkv[j], f.a, f.as, l.wqkvo[j], width, 0, 0)
			if j < 2 {
				call(device.OpRope, nil, f.qkv[j], f.qkv[j], f.table, f.pos)
			}
			call(device.OpQuant, frac, heads(f.q8[j]), f.view(f.q8s[j], f.m*benchHeads, 1), heads(f.qkv[j]))
		}
		call(device.OpAttention, []int64{benchSeg, 1549082005, 33, 47}, f.attn,
			f.q8[0], f.q8s[0], f.q8[1], f.q8s[1], f.q8[2], f.q8s[2])
		call(device.OpQuant, frac, f.a, f.as, f.attn)
		call(device.OpLinear, eout, f.x, f.a, f.as, l.wo, width, 0, f.x)
		call(device.OpNormQuant, []int64{1 << 30}, f.a, f.as, f.x, f.gain)
		call(device.OpLinear, eout, f.gate, f.a, f.as, l.wup[0], f.chan1, 0, 0)
		call(device.OpLinear, eout, f.up, f.a, f.as, l.wup[1], f.chan1, 0, 0)
		call(device.OpSiluMul, nil, f.gate, f.gate, f.up)
		call(device.OpQuant, frac, f.ffn, f.ffns, f.gate)
		call(device.OpLinear, eout, f.x, f.ffn, f.ffns, l.wdown[0], width, 0, f.x)
		call(device.OpDigest, nil, f.digest, f.x, 0)
	}
	f.must(f.sp.Sync())
}
