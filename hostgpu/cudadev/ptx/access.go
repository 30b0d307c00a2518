package ptx

import "encoding/binary"

// An access says how bytes are touched.
type access uint8

const (
	reads access = 1 << iota
	writes
	atomics // atomic, volatile or with a memory order: no race with its like
)

// window resolves a generic address (PTX ISA: Generic Addressing).
func window(a uint64) (space, uint64) {
	switch a &^ (windowSize - 1) {
	case sharedStart:
		return spaceShared, a - sharedStart
	case localStart:
		return spaceLocal, a - localStart
	case paramStart:
		return spaceParam, a - paramStart
	case constStart:
		return spaceConst, a - constStart
	}
	return spaceGlobal, a
}

// bytes returns the n bytes at address a that a lane touches, after all checks.
// align is what a must be a multiple of.
func (w *warp) bytes(sp space, lane int, a uint64, n, align int, how access) []byte {
	if sp == spaceGeneric {
		sp, a = window(a)
	}
	if a&uint64(align-1) != 0 {
		w.fault(ErrMisaligned, lane, sp.String(), a, "%d bytes", n)
	}
	switch sp {
	case spaceGlobal:
		return w.global(lane, a, n, how)
	case spaceShared:
		if a < sharedBase || a > uint64(len(w.shared)) || n > len(w.shared)-int(a) {
			w.fault(ErrBounds, lane, "shared", a, "%d bytes; the block has [%#x, %#x)", n, sharedBase, len(w.shared))
		}
		if w.valid != nil {
			w.checkValid(w.valid[a:][:n], lane, "shared", a, how)
		}
		if w.race != nil {
			w.race.access(w, lane, a, n, how)
		}
		return w.shared[a:][:n]
	case spaceLocal:
		return w.private(lane, a, n, "local")
	case spaceParam:
		if a >= threadParam {
			return w.private(lane, a-threadParam, n, "param")
		}
		if a > uint64(len(w.args)) || n > len(w.args)-int(a) {
			w.fault(ErrBounds, lane, "param", a, "%d bytes of %d", n, len(w.args))
		}
		if how&writes != 0 {
			w.fault(ErrBounds, lane, "param", a, "parameters of a kernel cannot be written")
		}
		return w.args[a:][:n]
	}
	if how&writes != 0 {
		w.fault(ErrBounds, lane, "const", a, "constant memory cannot be written")
	}
	if a > uint64(len(w.constSpace)) || n > len(w.constSpace)-int(a) {
		w.fault(ErrBounds, lane, "const", a, "%d bytes of %d", n, len(w.constSpace))
	}
	return w.constSpace[a:][:n]
}

// private returns bytes of the lane's own memory.
func (w *warp) private(lane int, a uint64, n int, name string) []byte {
	size := w.prog.local
	if a > uint64(size) || n > size-int(a) {
		w.fault(ErrBounds, lane, name, a, "%d bytes of %d", n, size)
	}
	return w.local[lane*size+int(a):][:n]
}

func (w *warp) global(lane int, a uint64, n int, how access) []byte {
	al := w.last
	if al == nil || a-al.base >= uint64(len(al.data)) {
		al = w.lookup(lane, a, n)
	}
	off := a - al.base
	if uint64(n) > uint64(len(al.data))-off {
		w.fault(ErrBounds, lane, "global", a, "%d bytes, %d before the end of an allocation of %d", n, uint64(len(al.data))-off, len(al.data))
	}
	if w.checks.Uninitialised {
		w.checkValid(al.valid[off:][:n], lane, "global", a, how)
	} else if how&writes != 0 {
		set(al.valid[off:][:n])
	}
	return al.data[off:][:n:n]
}

// lookup finds the allocation that holds a.
func (w *warp) lookup(lane int, a uint64, n int) *allocation {
	if i := search(w.launch.live, a); i >= 0 {
		if al := w.launch.live[i]; a-al.base < uint64(len(al.data)) {
			w.last = al
			return al
		}
	}
	if i := search(w.freed, a); i >= 0 {
		var size uint64
		for _, ch := range w.freed[i].name {
			size = size*10 + uint64(ch-'0')
		}
		if a-w.freed[i].base < size {
			w.fault(ErrFreed, lane, "global", a, "%d bytes in an allocation of %d that was freed", n, size)
		}
	}
	if i := search(w.launch.live, a); i >= 0 {
		al := w.launch.live[i]
		w.fault(ErrBounds, lane, "global", a, "%d bytes, %d behind the end of an allocation of %d", n, a-al.base-uint64(len(al.data)), len(al.data))
	}
	w.fault(ErrBounds, lane, "global", a, "%d bytes, below all allocations", n)
	return nil
}

// checkValid refuses reads of bytes that nothing has written and marks writes.
func (w *warp) checkValid(valid []byte, lane int, space string, a uint64, how access) {
	if how&reads != 0 {
		for i, v := range valid {
			if v == 0 {
				w.fault(ErrUninitialised, lane, space, a+uint64(i), "of %d bytes from %#x", len(valid), a)
			}
		}
	}
	if how&writes != 0 {
		set(valid)
	}
}

// set marks bytes as written.
func set(valid []byte) {
	const ones = 0x0101010101010101
	for len(valid) >= 8 {
		binary.LittleEndian.PutUint64(valid, ones)
		valid = valid[8:]
	}
	for i := range valid {
		valid[i] = 1
	}
}

func get(p []byte, size int) uint64 {
	switch size {
	case 1:
		return uint64(p[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(p))
	case 4:
		return uint64(binary.LittleEndian.Uint32(p))
	}
	return binary.LittleEndian.Uint64(p)
}

func poke(p []byte, size int, v uint64) {
	switch size {
	case 1:
		p[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(p, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(p, uint32(v))
	default:
		binary.LittleEndian.PutUint64(p, v)
	}
}

// ordered lets use work on the bytes of an atomic, volatile or ordered access,
// while no other block does so on the same line of memory.
func (w *warp) ordered(sp space, lane int, a uint64, n, align int, how access, use func(p []byte)) {
	mu := &w.m.mem.locks[a>>6%256]
	mu.Lock()
	defer mu.Unlock() // also where the access is refused
	use(w.bytes(sp, lane, a, n, align, how|atomics))
}
