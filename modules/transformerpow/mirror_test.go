package main_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/modules/transformerpow/fixed"
	"github.com/assaynet/assay/modules/transformerpow/shape"
	"lukechampine.com/blake3"
)

// mirror is the module again, written on the device directly and a second
// time: it lets a test look at intermediates and change them. Its unit digests
// equal the guest's.
type mirror struct {
	t       testing.TB
	s       shape.Shape
	sp      device.Space
	weights [][7]device.Handle
	c       map[string]device.Handle // constants
	key     device.Handle
	att     [2]int64 // mantissa, exponent

	// look sees an intermediate before it is used; it may write to it.
	look func(layer int, name string, h device.Handle)
}

type handles = []device.Handle

func newMirror(t testing.TB, dev device.Device, s shape.Shape, seed [32]byte, identity []byte) *mirror {
	t.Helper()
	sp, err := dev.NewSpace(256 << 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sp.Close() })
	m := &mirror{t: t, s: s, sp: sp, c: map[string]device.Handle{}, look: func(int, string, device.Handle) {}}
	d, e, f := int(s.Width), int(s.KVWidth()), int(s.FFN)
	seedT := m.put(device.U8, 1, 32, seed[:])
	msg := append([]byte("assay/transformerpow/in/1\n"), seed[:]...)
	msg = append(msg, identity...)
	m.key = m.alloc(device.U8, 1, 32)
	m.run(device.OpDigest, handles{m.key, m.put(device.U8, 1, len(msg), msg), 0})
	m.weights = make([][7]device.Handle, s.Layers)
	for l := range m.weights {
		for i, n := range [7][2]int{{d, d}, {e, d}, {e, d}, {d, d}, {f, d}, {f, d}, {d, f}} {
			m.weights[l][i] = m.alloc(device.S8, n[0], n[1])
			m.run(device.OpExpand, handles{m.weights[l][i], seedT}, int64(l*16+i))
		}
	}
	for name, n := range map[string][2]int{"scaleD": {d, d}, "scaleE": {e, d}, "scaleF": {f, d}, "scaleDown": {d, f}} {
		m.c[name] = m.put(device.ScaleT, n[0], 1, repeat(factor(2, 10795*uint64(n[1])), n[0]))
	}
	m.c["gain"] = m.put(device.S32, 1, d, repeat(le32(1<<16), d))
	m.c["bias"] = m.put(device.S32, 1, f, repeat(le32(3<<16), f))
	mant, exp := fixed.Root(uint64(math.Round(math.Log2E*math.Log2E*(1<<28))), uint64(s.HeadDim())<<28)
	m.att = [2]int64{int64(mant), int64(exp)}
	hd := int(s.HeadDim())
	var table []byte
	for pos := 0; pos < int(s.Tokens); pos++ {
		var sins []byte
		for j := 0; j < hd/2; j++ {
			sin, cos := fixed.SinCos(fixed.PhaseStep(j, hd/2) * uint32(pos))
			table, sins = append(table, le32(cos)...), append(sins, le32(sin)...)
		}
		table = append(table, sins...)
	}
	m.c["rope"] = m.put(device.S32, int(s.Tokens), hd, table)
	return m
}

func le32(v int32) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }

func factor(num, den uint64) []byte {
	m, e := fixed.Root(num, den)
	return binary.LittleEndian.AppendUint32(le32(int32(m)), uint32(e))
}

func repeat(p []byte, n int) (out []byte) {
	for range n {
		out = append(out, p...)
	}
	return out
}

func (m *mirror) alloc(dt device.DType, rows, cols int) device.Handle {
	h, err := m.sp.Alloc(dt, device.Shape{Rows: rows, Cols: cols})
	if err != nil {
		m.t.Fatal(err)
	}
	return h
}

func (m *mirror) put(dt device.DType, rows, cols int, p []byte) device.Handle {
	h := m.alloc(dt, rows, cols)
	if err := m.sp.Write(h, 0, p); err != nil {
		m.t.Fatal(err)
	}
	return h
}

func (m *mirror) view(h device.Handle, row, rows, cols int) device.Handle {
	v, err := m.sp.View(h, row, device.Shape{Rows: rows, Cols: cols})
	if err != nil {
		m.t.Fatal(err)
	}
	return v
}

func (m *mirror) read(h device.Handle) []byte {
	dt, s, err := m.sp.Stat(h)
	if err != nil {
		m.t.Fatal(err)
	}
	p := make([]byte, int(s.Elems())*dt.Size())
	if err := m.sp.Read(h, 0, p); err != nil {
		m.t.Fatal(err)
	}
	return p
}

func (m *mirror) run(op device.Op, ts handles, imms ...int64) {
	if err := m.sp.Run(device.Call{Op: op, Tensors: ts, Imms: imms}); err != nil {
		m.t.Fatalf("op %d: %v", op, err)
	}
}

