package meter_test

import (
	"context"
	"errors"
	"syscall"
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

func TestBombs(t *testing.T) {
	for name, b := range bombs {
		start := time.Now()
		_, err := meter.Rewrite(b, config())
		took := time.Since(start)
		var limit *meter.LimitError
		var invalid *meter.InvalidModuleError
		if !errors.As(err, &limit) && !errors.As(err, &invalid) {
			t.Errorf("%s: got %v", name, err)
		}
		t.Logf("%-32s %8v %v", name, took.Round(time.Microsecond), err)
		if took > 250*time.Millisecond { // 10 ms on an idle machine
			t.Errorf("%s: refused after %v", name, took)
		}
	}
}

// cpu is the processor time of the test so far: other work on the machine does
// not count.
func cpu(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano())
}

// TestWorstAdmitted compiles modules at the limits.
func TestWorstAdmitted(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles for seconds")
	}
	for name, b := range map[string][]byte{
		"switch of 8,000 over 32 locals":  module(32, switchOf(8000, 32)),
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
		start := cpu(t)
		if _, err := rt.CompileModule(ctx, res.Wasm); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		took := cpu(t) - start
		rt.Close(ctx)
		t.Logf("%-32s %8d bytes, compiled in %v", name, len(b), took.Round(time.Millisecond))
		if took > 10*time.Second {
			t.Errorf("%s: compiled in %v of processor time", name, took)
		}
	}
}
