package meter_test

import (
	"encoding/binary"
	"math"

	"github.com/assaynet/assay/runtime/wasmbin"
)

// expr leaves a value of type t on the stack.
func (g *gen) expr(t wasmbin.ValType, depth int) {
	g.budget--
	if depth == 0 || g.budget < 0 || g.n(5) == 0 {
		g.leaf(t)
		return
	}
	switch g.n(8) {
	case 0: // a block with a value and a branch that carries one
		g.blockOf(t)
		g.labels++ // its label carries a value: only the br_if below uses it
		saved := g.labels
		g.labels = 0
		g.expr(t, depth-1)
		g.expr(i32, depth-1)
		g.idx(0x0D, 0)
		g.op(0x1A)
		g.expr(t, depth-1)
		g.labels = saved - 1
		g.op(0x0B)
		return
	case 1:
		g.expr(t, depth-1)
		g.expr(t, depth-1)
		g.expr(i32, depth-1)
		g.op(0x1B)
		return
	case 2:
		g.expr(t, depth-1)
		g.idx(0x22, g.local(t))
		return
	}
	switch t {
	case i32:
		g.int32(depth)
	case i64:
		g.int64(depth)
	case f32:
		g.float(depth, f32, 0x8B, "\x8B\x8C\x8D\x8E\x8F\x90\x91", "\x92\x93\x94\x95\x96\x97\x98", 0xBE, i32, 0xB6, f64)
	case f64:
		g.float(depth, f64, 0x99, "\x99\x9A\x9B\x9C\x9D\x9E\x9F", "\xA0\xA1\xA2\xA3\xA4\xA5\xA6", 0xBF, i64, 0xBB, f32)
	}
}

func (g *gen) leaf(t wasmbin.ValType) {
	if g.n(2) == 0 {
		g.idx(0x20, g.local(t))
		return
	}
	ints := []int64{0, 1, -1, 2, 7, 255, 65535, math.MinInt32, math.MaxInt32, 12345}
	switch t {
	case i32:
		g.konst(0x41, ints[g.n(len(ints))])
	case i64:
		g.konst(0x42, append(ints, math.MinInt64, math.MaxInt64)[g.n(len(ints)+2)])
	case f32:
		bits := []uint32{0, 1 << 31, 0x3F800000, 0xBF000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00001, 0x7FA00000, 0x4F000000}
		g.op(0x43)
		g.b = binary.LittleEndian.AppendUint32(g.b, bits[g.n(len(bits))])
	default:
		bits := []uint64{0, 1 << 63, 0x3FF << 52, 0xBFE << 52, 0x7FF << 52, 0xFFF << 52, 0x7FF8 << 48, 0xFFF8<<48 | 1, 0x7FF4 << 48, 0x43E << 52}
		g.op(0x44)
		g.b = binary.LittleEndian.AppendUint64(g.b, bits[g.n(len(bits))])
	}
}

func (g *gen) binary(t wasmbin.ValType, depth int, op byte) {
	g.expr(t, depth-1)
	g.expr(t, depth-1)
	g.op(op)
}

func (g *gen) int32(depth int) {
	switch g.n(10) {
	case 0:
		g.expr(i32, depth-1)
		g.op(g.pick("\x45\x67\x68\x69\xC0\xC1"))
	case 1:
		g.binary(i32, depth, byte(0x46+g.n(10)))
	case 2:
		g.binary(i64, depth, byte(0x51+g.n(10)))
	case 3:
		g.binary(f32, depth, byte(0x5B+g.n(6)))
	case 4:
		g.binary(f64, depth, byte(0x61+g.n(6)))
	case 5:
		g.address()
		g.op(g.pick("\x28\x2C\x2D\x2E\x2F"), 0, byte(g.n(8)))
	case 6:
		g.expr(f32, depth-1)
		g.op(0xFC, byte(g.n(2)))
	case 7:
		g.expr(f32, depth-1)
		g.op(0xBC)
	case 8:
		g.op(0x3F, 0)
	default:
		g.binary(i32, depth, byte(0x6A+g.n(15)))
	}
}

func (g *gen) int64(depth int) {
	switch g.n(9) {
	case 0:
		g.expr(i64, depth-1)
		g.op(g.pick("\x79\x7A\x7B\xC2\xC3\xC4"))
	case 1:
		g.expr(i32, depth-1)
		g.op(g.pick("\xAC\xAD"))
	case 2:
		g.expr(f64, depth-1)
		g.op(0xFC, byte(6+g.n(2)))
	case 3:
		g.expr(f64, depth-1)
		g.op(0xBD)
	case 4:
		g.address()
		g.op(g.pick("\x29\x30\x31\x32\x33\x34\x35"), 0, byte(g.n(8)))
	case 5:
		g.idx(0x23, g.n(2))
	case 6:
		if g.simd {
			g.vector(depth - 1)
			g.vec(0x1D)
			g.op(byte(g.n(2)))
			return
		}
		fallthrough
	default:
		g.binary(i64, depth, byte(0x7C+g.n(15)))
	}
}

func (g *gen) float(depth int, t wasmbin.ValType, abs byte, unary, two string, reinterpret byte, from wasmbin.ValType, convert byte, other wasmbin.ValType) {
	switch g.n(7) {
	case 0:
		g.expr(t, depth-1)
		g.op(g.pick(unary))
	case 1:
		g.expr(from, depth-1)
		g.op(reinterpret)
	case 2:
		g.expr(other, depth-1)
		g.op(convert)
	case 3:
		g.expr(from, depth-1)
		if t == f32 {
			g.op(0xB2)
		} else {
			g.op(0xB9)
		}
	case 4:
		g.address()
		if t == f32 {
			g.op(0x2A, 0, 0)
		} else {
			g.op(0x2B, 0, 0)
		}
	default:
		g.binary(t, depth, g.pick(two))
	}
}

// vector leaves a v128 on the stack.
func (g *gen) vector(depth int) {
	g.budget--
	if depth == 0 || g.budget < 0 || g.n(4) == 0 {
		g.idx(0x20, g.local(v128))
		return
	}
	two := []int{0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xEB, 0xF0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7,
		0x41, 0x44, 0x47, 0x4A, 0x4E, 0x51, 0x6E, 0xAE, 0xD1, 0x0E, 0xD5}
	one := []int{0x5E, 0x5F, 0x67, 0x69, 0x6A, 0x74, 0x7A, 0x94, 0xE0, 0xE1, 0xE3, 0xEC, 0xED, 0xEF, 0xF8, 0xFA, 0xFC, 0xFE, 0x4D}
	switch g.n(8) {
	case 0:
		t := g.anyType()
		g.expr(t, depth-1)
		g.vec(map[wasmbin.ValType]int{i32: 0x11, i64: 0x12, f32: 0x13, f64: 0x14}[t])
	case 1:
		g.address()
		g.vec(0)
		g.memarg(0, 0)
	case 2:
		g.vector(depth - 1)
		g.idx(0x22, g.local(v128))
	case 3:
		g.vector(depth - 1)
		g.vec(one[g.n(len(one))])
	default:
		g.vector(depth - 1)
		g.vector(depth - 1)
		g.vec(two[g.n(len(two))])
	}
}
