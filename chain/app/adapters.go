package app

import (
	"context"
	"errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	powerkeeper "github.com/assaynet/assay/chain/power/keeper"
	powertypes "github.com/assaynet/assay/chain/power/types"
	registrykeeper "github.com/assaynet/assay/chain/registry/keeper"
	registrytypes "github.com/assaynet/assay/chain/registry/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

// The modules name what they need of each other in their own words; these adapters
// translate, so that no module imports another's keeper.

// workSource is the registry as the sprint sees it.
type workSource struct{ registry registrykeeper.Keeper }

var _ sprinttypes.Registry = workSource{}

// OpenEpoch begins the registry's epoch and returns the proof of work in force. On a network
// without one the epoch has no work and its emission goes to the reserve.
func (s workSource) OpenEpoch(ctx context.Context, epoch uint64) (sprinttypes.Work, error) {
	if err := s.registry.BeginEpoch(ctx, epoch); err != nil {
		return sprinttypes.Work{}, err
	}
	a, err := s.registry.Active(ctx, registrytypes.SlotPow)
	if errors.Is(err, registrytypes.ErrNoActivation) {
		return sprinttypes.Work{ModuleHash: make([]byte, registrytypes.HashBytes)}, nil
	}
	if err != nil {
		return sprinttypes.Work{}, err
	}
	return sprinttypes.Work{
		ModuleHash: a.ModuleHash, Params: a.Params, TensorBytes: a.TensorBytes, GasSetup: a.GasSetup, GasUnit: a.GasUnit,
	}, nil
}

// ModuleFailed rolls the proof of work back to the last good one.
func (s workSource) ModuleFailed(ctx context.Context, _ uint64) error {
	return s.registry.RollBack(ctx, registrytypes.SlotPow)
}

// powerSource is the power module as sprint and work see it.
type powerSource struct{ power powerkeeper.Keeper }

var _ sprinttypes.Power = powerSource{}

// OpenEpoch freezes powers and keys.
func (s powerSource) OpenEpoch(ctx context.Context, epoch uint64) error {
	return s.power.BeginEpoch(ctx, epoch)
}

// Miner says whether an address is registered and whether it is barred.
func (s powerSource) Miner(ctx context.Context, miner sdk.AccAddress) (registered, jailed bool, err error) {
	_, err = s.power.Active(ctx, miner)
	switch {
	case err == nil:
		return true, false, nil
	case errors.Is(err, powertypes.ErrUnknownMiner):
		return false, false, nil
	case errors.Is(err, powertypes.ErrJailed), errors.Is(err, powertypes.ErrTombstoned):
		return true, true, nil
	}
	return false, false, err
}

// SettleEpoch records the units that survived.
func (s powerSource) SettleEpoch(ctx context.Context, epoch uint64, shares []sprinttypes.Share) error {
	out := make([]powertypes.Share, len(shares))
	for i, share := range shares {
		out[i] = powertypes.Share{Miner: share.Miner.String(), Units: share.Units}
	}
	return s.power.RecordEpoch(ctx, epoch, out)
}
