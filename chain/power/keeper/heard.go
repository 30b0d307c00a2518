package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// recordProposer notes who made the running block. An address that nobody is registered with is
// not noted, so there are no more entries than keys.
func (k Keeper) recordProposer(ctx context.Context) error {
	header := sdk.UnwrapSDKContext(ctx).BlockHeader()
	known, err := k.conskey.Has(ctx, header.ProposerAddress)
	if err != nil || !known {
		return err
	}
	return k.proposed.Set(ctx, header.ProposerAddress, header.Height)
}

// Heard returns the power of those in CometBFT's set that made a block at height since or later,
// and that of the whole set. What only one of them would have put into a block had its chance once
// power is all but what a coalition holds: a coalition that has blocks refused can keep out what
// others propose, but not have them heard without it.
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
