package reference

import (
	"errors"

	"github.com/assaynet/assay/runtime/abi"
)

// Host carries out imported function i for an instance. It may charge with
// Instance.Charge and end the guest with Stop.
type Host func(in *Instance, i int, args []Value) []Value

// Config bounds what an instance may grow to, as the rewriter's does.
type Config struct {
	MemoryPages uint32 // most pages whatever is declared
	TableSize   uint32 // most elements of all tables whatever is declared, but for greater initial sizes
	Host        Host
}

// Instance is a module at work. Gas and Stack are the counters as the
// rewritten module would leave them; Spent is the price of the instructions
// that ran, one after the other, operands and function entries included.
type Instance struct {
	Memory  []byte
	Globals []Value
	Gas     int64
	Stack   int64
	Status  abi.Trap
	Spent   int64
	Refused int64 // price of the region that was not charged because there was too little for it

	m        *Module
	cfg      Config
	maxPages uint32
	tables   [][]Value
	maxTable []uint32
	elems    [][]Value // dropped: nil
	datas    [][]byte
	costs    *Costs
}

const page = 65536

// ErrInstantiate says that a segment does not fit.
var ErrInstantiate = errors.New("reference: a segment does not fit")

// Instantiate makes an instance. The start function is not run.
func (m *Module) Instantiate(cfg Config, costs *Costs) (*Instance, error) {
	in := &Instance{m: m, cfg: cfg, costs: costs}
	if m.memory != nil {
		in.maxPages = cfg.MemoryPages
		if m.memory.hasMax {
			in.maxPages = min(in.maxPages, m.memory.max)
		}
		in.Memory = make([]byte, int(m.memory.min)*page)
	}
	for _, t := range m.tables {
		most := cfg.TableSize / uint32(len(m.tables)) // its share
		if t.hasMax {
			most = min(most, t.max)
		}
		in.maxTable = append(in.maxTable, max(most, t.min))
		in.tables = append(in.tables, make([]Value, t.min))
	}
	for _, g := range m.Globals {
		in.Globals = append(in.Globals, g.init.v)
	}
	for _, e := range m.elems {
		switch e.mode {
		case modeActive:
			t := in.tables[e.table]
			if uint64(e.at)+uint64(len(e.items)) > uint64(len(t)) {
				return nil, ErrInstantiate
			}
			copy(t[e.at:], e.items)
			in.elems = append(in.elems, nil)
		case modeDeclarative:
			in.elems = append(in.elems, nil)
		default:
			in.elems = append(in.elems, e.items)
		}
	}
	for _, d := range m.datas {
		if d.mode == modePassive {
			in.datas = append(in.datas, d.bytes)
			continue
		}
		if uint64(d.at)+uint64(len(d.bytes)) > uint64(len(in.Memory)) {
			return nil, ErrInstantiate
		}
		copy(in.Memory[d.at:], d.bytes)
		in.datas = append(in.datas, nil)
	}
	return in, nil
}

type stopped struct{ trap abi.Trap }

// Stop ends the guest.
func Stop(t abi.Trap) { panic(stopped{t}) }

// Charge takes n units for a host function and stops below zero.
func (in *Instance) Charge(n int64) {
	in.Gas -= n
	in.Spent += n
	if in.Gas < 0 {
		Stop(abi.TrapOutOfGas)
	}
}

// Call runs function f of the index space. The trap is abi.TrapNone if it
// returned.
func (in *Instance) Call(f uint32, args []Value) (results []Value, trap abi.Trap) {
	in.Status, in.Spent, in.Refused = abi.TrapInvalid, 0, 0
	defer func() {
		if p := recover(); p != nil {
			s, ok := p.(stopped)
			if !ok {
				panic(p)
			}
			results, trap = nil, s.trap
		}
	}()
	return in.invoke(f, args), abi.TrapNone
}

func (in *Instance) injected(t abi.Trap) {
	in.Status = t
	Stop(t)
}

// charge takes n units, if it is to be checked only where there are so many.
func (in *Instance) charge(n int64, check bool) {
	if check && in.Gas < n {
		in.Refused = n
		in.exhausted()
	}
	in.Gas -= n
}

// look stops where more was charged than there was.
func (in *Instance) look() {
	if in.Gas < 0 {
		in.exhausted()
	}
}

// exhausted leaves less than nothing, so that it shows.
func (in *Instance) exhausted() {
	in.Gas = min(in.Gas, 0) - 1
	in.injected(abi.TrapOutOfGas)
}

func (in *Instance) invoke(index uint32, args []Value) []Value {
	if n := uint32(len(in.m.Imports)); index < n {
		return in.cfg.Host(in, int(index), args)
	} else {
		index -= n
	}
	f := in.m.bodies[index]
	if f.counted {
		if in.Stack -= f.frame; in.Stack < 0 {
			in.injected(abi.TrapStackOverflow)
		}
	}
	in.charge(f.entry, f.checked)
	in.Spent += f.local
	out := in.body(f, args)
	if f.leave {
		in.look()
	}
	if f.counted {
		in.Stack += f.frame
	}
	return out
}

// label is an open construct while it runs.
type label struct {
	at     int // index of the instruction that opened it; -1: the function
	height int
}

// frame is a function at work.
type frame struct {
	in     *Instance
	f      *function
	locals []Value
	st     []Value
	open   []label
	pc     int
}

