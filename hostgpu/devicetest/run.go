package devicetest

import (
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
)

// Run is the conformance suite: dev must agree with the reference bit for bit
// on every case, however the operands lie in memory, and behave as
// device.Space says. It leaves dev open.
func Run(t *testing.T, dev device.Device) {
	t.Run("ops", func(t *testing.T) { runCases(t, dev) })
}

// runCases compares every case three times: plain, through views, in place.
func runCases(t *testing.T, dev device.Device) {
	ref := Reference()
	sp, err := dev.NewSpace(spaceBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	failed := 0
	for c := range Cases() {
		want, err := execute(ref, c, plain)
		if err != nil {
			t.Fatalf("reference: %s: %v", c.Name, err)
		}
		for _, m := range []mode{plain, views, inPlace} {
			got, err := executeIn(sp, c, m)
			if err != nil {
				t.Fatalf("%s (mode %d): %v", c.Name, m, err)
			}
			if msg := compare(c, got, want); msg != "" {
				t.Errorf("mode %d: %s", m, msg)
				if failed++; failed >= maxMismatches {
					t.Fatal("too many mismatches")
				}
			}
		}
	}
}