// digests runs units as one batch and returns their digests.
func (m *mirror) digests(indexes ...uint64) [][32]byte {
	s, n := m.s, len(indexes)
	tk, d, e, f := int(s.Tokens), int(s.Width), int(s.KVWidth()), int(s.FFN)
	h, g, hd, rows := int(s.Heads), int(s.KVHeads), int(s.HeadDim()), n*int(s.Tokens)
	var live handles
	mk := func(dt device.DType, r, c int) device.Handle {
		live = append(live, m.alloc(dt, r, c))
		return live[len(live)-1]
	}
	vw := func(x device.Handle, row, r, c int) device.Handle {
		live = append(live, m.view(x, row, r, c))
		return live[len(live)-1]
	}
	var ids, pos, rep []byte
	for i := 0; i < rows; i++ {
		ids, pos = append(ids, le32(int32(i))...), append(pos, le32(int32(i%tk))...)
		for q := 0; q < h; q++ {
			rep = append(rep, le32(int32(i*g+q*g/h))...)
		}
	}
	fill := func(dt device.DType, r int, p []byte) device.Handle {
		live = append(live, m.put(dt, r, 1, p))
		return live[len(live)-1]
	}
	idT, posT, repT := fill(device.S32, rows, ids), fill(device.S32, rows, pos), fill(device.S32, rows*h, rep)
	inS := fill(device.ScaleT, rows, repeat(factor(2, 10795), rows))
	x, a8, as := mk(device.S32, rows, d), mk(device.S8, rows, d), mk(device.ScaleT, rows, 1)
	tmp := mk(device.S32, rows, d)
	for i, index := range indexes {
		m.run(device.OpExpand, handles{vw(a8, i*tk, tk, d), m.key}, int64(index))
	}
	m.run(device.OpEmbed, handles{x, a8, inS, idT}, 16)
	heads := func(l int, name string, src device.Handle, count int) (device.Handle, device.Handle) {
		q8, qs := mk(device.S8, rows, count*hd), mk(device.ScaleT, rows, count)
		m.look(l, name, src)
		m.run(device.OpQuant, handles{vw(q8, 0, rows*count, hd), vw(qs, 0, rows*count, 1), vw(src, 0, rows*count, hd)}, 16)
		m.look(l, name+"8", q8)
		return q8, qs
	}
	lin := func(a, w device.Handle, scale string, bias, res device.Handle, cols int) device.Handle {
		dst := res
		if res == 0 {
			dst = mk(device.S32, rows, cols)
		}
		m.run(device.OpLinear, handles{dst, a, as, w, m.c[scale], bias, res}, 47)
		return dst
	}
	sums := make([][]byte, n)
	for l := 0; l < int(s.Layers); l++ {
		w := m.weights[l]
		m.run(device.OpNormQuant, handles{a8, as, x, m.c["gain"]}, int64(42950*d))
		m.look(l, "attention input8", a8)
		q, k, v := lin(a8, w[0], "scaleD", 0, 0, d), lin(a8, w[1], "scaleE", 0, 0, e), lin(a8, w[2], "scaleE", 0, 0, e)
		m.run(device.OpRope, handles{q, q, m.c["rope"], posT})
		m.run(device.OpRope, handles{k, k, m.c["rope"], posT})
		q8, qs := heads(l, "q", q, h)
		k8, ks := heads(l, "k", k, g)
		v8, vs := heads(l, "v", v, g)
		m.run(device.OpAdd, handles{x, x, q})
		for _, kv := range []device.Handle{k, v} {
			m.run(device.OpGather, handles{vw(tmp, 0, rows*h, hd), vw(kv, 0, rows*g, hd), repT})
			m.run(device.OpAdd, handles{x, x, tmp})
		}
		att := mk(device.S32, rows, d)
		m.run(device.OpAttention, handles{att, q8, qs, k8, ks, v8, vs}, int64(tk), m.att[0], m.att[1], 47)
		m.look(l, "attention", att)
		m.run(device.OpQuant, handles{a8, as, att}, 16)
		m.look(l, "attention8", a8)
		m.run(device.OpAdd, handles{x, x, att})
		lin(a8, w[3], "scaleD", 0, x, d)
		m.run(device.OpNormQuant, handles{a8, as, x, m.c["gain"]}, int64(42950*d))
		m.look(l, "feed-forward input8", a8)
		gate, up := lin(a8, w[4], "scaleF", m.c["bias"], 0, f), lin(a8, w[5], "scaleF", 0, 0, f)
		m.look(l, "gate", gate)
		m.look(l, "up", up)
		m.run(device.OpSiluMul, handles{gate, gate, up})
		m.look(l, "gated", gate)
		h8 := mk(device.S8, rows, f)
		m.run(device.OpQuant, handles{h8, as, gate}, 16)
		m.look(l, "gated8", h8)
		for col := 0; col < f; col += d {
			m.run(device.OpSlice, handles{tmp, gate}, int64(min(col, f-d)))
			m.run(device.OpAdd, handles{x, x, tmp})
		}
		lin(h8, w[6], "scaleDown", 0, x, d)
		m.look(l, "state", x)
		sum := mk(device.U8, 1, 32)
		for i := range sums {
			m.run(device.OpDigest, handles{sum, vw(x, i*tk, tk, d), 0})
			sums[i] = append(sums[i], m.read(sum)...)
		}
	}
	for _, h := range live {
		if err := m.sp.Free(h); err != nil {
			m.t.Fatal(err)
		}
	}
	out := make([][32]byte, n)
	for i, index := range indexes {
		p := binary.LittleEndian.AppendUint64([]byte("assay/unit/1"), index)
		out[i] = blake3.Sum256(append(p, sums[i]...))
	}
	return out
}
