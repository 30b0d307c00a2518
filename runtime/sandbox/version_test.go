package sandbox

import (
	"os"
	"strings"
	"testing"
)

// TestWazeroVersion: the version in the cache key is the one that is linked.
func TestWazeroVersion(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), "github.com/tetratelabs/wazero "+WazeroVersion+"\n") {
		t.Fatalf("go.mod does not name wazero %s", WazeroVersion)
	}
}

// TestEveryWASIFunction: the functions of preview 1, counted in its document.
func TestEveryWASIFunction(t *testing.T) {
	if len(wasiSigs) != 46 {
		t.Fatalf("%d functions, preview 1 has 46 (proc_raise and sock_accept included)", len(wasiSigs))
	}
	for name := range wasiBodies {
		if _, ok := hostFuncs[[2]string{"wasi_snapshot_preview1", name}]; !ok {
			t.Errorf("body of unknown function %s", name)
		}
	}
}
