package meter_test

import (
	"math/rand/v2"

	"github.com/assaynet/assay/runtime/wasmbin"
)

// gen makes random valid modules that always end: loops count down and calls
// go to later functions only. It draws its decisions from bytes, then from a
// seeded stream, so that a fuzzer can steer it.
type gen struct {
	data   []byte
	rng    *rand.Rand
	simd   bool
	types  []wasmbin.FuncType
	sigs   []uint32 // types of the functions
	fn     int
	locals []wasmbin.ValType
	frees  int // locals[frees:] are loop counters
	labels int // open labels, none with values
	loops  int
	budget int
	b      []byte
}

const (
	i32, i64 = wasmbin.I32, wasmbin.I64
	f32, f64 = wasmbin.F32, wasmbin.F64
	v128     = wasmbin.V128
)

func newGen(seed uint64, data []byte, simd bool) *gen {
	return &gen{data: data, rng: rand.New(rand.NewPCG(seed, 42)), simd: simd}
}

func (g *gen) n(k int) int {
	if len(g.data) > 0 {
		v := int(g.data[0])
		g.data = g.data[1:]
		return v % k
	}
	return g.rng.IntN(k)
}

func (g *gen) op(bs ...byte)               { g.b = append(g.b, bs...) }
func (g *gen) idx(op byte, i int)          { g.b = wasmbin.AppendU32(append(g.b, op), uint32(i)) }
func (g *gen) konst(op byte, v int64)      { g.b = wasmbin.AppendS64(append(g.b, op), v) }
func (g *gen) vec(op int)                  { g.b = wasmbin.AppendU32(append(g.b, 0xFD), uint32(op)) }
func (g *gen) pick(bs string) byte         { return bs[g.n(len(bs))] }
func (g *gen) types2() []wasmbin.ValType   { return []wasmbin.ValType{i32, i64, f32, f64} }
func (g *gen) anyType() wasmbin.ValType    { return g.types2()[g.n(4)] }
func (g *gen) local(t wasmbin.ValType) int { return g.find(t, g.n(8)) }
func (g *gen) address()                    { g.expr(i32, 2); g.konst(0x41, 0xFFF8); g.op(0x71) }
func (g *gen) memarg(align, off byte)      { g.op(align, off) }
func (g *gen) blockOf(t wasmbin.ValType)   { g.op(0x02, byte(t)) }
func (g *gen) find(t wasmbin.ValType, k int) int {
	at := -1
	for i, l := range g.locals[:g.frees] {
		if l == t {
			if at = i; k == 0 {
				break
			}
			k--
		}
	}
	return at
}

// module returns a random module of up to four functions.
func (g *gen) module() []byte {
	n := 1 + g.n(4)
	g.types = []wasmbin.FuncType{
		{Params: []wasmbin.ValType{i32, i64, f64}, Results: []wasmbin.ValType{i64}},
		{Params: []wasmbin.ValType{f32}, Results: []wasmbin.ValType{f32}},
		{Params: []wasmbin.ValType{i64, i32}, Results: []wasmbin.ValType{i32, f64}},
		{},
	}
	g.sigs = []uint32{0}
	for i := 1; i < n; i++ {
		g.sigs = append(g.sigs, uint32(g.n(len(g.types))))
	}
	var fns []fn
	for i := range n {
		fns = append(fns, g.function(i))
	}
	return build(g.types, fns...)
}

func (g *gen) function(i int) fn {
	t := g.types[g.sigs[i]]
	f := fn{typ: g.sigs[i]}
	g.fn, g.b, g.labels, g.loops, g.budget = i, nil, 0, 0, 60+g.n(120)
	g.locals = append([]wasmbin.ValType(nil), t.Params...)
	extra := append(g.types2(), g.anyType(), g.anyType())
	if g.simd {
		extra = append(extra, v128, v128)
	}
	g.frees = len(g.locals) + len(extra)
	extra = append(extra, i32, i32, i32) // loop counters
	for _, l := range extra {
		g.locals = append(g.locals, l)
		f.locals = append(f.locals, wasmbin.LocalGroup{Count: 1, Type: l})
	}
	for range 3 + g.n(6) {
		g.stmt()
	}
	for _, r := range t.Results {
		g.expr(r, 3)
	}
	f.body = g.b
	return f
}

func (g *gen) body() {
	for range 1 + g.n(4) {
		g.stmt()
	}
}

