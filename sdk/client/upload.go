package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	registrytypes "github.com/assaynet/assay/chain/registry/types"
	"github.com/assaynet/assay/modules/manifest"
)

// Kinds of a blob in the registry.
const (
	KindModule = "module"
	KindModel  = "model"
)

// UploadOptions of a blob.
type UploadOptions struct {
	Kind string
	// Fee in ngnk of each transaction.
	Fee int64
	// Progress is called after each chunk; it may be nil.
	Progress func(done, total int)
}

// Upload stores a blob on chain: an announcement that takes the storage
// deposit, then one transaction a chunk; the chain unpacks, hashes and admits
// it with the last. It returns the blob's hash.
func (a *Account) Upload(ctx context.Context, blob []byte, opt UploadOptions) ([32]byte, error) {
	hash := sha256.Sum256(blob)
	packed, err := manifest.Compress(blob)
	if err != nil {
		return hash, fmt.Errorf("client: compress: %w", err)
	}
	chunks := manifest.Chunks(packed)
	begin := &registrytypes.MsgStoreBegin{
		Creator: a.Address(), Kind: opt.Kind, Hash: hash[:],
		Size_: uint64(len(blob)), PackedSize: uint64(len(packed)), Chunks: uint32(len(chunks)),
	}
	if _, err := a.Send(ctx, SendOptions{Fee: opt.Fee}, begin); err != nil {
		return hash, fmt.Errorf("client: announce blob: %w", err)
	}
	for i, c := range chunks {
		m := &registrytypes.MsgStoreChunk{Creator: a.Address(), Hash: hash[:], Index: uint32(i), Data: c}
		so := SendOptions{Fee: opt.Fee, Gas: registrytypes.ChunkGas(len(c))}
		if i == len(chunks)-1 {
			so.Gas += registrytypes.CompleteGas(opt.Kind, uint64(len(blob)))
		}
		if _, err := a.Send(ctx, so, m); err != nil {
			return hash, errors.Join(fmt.Errorf("client: chunk %d of %d", i+1, len(chunks)), err)
		}
		if opt.Progress != nil {
			opt.Progress(i+1, len(chunks))
		}
	}
	return hash, nil
}
