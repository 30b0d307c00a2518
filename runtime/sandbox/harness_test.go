package sandbox

import (
	"bytes"
	"context"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
)

const testGas = 10_000_000

// host imports for hand-written guests, by name.
func imp(names ...string) []wasmImport {
	var out []wasmImport
	for _, n := range names {
		found := false
		for key, f := range hostFuncs {
			if key[0]+"."+key[1] == n || (key[0] == abi.ModuleAssay && key[1] == n) {
				out = append(out, wasmImport{Module: key[0], Name: key[1], Params: f.params, Results: f.results})
				found = true
			}
		}
		if !found {
			panic("no host call " + n)
		}
	}
	return out
}

// abiFunc is the export that every guest has.
var abiFunc = wasmFunc{Export: abi.ExportABI, Results: []byte{i32}, Body: i32c(abi.Version)}

// inferGuest is a guest whose infer has the given body.
func inferGuest(imports []wasmImport, body []byte, locals ...byte) []byte {
	return wasmMod{Imports: imports, Min: 1, Max: 4, Funcs: []wasmFunc{
		abiFunc, {Export: abi.ExportInfer, Body: body, Locals: locals},
	}}.encode()
}

// engines is one runtime of each kind, shared by the tests of the package.
type engine struct {
	name string
	rt   *Runtime
}

func engines(t testing.TB) []engine {
	t.Helper()
	var out []engine
	for _, interp := range []bool{false, true} {
		rt, err := New(Config{Interpreter: interp, TrustModules: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { rt.Close() })
		out = append(out, engine{map[bool]string{false: "compiler", true: "interpreter"}[interp], rt})
	}
	return out
}

func admit(t testing.TB, rt *Runtime, wasm []byte) *Module {
	t.Helper()
	m, err := rt.Admit(wasm)
	if err != nil {
		t.Fatalf("admit: %v", err)
	}
	return m
}

// infer runs a guest's infer on both engines and requires equal results.
func infer(t testing.TB, wasm []byte, job Job) Outcome {
	t.Helper()
	if job.Gas == 0 {
		job.Gas = testGas
	}
	var first Outcome
	var firstMem []byte
	for i, e := range engines(t) {
		m := admit(t, e.rt, wasm)
		in, err := m.Start(context.Background(), job)
		if err != nil {
			t.Fatalf("%s: start: %v", e.name, err)
		}
		out, err := in.Infer(context.Background())
		if err != nil {
			t.Fatalf("%s: infer: %v", e.name, err)
		}
		var mem []byte
		if in.res != nil {
			mem = bytes.Clone(in.res.space.addr[:in.res.size])
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first, firstMem = out, mem
			continue
		}
		if out.Trap != first.Trap || out.Code != first.Code || out.GasUsed != first.GasUsed ||
			!bytes.Equal(out.Text, first.Text) || !bytes.Equal(out.Log, first.Log) {
			t.Fatalf("engines differ:\n%+v\n%+v", first, out)
		}
		if !bytes.Equal(mem, firstMem) {
			t.Fatal("engines leave different memory")
		}
	}
	return first
}

func wantTrap(t *testing.T, out Outcome, want abi.Trap, code int32) {
	t.Helper()
	if out.Trap != want || out.Code != code {
		t.Fatalf("trap %v (code %d), want %v (code %d); %s", out.Trap, out.Code, want, code, out.Detail)
	}
}
