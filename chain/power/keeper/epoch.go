package keeper

import (
	"context"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/power/types"
)

// keepFrozen is the number of epochs whose frozen sets can be asked for: the running one, the
// one whose reports may still be adjudicated and those that a slow auditor still looks at.
const keepFrozen = 8

// BeginEpoch moves the validator set towards the weights of an epoch and freezes it for the epoch's
// samples. PrepareEpoch must have completed the weights: ErrNotPrepared. Call it once for each epoch, in
// order, before the module's end blocker.
func (k Keeper) BeginEpoch(ctx context.Context, epoch uint64) error {
	running, err := k.Epoch(ctx)
	if err != nil {
		return err
	}
	if epoch <= running {
		return types.ErrEpochOrder.Wrapf("epoch %d begun after %d", epoch, running)
	}
	p, err := orZero(k.preparation.Get(ctx))
	if err != nil {
		return err
	}
	if p.Epoch != epoch || p.Stage != types.STAGE_READY {
		return types.ErrNotPrepared.Wrapf("epoch %d: %s of epoch %d", epoch, p.Stage, p.Epoch)
	}
	params, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	if err := k.epoch.Set(ctx, epoch); err != nil {
		return err
	}
	if err := k.preparation.Remove(ctx); err != nil {
		return err
	}
	candidates, err := k.heaviest(ctx, epoch, params.MaxValidators)
	if err != nil {
		return err
	}
	if err := k.reseat(ctx, params, candidates); err != nil {
		return err
	}
	if err := k.freeze(ctx, epoch); err != nil {
		return err
	}
	if epoch > keepFrozen {
		return k.frozen.Clear(ctx, new(collections.Range[uint64]).EndExclusive(epoch-keepFrozen+1))
	}
	return nil
}

// reseat moves the validator set towards the candidates within the bound of an epoch. It keeps
// the set that CometBFT has where the new one is refused.
func (k Keeper) reseat(ctx context.Context, params types.Params, candidates []types.Seat) error {
	epoch, err := k.Epoch(ctx)
	if err != nil {
		return err
	}
	seated, err := k.seated(ctx)
	if err != nil {
		return err
	}
	current, err := k.inComet(ctx)
	if err != nil {
		return err
	}
	staying, err := k.staying(ctx, epoch, seated)
	if err != nil {
		return err
	}
	limit := params.TotalPower * uint64(params.MaxChangeBps) / 10_000
	next := types.Approach(seatsOf(staying), candidates, params.TotalPower, limit)
	// Those who lost their weight leave over several epochs; more than twice the bound is cut.
	if most := 2 * int(params.MaxValidators); len(next) > most {
		next = types.Rescale(next[:most], params.TotalPower)
	}
	if types.Gutted(seatsOf(current), next) {
		if err := k.replaceSeats(ctx, current); err != nil {
			return err
		}
		return k.dirty.Set(ctx, true)
	}
	missed := make(map[string][2]uint32, len(seated)) // looked up only
	for _, s := range seated {
		missed[s.Operator] = [2]uint32{s.Missed, s.MissedBefore}
	}
	seats := make([]types.SeatedValidator, len(next))
	for i, s := range next {
		miner, err := k.miners.Get(ctx, s.Operator)
		if err != nil {
			return err
		}
		seats[i] = types.SeatedValidator{
			Operator: miner.Operator, ConsPubkey: miner.ConsPubkey, Power: s.Power,
			Missed: missed[miner.Operator][0], MissedBefore: missed[miner.Operator][1],
		}
	}
	if err := k.replaceSeats(ctx, seats); err != nil {
		return err
	}
	return k.dirty.Set(ctx, true)
}

// freeze fixes the validators, their powers and keys for an epoch.
func (k Keeper) freeze(ctx context.Context, epoch uint64) error {
	seated, err := k.seated(ctx)
	if err != nil {
		return err
	}
	set := types.FrozenSet{Epoch: epoch}
	for _, s := range seated {
		operator, err := sdk.AccAddressFromBech32(s.Operator)
		if err != nil {
			return err
		}
		miner, err := k.miners.Get(ctx, operator)
		if err != nil {
			return err
		}
		if miner.Barred(epoch) {
			continue
		}
		set.Validators = append(set.Validators, types.Frozen{
			Operator: s.Operator, ConsPubkey: s.ConsPubkey, VrfPubkey: miner.VRFKeyAt(epoch), Power: s.Power,
		})
		set.Total += s.Power
	}
	return k.frozen.Set(ctx, epoch, set)
}

// seated returns the desired validator set in the order of operator addresses.
func (k Keeper) seated(ctx context.Context) ([]types.SeatedValidator, error) {
	iter, err := k.seats.Iterate(ctx, nil)
	if err != nil {
		return nil, err
	}
	return iter.Values()
}

// seatsOf drops what the arithmetic does not need. Addresses in the store are valid.
func seatsOf(seated []types.SeatedValidator) []types.Seat {
	out := make([]types.Seat, len(seated))
	for i, s := range seated {
		out[i] = types.Seat{Operator: sdk.MustAccAddressFromBech32(s.Operator), Power: s.Power}
	}
	return out
}
