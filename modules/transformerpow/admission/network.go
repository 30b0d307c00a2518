package admission

import (
	"encoding/binary"
	"fmt"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/modules/transformerpow/fixed"
	"github.com/assaynet/assay/modules/transformerpow/shape"
	"lukechampine.com/blake3"
)

const (
	frac     = 16
	eout     = frac + 31
	epsQ     = 42950
	byteVar2 = 10795
	attScale = 558713232 // log2(e)², Q28
)

// DigestSize is the bytes of a unit's digest.
const DigestSize = 32

// Config of a Network.
type Config struct {
	Shape    shape.Shape
	Seed     [32]byte
	Identity []byte // of the claimant
	Batch    int    // most units of a call
}

// Network is the proof of work on a device. Not safe for concurrent use.
type Network struct {
	cfg     Config
	sp      device.Space
	weights [][7]device.Handle
	seed    device.Handle
	key     device.Handle
	c       map[string]device.Handle // constants
	att     [2]int64                 // mantissa, exponent
	base    buffers                  // of Batch units
	v       buffers                  // views of base for the batch at hand
	slots   device.Handle            // u8[Batch·layers, 32]
	rows    []device.Handle          // of slots
	unitIn  []device.Handle
	unitX   []device.Handle
	batch   int
	err     error // the first; nothing runs after it

	// Look, if set, sees each intermediate before it is used, and may write to it.
	Look func(layer int, name string, h device.Handle)
}

// buffers of activations, by name; names ending in H see one row a head.
type buffers map[string]device.Handle

type handles = []device.Handle

// New sets a network up: it expands the weights.
func New(dev device.Device, cfg Config) (*Network, error) {
	if err := cfg.Shape.Check(); err != nil {
		return nil, err
	}
	s := cfg.Shape
	sp, err := dev.NewSpace(s.TensorBytes(cfg.Batch) + int64(cfg.Batch)*int64(s.Layers)*64 + 1<<20)
	if err != nil {
		return nil, err
	}
	n := &Network{cfg: cfg, sp: sp, c: map[string]device.Handle{}}
	n.setup()
	n.allocate()
	if n.err != nil {
		sp.Close()
		return nil, n.err
	}
	return n, nil
}

// Close frees the device's memory.
func (n *Network) Close() error { return n.sp.Close() }

// Weights are the matrices of each layer: q, k, v, o, gate, up, down.
func (n *Network) Weights() [][7]device.Handle { return n.weights }

func (n *Network) setup() {
	s := n.cfg.Shape
	d, e, f := int(s.Width), int(s.KVWidth()), int(s.FFN)
	n.seed = n.put(device.U8, 1, 32, n.cfg.Seed[:])
	n.key = n.alloc(device.U8, 1, 32)
	n.weights = make([][7]device.Handle, s.Layers)
	for l := range n.weights {
		for i, size := range [7][2]int{{d, d}, {e, d}, {e, d}, {d, d}, {f, d}, {f, d}, {d, f}} {
			n.weights[l][i] = n.alloc(device.S8, size[0], size[1])
			n.run(device.OpExpand, handles{n.weights[l][i], n.seed}, int64(l*16+i))
		}
	}
	for name, size := range map[string][2]int{"scaleD": {d, d}, "scaleE": {e, d}, "scaleF": {f, d}, "scaleDown": {d, f}} {
		n.c[name] = n.put(device.ScaleT, size[0], 1, repeat(factor(2, byteVar2*uint64(size[1])), size[0]))
	}
	n.c["gain"] = n.put(device.S32, 1, d, repeat(le32(1<<frac), d))
	n.c["bias"] = n.put(device.S32, 1, f, repeat(le32(3<<frac), f))
	mant, exp := fixed.Root(attScale, uint64(s.HeadDim())<<28)
	n.att = [2]int64{int64(mant), int64(exp)}
	n.c["rope"] = n.put(device.S32, int(s.Tokens), int(s.HeadDim()), ropeTable(int(s.Tokens), int(s.HeadDim())))
}

func ropeTable(positions, headDim int) (table []byte) {
	half := headDim / 2
	for pos := range positions {
		var sins []byte
		for j := range half {
			sin, cos := fixed.SinCos(fixed.PhaseStep(j, half) * uint32(pos))
			table, sins = append(table, le32(cos)...), append(sins, le32(sin)...)
		}
		table = append(table, sins...)
	}
	return table
}

// form of a buffer: rows a token, columns, type; of is the buffer whose memory
// it sees, "" for one of its own.
type form struct {
	name, of   string
	rows, cols int
	dt         device.DType
}

