package main

import (
	"strings"
	"testing"
	"time"

	"github.com/assaynet/assay/hostgpu/cudadev/driver/emulated"
)

// TestSmall runs the command on the emulated driver: every part works and
// leaves a row. The numbers mean nothing.
func TestSmall(t *testing.T) {
	var out strings.Builder
	o := options{each: time.Millisecond, small: true}
	if err := run(t.Context(), emulated.New(emulated.Config{Memory: 4 << 30}), o, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	_, table, _ := strings.Cut(out.String(), "\n| what |")
	for _, want := range []string{"copy to the GPU", "gemm 64×64×64", "linear 1×128×128", "batch 1 |", "batch 64", "whole pass", "digests of a batch", "recovery"} {
		if !strings.Contains(table, want) {
			t.Errorf("no row of %q", want)
		}
	}
	t.Log(out.String())
}
