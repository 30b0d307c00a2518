// Command gen finishes what modules/build.sh compiled into a folder: it writes
// into each module how much memory it may have, by its manifest, which Go's
// linker does not say and loads are priced by. In modules/catalog it also
// writes what is embedded beside the .wasm files: the manifest of each module,
// and the integer model made from testdata/model. It runs in the modules folder.
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/assaynet/assay/modules/catalog/declared"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/modules/modelimport"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/wasmbin"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: gen FOLDER")
	}
	if err := limit(os.Args[1]); err != nil {
		log.Fatal("gen: ", err)
	}
	if os.Args[1] != "catalog" {
		return
	}
	if err := manifests("catalog"); err != nil {
		log.Fatal("gen: ", err)
	}
	if err := model("../testdata/model", "catalog/opticks.asym"); err != nil {
		log.Fatal("gen: ", err)
	}
}

func limit(dir string) error {
	for _, d := range declared.Modules() {
		path := filepath.Join(dir, d.Name+".wasm")
		wasm, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		m, err := wasmbin.Decode(wasm, meter.DefaultLimits().Limits)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if wasm, err = m.LimitMemory(d.MemoryPages); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := os.WriteFile(path, wasm, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func manifests(dir string) error {
	for _, m := range declared.Modules() {
		wasm, err := os.ReadFile(filepath.Join(dir, m.Name+".wasm"))
		if err != nil {
			return err
		}
		m.Size, m.Hash = int64(len(wasm)), manifest.HashOf(wasm)
		text, err := m.Encode()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, m.Name+".json"), append(text, '\n'), 0o644); err != nil {
			return err
		}
		fmt.Printf("%s %d bytes %s\n", m.Name, m.Size, m.Hash)
	}
	return nil
}

func model(dir, out string) error {
	// A newline ends a paragraph of the training text, so it also starts one.
	bos := int('\n')
	blob, err := modelimport.ConvertDir(dir, modelimport.Options{BOS: &bos})
	if err != nil {
		return err
	}
	fmt.Printf("%s %d bytes %s\n", filepath.Base(out), len(blob), manifest.HashOf(blob))
	return os.WriteFile(out, blob, 0o644)
}
