package reference

import (
	"errors"
	"fmt"
)

// Value is an operand: 32- and 64-bit values are in Lo, zero-extended, v128 in
// both, low lanes first. Of a reference, Lo is 0 for null, else 1 + the
// function's index or the host's own number.
type Value struct{ Lo, Hi uint64 }

// Value types, in the binary encoding.
const (
	I32, I64, F32, F64, V128 byte = 0x7F, 0x7E, 0x7D, 0x7C, 0x7B
	FuncRef, ExternRef       byte = 0x70, 0x6F
)

// FuncType is a signature.
type FuncType struct{ Params, Results []byte }

func (t FuncType) equal(o FuncType) bool {
	return string(t.Params) == string(o.Params) && string(t.Results) == string(o.Results)
}

// Import is an imported function.
type Import struct {
	Module, Name string
	Type         FuncType
}

// Global is a global variable of the module.
type Global struct {
	Type    byte
	Mutable bool
	init    constant
}

type constant struct {
	v    Value
	fref int // function index of ref.func, else -1
}

type bounds struct {
	min, max uint32
	hasMax   bool
}

type tableType struct {
	elem byte
	bounds
}

const (
	modeActive = iota
	modePassive
	modeDeclarative
)

type elemSegment struct {
	mode  int
	table uint32
	at    uint32
	items []Value
}

type dataSegment struct {
	mode  int
	at    uint32
	bytes []byte
}

// Module is a decoded module.
type Module struct {
	Types   []FuncType
	Imports []Import
	Globals []Global
	Funcs   map[string]uint32 // exported functions
	Start   int               // -1: none

	funcTypes []uint32
	tables    []tableType
	memory    *bounds
	elems     []elemSegment
	datas     []dataSegment
	bodies    []*function // of the defined functions
}

var errMalformed = errors.New("reference: malformed module")

// Decode reads a module. costs is what regions are priced by.
func Decode(wasm []byte, costs *Costs) (m *Module, err error) {
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, fmt.Errorf("%w: %v", errMalformed, p)
		}
	}()
	m = &Module{Start: -1, Funcs: map[string]uint32{}}
	r := &input{b: wasm, pos: 8}
	var code *input
	for r.pos < len(wasm) {
		id := r.u8()
		size := int(r.u32())
		s := &input{b: wasm[:r.pos+size], pos: r.pos}
		r.pos += size
		switch id {
		case 10:
			code = s
		case 0, 12:
		default:
			m.section(id, s)
		}
	}
	if code != nil {
		for n, i := code.u32(), 0; i < int(n); i++ {
			size := int(code.u32())
			body := &input{b: code.b[:code.pos+size], pos: code.pos}
			code.pos += size
			m.bodies = append(m.bodies, m.function(body, m.funcTypes[len(m.Imports)+i], costs))
		}
	}
	return m, nil
}

func (m *Module) section(id byte, s *input) {
	if id == 8 {
		m.Start = int(s.u32())
		return
	}
	for n := s.u32(); n > 0; n-- {
		switch id {
		case 1:
			s.u8()
			m.Types = append(m.Types, FuncType{s.raw(int(s.u32())), s.raw(int(s.u32()))})
		case 2:
			im := Import{Module: s.name(), Name: s.name()}
			if s.u8() != 0 {
				panic("only functions are imported")
			}
			t := s.u32()
			im.Type = m.Types[t]
			m.Imports = append(m.Imports, im)
			m.funcTypes = append(m.funcTypes, t)
		case 3:
			m.funcTypes = append(m.funcTypes, s.u32())
		case 4:
			m.tables = append(m.tables, tableType{s.u8(), s.bounds()})
		case 5:
			b := s.bounds()
			m.memory = &b
		case 6:
			g := Global{Type: s.u8(), Mutable: s.u8() == 1}
			g.init = s.constant()
			m.Globals = append(m.Globals, g)
		case 7:
			name, kind, index := s.name(), s.u8(), s.u32()
			if kind == 0 {
				m.Funcs[name] = index
			}
		case 9:
			m.elems = append(m.elems, s.elem())
		case 11:
			m.datas = append(m.datas, s.data())
		}
	}
}

// TypeOf returns the signature of function f.
func (m *Module) TypeOf(f uint32) FuncType { return m.Types[m.funcTypes[f]] }

// input reads b from pos; it panics at the end.
type input struct {
	b   []byte
	pos int
}

func (s *input) u8() byte {
	s.pos++
	return s.b[s.pos-1]
}

func (s *input) raw(n int) []byte {
	s.pos += n
	return s.b[s.pos-n : s.pos]
}

func (s *input) name() string { return string(s.raw(int(s.u32()))) }

func (s *input) u32() uint32 {
	v, shift := uint64(0), 0
	for {
		c := s.u8()
		v |= uint64(c&0x7F) << shift
		if shift += 7; c < 0x80 {
			return uint32(v)
		}
	}
}

func (s *input) signed() int64 {
	v, shift := int64(0), 0
	for {
		c := s.u8()
		v |= int64(c&0x7F) << shift
		shift += 7
		if c < 0x80 {
			if c&0x40 != 0 && shift < 64 {
				v |= -1 << shift
			}
			return v
		}
	}
}

func (s *input) fixed(n int) uint64 {
	var v uint64
	for i, c := range s.raw(n) {
		v |= uint64(c) << (8 * i)
	}
	return v
}

func (s *input) bounds() bounds {
	flag := s.u8()
	b := bounds{min: s.u32()}
	if flag == 1 {
		b.hasMax, b.max = true, s.u32()
	}
	return b
}

func (s *input) constant() constant {
	c := constant{fref: -1}
	switch op := s.u8(); op {
	case 0x41:
		c.v.Lo = uint64(uint32(s.signed()))
	case 0x42:
		c.v.Lo = uint64(s.signed())
	case 0x43:
		c.v.Lo = s.fixed(4)
	case 0x44:
		c.v.Lo = s.fixed(8)
	case 0xD0:
		s.u8()
	case 0xD2:
		c.fref = int(s.u32())
		c.v.Lo = uint64(c.fref) + 1
	case 0xFD:
		s.u32()
		c.v = Value{s.fixed(8), s.fixed(8)}
	default:
		panic(fmt.Sprintf("constant expression %#x", op))
	}
	s.u8()
	return c
}

func (s *input) elem() (e elemSegment) {
	flags := s.u32()
	e.mode = modeActive
	if flags&1 != 0 {
		e.mode = modePassive
		if flags&2 != 0 {
			e.mode = modeDeclarative
		}
	} else {
		if flags&2 != 0 {
			e.table = s.u32()
		}
		e.at = uint32(s.constant().v.Lo)
	}
	if flags&3 != 0 {
		s.u8() // element kind or type
	}
	for n := s.u32(); n > 0; n-- {
		if flags&4 != 0 {
			e.items = append(e.items, s.constant().v)
		} else {
			e.items = append(e.items, Value{Lo: uint64(s.u32()) + 1})
		}
	}
	return e
}

func (s *input) data() (d dataSegment) {
	if flags := s.u32(); flags == 1 {
		d.mode = modePassive
	} else {
		if flags == 2 {
			s.u32()
		}
		d.at = uint32(s.constant().v.Lo)
	}
	d.bytes = s.raw(int(s.u32()))
	return d
}
