package keeper

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"
	"cosmossdk.io/math"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/registry/types"
)

// dropsPerEpoch bounds the expired uploads that one epoch's beginning removes.
const dropsPerEpoch = 16

// Begin announces an upload and takes its deposit.
func (k Keeper) Begin(ctx context.Context, msg *types.MsgStoreBegin) error {
	if err := msg.ValidateBasic(); err != nil {
		return err
	}
	creator, err := sdk.AccAddressFromBech32(msg.Creator)
	if err != nil {
		return types.ErrAddress.Wrapf("creator: %v", err)
	}
	params, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	most, err := params.MaxSize(msg.Kind)
	if err != nil {
		return err
	}
	// Packing never makes a blob much larger; half a KiB and a 128th are zstd's worst case.
	if mostPacked := most + most/128 + 512; msg.Size_ > most || msg.PackedSize > mostPacked {
		return types.ErrSize.Wrapf("%d bytes and %d packed, a %s may have %d and %d",
			msg.Size_, msg.PackedSize, msg.Kind, most, mostPacked)
	}
	if want := chunkCount(msg.PackedSize, params.ChunkBytes); msg.Chunks != want {
		return types.ErrChunks.Wrapf("%d chunks, %d packed bytes make %d of %d bytes",
			msg.Chunks, msg.PackedSize, want, params.ChunkBytes)
	}
	if has, err := k.blobs.Has(ctx, msg.Hash); err != nil {
		return err
	} else if has {
		return types.ErrExists.Wrapf("blob %X", msg.Hash)
	}
	key := collections.Join([]byte(creator), msg.Hash)
	if has, err := k.uploads.Has(ctx, key); err != nil {
		return err
	} else if has {
		return types.ErrExists.Wrapf("upload of %X by %s", msg.Hash, msg.Creator)
	}
	open, err := k.openUploads(ctx, creator)
	if err != nil {
		return err
	}
	if len(open) >= int(params.MaxOpenUploads) {
		return types.ErrUploads.Wrapf("%d, at most %d", len(open), params.MaxOpenUploads)
	}
	epoch, err := k.Epoch(ctx)
	if err != nil {
		return err
	}
	kib := (msg.PackedSize + 1023) / 1024
	deposit := sdk.NewCoin(params.DepositPerKib.Denom, params.DepositPerKib.Amount.Mul(math.NewIntFromUint64(kib)))
	if deposit.IsPositive() {
		if err := k.bank.SendCoinsFromAccountToModule(ctx, creator, types.ModuleName, sdk.NewCoins(deposit)); err != nil {
			return fmt.Errorf("storage deposit of %s: %w", deposit, err)
		}
	}
	id, err := k.sequence.Next(ctx)
	if err != nil {
		return err
	}
	if err := k.upIDs.Set(ctx, key, id); err != nil {
		return err
	}
	if err := k.expiry.Set(ctx, collections.Join3(epoch+params.UploadEpochs, []byte(creator), msg.Hash)); err != nil {
		return err
	}
	return k.uploads.Set(ctx, key, types.Blob{
		Hash: msg.Hash, Kind: msg.Kind, Size_: msg.Size_, PackedSize: msg.PackedSize, Chunks: msg.Chunks,
		ChunkBytes: params.ChunkBytes,
		Creator:    msg.Creator, Deposit: deposit, Epoch: epoch,
	})
}

