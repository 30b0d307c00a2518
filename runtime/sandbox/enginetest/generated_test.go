package enginetest_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/sandbox/enginetest"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// Generated modules. Seeds count from ASSAY_SEED (default 0), so a run is
// repeated, or continued, by naming its first seed.

// edge values for arguments: what arithmetic goes wrong at.
var edges = []uint64{
	0, 1, 2, 5, 31, 32, 63, 64, 100, 255, 256, 65535, 65536, 1 << 31, 1<<31 - 1, 1<<32 - 1, 1 << 63, 1<<63 - 1, 1<<64 - 1,
	0x3F800000, 0x7FC00000, 0xFFC00001, 0x7FA00000, 0xFF800000, 0x4F000000,
	0x3FF << 52, 0x7FF8 << 48, 0xFFF8<<48 | 1, 0x7FF4 << 48, 0xFFF << 52, 0x43E << 52, 0xC1E << 52,
}

// arguments draws raw words for a signature.
func arguments(rng *rand.Rand, types string) []uint64 {
	var out []uint64
	for _, t := range types {
		n := 1
		switch t {
		case 'v':
			n = 2
		case 'c', 'e':
			out = append(out, 0)
			continue
		}
		for range n {
			v := edges[rng.IntN(len(edges))]
			if rng.IntN(3) == 0 {
				v = rng.Uint64()
			}
			out = append(out, v)
		}
	}
	return out
}

// fill adds calls of the exports: most with gas for all that a small module
// does, some with little gas or stack.
func fill(c *enginetest.Case, rng *rand.Rand, calls int) {
	if c.Find(abi.ExportStart) >= 0 {
		c.Add(abi.ExportStart, 50_000, meter.DefaultStack)
	}
	var fns []enginetest.Export
	for _, e := range c.Exports {
		if e.Name != abi.ExportStart {
			fns = append(fns, e)
		}
	}
	for k := 0; k < calls && len(fns) > 0; k++ {
		e := fns[k%len(fns)]
		if len(fns) > calls {
			e = fns[rng.IntN(len(fns))]
		}
		gas, stack := int64(50_000), meter.DefaultStack
		switch rng.IntN(4) {
		case 0:
			gas = rng.Int64N(500)
		case 1:
			stack = rng.Int32N(8000)
		}
		c.Add(e.Name, gas, stack, arguments(rng, e.Params)...)
	}
}

// tally is what a run over generated modules did.
type tally struct {
	set     *enginetest.Set
	oracle  *enginetest.Oracle
	modules int
	calls   int
	traps   map[int]int
	refused map[string]int
}

func newTally(t testing.TB) *tally {
	return &tally{oracle: enginetest.NewOracle(enginetest.Profile()), set: engines(t, enginetest.Profile()), traps: map[int]int{}, refused: map[string]int{}}
}

// run makes a case of a module and compares the engines. A module that the
// profile refuses counts as such.
func (y *tally) run(t testing.TB, id string, seed uint64, wasm []byte, calls int) {
	t.Helper()
	c, err := enginetest.New(id, wasm, enginetest.Profile())
	if err == nil && !y.oracle.Fits(wasm) {
		y.refused["segment outside the initial memory or table"]++
		return
	}
	var invalid *meter.InvalidModuleError
	var limit *meter.LimitError
	switch {
	case errors.As(err, &invalid):
		y.refused[invalid.Rule]++
		return
	case errors.As(err, &limit):
		y.refused[limit.Limit]++
		return
	case err != nil:
		keep(t, id, wasm)
		t.Fatal(err)
	}
	fill(c, rand.New(rand.NewPCG(seed, 7)), calls)
	r, err := y.set.Run(c)
	if err != nil {
		keep(t, id, wasm)
		t.Fatal(err)
	}
	y.modules++
	for _, o := range r.Outcomes {
		y.calls++
		y.traps[o.Trap]++
	}
}

