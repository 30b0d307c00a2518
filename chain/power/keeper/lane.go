package keeper

import (
	"context"

	"cosmossdk.io/collections"

	"github.com/assaynet/assay/chain/power/types"
)

// UseLane counts one fee-free transaction of a sender in the running epoch, or returns
// ErrLaneExhausted and changes nothing.
func (k Keeper) UseLane(ctx context.Context, sender []byte) error {
	return k.useLane(ctx, sender)
}

// UseAnswer counts a fee-free transaction that only answers demands. Others decide how many answers a
// miner owes, and one that it cannot send costs it its claim: so answers have a quota of their own, as
// large as the other, and those that are taken give theirs back.
func (k Keeper) UseAnswer(ctx context.Context, sender []byte) error {
	return k.useLane(ctx, answers(sender))
}

// Answered gives a place back that an answer took. It may be called for more answers than there were
// transactions.
func (k Keeper) Answered(ctx context.Context, sender []byte) error {
	epoch, err := k.Epoch(ctx)
	if err != nil {
		return err
	}
	used, err := k.laneUsed(ctx, epoch, answers(sender))
	if err != nil || used == 0 {
		return err
	}
	return k.lane.Set(ctx, collections.Join(epoch, answers(sender)), used-1)
}

// answers is the key under which a sender's answers are counted: longer than any address, which has
// 32 bytes at most.
func answers(sender []byte) []byte {
	return append([]byte("answers to demands, counted apart/"), sender...)
}

func (k Keeper) useLane(ctx context.Context, key []byte) error {
	params, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	epoch, err := k.Epoch(ctx)
	if err != nil {
		return err
	}
	used, err := k.laneUsed(ctx, epoch, key)
	if err != nil {
		return err
	}
	if used >= params.Lane.EpochTxs {
		return types.ErrLaneExhausted.Wrapf("%d in epoch %d", used, epoch)
	}
	return k.lane.Set(ctx, collections.Join(epoch, key), used+1)
}

func (k Keeper) laneUsed(ctx context.Context, epoch uint64, sender []byte) (uint32, error) {
	return orZero(k.lane.Get(ctx, collections.Join(epoch, sender)))
}
