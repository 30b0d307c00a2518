package keeper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cometbft/cometbft/crypto/tmhash"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/power/types"
)

// gasPossession is charged for the proof of possession of a VRF key: a pairing takes about two
// milliseconds, at 200,000 gas each.
const gasPossession = 400_000

// vrfDelay is the number of epochs between the registration of a VRF key and its first use:
// the epoch after the next, so that the key is fixed before that epoch's seed is.
const vrfDelay = 2

// consAddress is CometBFT's address of an ed25519 key.
func consAddress(pubkey []byte) []byte { return tmhash.SumTruncated(pubkey) }

// Register creates or changes a miner. It returns the first epoch of the VRF key.
func (k Keeper) Register(ctx context.Context, msg *types.MsgRegister) (uint64, error) {
	if err := msg.ValidateBasic(); err != nil {
		return 0, err
	}
	operator, err := sdk.AccAddressFromBech32(msg.Operator)
	if err != nil {
		return 0, types.ErrAddress.Wrapf("operator: %v", err)
	}
	epoch, err := k.Epoch(ctx)
	if err != nil {
		return 0, err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	if err := types.CheckConsPop(sdkCtx.ChainID(), operator, msg.ConsPubkey, msg.ConsPop); err != nil {
		return 0, err
	}
	sdkCtx.GasMeter().ConsumeGas(gasPossession, "proof of possession")
	if err := k.verifyVRF(msg.VrfPubkey, operator, msg.VrfPop); err != nil {
		return 0, types.ErrVRFKey.Wrapf("%v", err)
	}

	miner, err := k.miners.Get(ctx, operator)
	known := err == nil
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return 0, err
	}
	if known && miner.Tombstoned {
		return 0, types.ErrTombstoned.Wrap(miner.Operator)
	}
	if err := k.bindVRFKey(ctx, operator, msg.VrfPubkey); err != nil {
		return 0, err
	}
	if !known || !bytes.Equal(miner.ConsPubkey, msg.ConsPubkey) {
		if err := k.bindKey(ctx, msg.Operator, msg.ConsPubkey); err != nil {
			return 0, err
		}
		if known {
			if err := k.retireKey(ctx, miner, epoch); err != nil {
				return 0, err
			}
		}
	}

	old := miner.VrfKeys
	from := epoch + vrfDelay
	if known {
		from = miner.SetVRFKey(msg.VrfPubkey, epoch, from)
	} else {
		miner = types.Miner{
			Operator:        msg.Operator,
			RegisteredEpoch: epoch,
			VrfKeys:         []types.VRFKey{{Pubkey: msg.VrfPubkey, FromEpoch: from}},
		}
	}
	for _, key := range old {
		if !slices.ContainsFunc(miner.VrfKeys, func(x types.VRFKey) bool { return bytes.Equal(x.Pubkey, key.Pubkey) }) {
			if err := k.vrfkey.Remove(ctx, key.Pubkey); err != nil {
				return 0, err
			}
		}
	}
	miner.ConsPubkey = msg.ConsPubkey
	miner.Endpoint = msg.Endpoint
	wished := miner.Validator
	miner.Validator = msg.Validator
	if err := k.miners.Set(ctx, operator, miner); err != nil {
		return 0, err
	}
	if known && wished != msg.Validator {
		if err := k.wants(ctx, operator, msg.Validator); err != nil {
			return 0, err
		}
	}
	// A changed key or a farewell reaches the validator set in this block.
	if err := k.dirty.Set(ctx, true); err != nil {
		return 0, err
	}
	sdkCtx.EventManager().EmitEvent(sdk.NewEvent(types.EventRegister,
		sdk.NewAttribute(types.AttributeMiner, msg.Operator),
		sdk.NewAttribute(types.AttributeEpoch, fmt.Sprint(epoch))))
	return from, nil
}

// bindVRFKey gives a VRF key to the operator unless it is another's. Validators that share a key
// draw the same samples and have the same keyed digests: they would compute once and vote often.
func (k Keeper) bindVRFKey(ctx context.Context, operator sdk.AccAddress, pubkey []byte) error {
	owner, err := k.vrfkey.Get(ctx, pubkey)
	switch {
	case errors.Is(err, collections.ErrNotFound):
		return k.vrfkey.Set(ctx, pubkey, operator)
	case err != nil:
		return err
	case !bytes.Equal(owner, operator):
		return types.ErrVRFKeyInUse.Wrapf("by %s", sdk.AccAddress(owner))
	}
	return nil
}

