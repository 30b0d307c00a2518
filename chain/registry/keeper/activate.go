package keeper

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/registry/types"
)

// Activate binds a slot from the next epoch on and returns that epoch. A second activation
// of the slot within the epoch replaces the first.
func (k Keeper) Activate(ctx context.Context, msg *types.MsgActivate) (uint64, error) {
	if msg.Authority != k.authority {
		return 0, types.ErrAuthority.Wrapf("%s, want %s", msg.Authority, k.authority)
	}
	epoch, err := k.Epoch(ctx)
	if err != nil {
		return 0, err
	}
	activation := msg.Activation(epoch + 1)
	if err := k.check(ctx, activation); err != nil {
		return 0, err
	}
	if err := k.pending.Set(ctx, activation.Slot, activation); err != nil {
		return 0, err
	}
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent(types.EventActivate,
		sdk.NewAttribute(types.AttributeSlot, activation.Slot),
		sdk.NewAttribute(types.AttributeHash, fmt.Sprintf("%X", activation.ModuleHash)),
		sdk.NewAttribute(types.AttributeEpoch, fmt.Sprint(activation.FromEpoch))))
	return activation.FromEpoch, nil
}

// check decides whether an activation may be entered.
func (k Keeper) check(ctx context.Context, a types.Activation) error {
	if err := a.Validate(); err != nil {
		return err
	}
	params, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	if a.GasSetup > params.MaxGas || a.GasUnit > params.MaxGas-a.GasSetup {
		return types.ErrActivation.Wrapf("gas_setup %d and gas_unit %d exceed %d together", a.GasSetup, a.GasUnit, params.MaxGas)
	}
	if a.TensorBytes > params.MaxTensorBytes {
		return types.ErrActivation.Wrapf("tensor_bytes is %d, at most %d", a.TensorBytes, params.MaxTensorBytes)
	}
	if err := k.checkSlots(ctx, a.Slot); err != nil {
		return err
	}
	module, err := k.bytesOf(ctx, a.ModuleHash, types.KindModule)
	if err != nil {
		return err
	}
	var model []byte
	if len(a.ModelHash) > 0 {
		if model, err = k.bytesOf(ctx, a.ModelHash, types.KindModel); err != nil {
			return err
		}
	}
	if err := k.admitter.AdmitActivation(a, module, model); err != nil {
		return types.ErrNotAdmitted.Wrapf("slot %q: %v", a.Slot, err)
	}
	return nil
}

// checkSlots bounds the number of slots.
func (k Keeper) checkSlots(ctx context.Context, slot string) error {
	slots := map[string]bool{slot: true}
	for _, m := range []collections.Map[string, types.Activation]{k.active, k.pending} {
		if err := m.Walk(ctx, nil, func(s string, _ types.Activation) (bool, error) {
			slots[s] = true
			return false, nil
		}); err != nil {
			return err
		}
	}
	if len(slots) > types.MaxSlots {
		return types.ErrSlot.Wrapf("%d slots, at most %d", len(slots), types.MaxSlots)
	}
	return nil
}

// bytesOf returns a blob's bytes if it has the kind.
func (k Keeper) bytesOf(ctx context.Context, hash []byte, kind string) ([]byte, error) {
	blob, err := k.Blob(ctx, hash)
	if err != nil {
		return nil, err
	}
	if blob.Kind != kind {
		return nil, types.ErrKind.Wrapf("blob %X is a %s, want a %s", hash, blob.Kind, kind)
	}
	return k.Bytes(ctx, hash)
}

// BeginEpoch puts into force what was activated for the epoch and drops expired uploads.
// Call it once for each epoch, in order.
func (k Keeper) BeginEpoch(ctx context.Context, epoch uint64) error {
	running, err := k.Epoch(ctx)
	if err != nil {
		return err
	}
	if epoch <= running {
		return types.ErrEpochOrder.Wrapf("epoch %d begun after %d", epoch, running)
	}
	if err := k.epoch.Set(ctx, epoch); err != nil {
		return err
	}
	iter, err := k.pending.Iterate(ctx, nil)
	if err != nil {
		return err
	}
	due, err := iter.Values()
	if err != nil {
		return err
	}
	for _, a := range due {
		if a.FromEpoch > epoch {
			continue
		}
		if err := k.pending.Remove(ctx, a.Slot); err != nil {
			return err
		}
		if err := k.enter(ctx, a); err != nil {
			return err
		}
	}
	return k.dropExpired(ctx, epoch)
}

// enter makes an activation the one in force and keeps the old one to fall back to.
func (k Keeper) enter(ctx context.Context, a types.Activation) error {
	old, err := k.active.Get(ctx, a.Slot)
	switch {
	case errors.Is(err, collections.ErrNotFound):
	case err != nil:
		return err
	case !sameWork(old, a):
		fallback, err := orZero(k.previous.Get(ctx, a.Slot))
		if err != nil {
			return err
		}
		if sameWork(fallback, a) {
			// A return to the last good one: what failed is nothing to fall back to.
			err = k.previous.Remove(ctx, a.Slot)
		} else {
			err = k.previous.Set(ctx, a.Slot, old)
		}
		if err != nil {
			return err
		}
	}
	if err := k.active.Set(ctx, a.Slot, a); err != nil {
		return err
	}
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent(types.EventActive,
		sdk.NewAttribute(types.AttributeSlot, a.Slot),
		sdk.NewAttribute(types.AttributeHash, fmt.Sprintf("%X", a.ModuleHash))))
	return nil
}

// sameWork says whether two activations ask for the same computation.
func sameWork(a, b types.Activation) bool {
	a.FromEpoch, b.FromEpoch = 0, 0
	return a.Equal(&b)
}

// Active returns what is in force in a slot, or ErrNoActivation.
func (k Keeper) Active(ctx context.Context, slot string) (types.Activation, error) {
	a, err := k.active.Get(ctx, slot)
	if errors.Is(err, collections.ErrNotFound) {
		return a, types.ErrNoActivation.Wrapf("%q", slot)
	}
	return a, err
}

// RollBack returns a slot to its last good activation at the next epoch, unless governance
// has chosen another one already or there is none.
func (k Keeper) RollBack(ctx context.Context, slot string) error {
	if has, err := k.pending.Has(ctx, slot); err != nil || has {
		return err
	}
	last, err := k.previous.Get(ctx, slot)
	if errors.Is(err, collections.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	epoch, err := k.Epoch(ctx)
	if err != nil {
		return err
	}
	last.FromEpoch = epoch + 1
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent(types.EventRollBack,
		sdk.NewAttribute(types.AttributeSlot, slot),
		sdk.NewAttribute(types.AttributeHash, fmt.Sprintf("%X", last.ModuleHash))))
	return k.pending.Set(ctx, slot, last)
}
