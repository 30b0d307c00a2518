package main

import (
	"bytes"
	"os"
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
