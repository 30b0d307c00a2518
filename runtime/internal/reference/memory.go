package reference

import (
	"encoding/binary"

	"github.com/assaynet/assay/runtime/abi"
)

// bytesAt returns n bytes of memory at base + offset.
func (r *frame) bytesAt(base, offset uint32, n int) []byte {
	at := uint64(base) + uint64(offset)
	if at+uint64(n) > uint64(len(r.in.Memory)) {
		Stop(abi.TrapMemoryOutOfBounds)
	}
	return r.in.Memory[at : at+uint64(n)]
}

// little reads up to 8 bytes.
func little(b []byte) uint64 {
	var v [8]byte
	copy(v[:], b)
	return binary.LittleEndian.Uint64(v[:])
}

func put(b []byte, v uint64) {
	var w [8]byte
	binary.LittleEndian.PutUint64(w[:], v)
	copy(b, w[:])
}

// extend reads v as a signed number of the given width in bits.
func extend(v uint64, bits int) int64 { return int64(v<<(64-bits)) >> (64 - bits) }

// scalar loads and stores: bytes, signed (loads), 64-bit result.
var accesses = map[uint16]struct {
	n      int
	signed bool
	wide   bool
}{
	0x28: {4, false, false}, 0x29: {8, false, true}, 0x2A: {4, false, false}, 0x2B: {8, false, true},
	0x2C: {1, true, false}, 0x2D: {1, false, false}, 0x2E: {2, true, false}, 0x2F: {2, false, false},
	0x30: {1, true, true}, 0x31: {1, false, true}, 0x32: {2, true, true}, 0x33: {2, false, true},
	0x34: {4, true, true}, 0x35: {4, false, true},
	0x36: {n: 4}, 0x37: {n: 8}, 0x38: {n: 4}, 0x39: {n: 8}, 0x3A: {n: 1}, 0x3B: {n: 2}, 0x3C: {n: 1}, 0x3D: {n: 2}, 0x3E: {n: 4},
}

// access runs loads and stores.
func (r *frame) access(i *instr) {
	op := i.op
	if op >= 0xFD00 {
		r.vectorAccess(i)
		return
	}
	a := accesses[op]
	if op >= 0x36 {
		v := r.pop().Lo
		put(r.bytesAt(r.pop32(), i.b, a.n), v)
		return
	}
	v := little(r.bytesAt(r.pop32(), i.b, a.n))
	if a.signed {
		v = uint64(extend(v, 8*a.n))
	}
	if !a.wide {
		v = uint64(uint32(v))
	}
	r.push(Value{Lo: v})
}

func (r *frame) vectorAccess(i *instr) {
	op := i.op & 0xFF
	switch {
	case op == 0x00:
		b := r.bytesAt(r.pop32(), i.b, 16)
		r.push(Value{little(b[:8]), little(b[8:])})
	case op <= 0x06: // 8 bytes, each part extended to twice its width
		b := r.bytesAt(r.pop32(), i.b, 8)
		w := 8 << ((op - 1) / 2)
		r.push(lanes(2*w, func(l int) uint64 {
			v := little(b[l*w/8 : (l+1)*w/8])
			if op%2 == 1 {
				v = uint64(extend(v, w))
			}
			return v
		}))
	case op <= 0x0A:
		w := 8 << (op - 7)
		v := little(r.bytesAt(r.pop32(), i.b, w/8))
		r.push(lanes(w, func(int) uint64 { return v }))
	case op == 0x0B:
		v := r.pop()
		b := r.bytesAt(r.pop32(), i.b, 16)
		put(b[:8], v.Lo)
		put(b[8:], v.Hi)
	case op >= 0x54 && op <= 0x57:
		w := 8 << (op - 0x54)
		v := r.pop()
		x := little(r.bytesAt(r.pop32(), i.b, w/8))
		r.push(v.with(w, int(i.imm.Lo), x))
	case op >= 0x58 && op <= 0x5B:
		w := 8 << (op - 0x58)
		v := r.pop()
		put(r.bytesAt(r.pop32(), i.b, w/8), v.lane(w, int(i.imm.Lo)))
	case op == 0x5C:
		r.push(Value{Lo: little(r.bytesAt(r.pop32(), i.b, 4))})
	case op == 0x5D:
		r.push(Value{Lo: little(r.bytesAt(r.pop32(), i.b, 8))})
	}
}

