package meter_test

import (
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/assaynet/assay/runtime/wasmbin"
)

// wide bounds the codec by nothing that a test module reaches.
var wide = wasmbin.Limits{
	ModuleBytes: 1 << 30, Types: 1 << 20, Params: 1 << 10, Results: 1 << 10, Imports: 1 << 20,
	Functions: 1 << 20, Tables: 1 << 20, TableElements: 1<<32 - 1, Memories: 1 << 10, MemoryPages: 65536,
	Globals: 1 << 20, Exports: 1 << 20, NameBytes: 1 << 20, Elements: 1 << 20, ElementItems: 1 << 26,
	DataSegments: 1 << 20, BodyBytes: 1 << 26, Locals: 1 << 20, CustomBytes: 1 << 30,
}

var wazeroPath = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	return strings.TrimSpace(string(out)), err
})

// wazeroDir is the folder of wazero's module, which holds the spec tests.
func wazeroDir(t testing.TB) string {
	dir, err := wazeroPath()
	if err != nil || dir == "" {
		t.Fatalf("wazero's sources: %v", err)
	}
	return dir
}