func (in *Instance) body(f *function, args []Value) []Value {
	r := &frame{in: in, f: f, locals: make([]Value, len(f.locals)), open: []label{{at: -1}}}
	copy(r.locals, args)
	for len(r.open) > 0 {
		i := &f.code[r.pc]
		r.pc++
		in.Spent += i.price
		r.step(i)
	}
	return r.st
}

func (r *frame) pop() Value {
	v := r.st[len(r.st)-1]
	r.st = r.st[:len(r.st)-1]
	return v
}

func (r *frame) push(v Value)    { r.st = append(r.st, v) }
func (r *frame) push32(v uint32) { r.st = append(r.st, Value{Lo: uint64(v)}) }
func (r *frame) pop32() uint32   { return uint32(r.pop().Lo) }
func (r *frame) popN(n int) []Value {
	v := append([]Value(nil), r.st[len(r.st)-n:]...)
	r.st = r.st[:len(r.st)-n]
	return v
}

// behind charges what begins behind i, now that control passes there.
func (r *frame) behind(i *instr) {
	r.in.charge(i.charge, i.check)
}

// leave closes the innermost construct by its end.
func (r *frame) leave(end *instr) {
	r.open = r.open[:len(r.open)-1]
	r.behind(end)
}

// branch goes to the label.
func (r *frame) branch(l uint32) {
	to := len(r.open) - 1 - int(l)
	t := r.open[to]
	arity := len(r.f.typ.Results)
	var opener *instr
	if t.at >= 0 {
		if opener = &r.f.code[t.at]; opener.op == opLoop {
			arity = opener.params
		} else {
			arity = opener.results
		}
	}
	kept := r.popN(arity)
	r.st = append(r.st[:t.height], kept...)
	r.open = r.open[:to+1]
	switch {
	case opener == nil:
		r.open = nil
	case opener.op == opLoop:
		r.pc = t.at + 1
		r.in.Spent += opener.price // it is executed again
		r.behind(opener)
	default:
		r.pc = opener.end + 1
		r.leave(&r.f.code[opener.end])
	}
}

func (r *frame) step(i *instr) {
	switch i.op {
	case opUnreachable:
		Stop(abi.TrapUnreachable)
	case opNop:
	case opBlock, opLoop:
		r.open = append(r.open, label{r.pc - 1, len(r.st) - i.params})
		r.behind(i)
	case opIf:
		yes := r.pop32() != 0
		r.open = append(r.open, label{r.pc - 1, len(r.st) - i.params})
		switch {
		case yes:
			r.behind(i)
		case i.alt != 0:
			r.pc = i.alt + 1
			r.behind(&r.f.code[i.alt])
		default:
			r.pc = i.end + 1
			r.leave(&r.f.code[i.end])
		}
	case opElse: // the first arm is done
		end := r.f.code[r.open[len(r.open)-1].at].end
		r.pc = end + 1
		r.leave(&r.f.code[end])
	case opEnd:
		r.leave(i)
	case opBr:
		r.branch(i.a)
	case opBrIf:
		if r.pop32() != 0 {
			r.branch(i.a)
		} else {
			r.behind(i)
		}
	case opBrTable:
		n := uint64(len(i.labels) - 1)
		r.branch(i.labels[min(n, uint64(r.pop32()))])
	case opReturn:
		r.branch(uint32(len(r.open) - 1))
	case opCall:
		r.call(i.a)
		r.behind(i)
	case opCallIndirect:
		r.call(r.in.indirect(i, r.pop32()))
		r.behind(i)
	default:
		r.plain(i)
	}
}

func (r *frame) call(f uint32) {
	args := r.popN(len(r.in.m.TypeOf(f).Params))
	r.st = append(r.st, r.in.invoke(f, args)...)
}

func (in *Instance) indirect(i *instr, at uint32) uint32 {
	t := in.tables[i.b]
	if uint64(at) >= uint64(len(t)) || t[at].Lo == 0 {
		Stop(abi.TrapTableOutOfBounds)
	}
	f := uint32(t[at].Lo - 1)
	if !in.m.TypeOf(f).equal(in.m.Types[i.a]) {
		Stop(abi.TrapIndirectCall)
	}
	return f
}

// plain runs instructions that leave the control flow alone.
func (r *frame) plain(i *instr) {
	op := i.op
	switch {
	case op == opDrop:
		r.pop()
	case op == opSelect, op == opSelectT:
		c, b, a := r.pop32(), r.pop(), r.pop()
		if c == 0 {
			a = b
		}
		r.push(a)
	case op == 0x20:
		r.push(r.locals[i.a])
	case op == 0x21:
		r.locals[i.a] = r.pop()
	case op == 0x22:
		r.locals[i.a] = r.st[len(r.st)-1]
	case op == 0x23:
		r.push(r.in.Globals[i.a])
	case op == 0x24:
		r.in.Globals[i.a] = r.pop()
	case op >= 0x41 && op <= 0x44, op == 0xFD0C:
		r.push(i.imm)
	case op == 0xD0:
		r.push(Value{})
	case op == 0xD1:
		r.push32(flag(r.pop().Lo == 0))
	case op == 0xD2:
		r.push(Value{Lo: uint64(i.a) + 1})
	case op >= 0x28 && op <= 0x3E, op >= 0xFD00 && op <= 0xFD0B, op >= 0xFD54 && op <= 0xFD5D:
		r.access(i)
	case op == 0x3F, op == 0x40, op == 0x25, op == 0x26, op >= 0xFC08 && op <= 0xFC11:
		r.bulk(i)
	case op >= 0xFD00:
		r.vector(i)
	default:
		r.scalar(op)
	}
}

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