// bulk runs what works on whole memories, tables and segments. What moves or
// makes items is charged by the item, and checked, before it does anything.
func (r *frame) bulk(i *instr) {
	in := r.in
	if rate := in.costs.Operand(i.op); rate > 0 {
		n := uint64(uint32(r.st[len(r.st)-1].Lo))
		cost := int64((n*uint64(rate) + 15) / 16)
		in.Spent += cost
		in.charge(cost, false)
		in.look()
	}
	switch i.op {
	case 0x3F:
		r.push32(uint32(len(in.Memory) / page))
	case 0x40:
		n, have := uint64(r.pop32()), uint64(len(in.Memory)/page)
		if have+n > uint64(in.maxPages) {
			r.push32(^uint32(0))
			return
		}
		in.Memory = append(in.Memory, make([]byte, n*page)...)
		r.push32(uint32(have))
	case 0x25:
		t, at := in.tables[i.a], r.pop32()
		span(uint64(at), 1, len(t), abi.TrapTableOutOfBounds)
		r.push(t[at])
	case 0x26:
		v, at := r.pop(), r.pop32()
		span(uint64(at), 1, len(in.tables[i.a]), abi.TrapTableOutOfBounds)
		in.tables[i.a][at] = v
	case 0xFC08:
		n, s, d := r.three()
		span(s, n, len(in.datas[i.a]), abi.TrapMemoryOutOfBounds)
		span(d, n, len(in.Memory), abi.TrapMemoryOutOfBounds)
		copy(in.Memory[d:d+n], in.datas[i.a][s:])
	case 0xFC09:
		in.datas[i.a] = nil
	case 0xFC0A:
		n, s, d := r.three()
		span(s, n, len(in.Memory), abi.TrapMemoryOutOfBounds)
		span(d, n, len(in.Memory), abi.TrapMemoryOutOfBounds)
		copy(in.Memory[d:d+n], in.Memory[s:s+n])
	case 0xFC0B:
		n, v, d := r.three()
		span(d, n, len(in.Memory), abi.TrapMemoryOutOfBounds)
		for k := range n {
			in.Memory[d+k] = byte(v)
		}
	case 0xFC0C:
		n, s, d := r.three()
		span(s, n, len(in.elems[i.a]), abi.TrapTableOutOfBounds)
		span(d, n, len(in.tables[i.b]), abi.TrapTableOutOfBounds)
		copy(in.tables[i.b][d:d+n], in.elems[i.a][s:])
	case 0xFC0D:
		in.elems[i.a] = nil
	case 0xFC0E:
		n, s, d := r.three()
		span(s, n, len(in.tables[i.b]), abi.TrapTableOutOfBounds)
		span(d, n, len(in.tables[i.a]), abi.TrapTableOutOfBounds)
		copy(in.tables[i.a][d:d+n], in.tables[i.b][s:s+n])
	case 0xFC0F:
		n, v, have := r.pop32(), r.pop(), len(in.tables[i.a])
		if uint64(have)+uint64(n) > uint64(in.maxTable[i.a]) {
			r.push32(^uint32(0))
			return
		}
		for range n {
			in.tables[i.a] = append(in.tables[i.a], v)
		}
		r.push32(uint32(have))
	case 0xFC10:
		r.push32(uint32(len(in.tables[i.a])))
	case 0xFC11:
		n, v, at := uint64(r.pop32()), r.pop(), uint64(r.pop32())
		span(at, n, len(in.tables[i.a]), abi.TrapTableOutOfBounds)
		for k := range n {
			in.tables[i.a][at+k] = v
		}
	}
}

// three pops length, source and destination.
func (r *frame) three() (n, s, d uint64) {
	n = uint64(r.pop32())
	s = uint64(r.pop32())
	return n, s, uint64(r.pop32())
}

// span stops with t unless n items at at fit in size.
func span(at, n uint64, size int, t abi.Trap) {
	if at+n > uint64(size) {
		Stop(t)
	}
}
