package catalog

import (
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/assaynet/assay/modules/manifest"
)

//go:embed *.wasm *.json *.asym toolchain.txt
var files embed.FS

// ErrUnknown is returned for a name that does not ship.
var ErrUnknown = errors.New("catalog: no such entry")

// Names of the modules.
const (
	TransformerPow = "transformerpow"
	HashPow        = "hashpow"
	Llama          = "llama"
)

// Opticks is the byte-level model of testdata/model.
const Opticks = "opticks"

// Entry is a shipped module.
type Entry struct {
	Manifest manifest.Module
	Wasm     []byte // a copy of its own
}

// Names lists the modules in alphabetical order.
func Names() []string {
	var names []string
	dir, err := files.ReadDir(".")
	if err != nil {
		return nil
	}
	for _, f := range dir {
		if name, ok := strings.CutSuffix(f.Name(), ".wasm"); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Get returns a module whose bytes match its manifest. It fails with
// ErrUnknown, or a *manifest.FormatError if the build was tampered with.
func Get(name string) (Entry, error) {
	wasm, err := files.ReadFile(name + ".wasm")
	if err != nil {
		return Entry{}, fmt.Errorf("%w: module %q; there are %s", ErrUnknown, name, strings.Join(Names(), ", "))
	}
	text, err := files.ReadFile(name + ".json")
	if err != nil {
		return Entry{}, fmt.Errorf("%w: manifest of %q", ErrUnknown, name)
	}
	m, err := manifest.DecodeModule([]byte(strings.TrimSuffix(string(text), "\n")))
	if err != nil {
		return Entry{}, err
	}
	if err := m.Matches(wasm); err != nil {
		return Entry{}, err
	}
	return Entry{Manifest: *m, Wasm: wasm}, nil
}

// ModelBlob is a shipped model.
type ModelBlob struct {
	Name string
	Hash manifest.Hash // SHA-256 of Blob
	Blob []byte        // manifest.DecodeModel reads it
}

// Model returns a shipped model, or ErrUnknown.
func Model(name string) (ModelBlob, error) {
	blob, err := files.ReadFile(name + ".asym")
	if err != nil {
		return ModelBlob{}, fmt.Errorf("%w: model %q; there is %s", ErrUnknown, name, Opticks)
	}
	return ModelBlob{Name: name, Hash: manifest.HashOf(blob), Blob: blob}, nil
}

// Toolchain is the Go release the modules were built with.
func Toolchain() string {
	text, err := files.ReadFile("toolchain.txt")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
