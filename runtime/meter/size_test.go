package meter_test

import (
	"os"
	"path/filepath"
	"testing"
)

// TestSize: a rewritten Go guest is at most a fifth larger. The shipped
// modules, and one with much of the standard library; so is the largest C module
// here, the reference device. The C kernels, which are tight loops and nothing else, are larger
// by two fifths at most.
func TestSize(t *testing.T) {
	paths, err := filepath.Glob("../../modules/catalog/*.wasm")
	paths = append(paths, "../../modules/kernels/kernels.wasm")
	if err != nil || len(paths) < 2 {
		t.Fatalf("shipped modules: %v, %v", paths, err)
	}
	guests := map[string][]byte{"testdata/guest": guest(t)}
	for _, p := range paths {
		if guests[p], err = os.ReadFile(p); err != nil {
			t.Fatal(err)
		}
	}
	check := func(name string, b []byte, percent int) {
		t.Helper()
		n := len(rewrite(t, b).Wasm)
		t.Logf("%s: %d bytes, rewritten %d (%+.1f %%)", name, len(b), n, 100*float64(n)/float64(len(b))-100)
		if 100*(n-len(b)) > percent*len(b) {
			t.Errorf("%s: more than %d %% larger", name, percent)
		}
	}
	for name, b := range guests {
		check(name, b, 20)
	}
	check("testdata/kernels.wasm", kernels(t), 40)
}
