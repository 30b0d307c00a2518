package app

import (
	"context"
	"errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	powerkeeper "github.com/assaynet/assay/chain/power/keeper"
	powertypes "github.com/assaynet/assay/chain/power/types"
	registrykeeper "github.com/assaynet/assay/chain/registry/keeper"
	registrytypes "github.com/assaynet/assay/chain/registry/types"
	sprintkeeper "github.com/assaynet/assay/chain/sprint/keeper"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	worktypes "github.com/assaynet/assay/chain/work/types"
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
		MemoryPages: a.MemoryPages,
	}, nil
}

// ModuleFailed rolls the proof of work back to the last good one.
func (s workSource) ModuleFailed(ctx context.Context, _ uint64) error {
	return s.registry.RollBack(ctx, registrytypes.SlotPow)
}

// powerSource is the power module as sprint, audit and work see it.
type powerSource struct{ power powerkeeper.Keeper }

var (
	_ sprinttypes.Power = powerSource{}
	_ audittypes.Power  = powerSource{}
	_ worktypes.Miners  = powerSource{}
)

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

// Operator names who runs a validator.
func (s powerSource) Operator(ctx context.Context, consensus []byte) (sdk.AccAddress, error) {
	return s.power.Operator(ctx, consensus)
}

// PrepareEpoch records the units that survived and weighs the miners for the next epoch.
func (s powerSource) PrepareEpoch(ctx context.Context, settled sprinttypes.Settled, entries uint32) (ready bool, err error) {
	return s.power.PrepareEpoch(ctx, powertypes.Settled{Epoch: settled.Epoch, Units: settled.Units,
		Next: func(ctx context.Context, after []byte, most int) ([]powertypes.Units, error) {
			shares, err := settled.Next(ctx, after, most)
			out := make([]powertypes.Units, len(shares))
			for i, share := range shares {
				out[i] = powertypes.Units{Miner: share.Miner, Units: share.Units}
			}
			return out, err
		}}, entries)
}

// Sweep removes what earlier epochs left.
func (s powerSource) Sweep(ctx context.Context, entries uint32) error {
	return s.power.Sweep(ctx, entries)
}

// Seats returns the validators of an epoch that can draw samples.
func (s powerSource) Seats(ctx context.Context, epoch uint64) ([]audittypes.Seat, error) {
	set, err := s.power.Frozen(ctx, epoch)
	if err != nil {
		return nil, err
	}
	seats := make([]audittypes.Seat, 0, len(set.Validators))
	for _, v := range set.Validators {
		if len(v.VrfPubkey) > 0 {
			seats = append(seats, audittypes.Seat{Validator: v.Operator, Power: v.Power, VrfKey: v.VrfPubkey})
		}
	}
	return seats, nil
}

// Heard returns the power of those who made a block since a height, and that of all.
func (s powerSource) Heard(ctx context.Context, since int64) (power, total uint64, err error) {
	return s.power.Heard(ctx, since)
}

// Answered gives back what an answer took of the lane.
func (s powerSource) Answered(ctx context.Context, miner sdk.AccAddress) error {
	return s.power.Answered(ctx, miner)
}

// Jail bars a miner.
func (s powerSource) Jail(ctx context.Context, operator sdk.AccAddress) error {
	return s.power.Jail(ctx, operator)
}

// epochSource is the sprint as work sees it.
type epochSource struct{ sprint sprintkeeper.Keeper }

var _ worktypes.Epochs = epochSource{}

// Number returns the running epoch, 0 before the first.
func (s epochSource) Number(ctx context.Context) (uint64, error) {
	e, err := s.sprint.Epoch(ctx)
	if errors.Is(err, sprinttypes.ErrNoEpoch) {
		return 0, nil
	}
	return e.Number, err
}

// Powers is the power module as sprint and audit see it together.
type Powers interface {
	sprinttypes.Power
	audittypes.Power
}

// PowersOf is what newKeepers hands to both, for who drives the keepers without an application.
func PowersOf(k powerkeeper.Keeper) Powers { return powerSource{k} }
