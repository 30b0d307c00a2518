package sandbox

import (
	"context"
	"math"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// hostFunc is one import that guests may use. fn finds its arguments on the
// stack in Wasm's 64-bit encoding and leaves its result at stack[0]. base is
// charged before fn runs; fn charges what depends on operands before it acts.
type hostFunc struct {
	module, name    string
	params, results []api.ValueType
	base            int64
	fn              func(in *Instance, stack []uint64)
}

// hostFuncs is every import of the three tables, keyed by module and name.
var hostFuncs = func() map[[2]string]hostFunc {
	m := map[[2]string]hostFunc{}
	for _, group := range [][]hostFunc{assayFuncs(), tensorFuncs(), wasiFuncs()} {
		for _, f := range group {
			m[[2]string{f.module, f.name}] = f
		}
	}
	return m
}()

// callContext carries the instance to host functions; wazero passes it on
// unwrapped, so finding the instance costs one type assertion.
type callContext struct {
	context.Context
	in *Instance
}

// goFunc wraps a host function for wazero: no reflection, no allocation.
func (f hostFunc) goFunc() api.GoModuleFunc {
	base, fn := f.base, f.fn
	return func(ctx context.Context, _ api.Module, stack []uint64) {
		in := ctx.(*callContext).in
		in.enter(base)
		fn(in, stack)
	}
}

// instantiateHost defines the three import modules in the runtime.
func instantiateHost(ctx context.Context, wz wazero.Runtime) error {
	for _, module := range []string{abi.ModuleAssay, abi.ModuleTensor, abi.ModuleWASI} {
		b := wz.NewHostModuleBuilder(module)
		for key, f := range hostFuncs {
			if key[0] == module {
				b = b.NewFunctionBuilder().WithGoModuleFunction(f.goFunc(), f.params, f.results).Export(f.name)
			}
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return err
		}
	}
	return nil
}

// enter is the first thing that every host call does. Rewritten code does not
// check the gas counter everywhere, so it may already be negative here;
// nothing may happen after that.
func (in *Instance) enter(base int64) {
	if in.cancelled.Load() {
		panic(&stop{err: &HostError{Op: "call", Err: in.cancelCause()}})
	}
	if in.mod.rt.gate.closing.Load() {
		panic(&stop{err: &HostError{Op: "call", Err: ErrClosed}})
	}
	in.charge(base)
}

// maxCharge bounds one charge so that the 64-bit counter cannot wrap: it
// starts below 2^62 and never falls more than one charge and one basic block
// below zero.
const maxCharge = 1 << 61

// charge takes n units of gas and stops the guest if they are not there.
func (in *Instance) charge(n int64) {
	if n < 0 || n > maxCharge {
		n = maxCharge
	}
	left := in.gasLeft() - n
	in.setGas(left)
	if left < 0 {
		panic(&stop{trap: abi.TrapOutOfGas})
	}
}

// gasLeft is what is left of the budget; below zero if it is overdrawn.
func (in *Instance) gasLeft() int64 { return int64(in.gas.Get() + in.rest.Get()) }

// setGas gives the guest n units: at most a slice at once, so that it comes
// back for more.
func (in *Instance) setGas(n int64) {
	slice := min(n, meter.DefaultSlice)
	in.gas.Set(uint64(slice))
	in.rest.Set(uint64(n - slice))
}

// memory returns n bytes of guest memory at ptr or traps.
func (in *Instance) memory(ptr, n uint32) []byte {
	if in.mem == nil {
		panic(&stop{trap: abi.TrapHostMemory})
	}
	b, ok := in.mem.Read(ptr, n)
	if !ok {
		panic(&stop{trap: abi.TrapHostMemory})
	}
	return b
}

func satMul(a, b int64) int64 {
	if a == 0 || b == 0 {
		return 0
	}
	if a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}

func satAdd(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
