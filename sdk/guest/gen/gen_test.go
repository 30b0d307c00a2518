package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/abi"
)

func TestCommittedFilesAreCurrent(t *testing.T) {
	for name, want := range files() {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("sdk/guest/%s is stale: run go generate ./sdk/guest", name)
		}
	}
}

// Every import a host offers has a binding in both languages.
func TestEveryCallIsBound(t *testing.T) {
	out := files()
	goText := string(out["calls_wasip1.go"]) + string(out["ops_wasip1.go"])
	c := string(out["assay.h"])
	check := func(module, name string) {
		if !strings.Contains(goText, "//go:wasmimport "+module+" "+name+"\n") {
			t.Errorf("no Go binding of %s.%s", module, name)
		}
		if !strings.Contains(c, " "+module+"_"+name+"(") {
			t.Errorf("no C binding of %s.%s", module, name)
		}
	}
	for _, call := range abi.Calls {
		check(abi.ModuleAssay, call.Name)
	}
	for _, call := range abi.TensorCalls {
		check(abi.ModuleTensor, call.Name)
	}
	for _, op := range device.Ops {
		check(abi.ModuleTensor, op.Name)
	}
}

// The header compiles as C, with whatever compiler the machine has.
func TestHeaderIsValidC(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler")
	}
	cmd := exec.Command(cc, "-x", "c", "-std=c11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-attributes", "-I..", "-")
	cmd.Stdin = strings.NewReader(`#include "assay.h"
ASSAY_EXPORT(assay_abi) int32_t assay_abi(void);
ASSAY_EXPORT(pow_units) void pow_units(int32_t n);
int32_t assay_abi(void) { return ASSAY_ABI_VERSION; }
void pow_units(int32_t n) {
  assay_tensor key = tensor_alloc(ASSAY_U8, 1, ASSAY_SEED_SIZE), t = tensor_alloc(ASSAY_S8, 4, 64);
  for (int32_t u = 0; u < n; u++) { tensor_expand(t, key, assay_unit_index(u)); assay_record(u, t); }
}
`)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