func (g *gen) stmt() {
	if g.budget--; g.budget < 0 {
		g.op(0x01)
		return
	}
	switch g.n(16) {
	case 0, 1, 2:
		t := g.anyType()
		g.expr(t, 3)
		g.idx(0x21, g.local(t))
	case 3:
		g.expr(i64, 3)
		g.idx(0x24, g.n(2))
	case 4:
		g.store()
	case 5:
		g.expr(i32, 2)
		g.op(0x04, 0x40)
		g.scoped(g.body)
		if g.n(2) == 0 {
			g.op(0x05)
			g.scoped(g.body)
		}
		g.op(0x0B)
	case 6:
		g.op(0x02, 0x40)
		g.scoped(g.body)
		g.op(0x0B)
	case 7, 8:
		g.loop()
	case 9, 10:
		if g.labels > 0 {
			g.expr(i32, 2)
			g.idx(0x0D, g.n(g.labels))
		}
	case 11:
		g.leave()
	case 12:
		g.call()
	case 13:
		g.bulk()
	case 14:
		t := g.anyType()
		g.expr(t, 2)
		g.op(0x1A)
	case 15:
		if g.simd {
			g.vector(2)
			g.idx(0x21, g.local(v128))
		}
	}
}

func (g *gen) scoped(f func()) {
	g.labels++
	f()
	g.labels--
}

// loop runs its body at most four times.
func (g *gen) loop() {
	if g.loops == 3 {
		return
	}
	c := g.frees + g.loops
	g.loops++
	g.konst(0x41, int64(1+g.n(4)))
	g.idx(0x21, c)
	g.op(0x02, 0x40, 0x03, 0x40)
	g.labels += 2
	g.idx(0x20, c)
	g.konst(0x41, 1)
	g.op(0x6B)
	g.idx(0x22, c)
	g.konst(0x41, 0)
	g.op(0x48)
	g.idx(0x0D, 1)
	g.body()
	if g.n(3) > 0 {
		g.idx(0x0C, 0)
	}
	g.labels -= 2
	g.op(0x0B, 0x0B)
	g.loops--
}

// leave is a conditional jump, return or trap with dead code behind it.
func (g *gen) leave() {
	g.expr(i32, 2)
	g.op(0x04, 0x40)
	g.labels++
	switch g.n(8) {
	case 0:
		g.op(0x00)
	case 1, 2:
		for _, r := range g.types[g.sigs[g.fn]].Results {
			g.expr(r, 1)
		}
		g.op(0x0F)
	case 3, 4:
		g.expr(i32, 1)
		n := g.n(4)
		g.idx(0x0E, n)
		for range n + 1 {
			g.b = wasmbin.AppendU32(g.b, uint32(g.n(g.labels)))
		}
	default:
		g.idx(0x0C, g.n(g.labels))
	}
	if g.n(3) == 0 {
		g.stmt()
	}
	g.labels--
	g.op(0x0B)
}

func (g *gen) call() {
	if g.fn+1 >= len(g.sigs) {
		return
	}
	f := g.fn + 1 + g.n(len(g.sigs)-g.fn-1)
	t := g.types[g.sigs[f]]
	for _, p := range t.Params {
		g.expr(p, 2)
	}
	if g.n(3) == 0 {
		g.konst(0x41, int64(f))
		g.idx(0x11, int(g.sigs[f]))
		g.op(0)
	} else {
		g.idx(0x10, f)
	}
	for range t.Results {
		g.op(0x1A)
	}
}

func (g *gen) store() {
	g.address()
	t := g.anyType()
	if g.simd && g.n(4) == 0 {
		g.vector(2)
		g.vec(0x0B)
		g.memarg(0, 0)
		return
	}
	g.expr(t, 3)
	switch t {
	case i32:
		g.op(g.pick("\x36\x3A\x3B"))
	case i64:
		g.op(g.pick("\x37\x3C\x3D\x3E"))
	case f32:
		g.op(0x38)
	default:
		g.op(0x39)
	}
	g.memarg(0, byte(g.n(8)))
}

func (g *gen) bulk() {
	switch g.n(4) {
	case 0:
		g.address()
		g.expr(i32, 1)
		g.konst(0x41, int64(g.n(64)))
		g.op(0xFC, 0x0B, 0)
	case 1:
		g.address()
		g.address()
		g.konst(0x41, int64(g.n(70)))
		g.op(0xFC, 0x0A, 0, 0)
	case 2:
		g.konst(0x41, int64(g.n(2)))
		g.op(0x40, 0, 0x1A)
	default:
		g.expr(i32, 1) // may trap
		g.konst(0x41, int64(g.n(5)))
		g.op(0x70) // i32.rem_u
		g.konst(0x41, 0)
		g.konst(0x41, int64(g.n(2)))
		g.op(0xFC, 0x0E, 0, 0)
	}
}
