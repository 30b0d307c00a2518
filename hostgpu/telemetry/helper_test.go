package telemetry

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// script writes a program that stands for assay-nvml.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), HelperName)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHelper(t *testing.T) {
	n := filepath.Join(t.TempDir(), "starts")
	h, err := OpenHelper(script(t, `echo >> `+n+`
while read x; do echo '{"driver":"570.1","gpus":[{"index":0,"energy_mj":5}]}'; done`))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if r := h.Read(); r.Driver == nil || *r.Driver != "570.1" || len(r.GPUs) != 1 || *r.GPUs[0].EnergyMillijoules != 5 {
			t.Fatalf("%+v", r)
		}
	}
	if starts, err := os.ReadFile(n); err != nil || len(starts) != 1 {
		t.Errorf("started %d times, %v", len(starts), err)
	}
	for range 2 {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
	if r := h.Read(); len(r.GPUs) != 0 || r.Note != "" {
		t.Errorf("a closed helper reports %+v", r)
	}
}

// TestHelperFails: one that dies or talks nonsense costs a report, and is
// started again.
func TestHelperFails(t *testing.T) {
	if _, err := OpenHelper(script(t, `read x; echo '{"note":"`+ErrNoDriver.Error()+`"}'; read x`)); !errors.Is(err, ErrNoDriver) {
		t.Errorf("without a driver: %v", err)
	}
	for name, body := range map[string]string{"ends": `exit 3`, "nonsense": `read x; echo nonsense; read x`, "endless": `read x; exec cat /dev/zero`} {
		if _, err := OpenHelper(script(t, body)); !errors.Is(err, errHelper) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OpenHelper(filepath.Join(t.TempDir(), "none")); !errors.Is(err, errHelper) {
		t.Errorf("none: %v", err)
	}
	h, err := OpenHelper(script(t, `read x; echo '{"cuda":12040}'; read x; exit 1`))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if r := h.Read(); !strings.Contains(r.Note, errHelper.Error()) {
		t.Errorf("one that died: %+v", r)
	}
	if r := h.Read(); r.CUDA == nil || *r.CUDA != 12040 {
		t.Errorf("one that was started again: %+v", r)
	}
}

// TestProgram: the real one, through the protocol, with a driver or without.
func TestProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), HelperName)
	if out, err := exec.Command("go", "build", "-o", path, "github.com/assaynet/assay/hostgpu/cmd/"+HelperName).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h, err := OpenHelper(path)
	if err != nil {
		if !errors.Is(err, ErrNoDriver) && !strings.Contains(err.Error(), ErrNotBuilt.Error()) {
			t.Error(err)
		}
		return
	}
	if r := h.Read(); r.Driver == nil {
		t.Errorf("%+v", r)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}
