package meter_test

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// oracle is an interpreter that knows nothing of regions: it adds up the price
// of every instruction as it runs it, and makes every NaN of arithmetic
// canonical. It takes the modules that gen makes without vectors.
type oracle struct {
	m       *wasmbin.Module
	costs   *meter.Schedule
	code    [][]wasmbin.Instr
	match   [][]int // for block, loop, if: end; if with else: see alt
	alt     [][]int
	slots   []int64
	mem     []byte
	globals [2]uint64
	gas     int64
	steps   int
	labels  map[int][]uint32 // of br_table, by offset
}

var (
	errTrap  = errors.New("trap")
	errSteps = errors.New("too many steps")
)

func newOracle(b []byte) (*oracle, error) {
	m, err := wasmbin.Decode(b, wide)
	if err != nil {
		return nil, err
	}
	cfg := config()
	o := &oracle{m: m, costs: meter.DefaultSchedule().Of(m, &cfg), mem: make([]byte, 65536), globals: [2]uint64{7, 9}, labels: map[int][]uint32{}}
	c := wasmbin.NewChecker(m, 1<<20)
	for i := range m.Bodies {
		var code []wasmbin.Instr
		var open []int
		c.Begin(i)
		var slots int64
		for _, t := range c.Locals() {
			slots += int64(t.Slots())
		}
		match, alt := map[int]int{}, map[int]int{}
		for !c.Done() {
			var in wasmbin.Instr
			if err := c.Next(&in); err != nil {
				return nil, err
			}
			n := len(code)
			switch in.Op {
			case wasmbin.OpBlock, wasmbin.OpLoop, wasmbin.OpIf:
				open = append(open, n)
			case wasmbin.OpElse:
				alt[open[len(open)-1]] = n
			case wasmbin.OpEnd:
				if len(open) > 0 {
					match[open[len(open)-1]] = n
					open = open[:len(open)-1]
				}
			case wasmbin.OpBrTable:
				o.labels[in.Off] = append([]uint32(nil), in.Labels...)
			}
			code = append(code, in)
		}
		o.code = append(o.code, code)
		o.slots = append(o.slots, slots)
		o.match, o.alt = append(o.match, flat(match, len(code))), append(o.alt, flat(alt, len(code)))
	}
	return o, nil
}

func flat(m map[int]int, n int) []int {
	out := make([]int, n)
	for k, v := range m {
		out[k] = v
	}
	return out
}

// frame of a label: where a branch goes and what it leaves on the stack.
type olabel struct {
	loop   bool
	at     int // the block or loop
	end    int
	height int
	arity  int
}

func (o *oracle) arity(in *wasmbin.Instr) int {
	if in.Block() == wasmbin.BlockEmpty {
		return 0
	}
	return 1 // gen makes no others
}

