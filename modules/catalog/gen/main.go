// Command gen writes what modules/catalog embeds beside the .wasm files: the
// manifest of each module, and the integer model made from testdata/model.
// modules/build.sh runs it from the modules folder.
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/assaynet/assay/modules/catalog/declared"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/modules/modelimport"
)

func main() {
	log.SetFlags(0)
	if err := manifests("catalog"); err != nil {
		log.Fatal("gen: ", err)
	}
	if err := model("../testdata/model", "catalog/opticks.asym"); err != nil {
		log.Fatal("gen: ", err)
	}
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
