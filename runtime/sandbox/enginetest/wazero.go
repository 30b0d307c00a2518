package enginetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/internal/frames"
)

// Wazero runs cases on wazero in this process. It is not safe for concurrent
// use.
type Wazero struct {
	name string
	rt   wazero.Runtime
	cur  *run
}

// NewWazero makes an engine: the compiler or the interpreter.
func NewWazero(interpreter bool) (*Wazero, error) {
	frames.Lift()
	ctx := context.Background()
	w := &Wazero{name: "wazero compiler"}
	cfg := wazero.NewRuntimeConfigCompiler()
	if interpreter {
		w.name, cfg = "wazero interpreter", wazero.NewRuntimeConfigInterpreter()
	}
	w.rt = wazero.NewRuntimeWithConfig(ctx, cfg.WithCoreFeatures(api.CoreFeaturesV2).WithDebugInfoEnabled(false))
	b := w.rt.NewHostModuleBuilder(hostModule)
	b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(w.host), []api.ValueType{api.ValueTypeI32}, nil).Export("call")
	_, err := b.Instantiate(ctx)
	return w, err
}

// Name implements Engine.
func (w *Wazero) Name() string { return w.name }

// Close implements Engine.
func (w *Wazero) Close() error { return w.rt.Close(context.Background()) }

// run is a case at work.
type run struct {
	c       *Case
	host    *host
	guest   api.Module
	g       [4]api.MutableGlobal // gas, stack, status, reserve
	mem     api.Memory
	globals api.Module
	stopped int // trap that a host function ended the call with
}

func (r *run) gas() int64 { return int64(r.g[0].Get() + r.g[3].Get()) }

func (r *run) setGas(n int64) {
	slice := n
	if r.c.Slice > 0 {
		slice = min(n, r.c.Slice)
	}
	r.g[0].Set(uint64(slice))
	r.g[3].Set(uint64(n - slice))
}

func (r *run) memory() []byte {
	if r.mem == nil {
		return nil
	}
	b, _ := r.mem.Read(0, r.mem.Size())
	return b
}

var errStop = errors.New("stopped by the host")

// host is the one function that the shims import.
func (w *Wazero) host(_ context.Context, shim api.Module, stack []uint64) {
	k := int(uint32(stack[0]))
	mem := shim.ExportedMemory(buffer)
	t := w.cur.c.Imports[k]
	args, _ := mem.Read(0, uint32(16*len(t.Params)))
	results, _ := mem.Read(resultsAt, uint32(16*len(t.Results)))
	trap := w.cur.host.call(w.cur, k, args, results)
	clear(args) // narrow operands leave the rest as it was
	if trap != 0 {
		w.cur.stopped = trap
		panic(errStop)
	}
}

// Run implements Engine.
func (w *Wazero) Run(c *Case) Reply {
	out, err := w.run(c)
	r := Reply{ID: c.ID, Outcomes: out}
	if err != nil {
		r.Err = err.Error()
	}
	return r
}

func (w *Wazero) instantiate(wasm []byte, name string) (api.Module, func(), error) {
	ctx := context.Background()
	compiled, err := w.rt.CompileModule(ctx, wasm)
	if err != nil {
		return nil, nil, fmt.Errorf("compile %s: %w", name, err)
	}
	m, err := w.rt.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName(name).WithStartFunctions())
	if err != nil {
		compiled.Close(ctx)
		return nil, nil, err
	}
	return m, func() { m.Close(ctx); compiled.Close(ctx) }, nil
}

