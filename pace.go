package main

import (
	"context"
	"time"

	"github.com/assaynet/assay/runtime/miner"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/recheck"
)

// paced is a Worker that computes at most Rate units a second: several miners
// and a whole chain on one machine must leave each other room. It changes when
// units are computed, never what they are.
type paced struct {
	miner.Worker
	Rate int // units a second
}

func (p paced) Open(ctx context.Context, w recheck.Work) (miner.Session, error) {
	s, err := p.Worker.Open(ctx, w)
	if err != nil {
		return nil, err
	}
	return &pacedSession{Session: s, rate: p.Rate}, nil
}

// pacedSession is used by one goroutine at a time, as every Session.
type pacedSession struct {
	miner.Session
	rate int
	next time.Time // the earliest start of the next call
}

func (s *pacedSession) Units(ctx context.Context, indexes []uint64) ([]commit.Digest, error) {
	if wait := time.Until(s.next); wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.next = time.Now().Add(time.Duration(len(indexes)) * time.Second / time.Duration(s.rate))
	return s.Session.Units(ctx, indexes)
}
