package meter_test

import (
	"context"
	"errors"
	"testing"

	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// FuzzRewrite gives Rewrite any bytes: it must not panic, must say no with one
// of its two errors, and what it returns must be valid, also to the engine.
func FuzzRewrite(f *testing.F) {
	f.Add(kernels(f))
	for s := range uint64(20) {
		f.Add(newGen(s, nil, s%2 == 0).module())
	}
	for _, b := range bombs {
		if len(b) < 5000 {
			f.Add(b)
		}
	}
	e := newEngines(f)
	cfg := config()
	cfg.Limits.MemoryPages, cfg.Limits.TableElements, cfg.Limits.TableSize = 64, 1000, 1000
	f.Fuzz(func(t *testing.T, b []byte) {
		res, err := meter.Rewrite(b, cfg)
		if err != nil {
			var invalid *meter.InvalidModuleError
			var limit *meter.LimitError
			if !errors.As(err, &invalid) && !errors.As(err, &limit) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		m, err := wasmbin.Decode(res.Wasm, wide)
		if err == nil {
			err = m.Check(1 << 20)
		}
		if err != nil {
			t.Fatalf("rewritten module is invalid: %v", err)
		}
		ctx := context.Background()
		compiled, err := e.interpreter.CompileModule(ctx, res.Wasm)
		if err != nil {
			t.Fatalf("engine: %v", err)
		}
		compiled.Close(ctx)
	})
}