// bindKey gives an unused consensus key to the operator. A retired key stays taken, by its
// own operator too: evidence of its old votes must find one owner and one state.
func (k Keeper) bindKey(ctx context.Context, operator string, pubkey []byte) error {
	address := consAddress(pubkey)
	switch has, err := k.conskey.Has(ctx, address); {
	case err != nil:
		return err
	case has:
		return types.ErrKeyInUse.Wrapf("consensus address %X", address)
	}
	return k.conskey.Set(ctx, address, types.ConsKey{Operator: operator, Pubkey: pubkey})
}

func (k Keeper) retireKey(ctx context.Context, miner types.Miner, epoch uint64) error {
	address := consAddress(miner.ConsPubkey)
	// Epoch 0 exists only before the first epoch; 0 means in use.
	epoch = max(epoch, 1)
	key := types.ConsKey{Operator: miner.Operator, Pubkey: miner.ConsPubkey, RetiredEpoch: epoch}
	if err := k.conskey.Set(ctx, address, key); err != nil {
		return err
	}
	return k.retired.Set(ctx, collections.Join(epoch, address))
}

// sweepKeys forgets keys that were retired before the evidence age.
func (k Keeper) sweepKeys(ctx context.Context, epoch, age uint64, b *budget) (over bool, err error) {
	if epoch <= age {
		return true, nil
	}
	iter, err := k.retired.Iterate(ctx, collections.NewPrefixUntilPairRange[uint64, []byte](epoch-age))
	if err != nil {
		return false, err
	}
	old, over, err := some(iter, b.most(3))
	if err != nil {
		return false, err
	}
	b.writes -= 3 * len(old)
	for _, key := range old {
		record, err := k.conskey.Get(ctx, key.K2())
		if err != nil {
			return false, err
		}
		operator, err := sdk.AccAddressFromBech32(record.Operator)
		if err != nil {
			return false, err
		}
		miner, err := k.miners.Get(ctx, operator)
		if err != nil {
			return false, err
		}
		// The key of a double signer never comes back.
		if !miner.Tombstoned {
			if err := k.conskey.Remove(ctx, key.K2()); err != nil {
				return false, err
			}
			if err := k.proposed.Remove(ctx, key.K2()); err != nil {
				return false, err
			}
		}
		if err := k.retired.Remove(ctx, key); err != nil {
			return false, err
		}
	}
	return over, nil
}

// Jail bars a miner from power and claims for the running epoch and the parameter's number of
// epochs after it; a longer sentence stands.
func (k Keeper) Jail(ctx context.Context, operator sdk.AccAddress) error {
	miner, err := k.Miner(ctx, operator)
	if err != nil {
		return err
	}
	params, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	epoch, err := k.Epoch(ctx)
	if err != nil {
		return err
	}
	until := epoch + params.JailEpochs + 1
	if miner.JailedUntil >= until {
		return nil
	}
	miner.JailedUntil = until
	if err := k.miners.Set(ctx, operator, miner); err != nil {
		return err
	}
	if err := k.clearWeight(ctx, operator); err != nil {
		return err
	}
	return k.dirty.Set(ctx, true)
}

// Tombstone bars a miner for good and tells the hooks, once.
func (k Keeper) Tombstone(ctx context.Context, operator sdk.AccAddress) error {
	miner, err := k.Miner(ctx, operator)
	if err != nil {
		return err
	}
	if miner.Tombstoned {
		return nil
	}
	miner.Tombstoned = true
	if err := k.miners.Set(ctx, operator, miner); err != nil {
		return err
	}
	if err := k.clearWeight(ctx, operator); err != nil {
		return err
	}
	for _, hook := range *k.hooks {
		if err := hook(ctx, operator); err != nil {
			return fmt.Errorf("tombstone hook for %s: %w", operator, err)
		}
	}
	return k.dirty.Set(ctx, true)
}

// collect drains an iterator over keys.
func collect[K any](iter collections.KeySetIterator[K], err error) ([]K, error) {
	if err != nil {
		return nil, err
	}
	return iter.Keys()
}
