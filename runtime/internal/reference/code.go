package reference

import "fmt"

// instr is one instruction with its immediates and what the walks over the
// function found out about it.
type instr struct {
	op     uint16 // opcode byte, or 0xFC00, 0xFD00 plus the second opcode
	a, b   uint32
	imm    Value
	labels []uint32 // br_table, default last

	end, alt        int // of block, loop, if: its end, its else (0: none)
	params, results int // of block, loop, if
	dead            bool
	price           int64 // of the instruction itself

	// Charged as control passes behind the instruction: see regions.go.
	charge int64
	check  bool
}

// function is a defined function.
type function struct {
	typ    FuncType
	locals []byte // types, parameters included
	code   []instr

	frame   int64 // stack units
	counted bool  // takes stack units
	checked bool  // its entry looks at the counter
	leave   bool  // its end looks at the counter
	imports int   // functions of the module that are imported
	entry   int64 // charged at entry
	local   int64 // price of entering, without instructions
}

const (
	opUnreachable  = 0x00
	opNop          = 0x01
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0B
	opBr           = 0x0C
	opBrIf         = 0x0D
	opBrTable      = 0x0E
	opReturn       = 0x0F
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1A
	opSelect       = 0x1B
	opSelectT      = 0x1C
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
)

func slotsOf(t byte) int {
	if t == V128 {
		return 2
	}
	return 1
}

func (m *Module) function(s *input, typ uint32, costs *Costs) *function {
	f := &function{typ: m.Types[typ], imports: len(m.Imports)}
	f.locals = append(f.locals, f.typ.Params...)
	for n := s.u32(); n > 0; n-- {
		count := s.u32()
		for t := s.u8(); count > 0; count-- {
			f.locals = append(f.locals, t)
		}
	}
	w := &walk{m: m, f: f}
	w.push(opBlock, nil, f.typ.Results, 0)
	for len(w.open) > 0 {
		in := s.instr()
		w.visit(&in)
		f.code = append(f.code, in)
	}
	slots := 0
	for _, t := range f.locals {
		slots += slotsOf(t)
	}
	f.local = int64(costs.Function) + int64(slots/costs.PerSlots)
	f.frame = int64(slots + w.highest)
	f.regions(costs)
	return f
}

func (s *input) instr() instr {
	in := instr{op: uint16(s.u8())}
	if in.op == 0xFC || in.op == 0xFD {
		in.op = in.op<<8 | uint16(s.u32())
	}
	switch op := in.op; {
	case op == opBlock, op == opLoop, op == opIf:
		in.a = uint32(s.signed())
	case op == opBr, op == opBrIf, op == opCall, op >= 0x20 && op <= 0x26, op == 0xD2,
		op == 0xFC09, op == 0xFC0D, op >= 0xFC0F && op <= 0xFC11:
		in.a = s.u32()
	case op == opCallIndirect, op == 0xFC0C, op == 0xFC0E:
		in.a, in.b = s.u32(), s.u32()
	case op == opBrTable:
		for n := s.u32() + 1; n > 0; n-- {
			in.labels = append(in.labels, s.u32())
		}
	case op == opSelectT:
		s.u32()
		in.a = uint32(s.u8())
	case op >= 0x28 && op <= 0x3E, op >= 0xFD00 && op <= 0xFD0B, op == 0xFD5C, op == 0xFD5D:
		in.a, in.b = s.u32(), s.u32()
	case op >= 0xFD54 && op <= 0xFD5B:
		in.a, in.b = s.u32(), s.u32()
		in.imm.Lo = uint64(s.u8())
	case op == 0x3F, op == 0x40, op == 0xFC0B:
		s.u8()
	case op == 0xFC0A:
		s.raw(2)
	case op == 0xFC08:
		in.a = s.u32()
		s.u8()
	case op == 0x41:
		in.imm.Lo = uint64(uint32(s.signed()))
	case op == 0x42:
		in.imm.Lo = uint64(s.signed())
	case op == 0x43:
		in.imm.Lo = s.fixed(4)
	case op == 0x44:
		in.imm.Lo = s.fixed(8)
	case op == 0xD0:
		in.a = uint32(s.u8())
	case op == 0xFD0C, op == 0xFD0D:
		in.imm = Value{s.fixed(8), s.fixed(8)}
	case op >= 0xFD15 && op <= 0xFD22:
		in.a = uint32(s.u8())
	}
	return in
}

// walk follows the types on the operand stack as the validation algorithm of
// the specification does, to know heights; unknown types are 0.
type walk struct {
	m       *Module
	f       *function
	stack   []byte
	open    []construct
	slots   int
	highest int
}

type construct struct {
	op              uint16
	at              int
	params, results []byte
	height          int
	unreachable     bool // the rest of it
	dead            bool // it cannot be reached at all
}

func (w *walk) put(t byte) {
	w.stack = append(w.stack, t)
	w.slots += slotsOf(t)
	w.highest = max(w.highest, w.slots)
}

