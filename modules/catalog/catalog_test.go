package catalog

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/assaynet/assay/modules/catalog/declared"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/modules/modelimport"
)

func TestEveryEntryMatchesItsManifest(t *testing.T) {
	names := Names()
	if len(names) != len(declared.Modules()) {
		t.Fatalf("%d modules embedded, %d declared", len(names), len(declared.Modules()))
	}
	for i, want := range declared.Modules() {
		e, err := Get(names[i])
		if err != nil {
			t.Fatal(err)
		}
		want.Size, want.Hash = e.Manifest.Size, e.Manifest.Hash
		a, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := e.Manifest.Encode(); !bytes.Equal(a, b) {
			t.Errorf("%s.json is stale, run modules/build.sh:\n%s\n%s", names[i], b, a)
		}
		packed, err := manifest.Compress(e.Wasm)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes, %d compressed in %d chunks", names[i], len(e.Wasm), len(packed), len(manifest.Chunks(packed)))
	}
	if _, err := Get("nothing"); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown module: %v", err)
	}
	if _, err := Model("nothing"); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown model: %v", err)
	}
}

// The embedded model is what the importer makes of the committed checkpoint.
// Weights may differ by the rounding of another machine's math library, so
// this compares structure and allows single steps.
func TestModelComesFromTheCheckpoint(t *testing.T) {
	got, err := Model(Opticks)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Blob) > 4<<20 {
		t.Errorf("model of %d bytes, at most 4 MiB", len(got.Blob))
	}
	m, err := manifest.DecodeModel(got.Blob)
	if err != nil {
		t.Fatal(err)
	}
	bos := int('\n')
	blob, err := modelimport.ConvertDir("../../testdata/model", modelimport.Options{BOS: &bos})
	if err != nil {
		t.Fatal(err)
	}
	want, err := manifest.DecodeModel(blob)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.Config, want.Config) || len(m.Tensors) != len(want.Tensors) {
		t.Fatalf("config or tensors are stale: run modules/build.sh")
	}
	differ := 0
	for i, tn := range m.Tensors {
		w := want.Tensors[i]
		if tn.Name != w.Name || len(tn.Data) != len(w.Data) {
			t.Fatalf("tensor %s is stale: run modules/build.sh", tn.Name)
		}
		for j := range tn.Data {
			if tn.Data[j] != w.Data[j] {
				differ++
			}
		}
	}
	if differ > len(blob)/1000 {
		t.Errorf("%d of %d bytes differ from a fresh conversion", differ, len(blob))
	}
}

// Anyone with the same Go release gets the same modules.
func TestRebuildGivesTheSameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("builds three modules")
	}
	if runtime.Version() != Toolchain() {
		t.Skipf("embedded modules were built with %s, this is %s", Toolchain(), runtime.Version())
	}
	dir := t.TempDir()
	cmd := exec.Command("../build.sh", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range Names() {
		built, err := os.ReadFile(filepath.Join(dir, name+".wasm"))
		if err != nil {
			t.Fatal(err)
		}
		e, err := Get(name)
		if err != nil {
			t.Fatal(err)
		}
		if manifest.HashOf(built) != e.Manifest.Hash {
			t.Errorf("%s: a rebuild is %v, embedded is %v: run modules/build.sh", name, manifest.HashOf(built), e.Manifest.Hash)
		}
	}
}
