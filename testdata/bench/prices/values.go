package main

import (
	"math"

	"github.com/assaynet/assay/runtime/wasmbin"
)

// values are what the operands of a chain start with and stay at.
type values struct {
	name     string
	i, j     int64 // integers: the chain's and the other operand
	x, y     float64
	lo, hi   uint64 // vectors: the chain's
	lo2, hi2 uint64
}

// lanes of 1.5 and a little more than 1 in both widths, and their denormal
// and not-a-number kin.
var valueSets = []values{
	{"", 0x7FEDCBA987654321, 3, 1.5, 1.0000001, both(1.5), both(1.25), both(1.0000001), both(1.0000002)},
	{"denormal", 1, 1, 1e-310, 1.5, 1, 0x0000_0100_0000_0100, both(1.5), both(1.5)},
	{"not a number", -1, -1, math.NaN(), math.Inf(1), math.MaxUint64, math.MaxUint64, 0x7F80_0000_7F80_0000, 0x7F80_0000_7F80_0000},
}

func both(v float64) uint64 {
	b := uint64(math.Float32bits(float32(v)))
	return b<<32 | b
}

// f32 denormals are not f64 ones.
func (v *values) single(x float64) float32 {
	if x == 1e-310 {
		return 1e-40
	}
	return float32(x)
}

// Locals of every measured function: the chain's value and a constant of each
// type, then scratch.
const (
	chainI32, chainI64, chainF32, chainF64, chainV128 = 0, 1, 2, 3, 4
	constI32, constI64, constF32, constF64, constV128 = 5, 6, 7, 8, 9
	counter, state                                    = 10, 11
)

var locals = []wasmbin.LocalGroup{
	{Count: 1, Type: i32}, {Count: 1, Type: i64}, {Count: 1, Type: f32}, {Count: 1, Type: f64}, {Count: 1, Type: v128},
	{Count: 1, Type: i32}, {Count: 1, Type: i64}, {Count: 1, Type: f32}, {Count: 1, Type: f64}, {Count: 1, Type: v128},
	{Count: 4, Type: i32},
}

func chainOf(t wasmbin.ValType) int {
	return map[wasmbin.ValType]int{i32: chainI32, i64: chainI64, f32: chainF32, f64: chainF64, v128: chainV128}[t]
}

func (v *values) start(c *code) {
	c.i32(int32(v.i)).set(chainI32).i64(v.i).set(chainI64).f32(v.single(v.x)).set(chainF32).f64(v.x).set(chainF64).v128(v.lo, v.hi).set(chainV128)
	c.i32(int32(v.j)).set(constI32).i64(v.j).set(constI64).f32(v.single(v.y)).set(constF32).f64(v.y).set(constF64).v128(v.lo2, v.hi2).set(constV128)
}

// finish makes what the chains computed observable, so that no compiler
// leaves them out.
func finish(c *code) {
	c.get(chainI64).get(chainI32).op(wasmbin.OpI64ExtendU).op(0x85).get(chainF64).op(0xBD).op(0x85)
	c.get(chainF32).op(0xBC).op(wasmbin.OpI64ExtendU).op(0x85).get(chainV128).op(0xFD1D, 0).op(0x85)
	c.get(state).op(wasmbin.OpI64ExtendU).op(0x85).op(wasmbin.OpGlobalSet, 0)
}

// convert turns a value of one type into another by the cheapest way.
func convert(c *code, from, to wasmbin.ValType) {
	if from == to {
		return
	}
	type pair struct{ from, to wasmbin.ValType }
	switch (pair{from, to}) {
	case pair{i32, i64}:
		c.op(wasmbin.OpI64ExtendU)
	case pair{i64, i32}:
		c.op(0xA7)
	case pair{i32, f32}:
		c.op(0xBE)
	case pair{i64, f64}:
		c.op(0xBF)
	case pair{f32, i32}:
		c.op(0xBC)
	case pair{f64, i64}:
		c.op(0xBD)
	case pair{i32, v128}:
		c.op(0xFD11)
	case pair{i64, v128}:
		c.op(0xFD12)
	case pair{f32, v128}:
		c.op(0xFD13)
	case pair{f64, v128}:
		c.op(0xFD14)
	case pair{v128, i32}:
		c.op(0xFD1B, 0)
	case pair{v128, i64}:
		c.op(0xFD1D, 0)
	case pair{v128, f32}:
		c.op(0xFD1F, 0)
	case pair{v128, f64}:
		c.op(0xFD21, 0)
	default: // between widths of scalars: through integers
		via := map[wasmbin.ValType]wasmbin.ValType{f32: i32, f64: i64, i32: i64, i64: i32}
		if from == f32 || from == f64 {
			convert(c, from, via[from])
			convert(c, via[from], to)
			return
		}
		convert(c, from, via[from])
		convert(c, via[from], to)
	}
}
