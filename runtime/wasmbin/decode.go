package wasmbin

import "bytes"

var header = []byte{0, 'a', 's', 'm', 1, 0, 0, 0}

// sectionOrder is the position each section id must have among the others.
var sectionOrder = [...]int{
	SecType: 1, SecImport: 2, SecFunction: 3, SecTable: 4, SecMemory: 5, SecGlobal: 6, SecExport: 7,
	SecStart: 8, SecElement: 9, SecDataCount: 10, SecCode: 11, SecData: 12,
}

// Decode reads a module and checks everything but the instructions of its
// functions: Module.Check does the rest. The result aliases b. Errors are
// *FormatError or *LimitError. Time and memory are linear in len(b).
func Decode(b []byte, max Limits) (*Module, error) {
	r := &reader{buf: b, end: len(b)}
	if len(b) > max.ModuleBytes {
		r.limit(0, "module bytes", uint64(len(b)), uint64(max.ModuleBytes))
		return nil, r.err
	}
	if !bytes.HasPrefix(b, header) {
		r.fail(0, "magic header or version not found")
		return nil, r.err
	}
	r.pos = len(header)
	d := &decoder{reader: r, m: &Module{Bytes: b}, max: max}
	last, custom := 0, 0
	for r.err == nil && r.left() > 0 {
		at := r.pos
		id := r.byte()
		sizeAt := r.pos
		size := r.u32()
		width := r.pos - sizeAt
		if r.err == nil && uint64(size) > uint64(r.left()) {
			r.fail(sizeAt, "length out of bounds")
		}
		if r.err == nil && id > SecDataCount {
			r.fail(at, "malformed section id")
		}
		if r.err != nil {
			break
		}
		if id != SecCustom {
			if sectionOrder[id] <= last {
				r.fail(at, "unexpected content after last section")
				break
			}
			last = sectionOrder[id]
		} else if custom += int(size); custom > max.CustomBytes {
			r.limit(at, "custom section bytes", uint64(custom), uint64(max.CustomBytes))
			break
		}
		payload := b[r.pos : r.pos+int(size) : r.pos+int(size)]
		d.m.Sections = append(d.m.Sections, Section{ID: id, SizeWidth: width, Offset: r.pos, Payload: payload})
		end := r.pos + int(size)
		r.end = end
		d.section(id)
		if r.err == nil && id != SecCustom && r.pos != end {
			r.fail(r.pos, "section size mismatch")
		}
		r.pos, r.end = end, len(b)
	}
	if r.err == nil {
		d.finish()
	}
	if r.err != nil {
		return nil, r.err
	}
	return d.m, nil
}

// Encode writes the sections of m as they were found.
func (m *Module) Encode() []byte {
	w := &Writer{out: make([]byte, 0, len(m.Bytes))}
	w.Header()
	for _, s := range m.Sections {
		w.padded(s)
	}
	return w.Bytes()
}

type decoder struct {
	*reader
	m   *Module
	max Limits
}

func (d *decoder) section(id byte) {
	switch id {
	case SecCustom:
		d.name(len(d.buf))
	case SecType:
		d.types()
	case SecImport:
		d.imports()
	case SecFunction:
		d.functions()
	case SecTable:
		d.tables()
	case SecMemory:
		d.memories()
	case SecGlobal:
		d.globals()
	case SecExport:
		d.exports()
	case SecStart:
		d.start()
	case SecElement:
		d.elements()
	case SecDataCount:
		d.m.HasCount, d.m.DataCount = true, d.u32()
	case SecCode:
		d.code()
	case SecData:
		d.data()
	}
}

func (d *decoder) valType() ValType {
	at := d.pos
	t := ValType(d.byte())
	if !t.Valid() {
		d.fail(at, "malformed value type")
	}
	return t
}

func (d *decoder) refType() ValType {
	at := d.pos
	t := ValType(d.byte())
	if !t.IsRef() {
		d.fail(at, "malformed reference type")
	}
	return t
}

func (d *decoder) valTypes(name string, max int) []ValType {
	n := d.count(name, max, 1)
	ts := make([]ValType, 0, n)
	for i := 0; i < n && d.err == nil; i++ {
		ts = append(ts, d.valType())
	}
	return ts
}

func (d *decoder) types() {
	n := d.count("types", d.max.Types, 3)
	for i := 0; i < n && d.err == nil; i++ {
		if at := d.pos; d.byte() != 0x60 {
			d.fail(at, "malformed function type")
		}
		t := FuncType{Params: d.valTypes("parameters", d.max.Params)}
		t.Results = d.valTypes("results", d.max.Results)
		d.m.Types = append(d.m.Types, t)
	}
}

