package wasmbin

import "unicode/utf8"

// reader reads buf[pos:end]. The first error sticks; after it every read
// returns zero. Offsets in errors are offsets in buf.
type reader struct {
	buf []byte
	pos int
	end int
	err error
}

func (r *reader) fail(at int, rule string) {
	if r.err == nil {
		r.err = &FormatError{Offset: at, Rule: rule}
	}
}

func (r *reader) limit(at int, name string, v, max uint64) {
	if r.err == nil {
		r.err = &LimitError{Offset: at, Limit: name, Value: v, Max: max}
	}
}

func (r *reader) left() int { return r.end - r.pos }

func (r *reader) byte() byte {
	if r.err != nil {
		return 0
	}
	if r.pos >= r.end {
		r.fail(r.pos, "unexpected end")
		return 0
	}
	b := r.buf[r.pos]
	r.pos++
	return b
}

func (r *reader) bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > r.left() {
		r.fail(r.pos, "unexpected end")
		return nil
	}
	b := r.buf[r.pos : r.pos+n : r.pos+n]
	r.pos += n
	return b
}

func (r *reader) u32() uint32 {
	if r.err == nil && r.pos < r.end && r.buf[r.pos] < 0x80 {
		r.pos++
		return uint32(r.buf[r.pos-1])
	}
	at := r.pos
	var v uint32
	for shift := 0; ; shift += 7 {
		b := r.byte()
		if r.err != nil {
			return 0
		}
		if shift == 28 && b > 0x0F {
			r.fail(at, "integer too large or too long")
			return 0
		}
		v |= uint32(b&0x7F) << shift
		if b < 0x80 {
			return v
		}
	}
}

// sleb reads a signed integer of the given width (32, 33 or 64 bits).
func (r *reader) sleb(bits int) int64 {
	at := r.pos
	var v int64
	for shift := 0; ; shift += 7 {
		b := r.byte()
		if r.err != nil {
			return 0
		}
		if rest := bits - shift; rest < 7 {
			// Last byte: the bits above the width must repeat the sign.
			sign := int8(b<<1) >> (rest) // sign-extended bits from rest-1 upwards
			if b >= 0x80 || (sign != 0 && sign != -1) {
				r.fail(at, "integer too large or too long")
				return 0
			}
		}
		v |= int64(b&0x7F) << shift
		if b < 0x80 {
			if shift+7 < 64 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
}

// count reads a vector length: at most max, and no more than the bytes left
// allow when each item takes at least size bytes.
func (r *reader) count(name string, max, size int) int {
	at := r.pos
	n := r.u32()
	if r.err != nil {
		return 0
	}
	if uint64(n)*uint64(size) > uint64(r.left()) {
		r.fail(at, "length out of bounds")
		return 0
	}
	if uint64(n) > uint64(max) {
		r.limit(at, name, uint64(n), uint64(max))
		return 0
	}
	return int(n)
}

func (r *reader) name(max int) string {
	n := r.count("name bytes", max, 1)
	at := r.pos
	b := r.bytes(n)
	if r.err == nil && !utf8.Valid(b) {
		r.fail(at, "malformed UTF-8 encoding")
	}
	return string(b)
}

// U32 decodes the unsigned LEB128 number at the start of b and returns its
// length in bytes. The input is from a module that Decode took.
func U32(b []byte) (v uint32, n int) {
	for shift := 0; ; shift += 7 {
		c := b[n]
		v |= uint32(c&0x7F) << shift
		if n++; c < 0x80 {
			return v, n
		}
	}
}

// S64 decodes a signed LEB128 that a decoder accepted and returns how many
// bytes it takes.
func S64(b []byte) (v int64, n int) {
	for shift := 0; ; shift += 7 {
		c := b[n]
		v |= int64(c&0x7F) << shift
		n++
		if c < 0x80 {
			if shift += 7; c&0x40 != 0 && shift < 64 {
				v |= -1 << shift
			}
			return v, n
		}
	}
}

// AppendU32 appends v as unsigned LEB128.
func AppendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// AppendS64 appends v as signed LEB128; it encodes 32-bit values as well.
func AppendS64(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7F)
		v >>= 7
		if (v == 0 && c&0x40 == 0) || (v == -1 && c&0x40 != 0) {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// AppendName appends a length and the bytes of s.
func AppendName(b []byte, s string) []byte {
	return append(AppendU32(b, uint32(len(s))), s...)
}

// appendPadded appends v as unsigned LEB128 of exactly width bytes; a width
// too small for v is widened.
func appendPadded(b []byte, v uint32, width int) []byte {
	start := len(b)
	b = AppendU32(b, v)
	for len(b)-start < width {
		b[len(b)-1] |= 0x80
		b = append(b, 0)
	}
	return b
}