func (w *walk) take() byte {
	c := &w.open[len(w.open)-1]
	if len(w.stack) == c.height {
		if !c.unreachable {
			panic("empty stack")
		}
		return 0
	}
	t := w.stack[len(w.stack)-1]
	w.stack = w.stack[:len(w.stack)-1]
	w.slots -= slotsOf(t)
	return t
}

func (w *walk) putAll(ts []byte) {
	for _, t := range ts {
		w.put(t)
	}
}

func (w *walk) takeN(n int) {
	for range n {
		w.take()
	}
}

func (w *walk) push(op uint16, params, results []byte, at int) {
	dead := false
	if n := len(w.open); n > 0 {
		dead = w.open[n-1].dead || w.open[n-1].unreachable
	}
	w.open = append(w.open, construct{op: op, at: at, params: params, results: results, height: len(w.stack), dead: dead})
	w.putAll(params)
}

// cut makes the rest of the construct unreachable.
func (w *walk) cut() {
	c := &w.open[len(w.open)-1]
	for _, t := range w.stack[c.height:] {
		w.slots -= slotsOf(t)
	}
	w.stack, c.unreachable = w.stack[:c.height], true
}

func (w *walk) blockType(a uint32) (params, results []byte) {
	switch v := int32(a); {
	case v == -64:
		return nil, nil
	case v < 0:
		return nil, []byte{byte(v) & 0x7F}
	default:
		return w.m.Types[v].Params, w.m.Types[v].Results
	}
}

func (w *walk) label(l uint32) []byte {
	c := &w.open[len(w.open)-1-int(l)]
	if c.op == opLoop {
		return c.params
	}
	return c.results
}

func (w *walk) visit(in *instr) {
	top := &w.open[len(w.open)-1]
	in.dead = top.dead || top.unreachable
	at := len(w.f.code)
	switch in.op {
	case opBlock, opLoop, opIf:
		if in.op == opIf {
			w.take()
		}
		params, results := w.blockType(in.a)
		in.params, in.results = len(params), len(results)
		w.takeN(len(params))
		w.push(in.op, params, results, at)
	case opElse:
		in.dead = top.dead
		w.takeN(len(top.results))
		w.f.code[top.at].alt = at
		c := *top
		w.open = w.open[:len(w.open)-1]
		w.push(opElse, c.params, c.results, c.at)
	case opEnd:
		in.dead = top.dead
		w.takeN(len(top.results))
		c := *top
		w.open = w.open[:len(w.open)-1]
		if len(w.open) > 0 {
			w.f.code[c.at].end = at
			w.putAll(c.results)
		}
	case opBr:
		w.takeN(len(w.label(in.a)))
		w.cut()
	case opBrIf:
		w.take()
		w.takeN(len(w.label(in.a)))
		w.putAll(w.label(in.a))
	case opBrTable:
		w.takeN(1 + len(w.label(in.labels[len(in.labels)-1])))
		w.cut()
	case opReturn:
		w.takeN(len(w.f.typ.Results))
		w.cut()
	case opUnreachable:
		w.cut()
	case opCall:
		w.apply(w.m.TypeOf(in.a))
	case opCallIndirect:
		w.take()
		w.apply(w.m.Types[in.a])
	case opDrop:
		w.take()
	case opSelect:
		w.take()
		t := w.take()
		if u := w.take(); t == 0 {
			t = u
		}
		w.put(t)
	case opSelectT:
		w.takeN(3)
		w.put(byte(in.a))
	case 0x20, 0x21, 0x22: // local.get, set, tee
		if in.op != 0x20 {
			w.take()
		}
		if in.op != 0x21 {
			w.put(w.f.locals[in.a])
		}
	case 0x23:
		w.put(w.m.Globals[in.a].Type)
	case 0x25, 0xD0, 0xD2: // table.get, ref.null, ref.func
		if in.op == 0x25 {
			w.take()
		}
		w.put(FuncRef) // any reference has one slot
	default:
		s := signature(in.op)
		i := 0
		for ; s[i] != '>'; i++ {
			w.take()
		}
		for i++; i < len(s); i++ {
			w.put(map[byte]byte{'i': I32, 'l': I64, 'f': F32, 'd': F64, 'v': V128}[s[i]])
		}
	}
}

func (w *walk) apply(t FuncType) {
	w.takeN(len(t.Params))
	w.putAll(t.Results)
}

