package wasmdev

import (
	"fmt"

	"github.com/assaynet/assay/hostgpu/device"
)

// maxArgs is the largest number of parameters of a kernel (attention).
const maxArgs = 17

// exports are the kernels' names, by op.
var exports = [...]string{
	device.OpExpand:    "expand",
	device.OpGemm:      "gemm",
	device.OpRescale:   "rescale",
	device.OpLinear:    "linear",
	device.OpQuant:     "quant",
	device.OpNorm:      "norm",
	device.OpNormQuant: "norm_quant",
	device.OpRope:      "rope",
	device.OpAttention: "attention",
	device.OpSiluMul:   "silu_mul",
	device.OpAdd:       "add",
	device.OpAddRow:    "add_row",
	device.OpEmbed:     "embed",
	device.OpCopy:      "copy",
	device.OpSlice:     "slice",
	device.OpGather:    "gather",
	device.OpSample:    "sample",
	device.OpDigest:    "digest",
}

// run calls the kernel of a checked task: pointers of the tensors in table
// order (0 for an absent one), then what shape and immediates it needs.
func (in *instance) run(t *device.Task) error {
	if int(t.Op) >= len(in.funcs) || in.funcs[t.Op] == nil {
		return fmt.Errorf("wasmdev: no kernel for %v", t.Op)
	}
	args := in.args[:0]
	for i := range t.Tensors {
		var p uint64
		if m := t.Tensors[i].Mem; m != nil {
			p = uint64(m.(*block).off + t.Tensors[i].Off)
		}
		args = append(args, p)
	}
	d := func(symbol byte) uint64 { return uint64(uint32(t.Dims.Get(symbol))) }
	imm := func(i int) uint64 { return uint64(uint32(t.Imms[i])) }
	elems := func(i int) uint64 { return uint64(t.Tensors[i].Shape.Elems()) }
	elemSize := func(i int) uint64 { return uint64(t.Tensors[i].Type.Size()) }
	switch t.Op {
	case device.OpExpand:
		args = append(args, elems(0), uint64(t.Imms[0]))
	case device.OpGemm:
		args = append(args, d('M'), d('N'), d('K'))
	case device.OpRescale:
		args = append(args, d('M'), d('N'), imm(0))
	case device.OpLinear:
		args = append(args, d('M'), d('N'), d('K'), imm(0))
	case device.OpQuant:
		args = append(args, d('M'), d('K'), imm(0))
	case device.OpNorm, device.OpNormQuant:
		args = append(args, d('M'), d('K'), uint64(t.Imms[0]))
	case device.OpRope:
		args = append(args, d('M'), d('C'), d('P'), d('D'))
	case device.OpAttention:
		args = append(args, d('M'), d('C'), d('H'), d('S'), d('E'), d('G'), imm(0), imm(1), imm(2), imm(3))
	case device.OpSiluMul, device.OpAdd:
		args = append(args, elems(0))
	case device.OpAddRow:
		args = append(args, d('M'), d('K'))
	case device.OpEmbed:
		args = append(args, d('M'), d('V'), d('K'), imm(0))
	case device.OpCopy:
		args = append(args, uint64(t.Tensors[0].Bytes()))
	case device.OpSlice:
		size := elemSize(0)
		args[1] += imm(0) * size
		args = append(args, d('M'), d('N')*size, d('K')*size)
	case device.OpGather:
		args = append(args, d('M'), d('S'), d('K')*elemSize(0))
	case device.OpSample:
		history := uint64(0)
		if t.Tensors[2].Present {
			history = uint64(t.Tensors[2].Shape.Rows)
		}
		args = append(args, d('V'), history, uint64(t.Imms[0]), imm(1), imm(2), imm(3), imm(4))
	case device.OpDigest:
		src := t.Tensors[1]
		key := args[2]
		args = append(args[:2], uint64(src.Bytes()), uint64(src.Type), uint64(src.Shape.Rows), uint64(src.Shape.Cols), key)
	}
	return in.funcs[t.Op](args...)
}
