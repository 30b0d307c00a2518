package wasmbin

// expr reads a constant expression of type want. Only the first globals of
// the index space (the imported ones) may be named.
func (d *decoder) expr(want ValType, globals int) Expr {
	start := d.pos
	var in Instr
	d.instr(&in, nil)
	if d.err != nil {
		return Expr{}
	}
	e := Expr{Op: in.Op, Offset: start}
	var got ValType
	switch in.Op {
	case OpI32Const:
		got = I32
	case OpI64Const:
		got = I64
	case OpF32Const:
		got = F32
	case OpF64Const:
		got = F64
	case OpV128Const:
		got = V128
	case OpRefNull:
		got = ValType(in.A)
	case OpRefFunc:
		got, e.Index = FuncRef, in.A
		d.needFunc(start, in.A)
	case OpGlobalGet:
		e.Index = in.A
		if int64(in.A) >= int64(globals) {
			d.fail(start, "unknown global")
			return e
		}
		g := d.m.AllGlobals[in.A]
		if g.Mutable {
			d.fail(start, "constant expression required")
		}
		got = g.Type
	default:
		d.fail(start, "constant expression required")
		return e
	}
	if d.err == nil && got != want {
		d.fail(start, "type mismatch")
	}
	if at := d.pos; Op(d.byte()) != OpEnd {
		d.fail(at, "constant expression required")
	}
	e.Bytes = d.buf[start:d.pos:d.pos]
	return e
}

// needFunc checks a function index and lets ref.func name it.
func (d *decoder) needFunc(at int, f uint32) {
	if int64(f) >= int64(len(d.m.FuncTypes)) {
		d.fail(at, "unknown function")
		return
	}
	if d.m.declared == nil {
		d.m.declared = make([]bool, len(d.m.FuncTypes))
	}
	d.m.declared[f] = true
}

func (d *decoder) exports() {
	n := d.count("exports", d.max.Exports, 3)
	seen := make(map[string]bool, n)
	for i := 0; i < n && d.err == nil; i++ {
		e := Export{Offset: d.pos}
		e.Name = d.name(d.max.NameBytes)
		at := d.pos
		e.Kind, e.Index = Kind(d.byte()), d.u32()
		if d.err != nil {
			return
		}
		if seen[e.Name] {
			d.fail(e.Offset, "duplicate export name")
		}
		seen[e.Name] = true
		var have int
		switch e.Kind {
		case KindFunc:
			d.needFunc(at, e.Index)
			have = len(d.m.FuncTypes)
		case KindTable:
			have = len(d.m.AllTables)
		case KindMemory:
			have = len(d.m.AllMemories)
		case KindGlobal:
			have = len(d.m.AllGlobals)
		default:
			d.fail(at, "malformed export kind")
		}
		if int64(e.Index) >= int64(have) {
			d.fail(at, "unknown export index")
		}
		d.m.Exports = append(d.m.Exports, e)
	}
}

func (d *decoder) start() {
	at := d.pos
	d.m.HasStart, d.m.Start = true, d.u32()
	if d.err != nil {
		return
	}
	if int64(d.m.Start) >= int64(len(d.m.FuncTypes)) {
		d.fail(at, "unknown function")
		return
	}
	if t := d.m.FuncType(d.m.Start); len(t.Params)+len(t.Results) > 0 {
		d.fail(at, "start function must have no parameters and no results")
	}
}

func (d *decoder) elements() {
	n := d.count("element segments", d.max.Elements, 2)
	items := 0
	for i := 0; i < n && d.err == nil; i++ {
		e := Elem{Offset: d.pos, Type: FuncRef}
		flags := d.u32()
		if flags > 7 {
			d.fail(e.Offset, "malformed elements segment kind")
			return
		}
		// Bit 0: not active; bit 1: explicit table, or declarative; bit 2: expressions.
		switch {
		case flags&1 == 0:
			e.Mode = Active
			if flags&2 != 0 {
				e.Table = d.u32()
			}
			e.At = d.expr(I32, d.importedGlobals())
			if d.err == nil && int64(e.Table) >= int64(len(d.m.AllTables)) {
				d.fail(e.Offset, "unknown table")
			}
		case flags&2 != 0:
			e.Mode = Declarative
		default:
			e.Mode = Passive
		}
		if flags&3 != 0 {
			if at := d.pos; flags&4 != 0 {
				e.Type = d.refType()
			} else if d.byte() != 0 {
				d.fail(at, "malformed element kind")
			}
		}
		if d.err == nil && e.Mode == Active && d.m.AllTables[e.Table].Elem != e.Type {
			d.fail(e.Offset, "type mismatch")
		}
		at := d.pos
		items += d.elementItems(&e, flags&4 != 0)
		if items > d.max.ElementItems {
			d.limit(at, "element items", uint64(items), uint64(d.max.ElementItems))
		}
		d.m.Elems = append(d.m.Elems, e)
	}
}

