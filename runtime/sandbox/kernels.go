package sandbox

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"strconv"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Kernels is an instance of a trusted module that runs unmetered: the
// reference kernels of the tensor ops, whose price is the op table's. A
// Runtime can hold many, each with its own memory; each is used by one
// goroutine at a time.
type Kernels struct {
	gate     *gate
	compiled wazero.CompiledModule
	mod      api.Module
	mem      api.Memory
	res      *reservation
}

// Kernels compiles and instantiates a trusted module that exports its memory
// as "memory" and imports nothing, and grows that memory to at least memPages
// pages of 64 KiB. Only address space is reserved up to the memory's declared
// maximum (4 GiB without one); pages cost memory when they are touched, and
// the memory never moves.
func (r *Runtime) Kernels(ctx context.Context, wasm []byte, memPages uint32) (*Kernels, error) {
	if err := r.gate.enter(); err != nil {
		return nil, hostErr("kernel", err)
	}
	defer r.gate.leave()
	key := r.platform.cacheKey(sha256.Sum256(wasm), "kernels", strconv.FormatBool(r.cfg.Interpreter))
	compiled, _, _, err := r.comp.compile(ctx, request{key: key, trusted: true,
		make: func() (*prepared, error) { return &prepared{wasm: wasm}, nil }})
	if err != nil {
		return nil, &HostError{Op: "kernel", Err: err}
	}
	mod, res, err := r.instantiate(ctx, compiled, &allocator{limit: math.MaxUint64})
	if err != nil {
		_ = compiled.Close(ctx)
		return nil, hostErr("kernel", err)
	}
	k := &Kernels{gate: &r.gate, compiled: compiled, mod: mod, mem: mod.ExportedMemory("memory"), res: res}
	if k.mem == nil {
		k.Close()
		return nil, &HostError{Op: "kernel", Err: fmt.Errorf("%w: memory", ErrNoExport)}
	}
	if have := uint32(res.size / wasmPage); have < memPages {
		if err := k.Grow(memPages - have); err != nil {
			k.Close()
			return nil, err
		}
	}
	return k, nil
}

// Func returns a caller of an exported function with scalar parameters, each
// in Wasm's 64-bit encoding (an i32 in the low half), and no or one result,
// which is dropped; Call keeps it. An error means that a kernel trapped,
// which is a bug in the kernel or its caller.
func (k *Kernels) Func(name string) (func(args ...uint64) error, error) {
	call, err := k.Call(name)
	if err != nil {
		return nil, err
	}
	return func(args ...uint64) error {
		_, err := call(args...)
		return err
	}, nil
}

// Call is Func for a kernel whose result matters (0 if it has none).
func (k *Kernels) Call(name string) (func(args ...uint64) (uint64, error), error) {
	if k.mod == nil {
		return nil, &HostError{Op: "kernel", Err: ErrClosed}
	}
	fn := k.mod.ExportedFunction(name)
	if fn == nil {
		return nil, &HostError{Op: "kernel", Err: fmt.Errorf("%w: %s", ErrNoExport, name)}
	}
	params, results := len(fn.Definition().ParamTypes()), len(fn.Definition().ResultTypes())
	if results > 1 {
		return nil, &HostError{Op: "kernel", Err: fmt.Errorf("%s has %d results", name, results)}
	}
	stack := make([]uint64, max(params, results, 1))
	ctx := context.Background()
	return func(args ...uint64) (uint64, error) {
		if k.mod == nil {
			return 0, &HostError{Op: "kernel", Err: ErrClosed}
		}
		if len(args) != params {
			return 0, &HostError{Op: "kernel", Err: fmt.Errorf("%s takes %d arguments, got %d", name, params, len(args))}
		}
		if err := k.gate.enter(); err != nil {
			return 0, hostErr("kernel", err)
		}
		defer k.gate.leave()
		copy(stack, args)
		if err := fn.CallWithStack(ctx, stack); err != nil {
			return 0, &HostError{Op: "kernel", Err: fmt.Errorf("%s: %w", name, err)}
		}
		if results == 0 {
			return 0, nil
		}
		return stack[0], nil
	}, nil
}

// Global returns the value of an exported global, such as __heap_base.
func (k *Kernels) Global(name string) (uint64, error) {
	if k.mod == nil {
		return 0, &HostError{Op: "kernel", Err: ErrClosed}
	}
	g := k.mod.ExportedGlobal(name)
	if g == nil {
		return 0, &HostError{Op: "kernel", Err: fmt.Errorf("%w: %s", ErrNoExport, name)}
	}
	return g.Get(), nil
}

// Memory is the whole linear memory. The slice is valid until Grow or Close;
// its base address never changes before Close.
func (k *Kernels) Memory() []byte {
	if k.mod == nil {
		return nil
	}
	return k.res.space.addr[:k.res.size:k.res.size]
}

// Grow adds pages of 64 KiB, zeroed.
func (k *Kernels) Grow(pages uint32) error {
	if k.mod == nil {
		return &HostError{Op: "kernel", Err: ErrClosed}
	}
	if _, ok := k.mem.Grow(pages); !ok {
		return &HostError{Op: "kernel", Err: fmt.Errorf("%w: grow by %d pages", ErrMemory, pages)}
	}
	return nil
}

// Close frees the instance and its memory. Idempotent.
func (k *Kernels) Close() error {
	if k.mod == nil {
		return nil
	}
	ctx := context.Background()
	err := k.mod.Close(ctx)
	_ = k.compiled.Close(ctx)
	k.mod, k.mem, k.res = nil, nil, nil
	return hostErr("kernel", err)
}
