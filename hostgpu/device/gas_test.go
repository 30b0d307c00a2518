package device

import (
	"math/rand/v2"
	"testing"
)

// priced builds the operands that dims describe and prices the call.
func (c *compiledOp) priced(t *testing.T, dims *Dims, imms []int64, optional bool) int64 {
	t.Helper()
	ops := make([]operandShape, len(c.tensors))
	present := make([]bool, len(c.tensors))
	size := func(d dim) int {
		if d.symbol == 0 {
			return d.literal
		}
		return dims.Get(d.symbol)
	}
	for i, o := range c.tensors {
		dt := o.Type
		if dt == TypeAny {
			dt = S32
		}
		ops[i] = operandShape{dt, Shape{size(o.rows), size(o.cols)}}
		present[i] = o.Kind != Opt || optional
	}
	switch c.spec.Op { // as the rules set them; heads need not fit here
	case OpAttention:
		dims.set('T', dims.Get('S')/(dims.Get('M')/int(imms[0])))
	case OpRope:
		dims.set('H', dims.Get('C')/max(dims.Get('D'), 1))
	}
	return c.gas(dims, ops, present)
}

// symbols of an op, attention's rows and keys left to the caller.
func (c *compiledOp) symbols() (out []byte) {
	seen := map[byte]bool{}
	for _, o := range c.tensors {
		for _, d := range []dim{o.rows, o.cols} {
			if d.symbol != 0 && !seen[d.symbol] {
				seen[d.symbol] = true
				out = append(out, d.symbol)
			}
		}
	}
	return out
}

// TestGasMonotone: more of anything never costs less, optional operands never
// make a call cheaper, and every call costs its base.
func TestGasMonotone(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range compiled {
		c := &compiled[i]
		for range 300 {
			dims := newDims()
			for _, s := range c.symbols() {
				dims[s-'A'] = r.IntN(2000)
			}
			imms := make([]int64, len(c.imms))
			if c.spec.Op == OpAttention {
				imms[0] = 1 // one query a segment: rows and keys grow freely
				dims['M'-'A'] = 1 + r.IntN(30)
				dims['S'-'A'] = dims.Get('M') * (1 + r.IntN(50))
			}
			base := c.priced(t, &dims, imms, false)
			if base < GasBase {
				t.Fatalf("%s costs %d", c.spec.Name, base)
			}
			if with := c.priced(t, &dims, imms, true); with < base {
				t.Errorf("%s: optional operands make it cheaper", c.spec.Name)
			}
			for _, s := range c.symbols() {
				more := dims
				more[s-'A'] += 1 + r.IntN(100)
				if c.spec.Op == OpAttention && s == 'M' {
					more['S'-'A'] = dims.Get('S') / dims.Get('M') * more.Get('M') // as many keys for each
				}
				if c.spec.Op == OpRope && s == 'D' {
					if dims.Get('D') == 0 {
						continue
					}
					more['C'-'A'] = dims.Get('C') / dims.Get('D') * more.Get('D') // as many heads
					dims['C'-'A'] -= dims.Get('C') % dims.Get('D')
					base = c.priced(t, &dims, imms, false)
				}
				if got := c.priced(t, &more, imms, false); got < base {
					t.Errorf("%s: %d with more %c, %d before", c.spec.Name, got, s, base)
				}
			}
		}
	}
}

// TestGasBounds: the largest calls that the bounds admit stay far from 2^63.
func TestGasBounds(t *testing.T) {
	const most = 1 << 53
	large := map[Op]Dims{}
	set := func(op Op, pairs ...int) {
		d := newDims()
		for i := 0; i < len(pairs); i += 2 {
			d[pairs[i]-'A'] = pairs[i+1]
		}
		large[op] = d
	}
	set(OpGemm, 'M', 1<<14, 'N', 1<<15, 'K', MaxK)
	set(OpLinear, 'M', 1<<14, 'N', 1<<15, 'K', MaxK)
	set(OpAttention, 'M', 1<<14, 'C', 1<<15, 'H', 1<<15, 'S', 1<<16, 'E', 1<<15, 'G', 1)
	set(OpExpand, 'M', 1<<24, 'K', 1<<7)
	set(OpSample, 'V', MaxVocab, 'L', MaxDim)
	for op, dims := range large {
		c := &compiled[op-1]
		imms := make([]int64, len(c.imms))
		if op == OpAttention {
			imms[0] = 1 << 14
		}
		if got := c.priced(t, &dims, imms, true); got < GasBase || got > most {
			t.Errorf("%s costs %d at its bounds", c.spec.Name, got)
		}
	}
}
