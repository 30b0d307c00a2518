package cpudev

import (
	"encoding/binary"

	"github.com/assaynet/assay/hostgpu/device"
)

// Weights are read again and again as the right operand of products, whose
// kernels want them as panels: 64 rows of the tensor, which are columns of the
// product, of which four bytes each follow one another, for every four k, with
// the top bit flipped. A panel takes the same bytes as its rows, so a tensor
// that fills its allocation is packed in place when it is such an operand for
// the second time since it was written, and unpacked for good when anything
// else wants it.
//
// backend.layout is held for reading while an op or a transfer runs, for
// writing while an allocation changes its layout: other queues may use it.

// packMin is the least size in bytes that is worth it.
const packMin = 64 << 10

// packing is the shape of a packed tensor; the zero value says that the
// allocation holds plain rows.
type packing struct{ n, k int }

// packable is the packing that a tensor may have; ok is false if it has to
// stay as it is.
func packable(x *device.Tensor) (m *memory, p packing, ok bool) {
	m, ok = x.Mem.(*memory)
	p = packing{x.Shape.Rows, x.Shape.Cols}
	ok = ok && !m.plain.Load() && x.Off == 0 && p.n*p.k == len(m.data) &&
		len(m.data) >= packMin && p.n%panelRowsPacked == 0 && p.k%panelRowsPacked == 0
	return m, p, ok
}

// panelRowsPacked is the rows of the tensor in a panel, and what k is a
// multiple of.
const panelRowsPacked = 64

// rightOperand is the index of the operand that may be packed, -1 for none.
func rightOperand(op device.Op) int {
	switch op {
	case device.OpGemm:
		return 2
	case device.OpLinear:
		return 3
	}
	return -1
}

// relayout finds an allocation whose layout must change before the task runs,
// and to what. It notes what the task writes and multiplies by.
func (k *kernels) relayout(t *device.Task) (m *memory, to packing) {
	if k.gemmPacked == nil {
		return nil, packing{}
	}
	right := rightOperand(t.Op)
	for i := range t.Tensors {
		x := &t.Tensors[i]
		m, ok := x.Mem.(*memory)
		if !ok || i == right {
			continue
		}
		if m.packed != (packing{}) {
			return m, packing{}
		}
		if outputs[t.Op]>>i&1 != 0 && m.multiplied.Load() != 0 {
			m.multiplied.Store(0)
		}
	}
	if right < 0 {
		return nil, packing{}
	}
	m, to, ok := packable(&t.Tensors[right])
	switch {
	case m == nil || m.packed == to && ok:
		return nil, packing{}
	case m.packed != (packing{}):
		return m, packing{}
	case !ok || shared(t, right):
		return nil, packing{}
	}
	if key := uint64(to.n)<<32 | uint64(to.k); m.multiplied.Swap(key) != key {
		return nil, packing{}
	}
	return m, to
}

// shared says whether another operand has the memory of operand i.
func shared(t *device.Task, i int) bool {
	for j := range t.Tensors {
		if j != i && t.Tensors[j].Mem == t.Tensors[i].Mem {
			return true
		}
	}
	return false
}

// outputs has bit i set where operand i of an op is an output.
var outputs = func() (bits [64]uint8) {
	for i := range device.Ops {
		for j, o := range device.Ops[i].Tensors() {
			if o.Kind == device.Out {
				bits[device.Ops[i].Op] |= 1 << j
			}
		}
	}
	return bits
}()

// change gives an allocation another layout; backend.layout is held for
// writing. Another queue may have done so in the meantime.
func (e *engine) change(m *memory, to packing) {
	if to == (packing{}) {
		e.unpack(m)
		return
	}
	if m.packed != (packing{}) || m.plain.Load() {
		return
	}
	b, k := cast[int8](m.data), to.k
	panel := panelRowsPacked * k
	e.parallel(to.n/panelRowsPacked, 1, panel/16, func(lo, hi int) {
		tmp := make([]byte, panel)
		for p := lo; p < hi; p++ {
			e.k.pack(tmp, b[p*panel:(p+1)*panel], k)
			copy(m.data[p*panel:], tmp)
		}
	})
	m.packed = to
}

// unpack makes rows of panels, for good.
func (e *engine) unpack(m *memory) {
	k := m.packed.k
	m.plain.Store(true)
	if k == 0 {
		return
	}
	panel := panelRowsPacked * k
	le := binary.LittleEndian
	e.parallel(m.packed.n/panelRowsPacked, 1, panel/4, func(lo, hi int) {
		tmp := make([]byte, panel)
		for p := lo; p < hi; p++ {
			rows := m.data[p*panel : (p+1)*panel]
			copy(tmp, rows)
			for q := 0; q < k; q += 4 {
				quad := tmp[q*panelRowsPacked:][:4*panelRowsPacked]
				for r := range panelRowsPacked {
					le.PutUint32(rows[r*k+q:], le.Uint32(quad[4*r:])^0x80808080)
				}
			}
		}
	})
	m.packed = packing{}
}
