package sandbox

import (
	"encoding/binary"
	"fmt"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/tetratelabs/wazero/api"
)

// maxTensorName bounds the name in assay.model_tensor, in bytes.
const maxTensorName = 256

// assayFuncs binds the table abi.Calls. A name of the table without a body
// here is a bug that stops the program at start.
func assayFuncs() []hostFunc {
	bodies := map[string]func(c abi.Call) func(in *Instance, s []uint64){
		"seed":         seedCall,
		"identity":     copyOut(func(in *Instance) []byte { return in.identity() }),
		"params":       copyOut(func(in *Instance) []byte { return in.job.Params }),
		"request":      copyOut(func(in *Instance) []byte { return in.job.Request }),
		"known":        copyOut(func(in *Instance) []byte { return in.known }),
		"model_config": copyOut(func(in *Instance) []byte { return in.modelConfig() }),
		"unit_index":   func(abi.Call) func(*Instance, []uint64) { return unitIndexCall },
		"record":       func(abi.Call) func(*Instance, []uint64) { return recordCall },
		"record_bytes": recordBytesCall,
		"emit":         emitCall,
		"model_tensor": modelTensorCall,
		"abort":        func(abi.Call) func(*Instance, []uint64) { return abortCall },
		"log":          logCall,
	}
	return bindCalls(abi.ModuleAssay, abi.Calls, bodies)
}

// bindCalls joins a table of calls with their bodies.
func bindCalls(module string, calls []abi.Call, bodies map[string]func(c abi.Call) func(in *Instance, s []uint64)) []hostFunc {
	var out []hostFunc
	for _, c := range calls {
		body, ok := bodies[c.Name]
		if !ok {
			panic(fmt.Sprintf("sandbox: %s.%s has no body", module, c.Name))
		}
		f := hostFunc{module: module, name: c.Name, base: c.Base, fn: body(c)}
		for _, p := range c.Params {
			f.params = append(f.params, api.ValueType(p.Type))
		}
		if c.Result != 0 {
			f.results = []api.ValueType{api.ValueType(c.Result)}
		}
		out = append(out, f)
	}
	return out
}

// needJob stops a guest that asks for job data while it initialises, so that
// an initialised instance is a function of the module alone.
func (in *Instance) needJob() {
	if in.phase == phaseInit {
		panic(&stop{trap: abi.TrapHostArgument})
	}
}

// identity stops a guest that asks for the claimant in pow_setup: what setup
// makes serves every claimant of an epoch (SetIdentity), as its weights do.
func (in *Instance) identity() []byte {
	if in.phase == phaseSetup {
		panic(&stop{trap: abi.TrapHostArgument})
	}
	return in.job.Identity
}

// copyOut is a call (ptr, cap) -> len that writes the first min(cap, len) bytes.
func copyOut(get func(in *Instance) []byte) func(c abi.Call) func(in *Instance, s []uint64) {
	return func(c abi.Call) func(in *Instance, s []uint64) {
		perByte := c.PerByte
		return func(in *Instance, s []uint64) {
			in.needJob()
			data := get(in)
			n := min(uint32(s[1]), uint32(len(data)))
			in.charge(satMul(perByte, int64(n)))
			if n > 0 {
				copy(in.memory(uint32(s[0]), n), data)
			}
			s[0] = uint64(len(data))
		}
	}
}

func seedCall(c abi.Call) func(in *Instance, s []uint64) {
	price := c.PerByte * abi.SeedSize
	return func(in *Instance, s []uint64) {
		in.needJob()
		in.charge(price)
		copy(in.memory(uint32(s[0]), abi.SeedSize), in.job.Seed[:])
	}
}

func unitIndexCall(in *Instance, s []uint64) {
	i := uint32(s[0])
	if uint64(i) >= uint64(len(in.indexes)) {
		panic(&stop{trap: abi.TrapHostArgument})
	}
	s[0] = in.indexes[i]
}

func (in *Instance) needUnit(unit uint32) {
	if uint64(unit) >= uint64(len(in.indexes)) {
		panic(&stop{trap: abi.TrapHostArgument})
	}
}

func recordCall(in *Instance, s []uint64) {
	unit := uint32(s[0])
	in.needUnit(unit)
	t := in.tensors.get(uint32(s[1]))
	in.charge(device.DigestGas(t.shape.Elems() * int64(t.dt.Size())))
	in.transcript.tensor(in, unit, t)
}

func recordBytesCall(c abi.Call) func(in *Instance, s []uint64) {
	perByte := c.PerByte
	return func(in *Instance, s []uint64) {
		unit, n := uint32(s[0]), uint32(s[2])
		in.needUnit(unit)
		in.charge(satMul(perByte, int64(n)))
		in.transcript.bytes(unit, in.memory(uint32(s[1]), n))
	}
}

func emitCall(c abi.Call) func(in *Instance, s []uint64) {
	perByte := c.PerByte
	return func(in *Instance, s []uint64) {
		if in.phase != phaseInfer && in.phase != phaseCheck {
			panic(&stop{trap: abi.TrapHostArgument})
		}
		token, n := uint32(s[0]), uint32(s[2])
		in.charge(satMul(perByte, int64(n)))
		text := in.memory(uint32(s[1]), n)
		in.output += 4 + int64(n)
		if in.output > in.job.OutputBytes {
			panic(&stop{trap: abi.TrapOutputLimit})
		}
		in.tokens = append(in.tokens, token)
		at := len(in.text)
		in.text = append(in.text, text...)
		s[0] = 0
		if in.job.Emit != nil && in.job.Emit(token, in.text[at:len(in.text):len(in.text)]) {
			s[0] = 1
		}
	}
}

func modelTensorCall(c abi.Call) func(in *Instance, s []uint64) {
	perByte := c.PerByte
	return func(in *Instance, s []uint64) {
		in.needJob()
		n := uint32(s[1])
		if n > maxTensorName {
			panic(&stop{trap: abi.TrapHostArgument})
		}
		in.charge(perByte * int64(n))
		name := in.memory(uint32(s[0]), n)
		s[0] = uint64(in.modelTensor(name))
	}
}

func abortCall(in *Instance, s []uint64) {
	panic(&stop{trap: abi.TrapAbort, code: int32(uint32(s[0]))})
}

func logCall(c abi.Call) func(in *Instance, s []uint64) {
	perByte := c.PerByte
	return func(in *Instance, s []uint64) {
		n := uint32(s[1])
		in.charge(satMul(perByte, int64(n)))
		in.log.write(in.memory(uint32(s[0]), n))
	}
}

// knownBytes is the wire form of assay.known.
func knownBytes(tokens []uint32) []byte {
	b := make([]byte, 0, 4*len(tokens))
	for _, t := range tokens {
		b = binary.LittleEndian.AppendUint32(b, t)
	}
	return b
}

// boundedLog keeps the first cap bytes of an instance's output; what follows
// is dropped, and the guest cannot tell.
type boundedLog struct {
	buf  []byte
	used int // kept since the start, taken ones included
	cap  int
}

func (l *boundedLog) write(p []byte) {
	if room := l.cap - l.used; len(p) > room {
		p = p[:room]
	}
	l.used += len(p)
	l.buf = append(l.buf, p...)
}

// take returns what was written since the last take.
func (l *boundedLog) take() []byte {
	b := l.buf
	l.buf = nil
	return b
}
