package keeper

import (
	"context"

	abci "github.com/cometbft/cometbft/abci/types"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/power/types"
)

// InitGenesis writes a validated genesis and returns the first validator set. Without a
// seated set, the miners who validate are seated by their genesis powers.
func (k Keeper) InitGenesis(ctx context.Context, g types.GenesisState) ([]abci.ValidatorUpdate, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	if err := k.params.Set(ctx, g.Params); err != nil {
		return nil, err
	}
	if err := k.epoch.Set(ctx, g.Epoch); err != nil {
		return nil, err
	}
	var sum uint64
	for _, m := range g.Miners {
		operator := sdk.MustAccAddressFromBech32(m.Operator)
		if err := k.miners.Set(ctx, operator, m); err != nil {
			return nil, err
		}
		if err := k.bindKey(ctx, m.Operator, m.ConsPubkey); err != nil {
			return nil, err
		}
		for _, key := range m.VrfKeys {
			if err := k.bindVRFKey(ctx, operator, key.Pubkey); err != nil {
				return nil, err
			}
		}
		if m.GenesisPower > 0 {
			if err := k.founders.Set(ctx, operator); err != nil {
				return nil, err
			}
		}
		sum += m.GenesisPower
	}
	if err := k.gensum.Set(ctx, sum); err != nil {
		return nil, err
	}
	for _, key := range g.Retired {
		address := consAddress(key.Pubkey)
		if err := k.conskey.Set(ctx, address, key); err != nil {
			return nil, err
		}
		if err := k.retired.Set(ctx, collections.Join(key.RetiredEpoch, address)); err != nil {
			return nil, err
		}
	}
	for _, e := range g.History {
		if err := k.RecordEpoch(ctx, e.Epoch, e.Shares); err != nil {
			return nil, err
		}
	}
	p := types.Preparation{Epoch: g.Epoch, Window: g.Params.WindowEpochs}
	for _, stage := range []func(context.Context, *types.Preparation, *budget) (bool, error){k.forget, k.weighFounders, k.weigh} {
		if _, err := stage(ctx, &p, unlimited()); err != nil {
			return nil, err
		}
		p.Cursor = nil
	}
	if g.Epoch == 0 {
		// Nothing is settled before the first epoch: it may begin with the first block.
		if _, err := k.prepare(ctx, types.Settled{}, unlimited()); err != nil {
			return nil, err
		}
	}
	candidates, err := k.heaviest(ctx, g.Epoch, g.Params.MaxValidators)
	if err != nil {
		return nil, err
	}
	if len(g.Seated) > 0 {
		err = k.replaceSeats(ctx, g.Seated)
	} else {
		err = k.reseat(ctx, g.Params, candidates)
	}
	if err != nil {
		return nil, err
	}
	if err := k.freeze(ctx, g.Epoch); err != nil {
		return nil, err
	}
	if err := k.dirty.Set(ctx, false); err != nil {
		return nil, err
	}
	seated, err := k.seated(ctx)
	if err != nil {
		return nil, err
	}
	if len(seated) == 0 {
		return nil, types.ErrGenesis.Wrap("no miner with genesis power wants to validate")
	}
	for _, s := range seated {
		if err := k.comet.Set(ctx, s.ConsPubkey, s); err != nil {
			return nil, err
		}
	}
	updates := validatorUpdates(seated)
	return updates, k.genesisTurns(ctx, updates)
}

// RecordEpoch adds an epoch's settled units to the history at once, for a genesis. Each miner appears at
// most once; unknown ones are refused. Without any unit the epoch is not counted and the powers stay.
func (k Keeper) RecordEpoch(ctx context.Context, epoch uint64, shares []types.Share) error {
	settled, err := types.SettledOf(epoch, shares)
	if err != nil {
		return err
	}
	last, err := k.lastRecorded(ctx)
	if err != nil {
		return err
	}
	if epoch <= last {
		return types.ErrEpochOrder.Wrapf("epoch %d recorded after %d", epoch, last)
	}
	for _, s := range shares {
		if _, err := k.Miner(ctx, sdk.MustAccAddressFromBech32(s.Miner)); err != nil {
			return err
		}
	}
	_, err = k.record(ctx, &types.Preparation{}, settled, unlimited())
	return err
}

// ExportGenesis returns the state. A preparation of the next epoch is left out with what it recorded in
// part, and begins again. Votes in progress keep no snapshot across an export.
func (k Keeper) ExportGenesis(ctx context.Context) (*types.GenesisState, error) {
	params, err := k.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	epoch, err := k.Epoch(ctx)
	if err != nil {
		return nil, err
	}
	g := &types.GenesisState{Params: params, Epoch: epoch}
	miners, err := k.miners.Iterate(ctx, nil)
	if err != nil {
		return nil, err
	}
	if g.Miners, err = miners.Values(); err != nil {
		return nil, err
	}
	epochs, err := collect(k.epochs.Iterate(ctx, nil))
	if err != nil {
		return nil, err
	}
	// Between a settlement and the next epoch there is one more than the window has; the import would forget
	// it as that epoch does.
	for _, recorded := range epochs[max(0, len(epochs)-int(params.WindowEpochs)):] {
		entry := types.EpochShares{Epoch: recorded}
		rng := collections.NewPrefixedPairRange[uint64, []byte](recorded)
		// Shares stand for units: they are proportional, and scaling them again is exact
		// enough to differ by at most one part of ShareScale.
		if err := k.history.Walk(ctx, rng, func(key collections.Pair[uint64, []byte], share uint64) (bool, error) {
			entry.Shares = append(entry.Shares, types.Share{Miner: sdk.AccAddress(key.K2()).String(), Units: share})
			return false, nil
		}); err != nil {
			return nil, err
		}
		g.History = append(g.History, entry)
	}
	if g.Seated, err = k.inComet(ctx); err != nil {
		return nil, err
	}
	retired, err := collect(k.retired.Iterate(ctx, nil))
	if err != nil {
		return nil, err
	}
	for _, r := range retired {
		key, err := k.conskey.Get(ctx, r.K2())
		if err != nil {
			return nil, err
		}
		g.Retired = append(g.Retired, key)
	}
	return g, nil
}
