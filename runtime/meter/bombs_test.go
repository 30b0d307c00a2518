package meter_test

import (
	"context"
	"errors"
	goruntime "runtime"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/wasmbin"
)

var nullary = []wasmbin.FuncType{{}}

func module(locals int, body []byte) []byte {
	return build(nullary, fn{locals: i32Locals(locals), body: body})
}

// bombs take a compiler seconds to minutes; sizes and times are those of the
// facts that the limits come from.
var bombs = map[string][]byte{
	"200 million locals":             module(200_000_000, nil),
	"400 locals, 400 nested loops":   module(400, nested(3, 400, touch(400))),
	"5,000 nested loops":             module(1, nested(3, 5000, touch(1))),
	"50,000 nested blocks":           module(1, nested(2, 50_000, touch(1))),
	"500 locals, 4,000 loops":        module(500, repeat(4000, join([]byte{3, 0x40}, touch(4), []byte{0x0B})...)),
	"100 KB br_table":                module(1, join([]byte{0x20, 0, 0x0E}, wasmbin.AppendU32(nil, 100_000), repeat(100_001, 0))),
	"large signatures":               build([]wasmbin.FuncType{{Params: make1000()}}, fn{body: nil}),
	"a table of four billion":        []byte("\x00asm\x01\x00\x00\x00\x04\x08\x01\x70\x00\xff\xff\xff\xff\x0f"),
	"four billion element items":     []byte("\x00asm\x01\x00\x00\x00\x04\x04\x01\x70\x00\x01\x09\x0a\x01\x00\x41\x00\x0b\xff\xff\xff\xff\x0f"),
	"60,000 br_ifs":                  module(1, join([]byte{2, 0x40}, repeat(60_000, 0x20, 0, 0x0D, 0), []byte{0x0B})),
	"20 functions of 9,000 br_ifs":   build(nullary, many(20, fn{locals: i32Locals(1), body: join([]byte{2, 0x40}, repeat(9000, 0x20, 0, 0x0D, 0), []byte{0x0B})})...),
	"800 functions of 2,000 locals":  build(nullary, many(800, fn{locals: i32Locals(2000)})...),
	"switch of 8,000 over 70 locals": module(70, switchOf(8000, 70)),
	"a module of 17 MiB":             make([]byte, 17<<20),
	"2 million one-byte functions":   append([]byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x83\x89\x7a\x80\x89\x7a"), make([]byte, 2_000_000)...),
}

func many(n int, f fn) []fn {
	fs := make([]fn, n)
	for i := range fs {
		fs[i] = f
	}
	return fs
}

func make1000() []wasmbin.ValType {
	ts := make([]wasmbin.ValType, 1000)
	for i := range ts {
		ts[i] = wasmbin.I64
	}
	return ts
}

// refusal rewrites a bomb and returns the error with what it took: bytes
// allocated, and bytes of the module that were looked at before.
func refusal(t testing.TB, name string, b []byte) (allocated uint64, read int, err error) {
	t.Helper()
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	_, err = meter.Rewrite(b, config())
	goruntime.ReadMemStats(&after)
	var limit *meter.LimitError
	var invalid *meter.InvalidModuleError
	switch {
	case errors.As(err, &limit):
		read = limit.Offset
	case errors.As(err, &invalid):
		read = invalid.Offset
	default:
		t.Errorf("%s: got %v", name, err)
	}
	return after.TotalAlloc - before.TotalAlloc, read, err
}

// TestBombs: all are refused, before 10 MB are allocated and 1 MB of code is
// looked at, which is milliseconds: BenchmarkBombs.
func TestBombs(t *testing.T) {
	for name, b := range bombs {
		allocated, read, err := refusal(t, name, b)
		t.Logf("%-32s %8d bytes allocated, %7d read: %v", name, allocated, read, err)
		if allocated > 10e6 || read > 1e6 {
			t.Errorf("%s: %d bytes allocated, %d read", name, allocated, read)
		}
	}
}

// BenchmarkBombs prints how long each refusal takes.
func BenchmarkBombs(b *testing.B) {
	for name, bomb := range bombs {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := meter.Rewrite(bomb, config()); err == nil {
					b.Fatal("admitted")
				}
			}
		})
	}
}

// TestWorstAdmitted compiles modules at the limits; make search-worst looks
// for worse ones.
func TestWorstAdmitted(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles for seconds")
	}
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	for name, b := range map[string][]byte{
		"switch of 4,000 over 60 locals":  module(60, switchOf(4000, 60)),
		"switch of 200 over 1,200 locals": module(1200, switchOf(200, 1200)),
		"1,000 loops, 4 locals":           module(4, repeat(1000, join([]byte{3, 0x40}, touch(4), []byte{0x0B})...)),
		"8,000 br_ifs":                    module(1, join([]byte{2, 0x40}, repeat(8000, 0x20, 0, 0x0D, 0), []byte{0x0B})),
		"8,000 nested blocks, 60 locals":  module(60, nested(2, 8000, touch(60))),
	} {
		res, err := meter.Rewrite(b, config())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		ctx := context.Background()
		rt := wazero.NewRuntime(ctx)
		start := threadTime(t)
		if _, err := rt.CompileModule(ctx, res.Wasm); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		took := threadTime(t) - start
		rt.Close(ctx)
		t.Logf("%-32s %8d bytes, compiled in %v", name, len(b), took.Round(time.Millisecond))
	}
}
