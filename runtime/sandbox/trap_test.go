package sandbox

import "testing"

func TestEngineTrapsAreCollected(t *testing.T) {
	traps, err := collectEngineTraps()
	if err != nil {
		t.Fatal(err)
	}
	if len(traps.byTrap) != len(provoked) {
		t.Fatalf("%d of %d traps", len(traps.byTrap), len(provoked))
	}
	for _, e := range traps.byTrap {
		t.Log(e.trap, "=", e.err)
	}
}