// Chunk adds the next chunk of an upload. The last one unpacks, checks and admits the blob;
// if that fails, the chunk is refused and nothing changes.
func (k Keeper) Chunk(ctx context.Context, msg *types.MsgStoreChunk) (complete bool, err error) {
	if err := msg.ValidateBasic(); err != nil {
		return false, err
	}
	creator, err := sdk.AccAddressFromBech32(msg.Creator)
	if err != nil {
		return false, types.ErrAddress.Wrapf("creator: %v", err)
	}
	key := collections.Join([]byte(creator), msg.Hash)
	blob, err := k.uploads.Get(ctx, key)
	if errors.Is(err, collections.ErrNotFound) {
		return false, types.ErrNotFound.Wrapf("no upload of %X by %s", msg.Hash, msg.Creator)
	}
	if err != nil {
		return false, err
	}
	id, err := k.upIDs.Get(ctx, key)
	if err != nil {
		return false, err
	}
	if msg.Index != blob.Received {
		return false, types.ErrChunks.Wrapf("index %d, want %d of %d", msg.Index, blob.Received, blob.Chunks)
	}
	if want := chunkSize(blob, msg.Index); uint64(len(msg.Data)) != want {
		return false, types.ErrChunks.Wrapf("chunk %d has %d bytes, want %d", msg.Index, len(msg.Data), want)
	}
	if err := k.chunks.Set(ctx, collections.Join(id, msg.Index), msg.Data); err != nil {
		return false, err
	}
	blob.Received++
	if blob.Received < blob.Chunks {
		return false, k.uploads.Set(ctx, key, blob)
	}
	return true, k.complete(ctx, key, id, blob)
}

// complete turns an upload into a blob.
func (k Keeper) complete(ctx context.Context, key collections.Pair[[]byte, []byte], id uint64, blob types.Blob) error {
	if has, err := k.blobs.Has(ctx, blob.Hash); err != nil {
		return err
	} else if has {
		return types.ErrExists.Wrapf("blob %X; remove the upload to get its deposit back", blob.Hash)
	}
	own := sdk.UnwrapSDKContext(ctx)
	own.GasMeter().ConsumeGas(types.CompleteGas(blob.Kind, blob.Size_), "admit blob")
	// The price includes reading the chunks back.
	data, err := k.unpack(own.WithGasMeter(storetypes.NewInfiniteGasMeter()), id, blob)
	if err != nil {
		return err
	}
	if err := k.admitter.AdmitBlob(blob.Kind, data); err != nil {
		return types.ErrNotAdmitted.Wrapf("%s %X: %v", blob.Kind, blob.Hash, err)
	}
	blob.Complete = true
	if err := k.blobs.Set(ctx, blob.Hash, blob); err != nil {
		return err
	}
	if err := k.blobIDs.Set(ctx, blob.Hash, id); err != nil {
		return err
	}
	if err := k.uploads.Remove(ctx, key); err != nil {
		return err
	}
	if err := k.upIDs.Remove(ctx, key); err != nil {
		return err
	}
	own.EventManager().EmitEvent(sdk.NewEvent(types.EventStored,
		sdk.NewAttribute(types.AttributeHash, fmt.Sprintf("%X", blob.Hash)),
		sdk.NewAttribute(types.AttributeKind, blob.Kind)))
	return nil
}

// Remove gives up an upload, or prunes a blob of its creator that nothing refers to and that
// is old enough for a proposal about it to have ended. The deposit is paid back.
func (k Keeper) Remove(ctx context.Context, msg *types.MsgStoreRemove) error {
	if err := msg.ValidateBasic(); err != nil {
		return err
	}
	creator, err := sdk.AccAddressFromBech32(msg.Creator)
	if err != nil {
		return types.ErrAddress.Wrapf("creator: %v", err)
	}
	key := collections.Join([]byte(creator), msg.Hash)
	if has, err := k.uploads.Has(ctx, key); err != nil {
		return err
	} else if has {
		return k.dropUpload(ctx, key)
	}
	blob, err := k.Blob(ctx, msg.Hash)
	if err != nil {
		return err
	}
	if blob.Creator != msg.Creator {
		return types.ErrAuthority.Wrapf("blob %X belongs to %q", msg.Hash, blob.Creator)
	}
	params, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	epoch, err := k.Epoch(ctx)
	if err != nil {
		return err
	}
	if from := blob.Epoch + params.UploadEpochs; epoch < from {
		return types.ErrReferenced.Wrapf("a proposal may name it until epoch %d, now %d", from, epoch)
	}
	slot, err := k.referrer(ctx, msg.Hash)
	if err != nil {
		return err
	}
	if slot != "" {
		return types.ErrReferenced.Wrapf("by slot %q", slot)
	}
	id, err := k.blobIDs.Get(ctx, msg.Hash)
	if err != nil {
		return err
	}
	if err := k.blobs.Remove(ctx, msg.Hash); err != nil {
		return err
	}
	if err := k.blobIDs.Remove(ctx, msg.Hash); err != nil {
		return err
	}
	return k.release(ctx, id, blob)
}