func (d *decoder) elementItems(e *Elem, exprs bool) int {
	n := d.count("element items", d.max.ElementItems, 1)
	for j := 0; j < n && d.err == nil; j++ {
		if exprs {
			e.Exprs = append(e.Exprs, d.expr(e.Type, d.importedGlobals()))
			continue
		}
		at := d.pos
		f := d.u32()
		if d.err == nil {
			d.needFunc(at, f)
		}
		e.Funcs = append(e.Funcs, f)
	}
	return n
}

func (d *decoder) importedGlobals() int { return len(d.m.AllGlobals) - len(d.m.Globals) }

func (d *decoder) code() {
	at := d.pos
	n := d.count("functions", d.max.Functions, 3)
	if d.err == nil && n != len(d.m.Funcs) {
		d.fail(at, "function and code section have inconsistent lengths")
	}
	for i := 0; i < n && d.err == nil; i++ {
		d.body(i)
	}
}

func (d *decoder) body(i int) {
	at := d.pos
	size := d.u32()
	if d.err == nil && int64(size) > int64(d.left()) {
		d.fail(at, "length out of bounds")
	}
	if d.err == nil && int64(size) > int64(d.max.BodyBytes) {
		d.limit(at, "function body bytes", uint64(size), uint64(d.max.BodyBytes))
	}
	if d.err != nil {
		return
	}
	outer := d.end
	d.end = d.pos + int(size)
	b := Body{To: d.end}
	total := uint64(len(d.m.Types[d.m.Funcs[i]].Params))
	groups := d.count("local groups", d.max.BodyBytes, 2)
	for g := 0; g < groups && d.err == nil; g++ {
		where := d.pos
		lg := LocalGroup{Count: d.u32(), Type: d.valType()}
		total += uint64(lg.Count)
		b.Locals += int(lg.Count)
		if total >= 1<<32 {
			d.fail(where, "too many locals")
		} else if total > uint64(d.max.Locals) {
			d.limit(where, "locals", total, uint64(d.max.Locals))
		}
		b.Groups = append(b.Groups, lg)
	}
	b.From = d.pos
	d.m.Bodies = append(d.m.Bodies, b)
	d.pos, d.end = d.end, outer
}

// dataRoom is for how many data segments room is made before they are read: a count is cheap to claim.
const dataRoom = 1 << 12

func (d *decoder) data() {
	n := d.count("data segments", d.max.DataSegments, 2)
	d.m.Datas = make([]Data, 0, min(n, dataRoom))
	for i := 0; i < n && d.err == nil; i++ {
		s := Data{Offset: d.pos}
		switch flags := d.u32(); {
		case flags > 2:
			d.fail(s.Offset, "malformed data segment kind")
		case flags == 1:
			s.Mode = Passive
		default:
			s.Mode = Active
			if flags == 2 {
				s.Memory = d.u32()
			}
			if d.err == nil && int64(s.Memory) >= int64(len(d.m.AllMemories)) {
				d.fail(s.Offset, "unknown memory")
			}
			s.At = d.expr(I32, d.importedGlobals())
		}
		s.Init = d.bytes(d.count("data bytes", len(d.buf), 1))
		d.m.Datas = append(d.m.Datas, s)
	}
}

// finish checks what needs all sections.
func (d *decoder) finish() {
	m := d.m
	if len(m.Bodies) != len(m.Funcs) {
		d.fail(len(d.buf), "function and code section have inconsistent lengths")
	}
	if m.HasCount && int64(m.DataCount) != int64(len(m.Datas)) {
		d.fail(len(d.buf), "data count and data section have inconsistent lengths")
	}
	if len(m.AllMemories) > 1 {
		d.fail(0, "multiple memories")
	}
}
