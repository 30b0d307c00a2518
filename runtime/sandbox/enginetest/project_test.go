package enginetest_test

import (
	"math/rand/v2"
	"testing"

	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/kernels"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/sandbox/enginetest"
)

// TestProject runs the project's own modules: the exports of the shipped
// guests and of the reference kernels, called with the generic host, which
// answers what it likes. What they do with that is nonsense, and the same
// nonsense everywhere.
func TestProject(t *testing.T) {
	cfg := enginetest.Profile()
	cfg.MemoryPages = 2048 // the kernels begin with half of it
	set := engines(t, cfg)
	modules := map[string][]byte{}
	k, err := kernels.Wasm()
	if err != nil {
		t.Fatal(err)
	}
	modules["kernels"] = k
	for _, name := range catalog.Names() {
		e, err := catalog.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		modules[name] = e.Wasm
	}
	for name, wasm := range modules {
		c, err := enginetest.New(name, wasm, cfg)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c.Sparse = true
		rng := rand.New(rand.NewPCG(1, 1))
		for _, e := range c.Exports {
			for range 4 {
				args := arguments(rng, e.Params)
				for i := range args {
					args[i] %= 3000 // an address or a size that fits
				}
				c.Add(e.Name, 20_000_000, meter.DefaultStack, args...)
			}
		}
		r, err := set.Run(c)
		if err != nil {
			t.Error(err)
			continue
		}
		traps := map[int]int{}
		for _, o := range r.Outcomes {
			traps[o.Trap]++
		}
		t.Logf("%s: %d calls on each of %d engines, traps %v", name, len(r.Outcomes), len(set.Engines), traps)
	}
}
