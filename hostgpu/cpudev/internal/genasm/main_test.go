package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestFresh: the assembly in the tree is what this generator writes.
func TestFresh(t *testing.T) {
	for name, want := range generate() {
		got, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run go generate in hostgpu/cpudev", name)
		}
	}
}
