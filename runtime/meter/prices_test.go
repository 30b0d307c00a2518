package meter_test

import (
	"fmt"
	"runtime"
	"sort"
	"testing"
	"time"

	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/wasmbin"
)

const (
	priceTurns  = 2000
	priceCopies = 50
)

// chain is a function that runs op priceTurns × priceCopies times, each on the
// result of the one before where the types allow it.
func chain(op wasmbin.Op) []byte {
	in, out, fixed := op.Signature()
	if !fixed || op == wasmbin.OpMemoryGrow {
		return nil
	}
	locals := []wasmbin.LocalGroup{{Count: 1, Type: i32}, {Count: 1, Type: i64}, {Count: 1, Type: f32}, {Count: 1, Type: f64}, {Count: 1, Type: v128},
		{Count: 1, Type: i32}, {Count: 1, Type: i64}, {Count: 1, Type: f32}, {Count: 1, Type: f64}, {Count: 1, Type: v128}, {Count: 1, Type: i32}}
	at := map[wasmbin.ValType]byte{i32: 0, i64: 1, f32: 2, f64: 3, v128: 4}
	body := []byte{0x41, 32, 0x21, 0, 0x42, 32, 0x21, 1, 0x43, 0, 0, 0x80, 0x3F, 0x21, 2, 0x44, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0x21, 3,
		0x41, 3, 0x21, 5, 0x42, 3, 0x21, 6, 0x43, 0, 0, 0x90, 0x3F, 0x21, 7, 0x44, 0, 0, 0, 0, 0, 0, 0xF2, 0x3F, 0x21, 8,
		0x20, 2, 0xFD, 0x13, 0x21, 4, 0x20, 7, 0xFD, 0x13, 0x21, 9}
	body = append(append(body, 0x41), wasmbin.AppendS64(nil, priceTurns)...)
	body = append(body, 0x21, 10, 0x03, 0x40)
	enc := []byte{byte(op)}
	if op > 0xFF {
		enc = wasmbin.AppendU32([]byte{byte(op >> 8)}, uint32(op&0xFF))
	}
	switch {
	case op.Memory():
		enc = append(enc, 0, 0)
		if op >= 0xFD54 && op <= 0xFD5B {
			enc = append(enc, 0)
		}
	case op == wasmbin.OpI32Const, op == wasmbin.OpI64Const, op == wasmbin.OpMemorySize, op >= 0xFD15 && op <= 0xFD22:
		enc = append(enc, 0)
	case op == wasmbin.OpF32Const:
		enc = append(enc, 0, 0, 0, 0)
	case op == wasmbin.OpF64Const:
		enc = append(enc, 0, 0, 0, 0, 0, 0, 0, 0)
	case op == wasmbin.OpV128Const, op == wasmbin.OpShuffle:
		enc = append(enc, make([]byte, 16)...)
	case op == wasmbin.OpMemoryCopy:
		enc = append(enc, 0, 0)
	case op == wasmbin.OpMemoryFill:
		enc = append(enc, 0)
	case op >= 0xFC08:
		return nil // needs segments or tables
	}
	bulk := op >= 0xFC08 && op <= 0xFC11
	for range priceCopies {
		for i, t := range in {
			switch {
			case bulk && i == 2:
				body = append(body, 0x41, 0) // nothing to move: the fixed price
			case i == 0:
				body = append(body, 0x20, at[t])
			default:
				body = append(body, 0x20, at[t]+5)
			}
		}
		body = append(body, enc...)
		if out == 0 {
			continue
		}
		if op.Memory() || out == i32 && len(in) > 0 && in[0] != i32 {
			body = append(body, 0x21, at[out]+5)
		} else {
			body = append(body, 0x21, at[out])
		}
	}
	body = append(body, 0x20, 10, 0x41, 1, 0x6B, 0x22, 10, 0x0D, 0, 0x0B)
	return build([]wasmbin.FuncType{{}}, fn{locals: locals, body: body})
}

// BenchmarkPrices prints ns per gas of every instruction with a fixed
// signature, and the worst over the median:
// go test -run xxx -bench Prices -benchtime 1x ./runtime/meter
func BenchmarkPrices(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	costs := meter.DefaultSchedule()
	type row struct {
		op      wasmbin.Op
		ns, gas float64
	}
	var rows []row
	for _, base := range []int{0, 0xFC00, 0xFD00} {
		for op := wasmbin.Op(base); op < wasmbin.Op(base+0x100); op++ {
			if _, _, fixed := op.Signature(); !op.Known() || !fixed {
				continue
			}
			wasm := chain(op)
			if wasm == nil {
				continue
			}
			i := load(b, rewrite(b, wasm).Wasm, false)
			best := time.Hour
			for range 7 {
				start := threadTime(b)
				if _, _, trap, err := i.call("f0", 1<<40); err != nil {
					b.Logf("%#x: %v %v", uint16(op), err, trap)
					break
				}
				best = min(best, threadTime(b)-start)
			}
			if best < time.Hour {
				rows = append(rows, row{op, float64(best) / (priceTurns * priceCopies), float64(costs.Op(op))})
			}
		}
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i].ns/rows[i].gas > rows[j].ns/rows[j].gas })
	median := rows[len(rows)/2].ns / rows[len(rows)/2].gas
	for _, r := range rows {
		fmt.Printf("%#06x %6.2f ns %4.0f gas %6.3f ns/gas\n", uint16(r.op), r.ns, r.gas, r.ns/r.gas)
	}
	b.ReportMetric(median, "ns/gas-median")
	b.ReportMetric(rows[0].ns/rows[0].gas/median, "worst/median")
	for b.Loop() {
	}
}
