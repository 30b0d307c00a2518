package sandbox

import (
	"context"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
)

// BenchmarkEnding is the time of a call that ends by a trap below as many
// functions as fit the stack, and of the same that returns: the difference is
// what ending costs beside its price, once a call. It includes the start of
// the instance, which a trap uses up.
func BenchmarkEnding(b *testing.B) {
	imports := []wasmImport{
		{Module: abi.ModuleAssay, Name: "abort", Params: []byte{0x7F}},
		{Module: abi.ModuleWASI, Name: "proc_exit", Params: []byte{0x7F}},
	}
	const rec = 4 // imports, assay_abi and infer come before it
	for name, last := range map[string][]byte{
		"return": nil, "abort": cat(i32c(1), call(0)), "exit": cat(i32c(1), call(1)), "unreachable": {0x00},
	} {
		b.Run(name, func(b *testing.B) {
			e := engines(b)[0]
			depth := int64(meter.DefaultStack/(96+4)) - 10
			wasm := wasmMod{Imports: imports, Min: 1, Max: 1, Funcs: []wasmFunc{
				abiFunc, {Export: abi.ExportInfer, Body: cat(i32c(depth), call(rec))},
				{Params: []byte{0x7F}, Body: cat(0x20, 0, 0x04, 0x40, 0x20, 0, i32c(1), 0x6B, call(rec), 0x05, last, 0x0B)},
			}}.encode()
			m := admit(b, e.rt, wasm)
			for b.Loop() {
				in, err := m.Start(context.Background(), Job{Gas: MaxGas})
				if err != nil {
					b.Fatal(err)
				}
				out, err := in.Infer(context.Background())
				if err != nil || out.Trap.OK() != (name == "return") || out.Trap == abi.TrapStackOverflow {
					b.Fatal(out, err)
				}
				in.Close()
			}
		})
	}
}
