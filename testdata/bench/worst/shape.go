package main

import (
	"math/rand/v2"

	"github.com/assaynet/assay/runtime/wasmbin"
)

// shape describes a module of equal functions: what they are made of.
type shape struct {
	Funcs    int // functions
	Locals   int // of each, beside its parameters
	Params   int
	Results  int
	Vectors  int // of a hundred locals, so many are v128
	Nest     int // nested blocks
	Labels   int // of a br_table into them
	Branches int // br_if, spread over the ends of the blocks
	Loops    int // one after the other
	LoopNest int // of each
	Diamonds int // if with else
	Ops      int // straight-line instructions on locals
	Calls    int // of the next function
	Touch    int // locals read and written at each end, loop and arm
	Live     int // operands kept on the stack over everything
}

// genes are the fields with their greatest useful value.
func (s *shape) genes() []struct {
	v   *int
	max int
} {
	return []struct {
		v   *int
		max int
	}{
		{&s.Funcs, 50_000}, {&s.Locals, 2000}, {&s.Params, 60}, {&s.Results, 16}, {&s.Vectors, 100}, {&s.Nest, 8000}, {&s.Labels, 8000},
		{&s.Branches, 16_000}, {&s.Loops, 1000}, {&s.LoopNest, 64}, {&s.Diamonds, 5000}, {&s.Ops, 150_000}, {&s.Calls, 20_000}, {&s.Touch, 200}, {&s.Live, 500},
	}
}

// random draws each field on a logarithmic scale, most of them small.
func random(rng *rand.Rand) shape {
	var s shape
	for _, g := range s.genes() {
		*g.v = scale(rng, g.max)
		if rng.IntN(2) == 0 {
			*g.v = scale(rng, min(g.max, 8))
		}
	}
	s.Funcs = max(1, s.Funcs)
	return s
}

func scale(rng *rand.Rand, max int) int {
	v := max
	for v > 0 && rng.IntN(3) > 0 {
		v /= 2
	}
	return v
}

// changed is s with one or two fields changed.
func (s shape) changed(rng *rand.Rand) shape {
	out := s
	gs := out.genes()
	for range 1 + rng.IntN(2) {
		g := gs[rng.IntN(len(gs))]
		switch rng.IntN(5) {
		case 0:
			*g.v = *g.v * 2
		case 1:
			*g.v = *g.v / 2
		case 2:
			*g.v += 1 + *g.v/8
		case 3:
			*g.v -= *g.v / 8
		case 4:
			*g.v = scale(rng, g.max)
		}
		*g.v = min(*g.v, g.max)
	}
	out.Funcs = max(1, out.Funcs)
	return out
}

// module builds the shape.
func (s shape) module() []byte {
	t := wasmbin.FuncType{}
	for range s.Params {
		t.Params = append(t.Params, wasmbin.I64)
	}
	for range s.Results {
		t.Results = append(t.Results, wasmbin.I64)
	}
	w := &wasmbin.Writer{}
	w.Header()
	w.Types([]wasmbin.FuncType{t})
	w.Functions(make([]uint32, s.Funcs))
	w.Memories([]wasmbin.Range{{Min: 1, Max: 1, HasMax: true}})
	body := s.body()
	body = append(wasmbin.AppendU32(nil, uint32(len(body))), body...)
	// More than the module limit is refused whatever it is.
	if len(body)*s.Funcs > 17<<20 {
		return nil
	}
	code := make([]byte, 0, len(body)*s.Funcs)
	for range s.Funcs {
		code = append(code, body...)
	}
	w.Items(wasmbin.SecCode, wasmbin.Section{}, s.Funcs, code)
	return w.Bytes()
}

// emitter writes a body; locals are parameters, i64s, then v128s.
type emitter struct {
	s       shape
	b       []byte
	ints    int // i64 locals, parameters included
	vectors int
	next    int
}

func (e *emitter) idx(op byte, i int) { e.b = wasmbin.AppendU32(append(e.b, op), uint32(i)) }
func (e *emitter) raw(b ...byte)      { e.b = append(e.b, b...) }

