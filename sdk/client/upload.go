package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"

	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"

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

// TooLargeError is a blob that the chain could not take. Nothing was sent, and
// no deposit is bound.
type TooLargeError struct {
	Kind string
	Size uint64 // bytes of the blob
	// What is over its limit: "bytes" of the blob, by the registry's parameters,
	// or "gas" of the transaction of its last chunk, by those of a block.
	What      string
	Need, Max uint64
}

func (e *TooLargeError) Error() string {
	if e.What == "bytes" {
		return fmt.Sprintf("client: a %s of %d bytes: the chain takes %d at most", e.Kind, e.Size, e.Max)
	}
	return fmt.Sprintf("client: a %s of %d bytes takes %d %s with its last chunk, and a block has %d for those who pay", e.Kind, e.Size, e.Need, e.What, e.Max)
}

// Upload stores a blob on chain: an announcement that takes the storage
// deposit, then one transaction a chunk; the chain unpacks, hashes and admits
// it with the last. It returns the blob's hash. What the chain could not take
// is refused before anything is sent: a *TooLargeError, or the registry's
// ErrKind.
func (a *Account) Upload(ctx context.Context, blob []byte, opt UploadOptions) ([32]byte, error) {
	hash := sha256.Sum256(blob)
	p, err := registrytypes.NewQueryClient(a.c.conn).Params(ctx, &registrytypes.QueryParamsRequest{})
	if err != nil {
		return hash, fmt.Errorf("client: bounds of uploads: %w", err)
	}
	size := uint64(len(blob))
	if most, err := p.Params.MaxSize(opt.Kind); err != nil {
		return hash, fmt.Errorf("client: upload: %w", err)
	} else if size > most {
		return hash, &TooLargeError{Kind: opt.Kind, Size: size, What: "bytes", Need: size, Max: most}
	}
	if p.Params.ChunkBytes == 0 {
		return hash, errors.New("client: the node names chunks of no bytes; ask another node")
	}
	packed, err := manifest.Compress(blob)
	if err != nil {
		return hash, fmt.Errorf("client: compress: %w", err)
	}
	chunks := slices.Collect(slices.Chunk(packed, int(p.Params.ChunkBytes)))
	room, err := a.c.payersGas(ctx)
	if err != nil {
		return hash, err
	}
	last, err := lastGas(opt.Kind, size, len(chunks[len(chunks)-1]), room)
	if err != nil {
		return hash, err
	}
	begin := &registrytypes.MsgStoreBegin{
		Creator: a.Address(), Kind: opt.Kind, Hash: hash[:],
		Size_: size, PackedSize: uint64(len(packed)), Chunks: uint32(len(chunks)),
	}
	if _, err := a.Send(ctx, SendOptions{Fee: opt.Fee}, begin); err != nil {
		return hash, fmt.Errorf("client: announce blob: %w", err)
	}
	for i, c := range chunks {
		m := &registrytypes.MsgStoreChunk{Creator: a.Address(), Hash: hash[:], Index: uint32(i), Data: c}
		so := SendOptions{Fee: opt.Fee, Gas: registrytypes.ChunkGas(len(c))}
		if i == len(chunks)-1 {
			so.Gas = last
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

// lastGas is what the last chunk of an upload asks for, which completes the blob; room is what a block has
// for it.
func lastGas(kind string, size uint64, chunk int, room uint64) (uint64, error) {
	gas := registrytypes.ChunkGas(chunk) + registrytypes.CompleteGas(kind, size)
	if gas > room {
		return 0, &TooLargeError{Kind: kind, Size: size, What: "gas", Need: gas, Max: room}
	}
	return gas, nil
}

// payersGas is what a block has for transactions that pay: half of its gas (chain/app).
func (c *Client) payersGas(ctx context.Context) (uint64, error) {
	r, err := consensustypes.NewQueryClient(c.conn).Params(ctx, &consensustypes.QueryParamsRequest{})
	if err != nil {
		return 0, fmt.Errorf("client: gas of a block: %w", err)
	}
	if r.Params == nil || r.Params.Block == nil || r.Params.Block.MaxGas < 0 {
		return math.MaxUint64, nil // no limit
	}
	return uint64(r.Params.Block.MaxGas) / 2, nil
}
