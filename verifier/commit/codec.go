package commit

import (
	"encoding/binary"

	"lukechampine.com/blake3"
)

// writer appends canonical bytes: integers little-endian and fixed-width,
// byte strings behind a u32 length, the whole behind a tag that no other kind
// of value starts with.
type writer struct{ b []byte }

func newWriter(tag string, capacity int) *writer {
	w := &writer{b: make([]byte, 0, 1+len(tag)+capacity)}
	w.u8(uint8(len(tag)))
	w.b = append(w.b, tag...)
	return w
}

func (w *writer) u8(v uint8)     { w.b = append(w.b, v) }
func (w *writer) u16(v uint16)   { w.b = binary.LittleEndian.AppendUint16(w.b, v) }
func (w *writer) u32(v uint32)   { w.b = binary.LittleEndian.AppendUint32(w.b, v) }
func (w *writer) u64(v uint64)   { w.b = binary.LittleEndian.AppendUint64(w.b, v) }
func (w *writer) raw(v []byte)   { w.b = append(w.b, v...) }
func (w *writer) bytes(v []byte) { w.u32(uint32(len(v))); w.raw(v) }
func (w *writer) sum() [32]byte  { return blake3.Sum256(w.b) }

// reader is the bounded inverse. The first failure sticks and every later
// read returns zero, so a decoder checks once at the end.
type reader struct {
	b   []byte
	err error
}

func newReader(tag string, b []byte) *reader {
	r := &reader{b: b}
	if got := string(r.raw(int(r.u8()))); r.err == nil && got != tag {
		r.err = refuse(ErrEncoding, "tag %q, want %q", got, tag)
	}
	return r
}

func (r *reader) raw(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n > len(r.b) {
		r.err = refuse(ErrEncoding, "%d bytes where %d are needed", len(r.b), n)
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() uint8 {
	if v := r.raw(1); r.err == nil {
		return v[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if v := r.raw(2); r.err == nil {
		return binary.LittleEndian.Uint16(v)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if v := r.raw(4); r.err == nil {
		return binary.LittleEndian.Uint32(v)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if v := r.raw(8); r.err == nil {
		return binary.LittleEndian.Uint64(v)
	}
	return 0
}

func (r *reader) hash() (h [32]byte) {
	copy(h[:], r.raw(32))
	return h
}

// bytes reads a length and that many bytes, at most max. The result is a copy.
func (r *reader) bytes(what string, max int) []byte {
	n := r.u32()
	if r.err == nil && n > uint32(max) {
		r.err = refuse(ErrBounds, "%s of %d bytes, at most %d allowed", what, n, max)
	}
	if n == 0 || r.err != nil {
		return nil
	}
	return append([]byte(nil), r.raw(int(n))...)
}

// close reports the first failure, or bytes left over.
func (r *reader) close() error {
	if r.err == nil && len(r.b) > 0 {
		r.err = refuse(ErrEncoding, "%d bytes left over", len(r.b))
	}
	return r.err
}
