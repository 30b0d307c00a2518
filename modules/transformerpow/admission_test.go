package main_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand"
	"sort"
	"strings"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/internal/guesttest"
	"github.com/assaynet/assay/modules/transformerpow/shape"
)

func TestMirrorGivesTheGuestsDigests(t *testing.T) {
	_, m := guesttest.Admit(t, catalog.TransformerPow, false)
	dev := guesttest.CPU(t)
	for _, s := range shapes {
		j := job(dev, s)
		in, _ := setUp(t, m, j)
		got, _ := units(t, in, 4, 1<<50)
		want := newMirror(t, dev, s, j.Seed, j.Identity).digests(4, 1<<50)
		if got[0].Digest != want[0] || got[1].Digest != want[1] {
			t.Errorf("%+v: guest %x, mirror %x", s, got[0].Digest, want[0])
		}
	}
}

// admissionShapes: the test network's, and one with the proportions of a real sprint.
var admissionShapes = []shape.Shape{
	shape.Test,
	{Layers: 2, Width: 512, Heads: 4, KVHeads: 4, FFN: 1408, Tokens: 16},
}

// Statistics that a proof of work is admitted by: few zeros, no saturation,
// attention neither flat nor on one key.
func TestAdmissionStatistics(t *testing.T) {
	for _, s := range admissionShapes {
		m := newMirror(t, guesttest.CPU(t), s, [32]byte{7}, []byte("someone"))
		type stat struct{ n, zero, saturated int }
		stats := map[string]*stat{}
		var q, k []float64
		var entropy, uniform float64
		m.look = func(layer int, name string, h device.Handle) {
			key := fmt.Sprintf("%d %s", layer, name)
			p := m.read(h)
			st := &stat{}
			stats[key] = st
			if strings.HasSuffix(name, "8") {
				for _, b := range p {
					st.n++
					if b == 0 {
						st.zero++
					}
				}
				return
			}
			vals := make([]float64, 0, len(p)/4)
			for i := 0; i < len(p); i += 4 {
				v := int32(binary.LittleEndian.Uint32(p[i:]))
				st.n++
				if v == 0 {
					st.zero++
				}
				if v == math.MaxInt32 || v == math.MinInt32 {
					st.saturated++
				}
				vals = append(vals, float64(v)/65536)
			}
			switch name {
			case "q":
				q = vals
			case "k":
				k = vals
				e, u := attentionEntropy(s, q, k)
				entropy, uniform = entropy+e, uniform+u
			}
		}
		indexes := make([]uint64, 32)
		for i := range indexes {
			indexes[i] = uint64(i)
		}
		m.digests(indexes...)
		names := make([]string, 0, len(stats))
		for name := range stats {
			names = append(names, name)
		}
		sort.Strings(names)
		t.Logf("width %d, %d layers, %d tokens: attention entropy %.2f of the uniform", s.Width, s.Layers, s.Tokens, entropy/uniform)
		for _, name := range names {
			st := stats[name]
			zero, sat := float64(st.zero)/float64(st.n), float64(st.saturated)/float64(st.n)
			t.Logf("  layer %-24s zeros %5.2f %%, saturated %.2f %%", name, 100*zero, 100*sat)
			if zero >= 0.05 || sat >= 0.01 {
				t.Errorf("width %d, layer %s: zeros %.3f, saturated %.3f", s.Width, name, zero, sat)
			}
		}
		if r := entropy / uniform; r < 0.3 || r > 0.85 {
			t.Errorf("width %d: attention entropy is %.2f of the uniform", s.Width, r)
		}
	}
}

