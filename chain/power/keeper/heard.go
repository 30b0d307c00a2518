package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// recordProposer notes who made the block before. The header's proposer address does not say: CometBFT
// checks that it names a validator, not that it names the one whose turn it was, so a coalition could
// make blocks in the names of others. What CometBFT does check is the proposal's signature, by whose
// turn it is. So a block that was decided in round 0, which the signatures of the commit cover, was made by
// whose turn its height was. A later round may decide what any of the turns before it made: nobody is noted.
func (k Keeper) recordProposer(ctx context.Context) error {
	c := sdk.UnwrapSDKContext(ctx)
	last := c.CometInfo().GetLastCommit()
	if last == nil || last.Round() != 0 {
		return nil
	}
	address, err := k.turns.Get(ctx, c.BlockHeight()-1)
	if errors.Is(err, collections.ErrNotFound) {
		return nil // the first block has none before it
	}
	if err != nil {
		return err
	}
	known, err := k.conskey.Has(ctx, address)
	if err != nil || !known {
		return err // retired since
	}
	return k.proposed.Set(ctx, address, c.BlockHeight()-1)
}

// Heard returns the power of those in CometBFT's set that made a block at height since or later, the running one
// not included, and that of the whole set. What only one of them would have put into a block had its chance once
// power is all but what a coalition holds: a coalition that has blocks refused can keep out what others propose, but
// not have them heard without it, nor by making its own blocks in their names (see recordProposer).
func (k Keeper) Heard(ctx context.Context, since int64) (power, total uint64, err error) {
	set, err := k.inComet(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, s := range set {
		total += s.Power
		height, err := k.proposed.Get(ctx, consAddress(s.ConsPubkey))
		if errors.Is(err, collections.ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, 0, err
		}
		if height >= since {
			power += s.Power
		}
	}
	return power, total, nil
}
