package keeper

import (
	"context"

	"cosmossdk.io/collections"

	"github.com/assaynet/assay/chain/power/types"
)

// UseLane counts one fee-free transaction of a sender in the running epoch, or returns
// ErrLaneExhausted and changes nothing.
func (k Keeper) UseLane(ctx context.Context, sender []byte) error {
	params, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	epoch, err := k.Epoch(ctx)
	if err != nil {
		return err
	}
	used, err := k.laneUsed(ctx, epoch, sender)
	if err != nil {
		return err
	}
	if used >= params.Lane.EpochTxs {
		return types.ErrLaneExhausted.Wrapf("%d in epoch %d", used, epoch)
	}
	return k.lane.Set(ctx, collections.Join(epoch, sender), used+1)
}

func (k Keeper) laneUsed(ctx context.Context, epoch uint64, sender []byte) (uint32, error) {
	return orZero(k.lane.Get(ctx, collections.Join(epoch, sender)))
}
