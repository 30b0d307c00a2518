package admission

import (
	"encoding/binary"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/modules/transformerpow/fixed"
)

// forward runs units: the operations of the guest's network.run.
func (n *Network) forward(indexes []uint64) {
	n.claimant()
	for u, index := range indexes {
		n.run(device.OpExpand, handles{n.unitIn[u], n.key}, int64(index))
	}
	v := n.v
	n.run(device.OpEmbed, handles{v["x"], v["a8"], v["in"], v["row"]}, frac)
	for l := range n.weights {
		n.attention(l)
		n.feedForward(l)
		n.look(l, "state", v["x"])
		for u := range indexes {
			n.run(device.OpDigest, handles{n.rows[l*len(indexes)+u], n.unitX[u], 0})
		}
	}
}

// claimant makes the key that inputs are expanded from.
func (n *Network) claimant() {
	msg := append([]byte("assay/transformerpow/in/1\n"), n.cfg.Seed[:]...)
	msg = append(msg, n.cfg.Identity...)
	src := n.put(device.U8, 1, len(msg), msg)
	n.run(device.OpDigest, handles{n.key, src, 0})
	n.fail(n.sp.Free(src))
}

func (n *Network) attention(l int) {
	v, w := n.v, n.weights[l]
	n.run(device.OpNormQuant, handles{v["a8"], v["as"], v["x"], n.c["gain"]}, epsQ*int64(n.cfg.Shape.Width))
	n.look(l, "attention input8", v["a8"])
	n.linear("q", "a8", w[0], "scaleD", 0, 0)
	n.linear("k", "a8", w[1], "scaleE", 0, 0)
	n.linear("v", "a8", w[2], "scaleE", 0, 0)
	for _, name := range []string{"q", "k"} {
		n.run(device.OpRope, handles{v[name], v[name], n.c["rope"], v["pos"]})
	}
	for _, name := range []string{"q", "k", "v"} {
		n.look(l, name, v[name])
		n.run(device.OpQuant, handles{v[name+"8H"], v[name+"sH"], v[name+"H"]}, frac)
		n.look(l, name+"8", v[name+"8"])
	}
	n.add(v["q"])
	for _, name := range []string{"k", "v"} {
		if n.cfg.Shape.KVHeads == n.cfg.Shape.Heads {
			n.add(v[name])
			continue
		}
		n.run(device.OpGather, handles{v["qH"], v[name+"H"], v["repeat"]})
		n.add(v["q"])
	}
	att := v["q"]
	n.run(device.OpAttention, handles{att, v["q8"], v["qs"], v["k8"], v["ks"], v["v8"], v["vs"]}, int64(n.cfg.Shape.Tokens), n.att[0], n.att[1], eout)
	n.look(l, "attention", att)
	n.run(device.OpQuant, handles{v["a8"], v["as"], att}, frac)
	n.look(l, "attention8", v["a8"])
	n.add(att)
	n.linear("x", "a8", w[3], "scaleD", 0, v["x"])
}

func (n *Network) feedForward(l int) {
	v, w := n.v, n.weights[l]
	n.run(device.OpNormQuant, handles{v["a8"], v["as"], v["x"], n.c["gain"]}, epsQ*int64(n.cfg.Shape.Width))
	n.look(l, "feed-forward input8", v["a8"])
	n.linear("gate", "a8", w[4], "scaleF", n.c["bias"], 0)
	n.linear("up", "a8", w[5], "scaleF", 0, 0)
	n.look(l, "gate", v["gate"])
	n.look(l, "up", v["up"])
	n.run(device.OpSiluMul, handles{v["gate"], v["gate"], v["up"]})
	n.look(l, "gated", v["gate"])
	n.run(device.OpQuant, handles{v["h8"], v["as"], v["gate"]}, frac)
	n.look(l, "gated8", v["h8"])
	d, f := int64(n.cfg.Shape.Width), int64(n.cfg.Shape.FFN)
	for col := int64(0); col < f; col += d {
		n.run(device.OpSlice, handles{v["q"], v["gate"]}, min(col, f-d))
		n.add(v["q"])
	}
	n.linear("x", "h8", w[6], "scaleDown", 0, v["x"])
}

func (n *Network) linear(dst, a string, w device.Handle, scale string, bias, residual device.Handle) {
	n.run(device.OpLinear, handles{n.v[dst], n.v[a], n.v["as"], w, n.c[scale], bias, residual}, eout)
}

// add adds to the residual stream.
func (n *Network) add(t device.Handle) {
	n.run(device.OpAdd, handles{n.v["x"], n.v["x"], t})
}

func (n *Network) look(layer int, name string, h device.Handle) {
	if n.Look != nil && n.err == nil {
		n.Look(layer, name, h)
	}
}

func (n *Network) fail(err error) {
	if n.err == nil {
		n.err = err
	}
}

func (n *Network) alloc(dt device.DType, rows, cols int) device.Handle {
	if n.err != nil {
		return 0
	}
	h, err := n.sp.Alloc(dt, device.Shape{Rows: rows, Cols: cols})
	n.fail(err)
	return h
}

func (n *Network) put(dt device.DType, rows, cols int, p []byte) device.Handle {
	h := n.alloc(dt, rows, cols)
	n.write(h, p)
	return h
}

func (n *Network) write(h device.Handle, p []byte) {
	if n.err == nil {
		n.fail(n.sp.Write(h, 0, p))
	}
}

func (n *Network) view(h device.Handle, row, rows, cols int) device.Handle {
	if n.err != nil {
		return 0
	}
	v, err := n.sp.View(h, row, device.Shape{Rows: rows, Cols: cols})
	n.fail(err)
	return v
}

func (n *Network) run(op device.Op, ts handles, imms ...int64) {
	if n.err == nil {
		n.fail(n.sp.Run(device.Call{Op: op, Tensors: ts, Imms: imms}))
	}
}

// Read returns the bytes of a tensor that Look was given, or of a weight.
func (n *Network) Read(h device.Handle) ([]byte, error) {
	dt, s, err := n.sp.Stat(h)
	if err != nil {
		return nil, err
	}
	p := make([]byte, s.Elems()*int64(dt.Size()))
	return p, n.sp.Read(h, 0, p)
}

// WriteAt changes one byte of such a tensor.
func (n *Network) WriteAt(h device.Handle, at int, b byte) error {
	return n.sp.Write(h, int64(at), []byte{b})
}

func le32(v int32) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }

// factor is √(num/den) as a scale.
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
