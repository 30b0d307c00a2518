package meter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/internal/frames"
	"github.com/assaynet/assay/runtime/meter"
)

// outcome is all that a host can see of a call.
type outcome struct {
	trapped bool
	status  abi.Trap
	result  uint64
	used    int64
	memory  []byte
	globals string
}

func (o outcome) equal(p outcome) bool {
	return o.trapped == p.trapped && o.status == p.status && o.result == p.result && o.used == p.used &&
		bytes.Equal(o.memory, p.memory) && o.globals == p.globals
}

func (o outcome) String() string {
	return fmt.Sprintf("{trapped %v status %v result %#x used %d memory %d bytes %x globals %s}",
		o.trapped, o.status, o.result, o.used, len(o.memory), maphash.Bytes(seed, o.memory), o.globals)
}

var seed = maphash.MakeSeed()

// engines run rewritten modules; they are shared, because making one is slow.
type engines struct {
	compiler, interpreter wazero.Runtime
}

func newEngines(t testing.TB) engines {
	frames.Lift()
	ctx := context.Background()
	e := engines{
		wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2)),
		wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2)),
	}
	t.Cleanup(func() { e.compiler.Close(ctx); e.interpreter.Close(ctx) })
	return e
}

var arguments = []uint64{5, 0xFFFFFFFFFFFFFF85, 0x7FF4 << 48} // i32, i64, a signalling NaN

// run calls f0 of a fresh instance.
func run(t testing.TB, rt wazero.Runtime, wasm []byte, gas int64) outcome {
	t.Helper()
	ctx := context.Background()
	compiled, err := rt.CompileModule(ctx, wasm)
	if err != nil {
		t.Fatal(err)
	}
	defer compiled.Close(ctx)
	mod, err := rt.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	defer mod.Close(ctx)
	i := instance{mod}
	res, used, status, err := i.call("f0", gas, arguments...)
	o := outcome{trapped: err != nil, status: status, used: used}
	if err == nil {
		o.result = res[0]
	}
	mem, _ := mod.Memory().Read(0, mod.Memory().Size())
	o.memory = bytes.Clone(mem)
	for g := range 2 {
		o.globals += fmt.Sprintf(" %#x", i.get(fmt.Sprint(meter.GlobalPrefix, g)))
	}
	return o
}

const plenty = int64(1) << 40

// check compares a generated module with the oracle, the engines with each
// other, and returns the outcome.
func check(t testing.TB, e engines, b []byte, simd bool) (outcome, []byte) {
	t.Helper()
	cfg := config()
	cfg.ExportGlobals = true
	res, err := meter.Rewrite(b, cfg)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	got := run(t, e.compiler, res.Wasm, plenty)
	if other := run(t, e.interpreter, res.Wasm, plenty); !got.equal(other) {
		t.Fatalf("compiler %v\ninterpreter %v", got, other)
	}
	if simd {
		return got, res.Wasm
	}
	o, err := newOracle(b)
	if err != nil {
		t.Fatal(err)
	}
	result, err := o.run(0, arguments)
	if errors.Is(err, errUnmodelled) || errors.Is(err, errSteps) {
		return got, res.Wasm
	}
	want := outcome{trapped: err != nil, used: got.used, memory: o.mem, globals: fmt.Sprintf(" %#x %#x", o.globals[0], o.globals[1])}
	if err == nil {
		want.result = result[0]
		want.used = o.gas // at traps the model is another: see the spec
	}
	if !got.equal(want) {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
	if err != nil && got.used < o.gas {
		t.Fatalf("trap after %d gas, only %d charged", o.gas, got.used)
	}
	return got, res.Wasm
}

// TestOracle compares generated programs with the oracle.
func TestOracle(t *testing.T) {
	e := newEngines(t)
	n, trapped := 400, 0
	if testing.Short() {
		n = 100
	}
	for s := range uint64(n) {
		b := newGen(s, nil, false).module()
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			if o, _ := check(t, e, b, false); o.trapped {
				trapped++
			}
		})
	}
	t.Logf("%d programs, %d trapped", n, trapped)
	if trapped > n/2 {
		t.Error("most programs trap: they test little")
	}
}

// TestEveryLimit runs small programs with every gas limit: a call succeeds
// exactly if the limit covers what the program uses, and otherwise changes
// are those of a program that stopped, on both engines alike.
func TestEveryLimit(t *testing.T) {
	e := newEngines(t)
	programs := 0
	for s := uint64(1000); programs < 8; s++ {
		b := newGen(s, nil, false).module()
		full, wasm := check(t, e, b, false)
		if full.trapped || full.used > 400 || full.used < 50 {
			continue
		}
		programs++
		for limit := range full.used + 2 {
			o := run(t, e.compiler, wasm, limit)
			if p := run(t, e.interpreter, wasm, limit); !o.equal(p) {
				t.Fatalf("seed %d, limit %d: compiler %v\ninterpreter %v", s, limit, o, p)
			}
			exhausted := o.used > limit
			if exhausted != (limit < full.used) {
				t.Fatalf("seed %d: used %d, limit %d: %v", s, full.used, limit, o)
			}
			if o.trapped && o.status != abi.TrapOutOfGas || o.trapped && !exhausted {
				t.Fatalf("seed %d, limit %d: %v", s, limit, o)
			}
			if !exhausted && !o.equal(full) {
				t.Fatalf("seed %d, limit %d: %v, want %v", s, limit, o, full)
			}
		}
	}
}

// FuzzDifferential generates programs from the input, without and with
// vectors.
func FuzzDifferential(f *testing.F) {
	for s := range uint64(20) {
		f.Add(s, []byte{}, s%2 == 1)
		f.Add(s, []byte("\x03\x07\x01\x09\x0b\x05\x02\x00\x04\x06"), s%3 == 1)
	}
	f.Add(uint64(2597), []byte{}, false) // a NaN constant that passes through a local
	e := newEngines(f)
	f.Fuzz(func(t *testing.T, s uint64, data []byte, simd bool) {
		b := newGen(s, data, simd).module()
		got, _ := check(t, e, b, simd)
		checkNaN(t, e, b, got)
	})
}
