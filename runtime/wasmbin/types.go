package wasmbin

import "slices"

// ValType is a value type in its binary encoding; the zero value stands for
// "any type" on a polymorphic stack and is no type of the format.
type ValType byte

// The value types of Core 2.0.
const (
	I32       ValType = 0x7F
	I64       ValType = 0x7E
	F32       ValType = 0x7D
	F64       ValType = 0x7C
	V128      ValType = 0x7B
	FuncRef   ValType = 0x70
	ExternRef ValType = 0x6F
)

// IsRef reports whether t is a reference type.
func (t ValType) IsRef() bool { return t == FuncRef || t == ExternRef }

// Valid reports whether t is a value type of Core 2.0.
func (t ValType) Valid() bool { return (t >= V128 && t <= I32) || t.IsRef() }

// Slots is the number of 8-byte stack slots that a value of type t takes.
func (t ValType) Slots() int {
	if t == V128 {
		return 2
	}
	return 1
}

// FuncType is a function signature.
type FuncType struct {
	Params, Results []ValType
}

// Equal reports whether both signatures are the same.
func (t FuncType) Equal(o FuncType) bool {
	return slices.Equal(t.Params, o.Params) && slices.Equal(t.Results, o.Results)
}

func valBytes(ts []ValType) []byte {
	b := make([]byte, len(ts))
	for i, t := range ts {
		b[i] = byte(t)
	}
	return b
}

// Range is the size range of a memory (in pages of 64 KiB) or table (in
// elements).
type Range struct {
	Min, Max uint32
	HasMax   bool
}

// TableType is the type of a table.
type TableType struct {
	Elem  ValType
	Range Range
}

// GlobalType is the type of a global variable.
type GlobalType struct {
	Type    ValType
	Mutable bool
}

// Kind says what an import or export refers to.
type Kind byte

// The external kinds.
const (
	KindFunc Kind = iota
	KindTable
	KindMemory
	KindGlobal
)

// Import is one import; the field that Kind selects is set.
type Import struct {
	Offset       int
	Module, Name string
	Kind         Kind
	Func         uint32 // type index
	Table        TableType
	Memory       Range
	Global       GlobalType
}

// Export is one export.
type Export struct {
	Offset int
	Name   string
	Kind   Kind
	Index  uint32
}

// Expr is a constant expression: one instruction. Bytes include the end.
type Expr struct {
	Op     Op
	Index  uint32 // function of ref.func, global of global.get, else 0
	Bytes  []byte
	Offset int
}

// Global is a global variable defined by the module.
type Global struct {
	GlobalType
	Init Expr
}

// SegmentMode says when a segment is applied.
type SegmentMode byte

// The modes of element and data segments.
const (
	Active SegmentMode = iota
	Passive
	Declarative
)

// Elem is an element segment: either Funcs or Exprs is used.
type Elem struct {
	Offset int
	Mode   SegmentMode
	Table  uint32
	At     Expr // offset of an active segment
	Type   ValType
	Funcs  []uint32
	Exprs  []Expr
}

// Len is the number of elements.
func (e *Elem) Len() int { return len(e.Funcs) + len(e.Exprs) }

// Data is a data segment.
type Data struct {
	Offset int
	Mode   SegmentMode
	Memory uint32
	At     Expr // offset of an active segment
	Init   []byte
}

// LocalGroup declares Count locals of one type.
type LocalGroup struct {
	Count uint32
	Type  ValType
}

// Body is the code of a defined function.
type Body struct {
	Groups   []LocalGroup
	Locals   int // sum of the groups, parameters excluded
	From, To int // instructions, closing end included, as offsets in the module
}

// Section is a section as found: SizeWidth is the width of its size field.
type Section struct {
	ID        byte
	SizeWidth int
	Offset    int // of the payload
	Payload   []byte
}

// Section ids.
const (
	SecCustom byte = iota
	SecType
	SecImport
	SecFunction
	SecTable
	SecMemory
	SecGlobal
	SecExport
	SecStart
	SecElement
	SecCode
	SecData
	SecDataCount
)

// Module is a decoded module. Nothing in it may be changed: slices alias the
// decoded bytes.
type Module struct {
	Bytes    []byte
	Sections []Section

	Types     []FuncType
	Imports   []Import
	Funcs     []uint32 // type indexes of the defined functions
	Tables    []TableType
	Memories  []Range
	Globals   []Global
	Exports   []Export
	HasStart  bool
	Start     uint32
	Elems     []Elem
	HasCount  bool
	DataCount uint32
	Bodies    []Body
	Datas     []Data

	// Index spaces: imports first, then definitions.
	FuncTypes     []uint32 // type index of every function
	AllTables     []TableType
	AllMemories   []Range
	AllGlobals    []GlobalType
	ImportedFuncs int

	declared []bool // functions that ref.func may name
}

// FuncType returns the signature of function f of the index space.
func (m *Module) FuncType(f uint32) FuncType { return m.Types[m.FuncTypes[f]] }

// Limits bounds what Decode accepts. All are inclusive maxima; zero allows
// none. The specification's own bounds hold besides.
type Limits struct {
	ModuleBytes   int // of the whole binary
	Types         int
	Params        int // of one signature
	Results       int // of one signature
	Imports       int
	Functions     int // defined
	Tables        int
	TableElements uint32 // initial size of one table
	Memories      int
	MemoryPages   uint32 // initial size of one memory
	Globals       int
	Exports       int
	NameBytes     int // of one import or export name
	Elements      int // segments
	ElementItems  int // of all segments together
	DataSegments  int
	BodyBytes     int // of one function
	Locals        int // of one function, parameters included
	CustomBytes   int // of all custom sections together
}
