package modelimport

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/assaynet/assay/modules/manifest"
)

// LoadDir reads config.json and every *.safetensors file of a folder.
func LoadDir(dir string) (Config, map[string]*Tensor, error) {
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return Config{}, nil, fmt.Errorf("modelimport: %w", err)
	}
	cfg, err := ParseConfig(text)
	if err != nil {
		return Config{}, nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	if err != nil {
		return Config{}, nil, fmt.Errorf("modelimport: %w", err)
	}
	slices.Sort(files)
	all := map[string]*Tensor{}
	for _, name := range files {
		file, err := os.ReadFile(name)
		if err != nil {
			return Config{}, nil, fmt.Errorf("modelimport: %w", err)
		}
		part, err := ReadSafetensors(file)
		if err != nil {
			return Config{}, nil, fmt.Errorf("%s: %w", name, err)
		}
		for n := range maps.Keys(part) {
			if _, twice := all[n]; twice {
				return Config{}, nil, bad("tensor %q is in two files", n)
			}
		}
		maps.Copy(all, part)
	}
	if len(all) == 0 {
		return Config{}, nil, bad("no *.safetensors file with tensors in %s", dir)
	}
	return cfg, all, nil
}

// ConvertDir makes the encoded blob of a checkpoint folder.
func ConvertDir(dir string, opt Options) ([]byte, error) {
	cfg, tensors, err := LoadDir(dir)
	if err != nil {
		return nil, err
	}
	m, err := Convert(cfg, tensors, opt)
	if err != nil {
		return nil, err
	}
	return encode(m)
}

func encode(m *manifest.ModelFile) ([]byte, error) {
	blob, err := m.Encode()
	if err != nil {
		return nil, fmt.Errorf("modelimport: %w", err)
	}
	return blob, nil
}
