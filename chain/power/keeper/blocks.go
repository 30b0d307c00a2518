package keeper

import (
	"context"
	"errors"
	"fmt"
	"slices"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/crypto"
	cmttypes "github.com/cometbft/cometbft/proto/tendermint/types"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/power/types"
)

// BeginBlock punishes double signing, counts missed signatures and notes who made the block before.
func (k Keeper) BeginBlock(ctx context.Context) error {
	if err := k.recordProposer(ctx); err != nil {
		return err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	evidence := sdkCtx.CometInfo().GetEvidence()
	for i := range evidence.Len() {
		if err := k.punish(ctx, evidence.Get(i).Validator().Address()); err != nil {
			return err
		}
	}
	params, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	if sdkCtx.BlockHeight()%int64(params.MissedWindow/2) == 0 {
		if err := k.forgiveMisses(ctx); err != nil {
			return err
		}
	}
	for _, vote := range sdkCtx.VoteInfos() {
		if vote.BlockIdFlag != cmttypes.BlockIDFlagAbsent {
			continue
		}
		if err := k.countMiss(ctx, vote.Validator.Address, params.MissedMax); err != nil {
			return err
		}
	}
	return nil
}

// punish tombstones the owner of the key that the evidence names. CometBFT has verified the
// evidence and its age; a key that nobody remembers is older than that and changes nothing.
func (k Keeper) punish(ctx context.Context, address []byte) error {
	key, err := k.conskey.Get(ctx, address)
	if errors.Is(err, collections.ErrNotFound) {
		sdk.UnwrapSDKContext(ctx).Logger().Error("evidence against an unknown key", "address", fmt.Sprintf("%X", address))
		return nil
	}
	if err != nil {
		return err
	}
	operator, err := sdk.AccAddressFromBech32(key.Operator)
	if err != nil {
		return err
	}
	if err := k.Tombstone(ctx, operator); err != nil {
		return err
	}
	emitRemoval(ctx, key.Operator, "double signing")
	return nil
}

// countMiss counts one absent signature and ends the wish to validate of who misses too many.
// The operator comes back by registering again.
func (k Keeper) countMiss(ctx context.Context, address []byte, most uint32) error {
	key, err := k.conskey.Get(ctx, address)
	if errors.Is(err, collections.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	operator, err := sdk.AccAddressFromBech32(key.Operator)
	if err != nil {
		return err
	}
	seat, err := k.seats.Get(ctx, operator)
	if errors.Is(err, collections.ErrNotFound) {
		return nil // left in the last two blocks
	}
	if err != nil {
		return err
	}
	seat.Missed++
	if seat.Missed+seat.MissedBefore < most {
		return k.seats.Set(ctx, operator, seat)
	}
	seat.Missed, seat.MissedBefore = 0, 0
	if err := k.seats.Set(ctx, operator, seat); err != nil {
		return err
	}
	miner, err := k.miners.Get(ctx, operator)
	if err != nil {
		return err
	}
	miner.Validator = false
	if err := k.miners.Set(ctx, operator, miner); err != nil {
		return err
	}
	if err := k.wants(ctx, operator, false); err != nil {
		return err
	}
	emitRemoval(ctx, key.Operator, "missed signatures")
	return k.dirty.Set(ctx, true)
}

// forgiveMisses moves the window on by a half: it slides, so that nobody misses twice as much around
// its turn, and no block's history must be kept.
func (k Keeper) forgiveMisses(ctx context.Context) error {
	seated, err := k.seated(ctx)
	if err != nil {
		return err
	}
	for _, s := range seated {
		if s.Missed == 0 && s.MissedBefore == 0 {
			continue
		}
		s.MissedBefore, s.Missed = s.Missed, 0
		if err := k.seats.Set(ctx, sdk.MustAccAddressFromBech32(s.Operator), s); err != nil {
			return err
		}
	}
	return nil
}

// EndBlock removes the barred and the unwilling from the validator set, returns what
// CometBFT must change, and follows the turns.
func (k Keeper) EndBlock(ctx context.Context) ([]abci.ValidatorUpdate, error) {
	updates, err := k.changes(ctx)
	if err != nil {
		return nil, err
	}
	return updates, k.advanceTurns(ctx, updates)
}

// changes returns what CometBFT must change. It refuses a set that is empty or has lost more than two
// thirds of the old one, and keeps the old set then.
func (k Keeper) changes(ctx context.Context) ([]abci.ValidatorUpdate, error) {
	dirty, err := orZero(k.dirty.Get(ctx))
	if err != nil || !dirty {
		return nil, err
	}
	if err := k.dirty.Set(ctx, false); err != nil {
		return nil, err
	}
	epoch, err := k.Epoch(ctx)
	if err != nil {
		return nil, err
	}
	current, err := k.inComet(ctx)
	if err != nil {
		return nil, err
	}
	seated, err := k.seated(ctx)
	if err != nil {
		return nil, err
	}
	next, err := k.staying(ctx, epoch, seated)
	if err != nil {
		return nil, err
	}
	if types.Gutted(seatsOf(current), seatsOf(next)) {
		sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent(types.EventKept,
			sdk.NewAttribute(types.AttributeEpoch, fmt.Sprint(epoch))))
		next = current
	}
	if err := k.replaceSeats(ctx, next); err != nil {
		return nil, err
	}
	return k.diff(ctx, current, next)
}

// staying returns the seats of those who may and want to validate, with their present keys.
func (k Keeper) staying(ctx context.Context, epoch uint64, seated []types.SeatedValidator) ([]types.SeatedValidator, error) {
	out := make([]types.SeatedValidator, 0, len(seated))
	for _, s := range seated {
		miner, err := k.miners.Get(ctx, sdk.MustAccAddressFromBech32(s.Operator))
		if err != nil {
			return nil, err
		}
		if miner.Barred(epoch) || !miner.Validator {
			continue
		}
		s.ConsPubkey = miner.ConsPubkey
		out = append(out, s)
	}
	return out, nil
}

// inComet returns the set that CometBFT has, in the order of the keys.
func (k Keeper) inComet(ctx context.Context) ([]types.SeatedValidator, error) {
	iter, err := k.comet.Iterate(ctx, nil)
	if err != nil {
		return nil, err
	}
	return iter.Values()
}

func (k Keeper) replaceSeats(ctx context.Context, next []types.SeatedValidator) error {
	if err := k.seats.Clear(ctx, nil); err != nil {
		return err
	}
	for _, s := range next {
		if err := k.seats.Set(ctx, sdk.MustAccAddressFromBech32(s.Operator), s); err != nil {
			return err
		}
	}
	return nil
}

// diff brings the record of CometBFT's set up to date and returns the changes in the order of
// the keys.
func (k Keeper) diff(ctx context.Context, current, next []types.SeatedValidator) ([]abci.ValidatorUpdate, error) {
	was := make(map[string]uint64, len(current))
	for _, s := range current {
		was[string(s.ConsPubkey)] = s.Power
	}
	stays := make(map[string]bool, len(next))
	var updates []types.SeatedValidator
	for _, s := range next {
		stays[string(s.ConsPubkey)] = true
		if was[string(s.ConsPubkey)] != s.Power {
			updates = append(updates, s)
		}
		if err := k.comet.Set(ctx, s.ConsPubkey, s); err != nil {
			return nil, err
		}
	}
	for _, s := range current {
		if stays[string(s.ConsPubkey)] {
			continue
		}
		if err := k.comet.Remove(ctx, s.ConsPubkey); err != nil {
			return nil, err
		}
		s.Power = 0
		updates = append(updates, s)
	}
	return validatorUpdates(updates), nil
}

func validatorUpdates(seats []types.SeatedValidator) []abci.ValidatorUpdate {
	slices.SortFunc(seats, func(a, b types.SeatedValidator) int { return slices.Compare(a.ConsPubkey, b.ConsPubkey) })
	out := make([]abci.ValidatorUpdate, len(seats))
	for i, s := range seats {
		out[i] = abci.ValidatorUpdate{
			PubKey: cmtproto.PublicKey{Sum: &cmtproto.PublicKey_Ed25519{Ed25519: s.ConsPubkey}},
			Power:  int64(s.Power),
		}
	}
	return out
}

func emitRemoval(ctx context.Context, operator, cause string) {
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent(types.EventRemove,
		sdk.NewAttribute(types.AttributeMiner, operator),
		sdk.NewAttribute(types.AttributeCause, cause)))
}