// touch mixes n locals, others each time.
func (e *emitter) touch(n int) {
	for range n {
		e.next++
		if v := e.next; e.vectors > 0 && v%100 < e.s.Vectors {
			e.idx(0x20, e.ints+v%e.vectors)
			e.idx(0x20, e.ints+(v*7+1)%e.vectors)
			e.raw(0xFD, 0xCE, 0x01) // i64x2.add
			e.idx(0x21, e.ints+(v*3+2)%e.vectors)
		} else if e.ints > 0 {
			e.idx(0x20, v%e.ints)
			e.idx(0x20, (v*7+1)%e.ints)
			e.raw(0x7C)
			e.idx(0x21, (v*3+2)%e.ints)
		}
	}
}

// condition is an i32 that no compiler knows.
func (e *emitter) condition() {
	if e.ints == 0 {
		e.raw(0x41, 0, 0x28, 2, 0)
		return
	}
	e.next++
	e.idx(0x20, e.next%e.ints)
	e.raw(0xA7)
}

func (s shape) body() []byte {
	vectors := s.Locals * s.Vectors / 100
	e := &emitter{s: s, ints: s.Params + s.Locals - vectors, vectors: vectors}
	e.b = wasmbin.AppendU32([]byte{2}, uint32(s.Locals-vectors))
	e.raw(byte(wasmbin.I64))
	e.b = append(wasmbin.AppendU32(e.b, uint32(vectors)), byte(wasmbin.V128))
	for i := range s.Live {
		e.raw(0x41)
		e.b = wasmbin.AppendS64(e.b, int64(8*i))
		e.raw(0x29, 3, 0) // i64.load
	}
	e.nest()
	for range s.Loops {
		for range max(1, s.LoopNest) {
			e.raw(0x03, 0x40)
		}
		e.touch(s.Touch)
		for range max(1, s.LoopNest) {
			e.condition()
			e.raw(0x0D, 0, 0x0B)
		}
	}
	for range s.Diamonds {
		e.condition()
		e.raw(0x04, 0x40)
		e.touch(s.Touch)
		e.raw(0x05)
		e.touch(s.Touch)
		e.raw(0x0B)
	}
	e.touch(s.Ops)
	for range s.Calls {
		for range s.Params {
			e.idx(0x20, e.next%e.ints)
		}
		e.idx(0x10, s.Funcs-1)
		for range s.Results {
			if e.ints > 0 {
				e.idx(0x21, e.next%e.ints)
			} else {
				e.raw(0x1A)
			}
		}
	}
	for range s.Live { // all of them matter
		e.raw(0x41, 0, 0x29, 3, 0, 0x85)
		e.raw(0x21)
		e.b = wasmbin.AppendU32(e.b, 0)
	}
	e.keep()
	for range s.Results {
		e.raw(0x42, 1)
	}
	e.raw(0x0B)
	return e.b
}

// keep stores every local, so that none of the code is dead.
func (e *emitter) keep() {
	for i := range e.ints + e.vectors {
		e.raw(0x41)
		e.b = wasmbin.AppendS64(e.b, int64(16*i))
		e.idx(0x20, i)
		if i < e.ints {
			e.raw(0x37, 3, 0)
		} else {
			e.raw(0xFD, 0x0B, 4, 0)
		}
	}
}

// nest is Go's shape: blocks, a br_table into them, code behind each end.
func (e *emitter) nest() {
	n := e.s.Nest
	if n == 0 {
		return
	}
	for range n {
		e.raw(0x02, 0x40)
	}
	if e.s.Labels > 0 {
		e.condition()
		e.idx(0x0E, e.s.Labels-1)
		for i := range e.s.Labels {
			e.b = wasmbin.AppendU32(e.b, uint32(i%n))
		}
	}
	done := 0
	for i := range n {
		e.raw(0x0B)
		e.touch(e.s.Touch)
		for ; done < e.s.Branches*(i+1)/n && i < n-1; done++ {
			e.condition()
			e.idx(0x0D, (done*7)%(n-1-i))
		}
	}
}
