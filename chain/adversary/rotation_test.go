package adversary

import (
	"context"
	"testing"

	"cosmossdk.io/math"

	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/modules/catalog"
)

// Each member proposes as often as its power says, also in the last block before the deadline; who is
// jailed proposes nothing two blocks later.
func TestProposersTakeTurnsByPower(t *testing.T) {
	members := make([]Member, participants)
	for i := range members {
		members[i].Folds = folds
	}
	members[participants-1].Strategy = Faker{Share: 1}
	w, err := NewWorld(context.Background(), lab(t), catalog.HashPow, 6, false, members)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	blocks, jailed := make([]int, participants), int64(0)
	for range 200 {
		proposer := w.playerOfKey(w.ctx.BlockHeader().ProposerAddress)
		if jailed > 0 && w.ctx.BlockHeight() > jailed+1 && proposer.Index == participants-1 {
			t.Fatalf("jailed in block %d, it proposes block %d", jailed, w.ctx.BlockHeight())
		}
		if jailed > 0 {
			blocks[proposer.Index]++
		}
		height := w.ctx.BlockHeight()
		if err := w.block(w.mustEpoch()); err != nil {
			t.Fatal(err)
		}
		if barred, err := w.players[participants-1].barred(); err != nil {
			t.Fatal(err)
		} else if barred && jailed == 0 {
			jailed = height + 1 // the next block is made by who was to make it, and so is the one after it
		}
	}
	if jailed == 0 {
		t.Fatal("a faker of all units was not jailed")
	}
	least, most := blocks[0], blocks[0]
	for _, n := range blocks[:participants-1] {
		least, most = min(least, n), max(most, n)
	}
	if most-least > 2 || least == 0 {
		t.Errorf("of equal power, yet they made %v blocks", blocks)
	}
}

// A network pays those who propose: all of a tenth of the fees but for what a claimant took itself.
func TestHonestProposersArePaid(t *testing.T) {
	members := make([]Member, participants)
	for i := range members {
		members[i].Folds = folds
	}
	w, err := newWorld(context.Background(), lab(t), catalog.HashPow, 8, false, unprompted, members)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for range 2 {
		if err := w.Epoch(); err != nil {
			t.Fatal(err)
		}
		q, err := w.sprintQuery.Settlement(w.ctx, &sprinttypes.QuerySettlementRequest{})
		if err != nil {
			t.Fatal(err)
		}
		// All land in one block, of one of them.
		p := sprintParams(folds*fold, participants)
		want := math.NewInt(int64(p.ClaimFee) / 10 * (participants - 1))
		if !q.Settlement.InclusionPaid.Equal(want) {
			t.Errorf("proposers got %s, want %s", q.Settlement.InclusionPaid, want)
		}
	}
}
