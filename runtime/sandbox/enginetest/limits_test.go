package enginetest_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/sandbox/enginetest"
)

// TestEveryLimit calls small programs, with host functions that bill, write
// and panic, with every budget from 0 to what they use and one more. Each
// stops where the oracle says: memory, globals, host calls, gas and stack are
// equal after every call. None makes a host call once its budget is gone, and
// none succeeds with less than it uses.
func TestEveryLimit(t *testing.T) {
	const most = 6000
	n, programs, limits := number(t, "ASSAY_LIMITS", 12), 0, 0
	y := newTally(t)
	for seed := 0; programs < n; seed++ {
		rng := rand.New(rand.NewPCG(uint64(seed), 5))
		wasm := (&recursor{Rand: rng}).module()
		c, err := enginetest.New(fmt.Sprintf("limits %d", seed), wasm, enginetest.Profile())
		if err != nil {
			t.Fatal(err)
		}
		e := c.Exports[0]
		args := arguments(rng, e.Params)
		args[0] = uint64(1 + rng.IntN(3))
		c.Add(e.Name, most, meter.DefaultStack, args...)
		full := y.oracle.Run(c)
		if full.Err != "" {
			t.Fatal(full.Err)
		}
		o := full.Outcomes[0]
		used := most - o.Gas
		if o.Trap == int(abi.TrapOutOfGas) || used < 200 || o.Events == 0 {
			continue
		}
		programs++
		c.Calls = nil
		for limit := range used + 2 {
			c.Add(e.Name, limit, meter.DefaultStack, args...)
		}
		r, err := y.set.Run(c)
		if err != nil {
			t.Fatal(err)
		}
		events := uint32(0)
		for limit, o := range r.Outcomes {
			limits++
			y.traps[o.Trap]++
			if o.Trap == int(abi.TrapOutOfGas) && o.Gas >= 0 {
				t.Fatalf("seed %d, limit %d: %v", seed, limit, o)
			}
			// Each host call that acted had its price.
			if acted := o.Events - events; int64(acted)*enginetest.HostPrice > int64(limit) {
				t.Fatalf("seed %d, limit %d: %d host calls", seed, limit, acted)
			}
			events = o.Events
		}
	}
	t.Logf("%d programs, %d limits on each of %d engines, traps %v", programs, limits, len(y.set.Engines), y.traps)
	if y.traps[int(abi.TrapAbort)] == 0 {
		t.Error("no host function panicked")
	}
}

// TestMostGas: from the greatest budget, and from the least, the dearest
// operands take what they cost and the counter does not wrap.
func TestMostGas(t *testing.T) {
	y := newTally(t)
	grow := storesModule([][]byte{{0x41, 0, 0x41, 0x7F, 0x40, 0, 0x36, 0, 0, 0x0B}}) // memory.grow of 2^32 − 1 pages
	loop := storesModule([][]byte{{0x03, 0x40, 0x41, 0x7F, 0x40, 0, 0x1A, 0x0C, 0, 0x0B, 0x0B}})
	for name, wasm := range map[string][]byte{"grow": grow, "loop": loop} {
		c, err := enginetest.New(name, wasm, enginetest.Profile())
		if err != nil {
			t.Fatal(err)
		}
		gas := []int64{0, 1, 1 << 20, 1 << 40}
		if name == "grow" {
			gas = append(gas, meter.MaxGas)
		}
		for _, g := range gas {
			c.Add("f0", g, meter.DefaultStack)
		}
		r, err := y.set.Run(c)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range r.Outcomes {
			switch over := -o.Gas; {
			case o.Gas > gas[i]:
				t.Errorf("%s: %d gas became %d", name, gas[i], o.Gas)
			case over > 1<<57:
				t.Errorf("%s: overdrawn by %d", name, over)
			}
		}
	}
}
