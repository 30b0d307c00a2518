package wasmdev

import (
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/modules/kernels"
)

// plan is what a kernel takes, by op: its parameters as the table gives them.
var plan = func() [][]kernels.Param {
	p := make([][]kernels.Param, len(device.Ops)+1)
	for i := range device.Ops {
		p[device.Ops[i].Op] = kernels.Params(&device.Ops[i])
	}
	return p
}()

// run calls the kernel of a checked task.
func (in *instance) run(t *device.Task) error {
	args := in.args[:0]
	for _, p := range plan[t.Op] {
		var v uint64
		switch p.Kind {
		case kernels.Pointer:
			if m := t.Tensors[p.Index].Mem; m != nil {
				v = uint64(m.(*block).off + t.Tensors[p.Index].Off)
			}
		case kernels.Size:
			if n := t.Dims.Get(p.Symbol); n > 0 { // -1: an absent operand's
				v = uint64(n)
			}
		case kernels.Type:
			v = uint64(anyType(t))
		case kernels.Imm32:
			v = uint64(uint32(t.Imms[p.Index]))
		case kernels.Imm64:
			v = uint64(t.Imms[p.Index])
		}
		args = append(args, v)
	}
	in.args = args
	return in.funcs[t.Op](args...)
}

// anyType is the type that the operands of any type share.
func anyType(t *device.Task) device.DType {
	for i, o := range tensorsOf[t.Op] {
		if o.Type == device.TypeAny && t.Tensors[i].Present {
			return t.Tensors[i].Type
		}
	}
	return device.DTypeInvalid
}

var tensorsOf = func() [][]device.Operand {
	p := make([][]device.Operand, len(device.Ops)+1)
	for i := range device.Ops {
		p[device.Ops[i].Op] = device.Ops[i].Tensors()
	}
	return p
}()
