package devicetest

import (
	"encoding/binary"

	"github.com/assaynet/assay/hostgpu/device"
	"lukechampine.com/blake3"
)

// Reference is a device that computes every op by its definition, slowly.
func Reference() device.Device { return device.New(refBackend{}) }

// refMemory is the largest space of the reference.
const refMemory = 8 << 30

type refBackend struct{}

func (refBackend) Name() string { return "reference" }
func (refBackend) Reserve(n int64) error {
	if n > refMemory {
		return device.ErrDeviceMemory
	}
	return nil
}
func (refBackend) Release(int64)               {}
func (refBackend) Open() (device.Queue, error) { return refQueue{}, nil }
func (refBackend) Close() error                { return nil }

type refQueue struct{}

func (refQueue) Alloc(n int64) (device.Mem, error) { return make([]byte, n), nil }
func (refQueue) Free(device.Mem)                   {}
func (refQueue) Sync() error                       { return nil }
func (refQueue) Close() error                      { return nil }
func (refQueue) Write(m device.Mem, off int64, p []byte) error {
	copy(m.([]byte)[off:], p)
	return nil
}
func (refQueue) Read(m device.Mem, off int64, p []byte) error {
	copy(p, m.([]byte)[off:])
	return nil
}

func (refQueue) Run(t *device.Task) error {
	compute(t)
	return nil
}

// raw is the bytes of a tensor, nil for an empty one.
func raw(t device.Tensor) []byte {
	if t.Mem == nil {
		return nil
	}
	return t.Mem.([]byte)[t.Off : t.Off+t.Bytes()]
}

// ints decodes a tensor of integers.
func ints(t device.Tensor) mat {
	m, b := newMat(t.Shape.Rows, t.Shape.Cols), raw(t)
	for i := range m.v {
		if t.Type == device.S32 {
			m.v[i] = int64(int32(binary.LittleEndian.Uint32(b[4*i:])))
		} else {
			m.v[i] = int64(int8(b[i]))
		}
	}
	return m
}

func scales(t device.Tensor) []device.Scale {
	s, b := make([]device.Scale, t.Shape.Elems()), raw(t)
	for i := range s {
		s[i] = device.Scale{M: binary.LittleEndian.Uint32(b[8*i:]), E: int32(binary.LittleEndian.Uint32(b[8*i+4:]))}
	}
	return s
}

func putInts(t device.Tensor, m mat) {
	b := raw(t)
	for i, x := range m.v {
		if t.Type == device.S32 {
			binary.LittleEndian.PutUint32(b[4*i:], uint32(x))
		} else {
			b[i] = byte(x)
		}
	}
}

func putScales(t device.Tensor, s []device.Scale) {
	b := raw(t)
	for i, x := range s {
		binary.LittleEndian.PutUint32(b[8*i:], x.M)
		binary.LittleEndian.PutUint32(b[8*i+4:], uint32(x.E))
	}
}

// compute runs one checked task.
func compute(t *device.Task) {
	x, imm := t.Tensors, func(i int) int { return int(t.Imms[i]) }
	switch t.Op {
	case device.OpExpand:
		b := raw(x[0])
		copy(b, keystream(raw(x[1]), t.Imms[0], len(b)))
		for i := range b {
			if b[i] == 0x80 {
				b[i] = 0
			}
		}
	case device.OpGemm:
		putInts(x[0], refGemm(ints(x[1]), ints(x[2])))
	case device.OpRescale:
		putInts(x[0], refRescale(ints(x[1]), scales(x[2]), scales(x[3]), imm(0)))
	case device.OpLinear:
		y := refRescale(refGemm(ints(x[1]), ints(x[3])), scales(x[2]), scales(x[4]), imm(0))
		for _, extra := range x[5:7] {
			if extra.Present {
				y = refAdd(y, ints(extra))
			}
		}
		putInts(x[0], y)
	case device.OpQuant:
		q, s := refQuant(ints(x[2]), imm(0))
		putInts(x[0], q)
		putScales(x[1], s)
	case device.OpNorm:
		putInts(x[0], refNorm(ints(x[1]), ints(x[2]).v, t.Imms[0]))
	case device.OpNormQuant:
		q, s := refNormQuant(ints(x[2]), ints(x[3]).v, t.Imms[0])
		putInts(x[0], q)
		putScales(x[1], s)
	case device.OpRope:
		putInts(x[0], refRope(ints(x[1]), ints(x[2]), ints(x[3]).v))
	case device.OpAttention:
		putInts(x[0], refAttention(attentionArgs{
			q: ints(x[1]), k: ints(x[3]), v: ints(x[5]),
			qs: scales(x[2]), ks: scales(x[4]), vs: scales(x[6]),
			heads: x[2].Shape.Cols, kvHeads: x[4].Shape.Cols,
			seg: imm(0), mant: t.Imms[1], exp: imm(2), eout: imm(3),
		}))
	case device.OpSiluMul:
		putInts(x[0], refSiluMul(ints(x[1]), ints(x[2])))
	case device.OpAdd, device.OpAddRow:
		putInts(x[0], refAdd(ints(x[1]), ints(x[2])))
	case device.OpEmbed:
		putInts(x[0], refEmbed(ints(x[1]), scales(x[2]), ints(x[3]).v, imm(0)))
	default:
		move(t)
	}
}

// move runs the ops that move bytes, and those that end in bytes.
func move(t *device.Task) {
	x := t.Tensors
	switch t.Op {
	case device.OpCopy:
		copy(raw(x[0]), raw(x[1]))
	case device.OpSlice:
		size := x[0].Type.Size()
		n, k, skip := x[0].Shape.Cols*size, x[1].Shape.Cols*size, int(t.Imms[0])*size
		for i := range x[0].Shape.Rows {
			copy(raw(x[0])[i*n:(i+1)*n], raw(x[1])[i*k+skip:])
		}
	case device.OpGather:
		n := x[0].Shape.Cols * x[0].Type.Size()
		for i, id := range ints(x[2]).v {
			id = clamp(id, 0, int64(x[1].Shape.Rows-1))
			copy(raw(x[0])[i*n:(i+1)*n], raw(x[1])[int(id)*n:])
		}
	case device.OpSample:
		args := sampleArgs{logits: ints(x[1]).v, seed: raw(x[3]), step: t.Imms[0],
			temperature: t.Imms[1], topK: t.Imms[2], topP: t.Imms[3], penalty: t.Imms[4]}
		if x[2].Present {
			args.history = ints(x[2]).v
		}
		putInts(x[0], mat{1, 1, []int64{refSample(args)}})
	case device.OpDigest:
		var key []byte
		if x[2].Present {
			key = raw(x[2])
		}
		h := blake3.New(32, key)
		head := binary.LittleEndian.AppendUint32([]byte{byte(x[1].Type)}, uint32(x[1].Shape.Rows))
		h.Write(binary.LittleEndian.AppendUint32(head, uint32(x[1].Shape.Cols)))
		h.Write(raw(x[1]))
		copy(raw(x[0]), h.Sum(nil))
	default:
		panic("devicetest: no reference for " + t.Op.String())
	}
}
