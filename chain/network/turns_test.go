package network_test

import (
	"context"
	"testing"
)

// heardOf checks at the state of a height that the application heard those who made the blocks: the application is
// not told whose turn it was, so it follows CometBFT's turns itself, here through real blocks and a removed
// validator.
func heardOf(ctx context.Context, t *testing.T, tn *testNetwork, height int64) {
	t.Helper()
	n := tn.nodes[0]
	tn.wait(ctx, t, height+2)
	// What the block of a height changed holds from the next but one on, and is in the state of the height.
	powers := tn.powers(ctx, t, height+2)
	at, err := n.App().CreateQueryContext(height, false)
	if err != nil {
		t.Fatal(err)
	}
	blocks := n.Comet().BlockStore()
	heard := make(map[string]bool)
	var want uint64
	for since := height - 1; since > height-12; since-- {
		proposer := blocks.LoadBlockMeta(since).Header.ProposerAddress.String()
		if round := blocks.LoadBlockCommit(since).Round; round == 0 && !heard[proposer] {
			heard[proposer] = true
			want += uint64(powers[proposer])
		}
		power, _, err := n.App().Power.Heard(at, since)
		if err != nil {
			t.Fatal(err)
		}
		if power != want {
			t.Fatalf("state of height %d: power %d was heard since %d, want %d", height, power, since, want)
		}
	}
	if len(heard) < 2 {
		t.Fatalf("%d proposers in 11 blocks show nothing", len(heard))
	}
}
