package sandbox

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
)

// TestNoReentry: no host function can run guest code, so the guest's frames
// are all that is on the engine's stack. Guest code is run by calls of
// CallWithStack and Call alone, these by the functions named here, and those
// that the host calls from outside by nothing inside this package.
func TestNoReentry(t *testing.T) {
	callers := map[string]map[string]bool{} // of each method name: the functions that call it
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			in := "a variable of " + name
			if fn, ok := d.(*ast.FuncDecl); ok {
				in = fn.Name.Name
			}
			ast.Inspect(d, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if s, ok := call.Fun.(*ast.SelectorExpr); ok {
					if callers[s.Sel.Name] == nil {
						callers[s.Sel.Name] = map[string]bool{}
					}
					callers[s.Sel.Name][in] = true
				}
				return true
			})
		}
	}
	for method, want := range map[string][]string{
		"CallWithStack": {"Call", "call"}, // Call is of Kernels, which import nothing
		"Call":          {"Func", "a variable of trap.go"},
		"call":          {"Check", "Infer", "PowSetup", "PowUnits", "initialise"},
		"initialise":    {"Start"},
	} {
		got := slices.Sorted(maps.Keys(callers[method]))
		if !slices.Equal(got, want) {
			t.Errorf("%s is used by %v, not by %v: can a host function get there?", method, got, want)
		}
	}
	for _, method := range []string{"Infer", "PowSetup", "PowUnits"} {
		if len(callers[method]) > 0 {
			t.Errorf("%s is used inside the package, by %v", method, callers[method])
		}
	}
}

// TestActiveSegmentIsGone: memory.init of an active segment traps, though
// wazero 1.12 keeps such segments (internal/wasm/store.go, applyData).
func TestActiveSegmentIsGone(t *testing.T) {
	body := cat(i32c(64), i32c(0), i32c(1), 0xFC, 8, 0, 0)
	wasm := wasmMod{Min: 1, Max: 1, Data: []byte("data"), Passive: []byte("more"), Funcs: []wasmFunc{
		abiFunc, {Export: abi.ExportInfer, Body: body},
	}}.encode()
	wantTrap(t, infer(t, wasm, Job{}), abi.TrapMemoryOutOfBounds, 0)
}
