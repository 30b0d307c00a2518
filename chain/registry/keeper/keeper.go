package keeper

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/store"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/registry/types"
	"github.com/assaynet/assay/modules/manifest"
)

// Bank moves storage deposits.
type Bank interface {
	SendCoinsFromAccountToModule(ctx context.Context, from sdk.AccAddress, module string, amount sdk.Coins) error
	SendCoinsFromModuleToAccount(ctx context.Context, module string, to sdk.AccAddress, amount sdk.Coins) error
}

// Admitter judges what is uploaded and activated. Its verdict is part of consensus: it must
// depend on its arguments alone, be the same on every node, and take bounded time.
type Admitter interface {
	// AdmitBlob says why a blob cannot be used as its kind, nil if it can.
	AdmitBlob(kind string, blob []byte) error
	// AdmitActivation says why a module cannot run with the activation's parameters and
	// bounds, nil if it can. The model is nil unless the activation names one.
	AdmitActivation(activation types.Activation, module, model []byte) error
}

// Config is what a Keeper is made of.
type Config struct {
	Codec codec.BinaryCodec
	Store store.KVStoreService
	Bank  Bank
	// Authority activates modules and changes parameters: the governance account.
	Authority string
	Admitter  Admitter
}

// Keeper owns the module's state. It is used from one goroutine at a time.
type Keeper struct {
	bank      Bank
	authority string
	admitter  Admitter

	// Schema describes the store.
	Schema collections.Schema

	params   collections.Item[types.Params]
	epoch    collections.Item[uint64]
	sequence collections.Sequence
	blobs    collections.Map[[]byte, types.Blob]                           // hash
	blobIDs  collections.Map[[]byte, uint64]                               // hash: number of its chunks
	uploads  collections.Map[collections.Pair[[]byte, []byte], types.Blob] // creator, hash
	upIDs    collections.Map[collections.Pair[[]byte, []byte], uint64]
	chunks   collections.Map[collections.Pair[uint64, uint32], []byte]      // number, index
	expiry   collections.KeySet[collections.Triple[uint64, []byte, []byte]] // epoch, creator, hash
	active   collections.Map[string, types.Activation]                      // slot
	pending  collections.Map[string, types.Activation]
	previous collections.Map[string, types.Activation]
}

// New returns a keeper over its store. It panics when a dependency is missing or the schema
// cannot be built: programming errors.
func New(cfg Config) Keeper {
	if cfg.Admitter == nil || cfg.Bank == nil {
		panic("registry keeper: no admitter or bank")
	}
	sb := collections.NewSchemaBuilder(cfg.Store)
	upload := collections.PairKeyCodec(collections.BytesKey, collections.BytesKey)
	blob := codec.CollValue[types.Blob](cfg.Codec)
	activation := codec.CollValue[types.Activation](cfg.Codec)
	k := Keeper{
		bank: cfg.Bank, authority: cfg.Authority, admitter: cfg.Admitter,

		params:   collections.NewItem(sb, types.ParamsPrefix, "params", codec.CollValue[types.Params](cfg.Codec)),
		epoch:    collections.NewItem(sb, types.EpochPrefix, "epoch", collections.Uint64Value),
		sequence: collections.NewSequence(sb, types.SequencePrefix, "sequence"),
		blobs:    collections.NewMap(sb, types.BlobsPrefix, "blobs", collections.BytesKey, blob),
		blobIDs:  collections.NewMap(sb, types.BlobIDsPrefix, "blob_ids", collections.BytesKey, collections.Uint64Value),
		uploads:  collections.NewMap(sb, types.UploadsPrefix, "uploads", upload, blob),
		upIDs:    collections.NewMap(sb, types.UploadIDs, "upload_ids", upload, collections.Uint64Value),
		chunks: collections.NewMap(sb, types.ChunksPrefix, "chunks",
			collections.PairKeyCodec(collections.Uint64Key, collections.Uint32Key), collections.BytesValue),
		expiry: collections.NewKeySet(sb, types.ExpiryPrefix, "expiry",
			collections.TripleKeyCodec(collections.Uint64Key, collections.BytesKey, collections.BytesKey)),
		active:   collections.NewMap(sb, types.ActivePrefix, "active", collections.StringKey, activation),
		pending:  collections.NewMap(sb, types.PendingPrefix, "pending", collections.StringKey, activation),
		previous: collections.NewMap(sb, types.PreviousPrefix, "previous", collections.StringKey, activation),
	}
	schema, err := sb.Build()
	if err != nil {
		panic(fmt.Errorf("registry keeper: %w", err))
	}
	k.Schema = schema
	return k
}

// Params returns the parameters.
func (k Keeper) Params(ctx context.Context) (types.Params, error) { return k.params.Get(ctx) }

// Epoch returns the running epoch, 0 before the first.
func (k Keeper) Epoch(ctx context.Context) (uint64, error) { return orZero(k.epoch.Get(ctx)) }

// Blob returns the description of a complete blob, or ErrNotFound.
func (k Keeper) Blob(ctx context.Context, hash []byte) (types.Blob, error) {
	blob, err := k.blobs.Get(ctx, hash)
	if errors.Is(err, collections.ErrNotFound) {
		return blob, types.ErrNotFound.Wrapf("no blob %X", hash)
	}
	return blob, err
}

// Bytes returns the unpacked bytes of a complete blob, or ErrNotFound. It unpacks on each
// call, at some 100 MB/s; callers keep what they need often.
func (k Keeper) Bytes(ctx context.Context, hash []byte) ([]byte, error) {
	blob, err := k.Blob(ctx, hash)
	if err != nil {
		return nil, err
	}
	id, err := k.blobIDs.Get(ctx, hash)
	if err != nil {
		return nil, err
	}
	return k.unpack(ctx, id, blob)
}

// unpack joins the chunks of a number and returns the blob, checked against its hash.
func (k Keeper) unpack(ctx context.Context, id uint64, blob types.Blob) ([]byte, error) {
	packed, err := k.packed(ctx, id, blob)
	if err != nil {
		return nil, err
	}
	data, err := manifest.Decompress(packed, int64(blob.Size_))
	if err != nil {
		return nil, types.ErrUnpack.Wrapf("%v", err)
	}
	if got := manifest.HashOf(data); string(got[:]) != string(blob.Hash) {
		return nil, types.ErrUnpack.Wrapf("SHA-256 is %X, want %X", got[:], blob.Hash)
	}
	return data, nil
}

func (k Keeper) packed(ctx context.Context, id uint64, blob types.Blob) ([]byte, error) {
	out := make([]byte, 0, blob.PackedSize)
	for i := range blob.Chunks {
		chunk, err := k.chunks.Get(ctx, collections.Join(id, i))
		if err != nil {
			return nil, err
		}
		out = append(out, chunk...)
	}
	return out, nil
}

// orZero turns a missing value into the zero value.
func orZero[V any](v V, err error) (V, error) {
	if errors.Is(err, collections.ErrNotFound) {
		var zero V
		return zero, nil
	}
	return v, err
}