func (w *Wazero) run(c *Case) ([]Outcome, error) {
	r := &run{c: c, host: newHost()}
	w.cur = r
	for _, s := range c.Shims {
		_, done, err := w.instantiate(s.Wasm, s.Module)
		if err != nil {
			return nil, err
		}
		defer done()
	}
	m, done, err := w.instantiate(c.Wasm, guestModule)
	if err != nil {
		if strings.Contains(err.Error(), "out of bounds") || strings.Contains(err.Error(), "out of range") {
			return []Outcome{{Trap: TrapInstantiate}}, nil
		}
		return nil, err
	}
	defer done()
	r.guest = m
	for i, name := range []string{abi.GlobalGas, abi.GlobalStack, abi.GlobalTrap, abi.GlobalReserve} {
		r.g[i] = m.ExportedGlobal(name).(api.MutableGlobal)
	}
	if c.Memory {
		r.mem = m.ExportedMemory(ExportMemory)
	}
	if c.Globals != nil {
		g, done, err := w.instantiate(c.Globals, "")
		if err != nil {
			return nil, err
		}
		defer done()
		r.globals = g
	}
	for _, d := range c.Data {
		r.mem.Write(d.At, d.Bytes)
	}
	var out []Outcome
	for i := range c.Calls {
		o, err := r.call(&c.Calls[i], !c.Sparse || i == len(c.Calls)-1)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

func (r *run) call(call *Call, hash bool) (o Outcome, err error) {
	e := r.c.Exports[call.Export]
	args, err := decode(e.Params, call.Args)
	if err != nil {
		return o, err
	}
	ctx := context.Background()
	r.setGas(call.Gas)
	r.g[1].Set(uint64(uint32(call.Stack)))
	r.g[2].Set(0)
	r.stopped = 0
	res, callErr := r.guest.ExportedFunction(e.Name).Call(ctx, args...)
	o.Status = int(uint32(r.g[2].Get()))
	if o.Trap = classify(callErr, r.stopped, o.Status); o.Trap == TrapUnknown {
		return o, fmt.Errorf("call of %q: %w", e.Name, callErr)
	}
	if callErr == nil {
		o.Results = Encode(e.Results, res)
	}
	o.Gas, o.Stack = r.gas(), int32(uint32(r.g[1].Get()))
	if mem := r.memory(); r.mem != nil {
		o.Pages = len(mem) / 65536
		if hash {
			o.Hash = hashMemory(mem)
		}
	}
	if r.globals != nil {
		if _, err := r.globals.ExportedFunction("g").Call(ctx); err != nil {
			return o, err
		}
		b, _ := r.globals.ExportedMemory(buffer).Read(0, uint32(16*r.c.NGlobals))
		o.Globals = hashMemory(b)
	}
	o.Events, o.Digest = r.host.events, r.host.digest
	return o, nil
}

// texts of wazero's errors.
var texts = []struct {
	text string
	trap abi.Trap
}{
	{"unreachable", abi.TrapUnreachable}, {"out of bounds memory access", abi.TrapMemoryOutOfBounds},
	{"invalid table access", abi.TrapTableOutOfBounds}, {"indirect call type mismatch", abi.TrapIndirectCall},
	{"integer divide by zero", abi.TrapDivideByZero}, {"integer overflow", abi.TrapIntegerOverflow},
	{"invalid conversion to integer", abi.TrapInvalidConversion},
}

func classify(err error, stopped, status int) int {
	switch {
	case err == nil:
		return int(abi.TrapNone)
	case stopped != 0:
		return stopped
	case strings.Contains(err.Error(), "stack overflow"):
		return TrapEngineStack
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	for _, t := range texts {
		if strings.Contains(first, "wasm error: "+t.text) {
			if t.trap == abi.TrapUnreachable && status != 0 {
				return status
			}
			return int(t.trap)
		}
	}
	return TrapUnknown
}

// hashMemory is the SHA-256 of memory up to its last byte that is not zero.
func hashMemory(mem []byte) string {
	n := len(mem)
	for n >= 8 && binary.LittleEndian.Uint64(mem[n-8:]) == 0 {
		n -= 8
	}
	sum := sha256.Sum256(bytes.TrimRight(mem[:n], "\x00"))
	return hex.EncodeToString(sum[:8])
}