// run calls function f with its arguments on the stack.
func (o *oracle) run(f int, args []uint64) ([]uint64, error) {
	t := o.m.FuncType(uint32(f))
	o.gas += int64(o.costs.Function) + o.slots[f]/int64(o.costs.PerSlots)
	locals := make([]uint64, len(t.Params)+o.m.Bodies[f].Locals)
	copy(locals, args)
	code := o.code[f]
	var st []uint64
	labels := []olabel{{end: len(code) - 1, arity: len(t.Results)}}
	for pc := 0; pc < len(code); pc++ {
		in := &code[pc]
		if o.steps++; o.steps > 1_000_000 {
			return nil, errSteps
		}
		o.gas += o.costs.Op(in.Op)
		jump := -1 // label to branch to
		switch in.Op {
		case wasmbin.OpBlock, wasmbin.OpLoop, wasmbin.OpIf:
			l := olabel{loop: in.Op == wasmbin.OpLoop, at: pc, end: o.match[f][pc], arity: o.arity(in)}
			taken := true
			if in.Op == wasmbin.OpIf {
				taken = uint32(st[len(st)-1]) != 0
				st = st[:len(st)-1]
			}
			if l.height = len(st); l.loop {
				l.arity = 0
			}
			switch alt := o.alt[f][pc]; {
			case taken:
				labels = append(labels, l)
			case alt != 0:
				labels = append(labels, l)
				pc = alt
			default:
				pc = l.end
			}
		case wasmbin.OpElse:
			pc = labels[len(labels)-1].end
			labels = labels[:len(labels)-1]
		case wasmbin.OpEnd:
			labels = labels[:len(labels)-1]
		case wasmbin.OpBr:
			jump = int(in.A)
		case wasmbin.OpBrIf:
			if uint32(st[len(st)-1]) != 0 {
				jump = int(in.A)
			}
			st = st[:len(st)-1]
		case wasmbin.OpBrTable:
			ls := o.labels[in.Off]
			jump = int(ls[min(uint64(uint32(st[len(st)-1])), uint64(len(ls)-1))])
			st = st[:len(st)-1]
		case wasmbin.OpReturn:
			jump = len(labels) - 1
		case wasmbin.OpCall, wasmbin.OpCallIndirect:
			callee := int(in.A)
			if in.Op == wasmbin.OpCallIndirect {
				callee = int(uint32(st[len(st)-1]))
				st = st[:len(st)-1]
				if callee >= len(o.code) || o.m.Funcs[callee] != in.A {
					return nil, errTrap
				}
			}
			n := len(o.m.FuncType(uint32(callee)).Params)
			res, err := o.run(callee, st[len(st)-n:])
			if err != nil {
				return nil, err
			}
			st = append(st[:len(st)-n], res...)
		case wasmbin.OpLocalGet:
			st = append(st, locals[in.A])
		case wasmbin.OpLocalSet:
			locals[in.A], st = st[len(st)-1], st[:len(st)-1]
		case wasmbin.OpLocalTee:
			locals[in.A] = st[len(st)-1]
		default:
			var err error
			if st, err = o.simple(in, st); err != nil {
				return nil, err
			}
		}
		if jump < 0 {
			continue
		}
		l := labels[len(labels)-1-jump]
		kept := append([]uint64(nil), st[len(st)-l.arity:]...)
		st = append(st[:l.height], kept...)
		labels = labels[:len(labels)-1-jump]
		pc = l.end
		if l.loop {
			pc = l.at - 1 // the loop instruction runs again
		}
	}
	return st, nil
}

// simple runs instructions without control flow and locals.
func (o *oracle) simple(in *wasmbin.Instr, st []uint64) ([]uint64, error) {
	op := in.Op
	pop := func() uint64 {
		v := st[len(st)-1]
		st = st[:len(st)-1]
		return v
	}
	var v uint64
	switch {
	case op == wasmbin.OpUnreachable:
		return nil, errTrap
	case op == wasmbin.OpNop:
		return st, nil
	case op == wasmbin.OpDrop:
		pop()
		return st, nil
	case op == wasmbin.OpSelect:
		c, b, a := pop(), pop(), pop()
		if v = b; uint32(c) != 0 {
			v = a
		}
	case op == wasmbin.OpGlobalGet:
		v = o.globals[in.A]
	case op == wasmbin.OpGlobalSet:
		o.globals[in.A] = pop()
		return st, nil
	case op == wasmbin.OpMemorySize:
		v = uint64(len(o.mem) / 65536)
	case op == wasmbin.OpI32Const, op == wasmbin.OpI64Const:
		v = sleb(o.m.Bytes[in.Off+1 : in.End])
		if op == wasmbin.OpI32Const {
			v = uint64(uint32(v))
		}
	case op == wasmbin.OpF32Const:
		v = uint64(binary.LittleEndian.Uint32(o.m.Bytes[in.Off+1:]))
	case op == wasmbin.OpF64Const:
		v = binary.LittleEndian.Uint64(o.m.Bytes[in.Off+1:])
	case op.Memory() || op == wasmbin.OpMemoryGrow || op >= 0xFC08:
		return o.memory(in, st)
	default:
		var ok bool
		b := pop()
		if v, ok = unary(op, b); !ok {
			a := pop()
			if v, ok = arith(op, a, b); !ok {
				return nil, errTrap
			}
		}
	}
	return append(st, v), nil
}