// keep saves a module that makes a test fail, where ASSAY_KEEP says.
func keep(t testing.TB, id string, wasm []byte) {
	if dir := os.Getenv("ASSAY_KEEP"); dir != "" {
		name := filepath.Join(dir, strings.ReplaceAll(id, " ", "-")+".wasm")
		if err := os.WriteFile(name, wasm, 0o644); err != nil {
			t.Error(err)
		}
		t.Logf("kept as %s", name)
	}
}

func (y *tally) report(t testing.TB) {
	t.Helper()
	var traps []string
	for k, n := range y.traps {
		traps = append(traps, fmt.Sprintf("%v %d", abi.Trap(k), n))
	}
	sort.Strings(traps)
	t.Logf("%d modules, %d calls: %s", y.modules, y.calls, strings.Join(traps, ", "))
	for k, e := range y.set.Engines {
		t.Logf("%s: %d modules", e.Name(), y.set.Count[k])
	}
	for rule, n := range y.refused {
		t.Logf("refused: %s: %d", rule, n)
	}
	if n := y.traps[enginetest.TrapEngineStack]; n > 0 {
		t.Errorf("%d calls met an engine's own stack limit", n)
	}
	if y.traps[int(abi.TrapNone)] < y.calls/10 {
		t.Error("hardly a call returns: the modules test little")
	}
}

// TestSmith runs modules of the crate wasm-smith; smith is the program of
// that folder, built by `make test-engines`.
func TestSmith(t *testing.T) {
	smith := os.Getenv("ASSAY_SMITH")
	if smith == "" {
		t.Skip("ASSAY_SMITH names no generator: make test-engines")
	}
	n, first := number(t, "ASSAY_MODULES", 500), number(t, "ASSAY_SEED", 0)
	cmd := exec.CommandContext(t.Context(), smith, fmt.Sprint(first), fmt.Sprint(n))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Wait() })
	r := bufio.NewReaderSize(out, 1<<20)
	y := newTally(t)
	y.set.Every = shares(t)
	for seed := first; seed < first+n; seed++ {
		var size [4]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			t.Fatal(err)
		}
		wasm := make([]byte, binary.LittleEndian.Uint32(size[:]))
		if _, err := io.ReadFull(r, wasm); err != nil {
			t.Fatal(err)
		}
		y.run(t, fmt.Sprintf("smith %d", seed), uint64(seed), unexport(wasm), 6)
		progress(t, y, seed-first)
	}
	y.report(t)
}

// shares says that the k-th engine runs only one module of so many:
// ASSAY_EVERY=1,1,1,1,4,25 gives TurboFan one of 4 and arm64 one of 25.
func shares(t testing.TB) (every []int) {
	for _, s := range strings.Split(os.Getenv("ASSAY_EVERY"), ",") {
		n, err := strconv.Atoi(s)
		if s != "" && err != nil {
			t.Fatal(err)
		}
		every = append(every, n)
	}
	return every
}

// progress tells those who wait for a long run.
func progress(t testing.TB, y *tally, n int) {
	if n%5000 == 4999 {
		fmt.Fprintf(os.Stderr, "%s: %d modules tried, %d ran, by engine %v\n", t.Name(), n+1, y.modules, y.set.Count)
	}
}

// unexport drops the exports of imported functions, which the profile refuses
// and the generator makes.
func unexport(wasm []byte) []byte {
	m, err := wasmbin.Decode(wasm, specLimits)
	if err != nil {
		return wasm
	}
	w := &wasmbin.Writer{}
	w.Header()
	for _, s := range m.Sections {
		if s.ID != wasmbin.SecExport {
			w.Raw(s)
			continue
		}
		var b []byte
		n := 0
		for _, e := range m.Exports {
			if e.Kind != wasmbin.KindFunc || int(e.Index) >= m.ImportedFuncs {
				b = wasmbin.AppendU32(append(wasmbin.AppendName(b, e.Name), byte(e.Kind)), e.Index)
				n++
			}
		}
		w.Items(wasmbin.SecExport, wasmbin.Section{}, n, b)
	}
	return w.Bytes()
}
