package meter

import (
	"strconv"

	"github.com/assaynet/assay/runtime/wasmbin"
)

// What keeps the rewritten module small, beside returns.go. None of it changes
// a price, or what the counter is at any time.

// rareFrom is how many regions of a price are charged in place before a helper
// is made for the others.
const rareFrom = 8

// rarely charges for a region that most likely runs seldom, or takes long when
// it does: the only arm of an if that calls functions, as Go grows stacks and
// tells its collector about pointers, or code that calls functions and cannot
// go on, as Go panics. The call of a helper for the price takes three bytes
// instead of eight, and a nanosecond.
func (e *emitter) rarely(r *region) bool {
	if !r.rare || r.check || r.cost == 0 {
		return false
	}
	if e.rare[r.cost]++; e.rare[r.cost] <= rareFrom {
		return false
	}
	e.index(wasmbin.OpCall, e.helper(priced+strconv.FormatInt(r.cost, 10)))
	return true
}

// shorter writes the steps from the first on in fewer bytes, if they can be
// written so without a difference to any program, and returns how many it
// wrote. Stock Go adds offsets to addresses in 64 bits.
func (e *emitter) shorter(steps []step) int {
	if steps[0].op == wasmbin.OpNop {
		return 1
	}
	if len(steps) < 4 || steps[0].op != wasmbin.OpI64ExtendU || steps[1].op != wasmbin.OpI64Const ||
		steps[2].op != wasmbin.OpI64Add || steps[3].op != wasmbin.OpI32Wrap {
		return 0
	}
	// wrap(extend(x) + c) = x + wrap(c)
	c, _ := wasmbin.S64(e.m.Bytes[steps[1].off+1 : steps[1].end])
	e.constant(wasmbin.OpI32Const, int64(int32(c)))
	e.op(wasmbin.OpI32Add)
	return 4
}
