package wasmbin

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

var wide = Limits{
	ModuleBytes: 1 << 24, Types: 1 << 16, Params: 100, Results: 100, Imports: 1 << 16, Functions: 1 << 16,
	Tables: 100, TableElements: 1 << 20, Memories: 1, MemoryPages: 65536, Globals: 1 << 16, Exports: 1 << 16,
	NameBytes: 1000, Elements: 1 << 16, ElementItems: 1 << 20, DataSegments: 1 << 16, BodyBytes: 1 << 20,
	Locals: 1000, CustomBytes: 1 << 20,
}

func mod(sections ...[]byte) []byte {
	return append(bytes.Clone(header), bytes.Join(sections, nil)...)
}

var (
	voidType = []byte{SecType, 4, 1, 0x60, 0, 0}
	oneFunc  = []byte{SecFunction, 2, 1, 0}
)

// code is a code section with one function.
func code(body ...byte) []byte {
	b := append([]byte{0}, body...)
	b = append(AppendU32(nil, uint32(len(b))), b...)
	b = append([]byte{1}, b...)
	return append(AppendU32([]byte{SecCode}, uint32(len(b))), b...)
}

func TestSignedLEB(t *testing.T) {
	for _, v := range []int64{0, 1, -1, 63, 64, -64, -65, math.MinInt32, math.MaxInt32, math.MinInt64, math.MaxInt64} {
		b := AppendS64(nil, v)
		r := &reader{buf: b, end: len(b)}
		if got := r.sleb(64); got != v || r.err != nil || r.left() != 0 {
			t.Errorf("%d: read %d, %v", v, got, r.err)
		}
		if got, n := S64(append(b, 0x7F)); got != v || n != len(b) {
			t.Errorf("%d: read %d in %d bytes", v, got, n)
		}
		r = &reader{buf: b, end: len(b)}
		got := r.sleb(32)
		if fits := v == int64(int32(v)); fits != (r.err == nil) || fits && got != v {
			t.Errorf("%d as 32 bits: read %d, %v", v, got, r.err)
		}
	}
	for _, b := range [][]byte{
		{0x80, 0x80, 0x80, 0x80, 0x10},    // bit 32 set
		{0xFF, 0xFF, 0xFF, 0xFF, 0x4F},    // sign bits differ
		{0x80, 0x80, 0x80, 0x80, 0x80, 0}, // too long
		{0x80},                            // cut off
		{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, // far too long
	} {
		r := &reader{buf: b, end: len(b)}
		if r.sleb(32); r.err == nil {
			t.Errorf("% x read as a 32-bit integer", b)
		}
	}
}

func TestValidity(t *testing.T) {
	for _, c := range []struct {
		name  string
		b     []byte
		valid bool
	}{
		{"empty module", mod(), true},
		{"no header", []byte{0, 'a', 's'}, false},
		{"empty function", mod(voidType, oneFunc, code(0x0B)), true},
		{"no closing end", mod(voidType, oneFunc, code(0x01)), false},
		{"code behind the end", mod(voidType, oneFunc, code(0x0B, 0x0B)), false},
		{"else without if", mod(voidType, oneFunc, code(0x05, 0x0B)), false},
		{"value left over", mod(voidType, oneFunc, code(0x41, 0, 0x0B)), false},
		{"dead code is checked", mod(voidType, oneFunc, code(0x00, 0x41, 0, 0x92, 0x1A, 0x0B)), false},
		{"dead code is polymorphic", mod(voidType, oneFunc, code(0x00, 0x92, 0x1A, 0x0B)), true},
		{"load without memory", mod(voidType, oneFunc, code(0x41, 0, 0x28, 2, 0, 0x1A, 0x0B)), false},
		{"relaxed SIMD", mod(voidType, oneFunc, code(0xFD, 0x80, 0x02, 0x0B)), false},
		{"atomics", mod(voidType, oneFunc, code(0xFE, 0x03, 0x00, 0x0B)), false},
		{"tail call", mod(voidType, oneFunc, code(0x12, 0, 0x0B)), false},
		{"try", mod(voidType, oneFunc, code(0x06, 0x40, 0x0B, 0x0B)), false},
		{"ref.func of an undeclared function", mod(voidType, oneFunc, code(0xD2, 0, 0x1A, 0x0B)), false},
		{"sections out of order", mod(oneFunc, voidType), false},
		{"function without code", mod(voidType, oneFunc), false},
		{"memory64", mod([]byte{SecMemory, 3, 1, 4, 1}), false},
		{"shared memory", mod([]byte{SecMemory, 4, 1, 3, 1, 1}), false},
		{"two memories", mod([]byte{SecMemory, 5, 2, 0, 1, 0, 1}), false},
	} {
		m, err := Decode(c.b, wide)
		if err == nil {
			err = m.Check(100)
		}
		if (err == nil) != c.valid {
			t.Errorf("%s: %v", c.name, err)
		}
		var format *FormatError
		var limit *LimitError
		if err != nil && !errors.As(err, &format) && !errors.As(err, &limit) {
			t.Errorf("%s: untyped error %v", c.name, err)
		}
	}
}

func TestLimits(t *testing.T) {
	b := mod(voidType, oneFunc, code(0x02, 0x40, 0x02, 0x40, 0x0B, 0x0B, 0x0B))
	for name, change := range map[string]func(*Limits){
		"module bytes":        func(l *Limits) { l.ModuleBytes = len(b) - 1 },
		"types":               func(l *Limits) { l.Types = 0 },
		"functions":           func(l *Limits) { l.Functions = 0 },
		"function body bytes": func(l *Limits) { l.BodyBytes = 7 },
	} {
		l := wide
		change(&l)
		_, err := Decode(b, l)
		var limit *LimitError
		if !errors.As(err, &limit) || limit.Limit != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	m, err := Decode(b, wide)
	if err != nil {
		t.Fatal(err)
	}
	var limit *LimitError
	if err := m.Check(2); !errors.As(err, &limit) {
		t.Errorf("nesting: %v", err)
	}
	if err := m.Check(3); err != nil {
		t.Errorf("nesting: %v", err)
	}
}

// TestPaddedSizes: section sizes may be written in more bytes than needed,
// and stay so.
func TestPaddedSizes(t *testing.T) {
	b := mod([]byte{SecType, 0x84, 0x80, 0x80, 0x80, 0, 1, 0x60, 0, 0})
	m, err := Decode(b, wide)
	if err != nil || !bytes.Equal(m.Encode(), b) {
		t.Errorf("%v, %v", m, err)
	}
}

// FuzzDecode: no input makes the decoder or the checker panic, and what is
// decoded encodes to the same bytes.
func FuzzDecode(f *testing.F) {
	f.Add(mod(voidType, oneFunc, code(0x02, 0x40, 0x41, 0, 0x0E, 1, 0, 1, 0x0B, 0x0B)))
	f.Add(mod(voidType, oneFunc, []byte{SecMemory, 3, 1, 0, 1}, code(0x41, 0, 0xFD, 0x54, 0, 0, 3, 0x0B)))
	f.Add(mod([]byte{SecTable, 4, 1, 0x70, 0, 1}, []byte{SecElement, 6, 1, 0, 0x41, 0, 0x0B, 0}))
	f.Add(mod([]byte{SecMemory, 3, 1, 0, 1}, []byte{SecData, 7, 1, 0, 0x41, 0, 0x0B, 1, 7}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b, wide)
		if err == nil {
			if !bytes.Equal(m.Encode(), b) {
				t.Fatal("encoding lost something")
			}
			err = m.Check(1000)
		}
		var format *FormatError
		var limit *LimitError
		if err != nil && !errors.As(err, &format) && !errors.As(err, &limit) {
			t.Fatalf("untyped error %v", err)
		}
	})
}

// TestLimitMemory: the maximum is set, all else stays as it is, a size in more
// bytes than it needs included.
func TestLimitMemory(t *testing.T) {
	custom := []byte{SecCustom, 0x83, 0, 1, 'x', 7}
	memory := func(limits ...byte) []byte {
		return append([]byte{SecMemory, byte(1 + len(limits)), 1}, limits...)
	}
	limited := func(b []byte, pages uint32) ([]byte, error) {
		m, err := Decode(b, wide)
		if err != nil {
			t.Fatal(err)
		}
		return m.LimitMemory(pages)
	}
	for _, m := range [][]byte{memory(0, 3), memory(1, 3, 9)} {
		before := mod(custom, voidType, oneFunc, m, code(0x0B), custom)
		got, err := limited(before, 5)
		if want := mod(custom, voidType, oneFunc, memory(1, 3, 5), code(0x0B), custom); err != nil || !bytes.Equal(got, want) {
			t.Errorf("% x became % x, %v", before, got, err)
		}
		var limit *LimitError
		if _, err := limited(before, 2); !errors.As(err, &limit) || limit.Value != 3 || limit.Max != 2 {
			t.Errorf("less than it begins with: %v", err)
		}
	}
	var limit *LimitError
	if _, err := limited(mod(memory(1, 3, 9)), 10); !errors.As(err, &limit) || limit.Value != 10 || limit.Max != 9 {
		t.Errorf("more than declared: %v", err)
	}
	if got, err := limited(mod(memory(1, 3, 9)), 9); err != nil || !bytes.Equal(got, mod(memory(1, 3, 9))) {
		t.Errorf("the same again: % x, %v", got, err)
	}
	if _, err := limited(mod(voidType), 5); !errors.Is(err, ErrNoMemory) {
		t.Errorf("no memory: %v", err)
	}
}