func forms(s shape.Shape) []form {
	d, e, f := int(s.Width), int(s.KVWidth()), int(s.FFN)
	h, g, hd := int(s.Heads), int(s.KVHeads), int(s.HeadDim())
	out := []form{
		{"x", "", 1, d, device.S32}, {"a8", "", 1, d, device.S8}, {"as", "", 1, 1, device.ScaleT},
		{"q", "", 1, d, device.S32}, {"k", "", 1, e, device.S32}, {"v", "", 1, e, device.S32},
		{"q8", "", 1, d, device.S8}, {"k8", "", 1, e, device.S8}, {"v8", "", 1, e, device.S8},
		{"qs", "", 1, h, device.ScaleT}, {"ks", "", 1, g, device.ScaleT}, {"vs", "", 1, g, device.ScaleT},
		{"gate", "", 1, f, device.S32}, {"up", "", 1, f, device.S32}, {"h8", "", 1, f, device.S8},
		{"row", "", 1, 1, device.S32}, {"pos", "", 1, 1, device.S32}, {"in", "", 1, 1, device.ScaleT},
		{"repeat", "", h, 1, device.S32},
	}
	for _, n := range []string{"q", "k", "v"} {
		heads := g
		if n == "q" {
			heads = h
		}
		out = append(out, form{n + "H", n, heads, hd, device.S32}, form{n + "8H", n + "8", heads, hd, device.S8}, form{n + "sH", n + "s", heads, 1, device.ScaleT})
	}
	return out
}

func (n *Network) allocate() {
	s, b := n.cfg.Shape, n.cfg.Batch
	tokens, rows := int(s.Tokens), b*int(s.Tokens)
	n.base = buffers{}
	for _, f := range forms(s) {
		if f.of == "" {
			n.base[f.name] = n.alloc(f.dt, f.rows*rows, f.cols)
		}
	}
	h, g := int(s.Heads), int(s.KVHeads)
	var row, pos, rep []byte
	for i := range rows {
		row, pos = append(row, le32(int32(i))...), append(pos, le32(int32(i%tokens))...)
		for q := range h {
			rep = append(rep, le32(int32(i*g+q*g/h))...)
		}
	}
	n.write(n.base["row"], row)
	n.write(n.base["pos"], pos)
	n.write(n.base["repeat"], rep)
	n.write(n.base["in"], repeat(factor(2, byteVar2), rows))
	n.slots = n.alloc(device.U8, b*int(s.Layers), DigestSize)
	for i := range b * int(s.Layers) {
		n.rows = append(n.rows, n.view(n.slots, i, 1, DigestSize))
	}
	for u := range b {
		n.unitIn = append(n.unitIn, n.view(n.base["a8"], u*tokens, tokens, int(s.Width)))
		n.unitX = append(n.unitX, n.view(n.base["x"], u*tokens, tokens, int(s.Width)))
	}
}

// resize makes the views for a batch.
func (n *Network) resize(batch int) {
	if n.batch == batch {
		return
	}
	for _, h := range n.v {
		n.fail(n.sp.Free(h))
	}
	n.v, n.batch = buffers{}, batch
	for _, f := range forms(n.cfg.Shape) {
		of := f.of
		if of == "" {
			of = f.name
		}
		n.v[f.name] = n.view(n.base[of], 0, f.rows*batch*int(n.cfg.Shape.Tokens), f.cols)
	}
}

// Digests runs units as one batch and returns their digests.
func (n *Network) Digests(indexes ...uint64) ([][DigestSize]byte, error) {
	if len(indexes) == 0 || len(indexes) > n.cfg.Batch {
		return nil, fmt.Errorf("admission: batch of %d, want 1 to %d", len(indexes), n.cfg.Batch)
	}
	n.resize(len(indexes))
	n.forward(indexes)
	layers := int(n.cfg.Shape.Layers)
	sums := make([]byte, len(indexes)*layers*DigestSize)
	if n.err == nil {
		n.fail(n.sp.Read(n.slots, 0, sums))
	}
	if n.err != nil {
		return nil, n.err
	}
	out := make([][DigestSize]byte, len(indexes))
	for i, index := range indexes {
		p := binary.LittleEndian.AppendUint64([]byte("assay/unit/1"), index)
		for l := range layers {
			at := (l*len(indexes) + i) * DigestSize
			p = append(p, sums[at:at+DigestSize]...)
		}
		out[i] = blake3.Sum256(p)
	}
	return out, nil
}