func (d *decoder) typeIndex() uint32 {
	at := d.pos
	t := d.u32()
	if d.err == nil && int64(t) >= int64(len(d.m.Types)) {
		d.fail(at, "unknown type")
	}
	return t
}

func (d *decoder) imports() {
	m := d.m
	n := d.count("imports", d.max.Imports, 4)
	for i := 0; i < n && d.err == nil; i++ {
		im := Import{Offset: d.pos}
		im.Module = d.name(d.max.NameBytes)
		im.Name = d.name(d.max.NameBytes)
		at := d.pos
		im.Kind = Kind(d.byte())
		switch im.Kind {
		case KindFunc:
			im.Func = d.typeIndex()
			m.FuncTypes = append(m.FuncTypes, im.Func)
			m.ImportedFuncs++
		case KindTable:
			im.Table = d.tableType()
			m.AllTables = append(m.AllTables, im.Table)
		case KindMemory:
			im.Memory = d.memoryType()
			m.AllMemories = append(m.AllMemories, im.Memory)
		case KindGlobal:
			im.Global = d.globalType()
			m.AllGlobals = append(m.AllGlobals, im.Global)
		default:
			d.fail(at, "malformed import kind")
		}
		m.Imports = append(m.Imports, im)
	}
}

func (d *decoder) functions() {
	n := d.count("functions", d.max.Functions, 1)
	for i := 0; i < n && d.err == nil; i++ {
		t := d.typeIndex()
		d.m.Funcs = append(d.m.Funcs, t)
		d.m.FuncTypes = append(d.m.FuncTypes, t)
	}
}

func (d *decoder) rng() Range {
	at := d.pos
	flag := d.byte()
	if flag > 1 {
		d.fail(at, "malformed limits flags")
	}
	r := Range{Min: d.u32()}
	if flag == 1 {
		r.HasMax, r.Max = true, d.u32()
		if d.err == nil && r.Max < r.Min {
			d.fail(at, "size minimum must not be greater than maximum")
		}
	}
	return r
}

func (d *decoder) tableType() TableType {
	t := TableType{Elem: d.refType()}
	at := d.pos
	t.Range = d.rng()
	if d.err == nil && t.Range.Min > d.max.TableElements {
		d.limit(at, "table elements", uint64(t.Range.Min), uint64(d.max.TableElements))
	}
	return t
}

// maxPages is the format's bound on memory: 65,536 pages of 64 KiB.
const maxPages = 65536

func (d *decoder) memoryType() Range {
	at := d.pos
	r := d.rng()
	if d.err == nil && (r.Min > maxPages || r.HasMax && r.Max > maxPages) {
		d.fail(at, "memory size must be at most 65536 pages")
	}
	if d.err == nil && r.Min > d.max.MemoryPages {
		d.limit(at, "memory pages", uint64(r.Min), uint64(d.max.MemoryPages))
	}
	return r
}

func (d *decoder) globalType() GlobalType {
	g := GlobalType{Type: d.valType()}
	at := d.pos
	switch d.byte() {
	case 0:
	case 1:
		g.Mutable = true
	default:
		d.fail(at, "malformed mutability")
	}
	return g
}

func (d *decoder) tables() {
	n := d.count("tables", d.max.Tables, 3)
	for i := 0; i < n && d.err == nil; i++ {
		d.m.Tables = append(d.m.Tables, d.tableType())
	}
	d.m.AllTables = append(d.m.AllTables, d.m.Tables...)
}

func (d *decoder) memories() {
	n := d.count("memories", d.max.Memories, 2)
	for i := 0; i < n && d.err == nil; i++ {
		d.m.Memories = append(d.m.Memories, d.memoryType())
	}
	d.m.AllMemories = append(d.m.AllMemories, d.m.Memories...)
}

func (d *decoder) globals() {
	n := d.count("globals", d.max.Globals, 4)
	imported := len(d.m.AllGlobals)
	for i := 0; i < n && d.err == nil; i++ {
		g := Global{GlobalType: d.globalType()}
		g.Init = d.expr(g.Type, imported)
		d.m.Globals = append(d.m.Globals, g)
	}
	for _, g := range d.m.Globals {
		d.m.AllGlobals = append(d.m.AllGlobals, g.GlobalType)
	}
}
