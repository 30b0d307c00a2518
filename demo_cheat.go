package main

import (
	"context"

	"github.com/assaynet/assay/runtime/miner"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/recheck"
)

// cheat is a Worker that computes honestly and then falsifies one unit in ten:
// what a miner gains who skips a tenth of its work.
type cheat struct{ honest miner.Worker }

func (c cheat) Open(ctx context.Context, w recheck.Work) (miner.Session, error) {
	s, err := c.honest.Open(ctx, w)
	if err != nil {
		return nil, err
	}
	return cheatSession{s}, nil
}

type cheatSession struct{ miner.Session }

func (c cheatSession) Units(ctx context.Context, indexes []uint64) ([]commit.Digest, error) {
	digests, err := c.Session.Units(ctx, indexes)
	for i := range digests {
		if indexes[i]%10 == 7 {
			digests[i][0] ^= 1
		}
	}
	return digests, err
}
