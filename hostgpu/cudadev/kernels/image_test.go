package kernels_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/assaynet/assay/hostgpu/cudadev/kernels"
)

var (
	a100 = kernels.Props{Major: 8, Minor: 0, SMs: 108, SharedPerBlock: 163 << 10}
	rtx  = kernels.Props{Major: 8, Minor: 6, SMs: 28, SharedPerBlock: 99 << 10}
	h100 = kernels.Props{Major: 9, Minor: 0, SMs: 132, SharedPerBlock: 227 << 10}
	b200 = kernels.Props{Major: 10, Minor: 0, SMs: 148, SharedPerBlock: 227 << 10}
)

// TestImage: the image with wgmma is for compute capability 9.0 alone.
func TestImage(t *testing.T) {
	for _, c := range []struct {
		p      kernels.Props
		target string
	}{{a100, ".target sm_80"}, {rtx, ".target sm_80"}, {h100, ".target sm_90a"}, {b200, ".target sm_80"}} {
		text, err := kernels.Image(c.p)
		if err != nil || !bytes.Contains(text, []byte(c.target)) {
			t.Errorf("%+v: no %q in its image (%v)", c.p, c.target, err)
		}
	}
	if _, err := kernels.Image(kernels.Props{Major: 7, Minor: 5, SMs: 40}); !errors.Is(err, kernels.ErrArch) {
		t.Errorf("7.5: %v, want ErrArch", err)
	}
}

// TestSources: the committed PTX was compiled from the committed sources.
func TestSources(t *testing.T) {
	files, err := filepath.Glob("src/*")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	h := sha256.New()
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(h, name+"\n")
		h.Write(data)
	}
	if hex.EncodeToString(h.Sum(nil)) != kernels.Sources() {
		t.Error("src/ is not what ptx/ was compiled from: run build.sh")
	}
}

// TestReproducible compiles the images where the compiler is installed.
func TestReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the kernels")
	}
	if _, err := exec.LookPath("clang-19"); err != nil {
		t.Skip("clang-19 is not installed")
	}
	dir := t.TempDir()
	if msg, err := exec.Command("./build.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v\n%s", err, msg)
	}
	for _, name := range []string{"assay_sm80.ptx", "assay_sm90a.ptx"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join("ptx", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("src/ does not build the committed %s: run build.sh", name)
		}
	}
}