// attentionEntropy of the float softmax, and of the uniform distribution over
// the same keys, both summed over rows and heads.
func attentionEntropy(s shape.Shape, q, k []float64) (e, uniform float64) {
	d, hd, tk := int(s.Width), int(s.HeadDim()), int(s.Tokens)
	for row := 0; row < len(q)/d; row++ {
		first := row / tk * tk
		for h := 0; h < int(s.Heads); h++ {
			var p []float64
			var sum float64
			for key := first; key <= row; key++ {
				var dot float64
				for c := h * hd; c < (h+1)*hd; c++ {
					dot += q[row*d+c] * k[key*d+c]
				}
				p = append(p, math.Exp(dot/math.Sqrt(float64(hd))))
				sum += p[len(p)-1]
			}
			for _, x := range p {
				e -= x / sum * math.Log(x/sum)
			}
			uniform += math.Log(float64(len(p)))
		}
	}
	return e, uniform
}

// Flipping any one bit of a weight, or of a quantized query or key, must
// change the digest of (nearly) every unit.
func TestSensitivity(t *testing.T) {
	const batch = 16
	indexes := make([]uint64, batch)
	for i := range indexes {
		indexes[i] = uint64(1000 + i)
	}
	for _, s := range shapes[:2] {
		m := newMirror(t, guesttest.CPU(t), s, [32]byte{9}, []byte("someone"))
		want := m.digests(indexes...)
		r := rand.New(rand.NewSource(3))
		weights, same := 0, 0
		count := func() {
			for i, d := range m.digests(indexes...) {
				weights++
				if d == want[i] {
					same++
				}
			}
		}
		for l := range m.weights {
			for _, w := range m.weights[l] {
				for range 12 {
					p := m.read(w)
					at := r.Intn(len(p))
					old := p[at]
					flipped := old ^ 1<<r.Intn(8)
					if flipped == 0x80 { // stored as −127, which may be what was there
						flipped = old ^ 2
					}
					m.write(w, at, flipped)
					count()
					m.write(w, at, old)
				}
			}
		}
		t.Logf("width %d: %d of %d digests unchanged by one bit of a weight", s.Width, same, weights)
		if same*1000 > weights {
			t.Errorf("width %d: %d of %d digests unchanged by one bit of a weight", s.Width, same, weights)
		}
		// One entry of q or k in every unit. A query of row 0 sees one key and
		// cannot matter. A key of the last row meets one query only, and where
		// that holds a zero the key cannot matter either: these are counted
		// apart, against the share of zeros.
		last := int(s.Tokens) - 1
		for _, c := range []struct {
			name     string
			from, to int // rows
			most     float64
		}{{"q8", 1, last, 0.001}, {"k8", 0, last - 1, 0.001}, {"k8", last, last, 0.03}} {
			total, same := 0, 0
			for range 100 {
				layer := r.Intn(int(s.Layers))
				m.look = func(l int, n string, h device.Handle) {
					if l == layer && n == c.name {
						m.flipRow(h, r, batch, c.from, c.to)
					}
				}
				for i, d := range m.digests(indexes...) {
					total++
					if d == want[i] {
						same++
					}
				}
			}
			m.look = func(int, string, device.Handle) {}
			t.Logf("width %d: %d of %d digests unchanged by one bit of %s in rows %d to %d", s.Width, same, total, c.name, c.from, c.to)
			if float64(same) > c.most*float64(total) {
				t.Errorf("width %d: more than %g", s.Width, c.most)
			}
		}
	}
}

// flipRow flips one bit of one entry of an int8 tensor in each unit, in a row
// between from and to.
func (m *mirror) flipRow(h device.Handle, r *rand.Rand, batch, from, to int) {
	p := m.read(h)
	tokens := int(m.s.Tokens)
	cols := len(p) / (batch * tokens)
	for u := range batch {
		at := (u*tokens+from+r.Intn(to-from+1))*cols + r.Intn(cols)
		flipped := p[at] ^ 1<<r.Intn(8)
		if flipped == 0x80 { // would be stored as −127, which may be what was there
			flipped = p[at] ^ 2
		}
		m.write(h, at, flipped)
	}
}

func (m *mirror) write(h device.Handle, at int, b byte) {
	if err := m.sp.Write(h, int64(at), []byte{b}); err != nil {
		m.t.Fatal(err)
	}
}