func sleb(b []byte) uint64 {
	var v int64
	shift := 0
	for _, c := range b {
		v |= int64(c&0x7F) << shift
		shift += 7
	}
	if b[len(b)-1]&0x40 != 0 && shift < 64 {
		v |= -1 << shift
	}
	return uint64(v)
}

func (o *oracle) memory(in *wasmbin.Instr, st []uint64) ([]uint64, error) {
	pop := func() uint64 {
		v := st[len(st)-1]
		st = st[:len(st)-1]
		return v
	}
	if rate := o.costs.Operand(in.Op); rate > 0 {
		o.gas += meter.Sixteenths(uint64(uint32(st[len(st)-1])), rate)
	}
	size := uint64(len(o.mem))
	switch in.Op {
	case wasmbin.OpMemoryGrow:
		n := uint64(uint32(pop()))
		if size/65536+n > 4 {
			return append(st, math.MaxUint32), nil
		}
		o.mem = append(o.mem, make([]byte, n*65536)...)
		return append(st, size/65536), nil
	case wasmbin.OpMemoryFill:
		n, c, d := uint64(uint32(pop())), pop(), uint64(uint32(pop()))
		if d+n > size {
			return nil, errTrap
		}
		for i := range n {
			o.mem[d+i] = byte(c)
		}
		return st, nil
	case wasmbin.OpMemoryCopy:
		n, s, d := uint64(uint32(pop())), uint64(uint32(pop())), uint64(uint32(pop()))
		if d+n > size || s+n > size {
			return nil, errTrap
		}
		copy(o.mem[d:d+n], o.mem[s:s+n])
		return st, nil
	case wasmbin.OpTableCopy: // table 0 onto itself from 0 to the given index
		n, s, d := uint64(uint32(pop())), uint64(uint32(pop())), uint64(uint32(pop()))
		size := uint64(len(o.code))
		if d+n > size || s+n > size {
			return nil, errTrap
		}
		return nil, errUnmodelled
	}
	store := in.Op >= 0x36
	var value uint64
	if store {
		value = pop()
	}
	at := uint64(uint32(pop())) + uint64(in.B)
	width := map[wasmbin.Op]uint64{0x28: 4, 0x29: 8, 0x2A: 4, 0x2B: 8, 0x2C: 1, 0x2D: 1, 0x2E: 2, 0x2F: 2, 0x30: 1, 0x31: 1, 0x32: 2,
		0x33: 2, 0x34: 4, 0x35: 4, 0x36: 4, 0x37: 8, 0x38: 4, 0x39: 8, 0x3A: 1, 0x3B: 2, 0x3C: 1, 0x3D: 2, 0x3E: 4}[in.Op]
	if at+width > size {
		return nil, errTrap
	}
	var buf [8]byte
	if store {
		binary.LittleEndian.PutUint64(buf[:], value)
		copy(o.mem[at:at+width], buf[:])
		return st, nil
	}
	copy(buf[:], o.mem[at:at+width])
	v := binary.LittleEndian.Uint64(buf[:])
	switch in.Op {
	case 0x2C:
		v = uint64(uint32(int8(v)))
	case 0x2E:
		v = uint64(uint32(int16(v)))
	case 0x30:
		v = uint64(int8(v))
	case 0x32:
		v = uint64(int16(v))
	case 0x34:
		v = uint64(int32(v))
	}
	return append(st, v), nil
}

// errUnmodelled says that the oracle cannot follow a program.
var errUnmodelled = errors.New("not modelled")
