package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts, and the device processes they start, run this
// binary as assay-device.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"assay-device": main})
}

// TestScripts runs the transcripts under testdata: what the commands print.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("TMPDIR", e.WorkDir) // so that a script sees what is left behind
			return nil
		},
	})
}
