package keeper

import (
	"context"
	"math/bits"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/power/types"
)

// keepFrozen is the number of epochs whose frozen sets can be asked for: the running one, the
// one whose reports may still be adjudicated and those that a slow auditor still looks at.
const keepFrozen = 8

// RecordEpoch adds an epoch's settled units to the history. Each miner appears at most once;
// unknown ones are refused. Without any unit the epoch is not counted and the powers stay.
func (k Keeper) RecordEpoch(ctx context.Context, epoch uint64, shares []types.Share) error {
	units := make([]uint64, len(shares))
	miners := make([][]byte, len(shares))
	seen := make(map[string]bool, len(shares))
	for i, s := range shares {
		operator, err := sdk.AccAddressFromBech32(s.Miner)
		if err != nil {
			return types.ErrShares.Wrapf("miner %d: %v", i, err)
		}
		if seen[s.Miner] {
			return types.ErrShares.Wrapf("miner %s twice", s.Miner)
		}
		seen[s.Miner] = true
		if has, err := k.miners.Has(ctx, operator); err != nil {
			return err
		} else if !has {
			return types.ErrUnknownMiner.Wrap(s.Miner)
		}
		units[i], miners[i] = s.Units, operator
	}
	last, err := k.lastRecorded(ctx)
	if err != nil {
		return err
	}
	if epoch <= last {
		return types.ErrEpochOrder.Wrapf("epoch %d recorded after %d", epoch, last)
	}
	scaled, ok := types.ScaleUnits(units)
	if !ok {
		return nil
	}
	for i, share := range scaled {
		if share == 0 {
			continue
		}
		if err := k.history.Set(ctx, collections.Join(epoch, miners[i]), share); err != nil {
			return err
		}
		sum, err := orZero(k.sums.Get(ctx, miners[i]))
		if err != nil {
			return err
		}
		if err := k.sums.Set(ctx, miners[i], sum+share); err != nil {
			return err
		}
	}
	if err := k.epochs.Set(ctx, epoch); err != nil {
		return err
	}
	count, err := orZero(k.counted.Get(ctx))
	if err != nil {
		return err
	}
	return k.counted.Set(ctx, count+1)
}

func (k Keeper) lastRecorded(ctx context.Context) (uint64, error) {
	var last uint64
	err := k.epochs.Walk(ctx, new(collections.Range[uint64]).Descending(), func(epoch uint64) (bool, error) {
		last = epoch
		return true, nil
	})
	return last, err
}

// pruneHistory forgets the epochs that left the window.
func (k Keeper) pruneHistory(ctx context.Context, window uint32) error {
	epochs, err := collect(k.epochs.Iterate(ctx, nil))
	if err != nil {
		return err
	}
	for len(epochs) > int(window) {
		oldest := epochs[0]
		epochs = epochs[1:]
		rng := collections.NewPrefixedPairRange[uint64, []byte](oldest)
		iter, err := k.history.Iterate(ctx, rng)
		if err != nil {
			return err
		}
		entries, err := iter.KeyValues()
		if err != nil {
			return err
		}
		for _, e := range entries {
			miner := e.Key.K2()
			sum, err := k.sums.Get(ctx, miner)
			if err != nil {
				return err
			}
			if sum -= e.Value; sum == 0 {
				err = k.sums.Remove(ctx, miner)
			} else {
				err = k.sums.Set(ctx, miner, sum)
			}
			if err != nil {
				return err
			}
			if err := k.history.Remove(ctx, e.Key); err != nil {
				return err
			}
		}
		if err := k.epochs.Remove(ctx, oldest); err != nil {
			return err
		}
	}
	return nil
}

