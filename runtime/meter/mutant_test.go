package meter_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
)

// mutate changes bytes of a module behind its header: each three bytes of the
// script are a position, as a fraction of the length, and what is XORed there.
func mutate(module, script []byte) []byte {
	const header = 8
	b := bytes.Clone(module)
	for ; len(script) >= 3 && len(b) > header; script = script[3:] {
		at := (int(script[0])<<8 | int(script[1])) * (len(b) - header) >> 16
		b[header+at] ^= script[2]
	}
	return b
}

// mutantGas ends mutants that loop for ever.
const mutantGas = 200_000

// called is what a call of an exported function leaves behind.
type called struct {
	trapped bool
	results []uint64
	memory  []byte
}

func (c called) equal(d called) bool {
	if c.trapped != d.trapped || len(c.results) != len(d.results) || !bytes.Equal(c.memory, d.memory) {
		return false
	}
	for i := range c.results {
		if c.results[i] != d.results[i] {
			return false
		}
	}
	return true
}

// callExport calls name of a fresh instance, which may use any parameters.
func callExport(t testing.TB, rt wazero.Runtime, wasm []byte, name string) (out called, status abi.Trap, used int64) {
	t.Helper()
	ctx := context.Background()
	compiled, err := rt.CompileModule(ctx, wasm)
	if err != nil {
		t.Fatalf("engine refuses an admitted module: %v", err)
	}
	defer compiled.Close(ctx)
	mod, err := rt.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return called{trapped: true}, abi.TrapInvalid, 0 // a segment outside its memory or table
	}
	defer mod.Close(ctx)
	var args []uint64
	for i, p := range mod.ExportedFunction(name).Definition().ParamTypes() {
		a := arguments[i%len(arguments)]
		if p == api.ValueTypeI32 || p == api.ValueTypeF32 {
			a = uint64(uint32(a))
		}
		args = append(args, a)
	}
	res, used, status, err := instance{mod}.call(name, mutantGas, args...)
	out = called{trapped: err != nil}
	if err == nil {
		out.results = res
	}
	if m := mod.Memory(); m != nil {
		mem, _ := m.Read(0, m.Size())
		out.memory = bytes.Clone(mem)
	}
	return out, status, used
}

// FuzzMutants: of a generated module with some bytes changed, whatever is
// admitted does on both engines what the original does, canonical NaNs apart,
// unless gas or stack stopped it; and whatever is not is refused with a typed
// error. Start functions, vectors and references at the interface are left out:
// the original has them run, or the engine's API cannot name them.
func FuzzMutants(f *testing.F) {
	for s := range uint64(16) {
		f.Add(s, []byte{}, s%2 == 1, []byte{})
		f.Add(s, []byte("\x03\x07\x01\x09\x0b\x05\x02\x00\x04\x06"), s%3 == 1, []byte("\x40\x01\x01\x80\x11\x03\xc0\x21\x10"))
	}
	e := newEngines(f)
	ctx := context.Background()
	limit := meter.DefaultLimits().MemoryPages
	plain := engines{
		wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2).WithMemoryLimitPages(limit)),
		wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2).WithMemoryLimitPages(limit)),
	}
	f.Cleanup(func() { plain.compiler.Close(ctx); plain.interpreter.Close(ctx) })
	cfg := config()
	cfg.Import = nil
	cfg.Limits.MemoryPages, cfg.Limits.TableElements, cfg.Limits.TableSize = 64, 1000, 1000
	f.Fuzz(func(t *testing.T, s uint64, data []byte, simd bool, script []byte) {
		b := mutate(newGen(s, data, simd).module(), script)
		res, err := meter.Rewrite(b, cfg)
		if err != nil {
			var invalid *meter.InvalidModuleError
			var limit *meter.LimitError
			if !errors.As(err, &invalid) && !errors.As(err, &limit) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if res.HasStart || !scalars(res, "f0") {
			return
		}
		got, status, used := callExport(t, e.compiler, res.Wasm, "f0")
		if other, s, u := callExport(t, e.interpreter, res.Wasm, "f0"); !got.equal(other) || status != s || used != u {
			t.Fatalf("compiler %v %v %d\ninterpreter %v %v %d", got.results, status, used, other.results, s, u)
		}
		if used > mutantGas || status != abi.TrapInvalid {
			return
		}
		original := naive(t, b)
		for _, rt := range []wazero.Runtime{plain.compiler, plain.interpreter} {
			if want, _, _ := callExport(t, rt, original, "f0"); !got.equal(want) {
				t.Fatalf("rewritten: trapped %v, results %x\noriginal: trapped %v, results %x", got.trapped, got.results, want.trapped, want.results)
			}
		}
	})
}

// scalars says that a function is exported and that the engine's API can pass
// its arguments and results.
func scalars(res *meter.Result, name string) bool {
	typ, ok := res.Exports[name]
	for _, t := range slices.Concat(typ.Params, typ.Results) {
		ok = ok && (t == i32 || t == i64 || t == f32 || t == f64)
	}
	return ok
}
