package network_test

import (
	"testing"
	"time"

	"github.com/assaynet/assay/chain/network"
	powertypes "github.com/assaynet/assay/chain/power/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

// TestEvidenceAge: CometBFT accepts evidence for as long as nearly three weeks, but never longer than
// the chain remembers whose a retired key was, or than emission vests.
func TestEvidenceAge(t *testing.T) {
	scratch, err := network.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	defer scratch.Close()
	g, err := network.NewGenesis(chainID, time.Unix(1_700_000_000, 0).UTC(), scratch)
	if err != nil {
		t.Fatal(err)
	}
	const day, block = 24 * time.Hour, 6 * time.Second
	age, power, sprint := g.Consensus.Evidence, powertypes.DefaultParams(), sprinttypes.ProductionParams()
	epoch := time.Duration(sprint.EpochBlocks) * block
	if epoch != day || age.MaxAgeDuration != time.Duration(age.MaxAgeNumBlocks)*block {
		t.Fatalf("an epoch lasts %v; %d blocks are not %v", epoch, age.MaxAgeNumBlocks, age.MaxAgeDuration)
	}
	// A key that retires within an epoch is forgotten when the epoch begins that is so many later.
	if known := time.Duration(power.EvidenceEpochs-1) * epoch; age.MaxAgeDuration > known || age.MaxAgeDuration < 14*day {
		t.Errorf("evidence is accepted for %v, want two weeks to %v", age.MaxAgeDuration, known)
	}
	if vests := time.Duration(sprint.VestingEpochs) * epoch; age.MaxAgeDuration >= vests {
		t.Errorf("emission vests for %v, evidence is accepted for %v", vests, age.MaxAgeDuration)
	}
}