// signatures of the instructions that have one of their own, operands before
// '>': i, l, f, d, v are i32, i64, f32, f64, v128, r a reference. Transcribed
// from the specification's index of instructions.
var signatures = func() [0x300]string {
	t := map[uint16]string{}
	span := func(from, to uint16, s string) {
		for op := from; op <= to; op++ {
			t[op] = s
		}
	}
	each := func(s string, ops ...uint16) {
		for _, op := range ops {
			t[op] = s
		}
	}
	each(">", opNop, 0xFC09, 0xFC0D)
	each("i>", 0x24) // any one operand: global.set
	each("ir>", 0x26)
	each("r>i", 0xD1)
	each("i>i", 0x28, 0x2C, 0x2D, 0x2E, 0x2F, 0x40, 0x45, 0x67, 0x68, 0x69, 0xC0, 0xC1)
	span(0x29, 0x29, "i>l")
	each("i>f", 0x2A, 0xB2, 0xB3, 0xBE)
	each("i>d", 0x2B, 0xB7, 0xB8)
	span(0x30, 0x35, "i>l")
	span(0x36, 0x3E, "ii>")
	each(">i", 0x3F, 0x41, 0xFC10)
	each(">l", 0x42)
	each(">f", 0x43)
	each(">d", 0x44)
	span(0x46, 0x4F, "ii>i")
	each("l>i", 0x50, 0xA7)
	span(0x51, 0x5A, "ll>i")
	span(0x5B, 0x60, "ff>i")
	span(0x61, 0x66, "dd>i")
	span(0x6A, 0x78, "ii>i")
	span(0x79, 0x7B, "l>l")
	span(0x7C, 0x8A, "ll>l")
	span(0x8B, 0x91, "f>f")
	span(0x92, 0x98, "ff>f")
	span(0x99, 0x9F, "d>d")
	span(0xA0, 0xA6, "dd>d")
	each("f>i", 0xA8, 0xA9, 0xBC, 0xFC00, 0xFC01)
	each("d>i", 0xAA, 0xAB, 0xFC02, 0xFC03)
	each("i>l", 0xAC, 0xAD)
	each("f>l", 0xAE, 0xAF, 0xFC04, 0xFC05)
	each("d>l", 0xB0, 0xB1, 0xBD, 0xFC06, 0xFC07)
	each("l>f", 0xB4, 0xB5)
	each("d>f", 0xB6)
	each("l>d", 0xB9, 0xBA, 0xBF)
	each("f>d", 0xBB)
	span(0xC2, 0xC4, "l>l")
	each("iii>", 0xFC08, 0xFC0A, 0xFC0B, 0xFC0C, 0xFC0E, 0xFC11)
	each("ri>i", 0xFC0F)
	span(0xFD00, 0xFD0A, "i>v")
	each("iv>", 0xFD0B, 0xFD58, 0xFD59, 0xFD5A, 0xFD5B)
	each(">v", 0xFD0C)
	each("vv>v", 0xFD0D, 0xFD0E)
	span(0xFD0F, 0xFD11, "i>v")
	each("l>v", 0xFD12)
	each("f>v", 0xFD13)
	each("d>v", 0xFD14)
	each("v>i", 0xFD15, 0xFD16, 0xFD18, 0xFD19, 0xFD1B, 0xFD53, 0xFD63, 0xFD64, 0xFD83, 0xFD84, 0xFDA3, 0xFDA4, 0xFDC3, 0xFDC4)
	each("vi>v", 0xFD17, 0xFD1A, 0xFD1C)
	each("v>l", 0xFD1D)
	each("vl>v", 0xFD1E)
	each("v>f", 0xFD1F)
	each("vf>v", 0xFD20)
	each("v>d", 0xFD21)
	each("vd>v", 0xFD22)
	span(0xFD23, 0xFD51, "vv>v")
	each("v>v", 0xFD4D)
	each("vvv>v", 0xFD52)
	span(0xFD54, 0xFD57, "iv>v")
	each("i>v", 0xFD5C, 0xFD5D)
	for op := uint16(0xFD5E); op <= 0xFDFF; op++ {
		if _, ok := t[op]; ok {
			continue
		}
		switch op & 0xFF {
		case 0x5E, 0x5F, 0x60, 0x61, 0x62, 0x67, 0x68, 0x69, 0x6A, 0x74, 0x75, 0x7A, 0x7C, 0x7D, 0x7E, 0x7F,
			0x80, 0x81, 0x87, 0x88, 0x89, 0x8A, 0x94, 0xA0, 0xA1, 0xA7, 0xA8, 0xA9, 0xAA, 0xC0, 0xC1, 0xC7, 0xC8, 0xC9, 0xCA,
			0xE0, 0xE1, 0xE3, 0xEC, 0xED, 0xEF, 0xF8, 0xF9, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF:
			t[op] = "v>v"
		case 0x6B, 0x6C, 0x6D, 0x8B, 0x8C, 0x8D, 0xAB, 0xAC, 0xAD, 0xCB, 0xCC, 0xCD:
			t[op] = "vi>v"
		case 0x9A, 0xA2, 0xA5, 0xA6, 0xAF, 0xB0, 0xB2, 0xB3, 0xB4, 0xBB, 0xC2, 0xC5, 0xC6, 0xCF, 0xD0, 0xD2, 0xD3, 0xD4, 0xE2, 0xEE:
		default:
			t[op] = "vv>v"
		}
	}
	var out [0x300]string
	for op, s := range t {
		out[place(op)] = s
	}
	return out
}()

// place numbers the instructions of the three groups.
func place(op uint16) int {
	switch op >> 8 {
	case 0xFC:
		return 0x100 + int(op&0xFF)
	case 0xFD:
		return 0x200 + int(op&0xFF)
	}
	return int(op)
}

func signature(op uint16) string {
	s := signatures[place(op)]
	if s == "" {
		panic(fmt.Sprintf("unknown instruction %#x", op))
	}
	return s
}
