package kernels_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/assaynet/assay/modules/kernels"
)

func TestHash(t *testing.T) {
	if _, err := kernels.Wasm(); err != nil {
		t.Fatal(err)
	}
}

// TestHeader: the prototypes that the C sources include are the table's.
func TestHeader(t *testing.T) {
	got, err := os.ReadFile("src/ops.h")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, kernels.Header()) {
		t.Error("src/ops.h is stale: run go generate ./modules/kernels")
	}
}

// TestReproducible rebuilds the module where the compiler is installed.
func TestReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the kernels")
	}
	for _, tool := range []string{"clang-19", "wasm-ld-19"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	out := filepath.Join(t.TempDir(), "kernels.wasm")
	if msg, err := exec.Command("./build.sh", out).CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v\n%s", err, msg)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want, err := kernels.Wasm()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("src/ does not build the committed kernels.wasm: run build.sh")
	}
}
