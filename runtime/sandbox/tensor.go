package sandbox

import (
	"math"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/tetratelabs/wazero/api"
)

// tensorFuncs binds the op table and the calls that manage tensors. The price
// of an op is device.Gas, which makes the checks first: a refused call costs
// nothing more, since it ends the guest.
func tensorFuncs() []hostFunc {
	bodies := map[string]func(c abi.Call) func(in *Instance, s []uint64){
		"alloc": tensorAlloc, "view": tensorView, "free": tensorFree,
		"write": tensorWrite, "read": tensorRead,
	}
	out := bindCalls(abi.ModuleTensor, abi.TensorCalls, bodies)
	for i := range device.Ops {
		out = append(out, opFunc(&device.Ops[i]))
	}
	return out
}

// opFunc derives the import of an op from its table entry: a handle or an
// immediate each operand, in order, no result.
func opFunc(spec *device.OpSpec) hostFunc {
	h := hostFunc{module: abi.ModuleTensor, name: spec.Name}
	kinds := make([]device.Kind, len(spec.Operands))
	for i, o := range spec.Operands {
		kinds[i] = o.Kind
		t := api.ValueTypeI32
		if o.Kind == device.Imm64 {
			t = api.ValueTypeI64
		}
		h.params = append(h.params, t)
	}
	op := spec.Op
	h.fn = func(in *Instance, s []uint64) {
		space := in.needSpace()
		in.hs, in.imms = in.hs[:0], in.imms[:0]
		for i, k := range kinds {
			switch k {
			case device.Imm32:
				in.imms = append(in.imms, int64(int32(uint32(s[i]))))
			case device.Imm64:
				in.imms = append(in.imms, int64(s[i]))
			case device.Opt:
				if uint32(s[i]) == 0 {
					in.hs = append(in.hs, 0)
					continue
				}
				fallthrough
			default:
				in.hs = append(in.hs, in.tensors.get(uint32(s[i])).h)
			}
		}
		c := device.Call{Op: op, Tensors: in.hs, Imms: in.imms}
		gas, err := device.Gas(space, c)
		if err != nil {
			panic(deviceStop(err))
		}
		in.charge(gas)
		if err := space.Run(c); err != nil {
			panic(deviceStop(err))
		}
	}
	return h
}

// needSpace returns the job's tensors; a guest that initialises has none yet.
func (in *Instance) needSpace() device.Space {
	in.needJob()
	if in.space == nil {
		panic(&stop{err: &HostError{Op: "call", Err: ErrNoDevice}})
	}
	return in.space
}

// dim reads a dimension: an i32 that must not be negative. The device checks
// the upper bound.
func dim(v uint64) int {
	n := int32(uint32(v))
	if n < 0 {
		panic(&stop{trap: abi.TrapTensorShape})
	}
	return int(n)
}

func tensorAlloc(c abi.Call) func(in *Instance, s []uint64) {
	perByte := c.PerByte
	return func(in *Instance, s []uint64) {
		space := in.needSpace()
		dt := device.DTypeInvalid
		if v := uint32(s[0]); v <= math.MaxUint8 {
			dt = device.DType(v)
		}
		shape := device.Shape{Rows: dim(s[1]), Cols: dim(s[2])}
		if !in.tensors.hasRoom() {
			panic(&stop{trap: abi.TrapTensorMemory})
		}
		if shape.Valid() {
			in.charge(satMul(perByte, device.Bytes(dt, shape)))
		}
		h, err := space.Alloc(dt, shape)
		if err != nil {
			panic(deviceStop(err))
		}
		s[0] = uint64(in.tensors.add(h, dt, shape))
	}
}

func tensorView(abi.Call) func(in *Instance, s []uint64) {
	return func(in *Instance, s []uint64) {
		space := in.needSpace()
		t := in.tensors.get(uint32(s[0]))
		row0, shape := dim(s[1]), device.Shape{Rows: dim(s[2]), Cols: dim(s[3])}
		if !in.tensors.hasRoom() {
			panic(&stop{trap: abi.TrapTensorMemory})
		}
		h, err := space.View(t.h, row0, shape)
		if err != nil {
			panic(deviceStop(err))
		}
		s[0] = uint64(in.tensors.add(h, t.dt, shape))
	}
}

func tensorFree(abi.Call) func(in *Instance, s []uint64) {
	return func(in *Instance, s []uint64) {
		space := in.needSpace()
		g := uint32(s[0])
		if err := space.Free(in.tensors.get(g).h); err != nil {
			panic(deviceStop(err))
		}
		in.tensors.drop(g)
	}
}

func tensorWrite(c abi.Call) func(in *Instance, s []uint64) {
	perByte := c.PerByte
	return func(in *Instance, s []uint64) {
		space := in.needSpace()
		t, p := in.transferArgs(s, perByte)
		if err := space.Write(t.h, int64(s[1]), p); err != nil {
			panic(deviceStop(err))
		}
	}
}

func tensorRead(c abi.Call) func(in *Instance, s []uint64) {
	perByte := c.PerByte
	return func(in *Instance, s []uint64) {
		space := in.needSpace()
		t, p := in.transferArgs(s, perByte)
		if err := space.Read(t.h, int64(s[1]), p); err != nil {
			panic(deviceStop(err))
		}
	}
}

// transferArgs looks up (h, off, ptr, len), charges and returns the guest's bytes.
func (in *Instance) transferArgs(s []uint64, perByte int64) (*tensor, []byte) {
	t := in.tensors.get(uint32(s[0]))
	n := uint32(s[3])
	in.charge(satMul(perByte, int64(n)))
	return t, in.memory(uint32(s[2]), n)
}

// modelTensor makes a read-only handle for a tensor of the job's model, 0 if
// the model has none of that name.
func (in *Instance) modelTensor(name []byte) uint32 {
	if in.job.Model == nil {
		return 0
	}
	from, ok := in.job.Model.Tensors[string(name)]
	if !ok {
		return 0
	}
	space := in.needSpace()
	if !in.tensors.hasRoom() {
		panic(&stop{trap: abi.TrapTensorMemory})
	}
	h, err := space.Share(in.job.Model.Space, from)
	if err != nil {
		// The handle is the host's own: whatever is wrong with it is too.
		panic(&stop{err: hostErr("device", err)})
	}
	dt, shape, err := space.Stat(h)
	if err != nil {
		panic(&stop{err: hostErr("device", err)})
	}
	return in.tensors.add(h, dt, shape)
}

func (in *Instance) modelConfig() []byte {
	if in.job.Model == nil {
		return nil
	}
	return in.job.Model.Config
}
