package keeper

import (
	"context"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// turnsKept is after how many blocks without a change of the set its priorities are stored again: each block
// counts on from what is stored, about 10 µs a block and 100 validators, and to store them takes 10 KB.
const turnsKept = 32

// BeginTurns takes over CometBFT's set of the first height, with its priorities. From there on the module
// follows the turns by CometBFT's own arithmetic: each set is the one before, with what the end of the block
// two heights earlier changed, and its priorities one block on (state.updateState of CometBFT).
// InitGenesis does it with the set as CometBFT makes it of a genesis.
func (k Keeper) BeginTurns(ctx context.Context, first int64, set *cmttypes.ValidatorSet) error {
	if err := k.rotation.Clear(ctx, nil); err != nil {
		return err
	}
	if err := k.turns.Clear(ctx, nil); err != nil {
		return err
	}
	next := set.CopyIncrementProposerPriority(1)
	if err := k.turns.Set(ctx, first, set.GetProposer().Address); err != nil {
		return err
	}
	if err := k.turns.Set(ctx, first+1, next.GetProposer().Address); err != nil {
		return err
	}
	return k.keepSet(ctx, first+1, next)
}

func (k Keeper) genesisTurns(ctx context.Context, genesis []abci.ValidatorUpdate) error {
	validators, err := cmttypes.PB2TM.ValidatorUpdates(genesis)
	if err != nil {
		return err
	}
	return k.BeginTurns(ctx, max(1, sdk.UnwrapSDKContext(ctx).BlockHeight()), cmttypes.NewValidatorSet(validators))
}

// advanceTurns follows what CometBFT makes of the updates that the running block returns: its set of the
// second height from here.
func (k Keeper) advanceTurns(ctx context.Context, updates []abci.ValidatorUpdate) error {
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	stored, set, err := k.storedSet(ctx)
	if err != nil {
		return err
	}
	for range height + 1 - stored {
		set.IncrementProposerPriority(1)
	}
	if len(updates) > 0 {
		changes, err := cmttypes.PB2TM.ValidatorUpdates(updates)
		if err != nil {
			return err
		}
		if err := set.UpdateWithChangeSet(changes); err != nil {
			return fmt.Errorf("CometBFT's set of height %d: %w", height+2, err)
		}
	}
	set.IncrementProposerPriority(1)
	if err := k.turns.Set(ctx, height+2, set.GetProposer().Address); err != nil {
		return err
	}
	if err := k.turns.Remove(ctx, height-1); err != nil {
		return err
	}
	if len(updates) == 0 && height+2-stored < turnsKept {
		return nil
	}
	if err := k.rotation.Remove(ctx, stored); err != nil {
		return err
	}
	return k.keepSet(ctx, height+2, set)
}

// storedSet returns the set that was stored last and its height, at most one above that of the next block.
func (k Keeper) storedSet(ctx context.Context) (int64, *cmttypes.ValidatorSet, error) {
	iter, err := k.rotation.Iterate(ctx, nil)
	if err != nil {
		return 0, nil, err
	}
	all, err := iter.KeyValues()
	if err != nil {
		return 0, nil, err
	}
	if len(all) != 1 {
		return 0, nil, fmt.Errorf("%d sets are stored: %w", len(all), collections.ErrNotFound)
	}
	set, err := cmttypes.ValidatorSetFromProto(&all[0].Value)
	return all[0].Key, set, err
}

func (k Keeper) keepSet(ctx context.Context, height int64, set *cmttypes.ValidatorSet) error {
	p, err := set.ToProto()
	if err != nil {
		return err
	}
	return k.rotation.Set(ctx, height, cmtproto.ValidatorSet(*p))
}
