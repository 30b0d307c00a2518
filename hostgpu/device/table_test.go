package device_test

import (
	"os"
	"strings"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/abi"
)

// TestGasUnit: ops are priced in the unit of everything else.
func TestGasUnit(t *testing.T) {
	if device.GasPerNanosecond != abi.GasPerNanosecond {
		t.Errorf("%d units a nanosecond here, %d in the ABI", device.GasPerNanosecond, abi.GasPerNanosecond)
	}
}

// TestSpecTable: the tables of the specification are the Go table's.
func TestSpecTable(t *testing.T) {
	raw, err := os.ReadFile("../../docs/spec/ops.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := device.Spec(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	if string(raw) != want {
		t.Fatal("docs/spec/ops.md is stale: run go generate ./hostgpu/device")
	}
}

// TestSpecSections asks that every op has a section of its own.
func TestSpecSections(t *testing.T) {
	raw, err := os.ReadFile("../../docs/spec/ops.md")
	if err != nil {
		t.Fatal(err)
	}
	var headings strings.Builder
	for _, line := range strings.Split(string(raw), "\n") {
		if strings.HasPrefix(line, "### ") {
			headings.WriteString(strings.NewReplacer("### ", ",", " ", "").Replace(line) + ",")
		}
	}
	for _, op := range device.Ops {
		if !strings.Contains(headings.String(), ","+op.Name+",") {
			t.Errorf("no section for %s", op.Name)
		}
	}
}
