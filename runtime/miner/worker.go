package miner

import (
	"context"

	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/recheck"
)

// Worker computes units. The honest one is SandboxWorker; whoever supplies
// another decides what this miner claims.
type Worker interface {
	// Open makes ready for an epoch's work: it compiles the module and runs
	// its setup. An error that wraps ErrWork is final for the epoch; any
	// other one is a failure of the host and is tried again.
	Open(ctx context.Context, w recheck.Work) (Session, error)
}

// Session computes units of one epoch. It is used by one goroutine at a time.
type Session interface {
	// Units returns the digests of the units at the given indexes, in order.
	// The digest of a unit must be the same each time it is asked for.
	Units(ctx context.Context, indexes []uint64) ([]commit.Digest, error)
	Close() error
}