// referrer returns a slot that names the hash, or "".
func (k Keeper) referrer(ctx context.Context, hash []byte) (string, error) {
	var found string
	for _, m := range []collections.Map[string, types.Activation]{k.active, k.pending, k.previous} {
		if err := m.Walk(ctx, nil, func(slot string, a types.Activation) (bool, error) {
			if string(a.ModuleHash) == string(hash) || string(a.ModelHash) == string(hash) {
				found = slot
			}
			return found != "", nil
		}); err != nil {
			return "", err
		}
	}
	return found, nil
}

func (k Keeper) dropUpload(ctx context.Context, key collections.Pair[[]byte, []byte]) error {
	blob, err := k.uploads.Get(ctx, key)
	if err != nil {
		return err
	}
	id, err := k.upIDs.Get(ctx, key)
	if err != nil {
		return err
	}
	if err := k.uploads.Remove(ctx, key); err != nil {
		return err
	}
	if err := k.upIDs.Remove(ctx, key); err != nil {
		return err
	}
	return k.release(ctx, id, blob)
}

// release deletes chunks and pays the deposit back.
func (k Keeper) release(ctx context.Context, id uint64, blob types.Blob) error {
	for i := range blob.Received {
		if err := k.chunks.Remove(ctx, collections.Join(id, i)); err != nil {
			return err
		}
	}
	if blob.Creator == "" || !blob.Deposit.IsValid() || !blob.Deposit.IsPositive() {
		return nil
	}
	creator, err := sdk.AccAddressFromBech32(blob.Creator)
	if err != nil {
		return err
	}
	return k.bank.SendCoinsFromModuleToAccount(ctx, types.ModuleName, creator, sdk.NewCoins(blob.Deposit))
}

// dropExpired removes unfinished uploads whose time is over, a bounded number at once.
func (k Keeper) dropExpired(ctx context.Context, epoch uint64) error {
	iter, err := k.expiry.Iterate(ctx, collections.NewPrefixUntilTripleRange[uint64, []byte, []byte](epoch))
	if err != nil {
		return err
	}
	keys, err := iter.Keys()
	if err != nil {
		return err
	}
	params, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	for i, key := range keys {
		if i == dropsPerEpoch {
			break
		}
		if err := k.expiry.Remove(ctx, key); err != nil {
			return err
		}
		upload := collections.Join(key.K2(), key.K3())
		blob, err := k.uploads.Get(ctx, upload)
		if errors.Is(err, collections.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		// The same hash may have been begun again since, or the time been prolonged.
		if until := blob.Epoch + params.UploadEpochs; until > epoch {
			err = k.expiry.Set(ctx, collections.Join3(until, key.K2(), key.K3()))
		} else {
			err = k.dropUpload(ctx, upload)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (k Keeper) openUploads(ctx context.Context, creator []byte) ([]types.Blob, error) {
	iter, err := k.uploads.Iterate(ctx, collections.NewPrefixedPairRange[[]byte, []byte](creator))
	if err != nil {
		return nil, err
	}
	return iter.Values()
}

func chunkCount(packed uint64, size uint32) uint32 {
	return uint32((packed + uint64(size) - 1) / uint64(size))
}

// chunkSize is the size of a chunk: all are equal but the last.
func chunkSize(blob types.Blob, index uint32) uint64 {
	return min(uint64(blob.ChunkBytes), blob.PackedSize-uint64(index)*uint64(blob.ChunkBytes))
}