// BeginEpoch computes the weights of an epoch from the recorded history, moves the validator
// set towards them and freezes it for the epoch's samples. Call it once for each epoch, in
// order, before the module's end blocker.
func (k Keeper) BeginEpoch(ctx context.Context, epoch uint64) error {
	running, err := k.Epoch(ctx)
	if err != nil {
		return err
	}
	if epoch <= running {
		return types.ErrEpochOrder.Wrapf("epoch %d begun after %d", epoch, running)
	}
	params, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	if err := k.epoch.Set(ctx, epoch); err != nil {
		return err
	}
	if err := k.pruneHistory(ctx, params.WindowEpochs); err != nil {
		return err
	}
	candidates, err := k.weigh(ctx, epoch, params)
	if err != nil {
		return err
	}
	if err := k.reseat(ctx, params, candidates); err != nil {
		return err
	}
	if err := k.freeze(ctx, epoch); err != nil {
		return err
	}
	return k.prune(ctx, epoch, params)
}

// weigh writes the epoch's weights and returns those who want to validate and may.
func (k Keeper) weigh(ctx context.Context, epoch uint64, params types.Params) ([]types.Seat, error) {
	count, err := orZero(k.counted.Get(ctx))
	if err != nil {
		return nil, err
	}
	recorded := uint32(min(count, uint64(params.WindowEpochs)))
	gensum, err := orZero(k.gensum.Get(ctx))
	if err != nil {
		return nil, err
	}
	var (
		candidates []types.Seat
		total      uint64
	)
	iter, err := k.miners.Iterate(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer iter.Close()
	for ; iter.Valid(); iter.Next() {
		kv, err := iter.KeyValue()
		if err != nil {
			return nil, err
		}
		operator, miner := kv.Key, kv.Value
		if miner.Barred(epoch) {
			continue
		}
		sum, err := orZero(k.sums.Get(ctx, operator))
		if err != nil {
			return nil, err
		}
		weight := types.MeanShare(sum, genesisShare(miner.GenesisPower, gensum), recorded, params.WindowEpochs)
		if weight == 0 {
			continue
		}
		if err := k.weights.Set(ctx, collections.Join(epoch, operator), weight); err != nil {
			return nil, err
		}
		total += weight
		if miner.Validator {
			candidates = append(candidates, types.Seat{Operator: operator, Power: weight})
		}
	}
	types.SortSeats(candidates)
	if len(candidates) > int(params.MaxValidators) {
		candidates = candidates[:params.MaxValidators]
	}
	return candidates, k.totals.Set(ctx, epoch, total)
}

// genesisShare is a genesis power's part of their sum, in parts of ShareScale.
func genesisShare(power, sum uint64) uint64 {
	if sum == 0 {
		return 0
	}
	hi, lo := bits.Mul64(power, types.ShareScale)
	share, _ := bits.Div64(hi, lo, sum)
	return share
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

// prune forgets what no proposal, audit or evidence refers to any more.
func (k Keeper) prune(ctx context.Context, epoch uint64, params types.Params) error {
	if err := k.pruneKeys(ctx, epoch, params.EvidenceEpochs); err != nil {
		return err
	}
	if epoch > keepFrozen {
		rng := new(collections.Range[uint64]).EndExclusive(epoch - keepFrozen + 1)
		if err := k.frozen.Clear(ctx, rng); err != nil {
			return err
		}
	}
	if err := k.lane.Clear(ctx, collections.NewPrefixUntilPairRange[uint64, []byte](epoch-1)); err != nil {
		return err
	}
	needed := map[uint64]bool{epoch: true}
	if err := k.voting.Walk(ctx, nil, func(_, start uint64) (bool, error) {
		needed[start] = true
		return false, nil
	}); err != nil {
		return err
	}
	tables, err := k.totals.Iterate(ctx, nil)
	if err != nil {
		return err
	}
	epochs, err := tables.Keys()
	if err != nil {
		return err
	}
	for _, old := range epochs {
		if needed[old] {
			continue
		}
		if err := k.weights.Clear(ctx, collections.NewPrefixedPairRange[uint64, []byte](old)); err != nil {
			return err
		}
		if err := k.totals.Remove(ctx, old); err != nil {
			return err
		}
	}
	return nil
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
