package enginetest_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/sandbox/enginetest"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// overdrafts are programs that call themselves and then do as much as they can
// without a check while they return: bodies of a function (i32) -> () of index
// 1, beside an unchecked leaf () -> () of index 0. Loads are dear, since the
// memory is larger than a cache.
func overdrafts() map[string][]byte {
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	again := []byte{0x20, 0, 0x04, 0x40, 0x20, 0, 0x41, 1, 0x6B, 0x10, 1, 0x0B} // if n != 0, call with n − 1
	branch := func(body []byte) []byte { return cat([]byte{0x20, 0, 0x04, 0x40}, body, []byte{0x0B}) }
	never := func(body []byte) []byte { return cat([]byte{0x41, 0, 0x04, 0x40}, body, []byte{0x0B}) }
	out := map[string][]byte{
		"leaves":                            cat(again, bytes.Repeat([]byte{0x10, 0}, 300)),
		"branches":                          cat(again, bytes.Repeat(branch(loads(28)), 100)),
		"large branch":                      cat(again, branch(loads(2000))),
		"below the sum":                     cat(again, branch(loads(880))),
		"reset in an arm that is not taken": cat(again, bytes.Repeat(cat(branch(loads(800)), never(loads(1200))), 6)),
		"leaves in a branch":                cat(again, branch(bytes.Repeat([]byte{0x10, 0}, 200))),
	}
	skip := cat([]byte{0x02, 0x40, 0x20, 0, 0x45, 0x0D, 0}, bytes.Repeat(cat(loads(100), []byte{0x20, 0, 0x45, 0x0D, 0}), 30), []byte{0x0B})
	out["way out of a block"] = cat(again, skip, skip)
	return out
}

// loads returns n loads, 582 units each.
func loads(n int) []byte { return bytes.Repeat([]byte{0x41, 0, 0x28, 2, 0, 0x1A}, n) }

func overdraftModule(body []byte) []byte {
	w := &wasmbin.Writer{}
	w.Header()
	w.Types([]wasmbin.FuncType{{}, {Params: []wasmbin.ValType{wasmbin.I32}}})
	w.Functions([]uint32{0, 1})
	w.Memories([]wasmbin.Range{{Min: 1, Max: 32, HasMax: true}})
	w.Items(wasmbin.SecExport, wasmbin.Section{}, 1, append(wasmbin.AppendName(nil, "f"), 0, 1))
	var code []byte
	for _, b := range [][]byte{loads(28), body} {
		b = append(append([]byte{0}, b...), 0x0B)
		code = append(wasmbin.AppendU32(code, uint32(len(b))), b...)
	}
	w.Items(wasmbin.SecCode, wasmbin.Section{}, 2, code)
	return w.Bytes()
}

// TestOverdraft: whatever a program does while its functions return, no more
// than meter.Overdraft and one leaf runs after its gas is gone, on all engines
// and by the oracle. The region whose check ends it is charged, but not run.
func TestOverdraft(t *testing.T) {
	const depth, most, region = 12, 1 << 50, 2000 * 582
	y := newTally(t)
	worst := int64(0)
	for name, body := range overdrafts() {
		c, err := enginetest.New(name, overdraftModule(body), enginetest.Profile())
		if err != nil {
			t.Fatal(err)
		}
		c.Sparse = true
		c.Add("f", most, meter.DefaultStack, depth)
		full := y.oracle.Run(c)
		if full.Err != "" || full.Outcomes[0].Trap != int(abi.TrapNone) {
			t.Fatal(name, full)
		}
		used := most - full.Outcomes[0].Gas
		rng := rand.New(rand.NewPCG(1, 2))
		c.Calls = nil
		for range 30 {
			c.Add("f", rng.Int64N(used), meter.DefaultStack, depth)
		}
		c.Add("f", used-1, meter.DefaultStack, depth)
		c.Add("f", used, meter.DefaultStack, depth)
		start := time.Now()
		r, err := y.set.Run(c)
		if err != nil {
			t.Fatal(err)
		}
		over := int64(0)
		for _, o := range r.Outcomes {
			over = max(over, -o.Gas)
		}
		if over > meter.Overdraft+meter.UncheckedLeaf+region {
			t.Errorf("%s: overdrawn by %d", name, over)
		}
		t.Logf("%s: uses %d, overdrawn by %d at most (%v)", name, used, over, time.Since(start))
		worst = max(worst, over)
		if last := r.Outcomes[len(r.Outcomes)-1]; last.Trap != int(abi.TrapNone) || last.Gas != 0 {
			t.Errorf("%s: with what it uses: %v", name, last)
		}
	}
	if worst < meter.Overdraft/2 {
		t.Errorf("the programs overdraw by %d only", worst)
	}
}
