package miner

import (
	"context"

	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/openings"
)

// Epoch is what a miner must know of an epoch. Heights named End are the first
// that is too late.
type Epoch struct {
	Number     uint64
	Height     int64 // of the state that was read: a message sent now lands at Height+1 or later
	Start      int64
	ComputeEnd int64
	CommitEnd  int64
	Slot       int64 // blocks before the last one that takes claims, for the last commitment; the miner's own choice

	Seed        [32]byte
	Module      [32]byte // SHA-256 of the module
	Params      []byte
	TensorBytes int64
	MemoryPages uint32 // most memory of an instance; 0: what the module says
	GasSetup    int64
	GasUnit     int64

	Fold          uint64 // units a leaf
	MinUnits      uint64 // of a claim
	MaxUnits      uint64
	MaxExtensions uint32
}

// Commitment is the content of a MsgCommitWork.
type Commitment struct {
	Epoch uint64
	Root  commit.Root
	Count uint64
	Proof [][]byte // consistency with the claim before; empty for the first
}

// Demand is an open demand against this miner.
type Demand struct {
	ID      uint64
	Epoch   uint64
	Indexes []uint64
}

// Chain is what the miner needs of the chain, for one miner account. Methods
// are called concurrently. Errors are transient unless they wrap one of the
// sentinels named.
type Chain interface {
	// Epoch returns the running epoch at the newest height.
	Epoch(ctx context.Context) (Epoch, error)
	// Crowd says for the running epoch how many commit, and how many fit into a block.
	Crowd(ctx context.Context) (Crowd, error)
	// WaitHeight returns the newest height once it is at least height.
	WaitHeight(ctx context.Context, height int64) (int64, error)
	// Module returns the module's bytes; the caller checks their hash.
	Module(ctx context.Context, hash [32]byte) ([]byte, error)
	// Claim returns the miner's own claim in an epoch, or ErrNoClaim.
	Claim(ctx context.Context, epoch uint64) (commit.Claim, error)
	// Commit sends a commitment and returns when it was taken into a block,
	// or with ErrRefused.
	Commit(ctx context.Context, c Commitment) error
	// Audit returns a round of an epoch's audit, or openings.ErrUnknown before
	// the claims are fixed, for a round that did not open and without a claim.
	Audit(ctx context.Context, epoch, round uint64) (openings.Audit, error)
	// Demands lists the open demands against this miner.
	Demands(ctx context.Context) ([]Demand, error)
	// Answer sends encoded openings in the order of the demand's indexes, or
	// fails with ErrRefused.
	Answer(ctx context.Context, demand uint64, openings [][]byte) error
}
