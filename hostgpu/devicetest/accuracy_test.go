package devicetest

import (
	"math"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
)

// The bounds here are those of docs/spec/ops.md, section 6.

// normal gives n numbers of a bell curve with deviation dev.
func (g *gen) normal(n int, dev float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		var s float64
		for range 12 {
			s += float64(g.src.Uint64()>>11) / (1 << 53)
		}
		v[i] = (s - 6) * dev
	}
	return v
}

func fixed(v []float64, frac int) mat {
	m := newMat(1, len(v))
	for i, x := range v {
		m.v[i] = int64(math.RoundToEven(x * math.Ldexp(1, frac)))
	}
	return m
}

func float(v int64, frac int) float64 { return math.Ldexp(float64(v), -frac) }

func scaleValue(s device.Scale) float64 { return math.Ldexp(float64(s.M), -int(s.E)) }

// worst keeps the largest error, and its bound.
type worst struct{ got float64 }

func (w *worst) add(err float64) { w.got = math.Max(w.got, math.Abs(err)) }

func (w *worst) check(t *testing.T, what string, bound float64) {
	t.Helper()
	t.Logf("%-42s %.3g (bound %.3g)", what, w.got, bound)
	if !(w.got <= bound) {
		t.Errorf("%s: error %g above %g", what, w.got, bound)
	}
}

func TestAccuracyExp2(t *testing.T) {
	var rel worst
	for f := range int64(32768) {
		rel.add(float64(exp2(f))/32768/math.Exp2(-float64(f)/32768) - 1)
	}
	rel.check(t, "exp2, relative", 1.75e-4)
}

func TestAccuracyQuant(t *testing.T) {
	g := newGen("accuracy quant")
	var steps, scaleErr worst
	for i := range 200 {
		x := fixed(g.normal(300, math.Ldexp(1, i%12-4)), 16)
		q, s := refQuant(x, 16)
		top := float(maxAbs(x.v), 16)
		scaleErr.add(scaleValue(s[0])*127/top - 1)
		for j, v := range x.v {
			steps.add(float64(q.v[j]) - float(v, 16)/scaleValue(s[0]))
		}
	}
	steps.check(t, "quant, steps of the row", 0.5+1e-6)
	scaleErr.check(t, "quant scale, relative", 1e-9)
}

func TestAccuracyNorm(t *testing.T) {
	g := newGen("accuracy norm")
	var abs, steps worst
	for i := range 60 {
		k := []int{1, 64, 333, 2048}[i%4]
		src := fixed(g.normal(k, math.Ldexp(1, i%20-8)), 16)
		gain := fixed(g.normal(k, 2), 16)
		epsk := int64(1e-5 * float64(k) * math.Ldexp(1, 32))
		var sum float64
		for _, v := range src.v {
			sum += float(v, 16) * float(v, 16)
		}
		inv := 1 / math.Sqrt(sum/float64(k)+float64(epsk)/float64(k)/math.Ldexp(1, 32))
		y := refNorm(src, gain.v, epsk)
		q, s := refNormQuant(src, gain.v, epsk)
		for j := range src.v {
			want := float(src.v[j], 16) * inv * float(gain.v[j], 16)
			abs.add((float(y.v[j], 16) - want) / (1 + math.Abs(want)))
			if s[0].M != 0 {
				steps.add(float64(q.v[j]) - want/scaleValue(s[0]))
			}
		}
	}
	abs.check(t, "norm, |error|/(1+|y|)", 9e-6)
	steps.check(t, "norm_quant, steps of the row", 0.5+1e-4)
}

func TestAccuracyRope(t *testing.T) {
	g := newGen("accuracy rope")
	var abs worst
	for pos := range 200 {
		src := fixed(g.normal(2, 10), 16)
		a := float64(pos) * 0.37
		table := mat{1, 2, []int64{int64(math.Round(math.Cos(a) * (1 << 30))), int64(math.Round(math.Sin(a) * (1 << 30)))}}
		y := refRope(src, table, []int64{0})
		x0, x1 := float64(src.v[0]), float64(src.v[1])
		abs.add(float64(y.v[0]) - (x0*math.Cos(a) - x1*math.Sin(a)))
		abs.add(float64(y.v[1]) - (x1*math.Cos(a) + x0*math.Sin(a)))
	}
	abs.check(t, "rope, units of the last place", 0.51)
}

func TestAccuracySilu(t *testing.T) {
	var abs worst
	for x := -40.0; x <= 40; x += 0.0037 {
		gate := fixed([]float64{x}, 16)
		y := refSiluMul(gate, fixed([]float64{1}, 16))
		in := float(gate.v[0], 16)
		abs.add(float(y.v[0], 16) - in/(1+math.Exp(-in)))
	}
	abs.check(t, "silu, absolute", 6e-5)
}

func TestAccuracyAttention(t *testing.T) {
	g := newGen("accuracy attention")
	for _, test := range []struct {
		name   string
		keys   int
		logits float64 // deviation of the logits
		sink   bool
		bound  float64
	}{
		{name: "64 keys", keys: 64, logits: 2, bound: 1e-3},
		{name: "1,024 keys", keys: 1024, logits: 3, bound: 1e-3},
		{name: "8,192 keys", keys: 8192, logits: 1, bound: 1e-3},
		{name: "8,192 keys and a sink", keys: 8192, logits: 1, sink: true, bound: 0.01},
	} {
		var err worst
		err.add(attentionError(g, test.keys, test.logits, test.sink))
		err.check(t, "attention, "+test.name+", |error|/|output|", test.bound)
	}
}

// attentionError is the relative error of one query over int8 keys and values,
// against a float softmax of the same int8 numbers.
func attentionError(g *gen, keys int, logits float64, sink bool) float64 {
	const d = 64
	quantize := func(rows int, dev float64) (mat, []device.Scale) {
		m := fixed(g.normal(rows*d, dev), 16)
		return refQuant(mat{rows, d, m.v}, 16)
	}
	q, qs := quantize(1, math.Sqrt(logits))
	k, ks := quantize(keys, math.Sqrt(logits))
	v, vs := quantize(keys, 1)
	if sink { // one key that takes most of the weight and has a small value
		copy(k.row(0), q.row(0))
		ks[0] = device.Scale{M: ks[0].M, E: ks[0].E - 1}
		vs[0].E += 5
	}
	const frac = 16
	mant, exp := int64(math.Round(math.Log2E/8*math.Ldexp(1, 33))), 33
	out := refAttention(attentionArgs{q: q, k: k, v: v, qs: qs, ks: ks, vs: vs,
		heads: 1, kvHeads: 1, seg: 1, mant: mant, exp: exp, eout: frac + 31})
	t := make([]float64, keys)
	top := math.Inf(-1)
	for i := range t {
		for j := range d {
			t[i] += float64(q.at(0, j)*k.at(i, j)) * scaleValue(qs[0]) * scaleValue(ks[i]) / 8
		}
		top = math.Max(top, t[i])
	}
	var total float64
	for i := range t {
		t[i] = math.Exp(t[i] - top)
		total += t[i]
	}
	var diff, norm float64
	for j := range d {
		var want float64
		for i := range t {
			want += t[i] / total * float64(v.at(i, j)) * scaleValue(vs[i])
		}
		diff += math.Pow(float(out.v[j], frac)-want, 2)
		norm += want * want
	}
	return math.Sqrt(diff / norm)
}
