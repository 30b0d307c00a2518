package enginetest

import (
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/internal/reference"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// Oracle runs the original of a case on the reference interpreter.
type Oracle struct {
	config meter.Config
}

// NewOracle makes an oracle for cases that were rewritten with cfg.
func NewOracle(cfg meter.Config) *Oracle { return &Oracle{config: cfg} }

// costs are the prices of one module, which depend on its memory and code.
func (o *Oracle) costs(wasm []byte) (*reference.Costs, error) {
	s := o.config.Costs
	if s == nil {
		s = meter.DefaultSchedule()
	}
	m, err := wasmbin.Decode(wasm, o.config.Limits.Limits)
	if err != nil {
		return nil, err
	}
	s = s.Of(m, &o.config)
	return &reference.Costs{
		Op:       func(op uint16) int64 { return s.Op(wasmbin.Op(op)) },
		Operand:  func(op uint16) uint32 { return s.Operand(wasmbin.Op(op)) },
		Function: int(s.Function), PerSlots: int(s.PerSlots),
		FrameBase: int64(s.FrameBase), LeafSlots: int64(s.LeafSlots), UncheckedLeaf: meter.UncheckedLeaf,
		Overdraft: meter.Overdraft,
	}, nil
}

// Name implements Engine.
func (*Oracle) Name() string { return "oracle" }

// Close implements Engine.
func (*Oracle) Close() error { return nil }

// guestOf is an instance of the oracle as the host sees it.
type guestOf struct{ *reference.Instance }

func (g guestOf) gas() int64     { return g.Gas }
func (g guestOf) setGas(n int64) { g.Spent += g.Gas - n; g.Gas = n }
func (g guestOf) memory() []byte { return g.Memory }

// Run implements Engine. It fails where the gas that was charged is not the
// sum over the instructions that ran: equal after a call that returned, no
// less after one that did not, but for what a region that was refused begins
// with: a loop, and the way back to it.
func (o *Oracle) Run(c *Case) Reply {
	r := Reply{ID: c.ID}
	var err error
	if r.Outcomes, err = o.run(c); err != nil {
		r.Err = err.Error()
	}
	return r
}

// Fits reports whether the active segments of a module fit its initial memory
// and tables: admission refuses others (docs/spec/sandbox.md, "Host").
func (o *Oracle) Fits(wasm []byte) bool {
	costs, err := o.costs(wasm)
	if err != nil {
		return false
	}
	m, err := reference.Decode(wasm, costs)
	if err != nil {
		return false
	}
	_, err = m.Instantiate(reference.Config{MemoryPages: 1 << 16, TableSize: 1 << 31}, costs)
	return err == nil
}

func (o *Oracle) run(c *Case) ([]Outcome, error) {
	costs, err := o.costs(c.original)
	if err != nil {
		return nil, err
	}
	m, err := reference.Decode(c.original, costs)
	if err != nil {
		return nil, err
	}
	h := newHost()
	pages := o.config.MemoryPages
	if pages == 0 {
		pages = o.config.Limits.MemoryPages
	}
	in, err := m.Instantiate(reference.Config{
		MemoryPages: pages, TableSize: o.config.Limits.TableSize,
		Host: func(in *reference.Instance, k int, args []reference.Value) []reference.Value {
			k = slices.IndexFunc(m.Imports, func(im reference.Import) bool { // the first of that name
				return im.Module == m.Imports[k].Module && im.Name == m.Imports[k].Name
			})
			t := c.Imports[k]
			results := make([]byte, 16*len(t.Results))
			if trap := h.call(guestOf{in}, k, valueBytes(t.Params, args), results); trap != 0 {
				reference.Stop(abi.Trap(trap))
			}
			return values(t.Results, results)
		},
	}, costs)
	if err != nil {
		return []Outcome{{Trap: TrapInstantiate}}, nil
	}
	var out []Outcome
	for i, call := range c.Calls {
		e := c.Exports[call.Export]
		args, err := hex.DecodeString(call.Args)
		if err != nil {
			return nil, err
		}
		f, ok := m.Funcs[e.Name]
		if !ok && e.Name == abi.ExportStart {
			f = uint32(m.Start)
		}
		in.Gas, in.Stack = call.Gas, int64(call.Stack)
		results, trap := in.Call(f, values(e.Params, args))
		used := call.Gas - in.Gas
		if used+in.Refused < in.Spent || trap == abi.TrapNone && used != in.Spent {
			return nil, fmt.Errorf("call %d (%v): the regions cost %d, the instructions %d", i, trap, used, in.Spent)
		}
		oc := Outcome{Trap: int(trap), Gas: in.Gas, Stack: int32(in.Stack), Status: int(in.Status), Events: h.events, Digest: h.digest}
		if trap == abi.TrapNone {
			oc.Results = hex.EncodeToString(valueBytes(e.Results, results))
		}
		if c.Memory {
			oc.Pages = len(in.Memory) / 65536
			if !c.Sparse || i == len(c.Calls)-1 {
				oc.Hash = hashMemory(in.Memory)
			}
		}
		if c.NGlobals > 0 {
			var b []byte
			for k, g := range m.Globals {
				if g.Mutable {
					b = append16(b, flat(g.Type, in.Globals[k]), in.Globals[k].Hi)
				}
			}
			oc.Globals = hashMemory(b)
		}
		out = append(out, oc)
	}
	return out, nil
}

// flat is what a host sees of a value's low half: of a reference to a
// function, and of any reference in a global, only whether it is one.
func flat(t byte, v reference.Value) uint64 {
	if t == reference.FuncRef || t == reference.ExternRef {
		return min(v.Lo, 1)
	}
	return v.Lo
}

func valueBytes(types string, vs []reference.Value) []byte {
	var b []byte
	for i, t := range types {
		lo := vs[i].Lo
		if t == 'c' {
			lo = min(lo, 1)
		}
		b = append16(b, lo, vs[i].Hi)
	}
	return b
}

// values reads 16 bytes a value; what is above a type's width is not part of it.
func values(types string, b []byte) []reference.Value {
	var vs []reference.Value
	for i, t := range types {
		v := reference.Value{Lo: word(b[16*i:])}
		switch t {
		case 'i', 'f':
			v.Lo = uint64(uint32(v.Lo))
		case 'v':
			v.Hi = word(b[16*i+8:])
		case 'c':
			v.Lo = 0
		}
		vs = append(vs, v)
	}
	return vs
}
