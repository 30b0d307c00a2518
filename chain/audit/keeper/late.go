package keeper

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
)

// lateIn is how many claims a verdict of the running round says something about that came late: those
// of the epoch in the first round, none in further ones, which have no more to say.
func lateIn(e sprinttypes.Epoch) int {
	if e.Round > 0 {
		return 0
	}
	return int(e.Late)
}

// unseen returns the claimants, in the order of addresses, whose late units are not known to at least
// half of the power, of those whose verdicts of the first round stand, to have been there in time. So
// a coalition below a third can neither take from a miner what it committed in time, by leaving it
// out of blocks, nor give itself time that others have not. Where nobody gave a verdict, nobody saw.
func (k Keeper) unseen(ctx context.Context, e sprinttypes.Epoch, r types.Round) ([]sdk.AccAddress, error) {
	if e.Late == 0 {
		return nil, nil
	}
	h, err := k.roundHeld(ctx, e, r, 0)
	if err != nil {
		return nil, err
	}
	var out []sdk.AccAddress
	late := -1
	err = k.epochs.WalkClaims(ctx, e.Number, func(miner sdk.AccAddress, c sprinttypes.Claim) (bool, error) {
		if c.Late == 0 {
			return false, nil
		}
		late++
		var all, saw uint64 // powers are at most 2^40 each, seats at most 100
		for _, s := range h.seats {
			if !s.counts() {
				continue
			}
			all += s.Power
			if commit.Bitmap(s.verdict.Seen).Has(late) {
				saw += s.Power
			}
		}
		if saw == 0 || 2*saw < all {
			out = append(out, miner)
		}
		return false, nil
	})
	return out, err
}
