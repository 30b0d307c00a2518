package wasmbin

import "slices"

// Writer builds a module section by section. The caller keeps the order of
// the format; empty sections are left out.
type Writer struct {
	out []byte
}

// Bytes returns what was written.
func (w *Writer) Bytes() []byte { return w.out }

// Grow makes room for n more bytes, so that writing them copies nothing twice.
func (w *Writer) Grow(n int) { w.out = slices.Grow(w.out, n) }

// Header writes magic and version.
func (w *Writer) Header() { w.out = append(w.out, header...) }

func (w *Writer) section(id byte, n int, items ...[]byte) {
	if n == 0 {
		return
	}
	count := AppendU32(nil, uint32(n))
	size := len(count)
	for _, b := range items {
		size += len(b)
	}
	w.out = append(w.out, id)
	w.out = AppendU32(w.out, uint32(size))
	w.out = append(w.out, count...)
	for _, b := range items {
		w.out = append(w.out, b...)
	}
}

// Raw copies a section as it was found; the zero Section writes nothing.
func (w *Writer) Raw(s Section) {
	if s.Payload == nil {
		return
	}
	w.out = append(w.out, s.ID)
	w.out = AppendU32(w.out, uint32(len(s.Payload)))
	w.out = append(w.out, s.Payload...)
}

// padded copies a section with its size in as many bytes as it was found.
func (w *Writer) padded(s Section) {
	w.out = append(w.out, s.ID)
	w.out = appendPadded(w.out, uint32(len(s.Payload)), s.SizeWidth)
	w.out = append(w.out, s.Payload...)
}

// Items writes section id with the entries of s (of a decoded module, or the
// zero Section) followed by n more entries, encoded in added.
func (w *Writer) Items(id byte, s Section, n int, added []byte) {
	r := reader{buf: s.Payload, end: len(s.Payload)}
	have := 0
	if len(s.Payload) > 0 {
		have = int(r.u32())
	}
	w.section(id, have+n, s.Payload[r.pos:], added)
}

// Types writes the type section.
func (w *Writer) Types(ts []FuncType) {
	var b []byte
	for _, t := range ts {
		b = append(b, 0x60)
		for _, vs := range [][]ValType{t.Params, t.Results} {
			b = AppendU32(b, uint32(len(vs)))
			b = append(b, valBytes(vs)...)
		}
	}
	w.section(SecType, len(ts), b)
}

// Functions writes the function section.
func (w *Writer) Functions(types []uint32) {
	var b []byte
	for _, t := range types {
		b = AppendU32(b, t)
	}
	w.section(SecFunction, len(types), b)
}

func appendRange(b []byte, r Range) []byte {
	if !r.HasMax {
		return AppendU32(append(b, 0), r.Min)
	}
	return AppendU32(AppendU32(append(b, 1), r.Min), r.Max)
}

// Tables writes the table section.
func (w *Writer) Tables(ts []TableType) {
	var b []byte
	for _, t := range ts {
		b = appendRange(append(b, byte(t.Elem)), t.Range)
	}
	w.section(SecTable, len(ts), b)
}

// Memories writes the memory section.
func (w *Writer) Memories(ms []Range) {
	var b []byte
	for _, m := range ms {
		b = appendRange(b, m)
	}
	w.section(SecMemory, len(ms), b)
}
