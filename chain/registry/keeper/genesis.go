package keeper

import (
	"context"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/registry/types"
)

// InitGenesis writes a genesis. Its blobs are unpacked, checked and admitted like uploaded
// ones.
func (k Keeper) InitGenesis(ctx context.Context, g types.GenesisState) error {
	if err := g.Validate(); err != nil {
		return err
	}
	if err := k.params.Set(ctx, g.Params); err != nil {
		return err
	}
	if err := k.epoch.Set(ctx, g.Epoch); err != nil {
		return err
	}
	for _, b := range g.Blobs {
		if err := k.initBlob(ctx, g.Params, b); err != nil {
			return types.ErrGenesis.Wrapf("blob %X: %v", b.Hash, err)
		}
	}
	for _, list := range []struct {
		activations []types.Activation
		into        collections.Map[string, types.Activation]
	}{{g.Active, k.active}, {g.Pending, k.pending}, {g.Previous, k.previous}} {
		for _, a := range list.activations {
			if err := k.check(ctx, a); err != nil {
				return types.ErrGenesis.Wrapf("slot %q: %v", a.Slot, err)
			}
			if err := list.into.Set(ctx, a.Slot, a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k Keeper) initBlob(ctx context.Context, params types.Params, b types.GenesisBlob) error {
	id, err := k.sequence.Next(ctx)
	if err != nil {
		return err
	}
	blob := types.Blob{
		Hash: b.Hash, Kind: b.Kind, Size_: b.Size_, PackedSize: uint64(len(b.Packed)),
		Chunks: chunkCount(uint64(len(b.Packed)), params.ChunkBytes), ChunkBytes: params.ChunkBytes,
		Creator: b.Creator, Deposit: b.Deposit, Complete: true, Epoch: b.Epoch,
	}
	if blob.Deposit.Denom == "" {
		blob.Deposit = sdk.NewInt64Coin(params.DepositPerKib.Denom, 0)
	}
	blob.Received = blob.Chunks
	rest := b.Packed
	for i := range blob.Chunks {
		n := chunkSize(blob, i)
		if err := k.chunks.Set(ctx, collections.Join(id, i), rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	data, err := k.unpack(ctx, id, blob)
	if err != nil {
		return err
	}
	if err := k.admitter.AdmitBlob(blob.Kind, data); err != nil {
		return types.ErrNotAdmitted.Wrapf("%v", err)
	}
	if err := k.blobIDs.Set(ctx, blob.Hash, id); err != nil {
		return err
	}
	return k.blobs.Set(ctx, blob.Hash, blob)
}

// ExportGenesis returns the state without unfinished uploads.
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
	if err := k.blobs.Walk(ctx, nil, func(hash []byte, blob types.Blob) (bool, error) {
		id, err := k.blobIDs.Get(ctx, hash)
		if err != nil {
			return true, err
		}
		packed, err := k.packed(ctx, id, blob)
		if err != nil {
			return true, err
		}
		g.Blobs = append(g.Blobs, types.GenesisBlob{
			Kind: blob.Kind, Hash: hash, Size_: blob.Size_, Packed: packed,
			Creator: blob.Creator, Deposit: blob.Deposit, Epoch: blob.Epoch,
		})
		return false, nil
	}); err != nil {
		return nil, err
	}
	for _, list := range []struct {
		from collections.Map[string, types.Activation]
		to   *[]types.Activation
	}{{k.active, &g.Active}, {k.pending, &g.Pending}, {k.previous, &g.Previous}} {
		iter, err := list.from.Iterate(ctx, nil)
		if err != nil {
			return nil, err
		}
		if *list.to, err = iter.Values(); err != nil {
			return nil, err
		}
	}
	return g, nil
}
