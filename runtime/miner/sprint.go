package miner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/assaynet/assay/verifier/commit"
)

// sprint computes and commits until the epoch's claim can no longer grow.
func (m *Miner) sprint(ctx context.Context, s *epochState) {
	e := s.epoch
	c := &committer{m: m, s: s, wake: make(chan uint64, 1)}
	done := make(chan struct{})
	commitCtx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { defer close(done); c.run(commitCtx) }()

	points := m.commitPoints(e)
	floor := m.claimed(ctx, e)
	if floor > 0 { // taken up again: points that passed had their commitment
		for len(points) > 0 && m.height.Load()+1 >= points[0] {
			points = points[1:]
		}
	}
	m.compute(ctx, s, floor, func() {
		// Called after each batch: pass on what is stored when a point is reached
		// and the claim would grow.
		due := false
		if s.store.Count() <= floor {
			return
		}
		for len(points) > 0 && m.height.Load()+1 >= points[0] {
			points, due = points[1:], true
		}
		if due {
			c.propose(s.store.Count())
		}
	})
	c.propose(s.store.Count())
	close(c.wake)
	<-done
}

// claimed is how many units the chain's claim already holds: a store that was
// lost is computed again at least up to there, else the claim cannot be opened.
func (m *Miner) claimed(ctx context.Context, e Epoch) uint64 {
	pause := m.backoff()
	for ctx.Err() == nil {
		claim, err := m.cfg.Chain.Claim(ctx, e.Number)
		if err == nil {
			return min(claim.Count, e.MaxUnits)
		}
		if errors.Is(err, ErrNoClaim) {
			return 0
		}
		m.fail(ctx, e.Number, err)
		pause(ctx, true)
	}
	return 0
}

// lastBlock is the height of the state on which a commitment for the last block that takes claims is sent.
func (e Epoch) lastBlock() int64 { return e.CommitEnd - 2 }

// lastSend is the height of the state on which the last commitment is sent: it lands in the miner's slot,
// which is the last block that takes claims if all miners fit there. Nothing on chain keeps a miner from
// computing until then, so who stopped with the compute phase would earn less than who does not.
func (e Epoch) lastSend() int64 { return e.lastBlock() - e.Slot }

// commitPoints are the heights at which the claim is committed before it is
// for the last time. From three commitments on, the last one of them is the block before: should the very
// last commitment miss the deadline, it costs a block's work.
func (m *Miner) commitPoints(e Epoch) []int64 {
	n := int64(min(uint64(m.cfg.Commits), uint64(e.MaxExtensions)+1))
	last := e.lastSend()
	var points []int64
	for i := int64(1); i < n-1; i++ {
		points = append(points, e.Start+i*(last-e.Start)/(n-1))
	}
	switch {
	case n == 2: // one alone is early: a sprint is not staked on its last block
		points = append(points, (e.Start+last)/2)
	case n > 2:
		points = append(points, last)
	}
	return points
}

// compute fills the store until it is time for the last commitment or the claim
// is full, but in any case to floor units. Sessions that fail are replaced, once a block.
func (m *Miner) compute(ctx context.Context, s *epochState, floor uint64, after func()) {
	e := s.epoch
	batch := (m.cfg.BatchUnits + e.Fold - 1) / e.Fold * e.Fold
	sessions := make([]Session, m.cfg.Instances)
	defer func() {
		for _, sess := range sessions {
			if sess != nil {
				if err := sess.Close(); err != nil {
					m.fail(ctx, e.Number, err)
				}
			}
		}
	}()
	for ctx.Err() == nil && (m.height.Load() < e.lastSend() || s.store.Count() < floor) {
		first := s.store.Count()
		room := uint64(0)
		if e.MaxUnits > first {
			room = (e.MaxUnits - first) / e.Fold * e.Fold
		}
		if room == 0 {
			return
		}
		digests, err := m.parallel(ctx, s, sessions, first, min(batch, room), room)
		if len(digests) > 0 {
			if err := s.store.Append(digests); err != nil {
				m.fail(ctx, e.Number, err)
				return
			}
			m.observe(Event{Kind: EventUnits, Epoch: e.Number, Units: s.store.Count()})
			after()
		}
		if err != nil {
			m.fail(ctx, e.Number, err)
			if errors.Is(err, ErrWork) {
				return
			}
			m.wait(ctx, m.height.Load()+1)
		}
	}
}

// parallel lets each session compute one batch of n units and returns the
// digests up to the first failure, in whole batches.
func (m *Miner) parallel(ctx context.Context, s *epochState, sessions []Session, first, n, room uint64) ([]commit.Digest, error) {
	results := make([][]commit.Digest, len(sessions))
	errs := make([]error, len(sessions))
	var wg sync.WaitGroup
	for i := range sessions {
		from := uint64(i) * n
		if from >= room {
			break
		}
		count := min(n, room-from)
		wg.Add(1)
		go func() {
			defer wg.Done()
			results[i], errs[i] = m.batch(ctx, s, &sessions[i], first+from, count)
		}()
	}
	wg.Wait()
	var digests []commit.Digest
	for i := range results {
		if errs[i] != nil {
			return digests, errs[i]
		}
		digests = append(digests, results[i]...)
	}
	return digests, nil
}

func (m *Miner) batch(ctx context.Context, s *epochState, sess *Session, first, n uint64) ([]commit.Digest, error) {
	if *sess == nil {
		opened, err := s.open(ctx)
		if err != nil {
			return nil, err
		}
		*sess = opened
		m.observe(Event{Kind: EventReady, Epoch: s.epoch.Number})
	}
	digests, err := (*sess).Units(ctx, span(first, n))
	if err == nil && uint64(len(digests)) != n {
		err = fmt.Errorf("%w: %d digests for %d units", ErrWork, len(digests), n)
	}
	if err != nil {
		err = errors.Join(err, (*sess).Close())
		*sess = nil
		return nil, err
	}
	return digests, nil
}

// committer brings the claim on chain up to the newest proposed count, beside
// the computation.
type committer struct {
	m    *Miner
	s    *epochState
	wake chan uint64 // counts to commit; holds only the newest
	told uint64      // count of the claim that was last observed
}

// propose asks for a commitment of count units, in place of an older proposal.
func (c *committer) propose(count uint64) {
	select {
	case <-c.wake:
	default:
	}
	c.wake <- count
}

func (c *committer) run(ctx context.Context) {
	for count := range c.wake {
		c.bring(ctx, count)
	}
}

// bring retries until the chain holds count units, refuses, or it is too late.
func (c *committer) bring(ctx context.Context, count uint64) {
	m, e := c.m, c.s.epoch
	if count < max(e.MinUnits, 1) {
		return
	}
	for ctx.Err() == nil && m.height.Load()+1 < e.CommitEnd {
		claim, err := c.once(ctx, count)
		if err == nil {
			if claim.Count != c.told {
				c.told = claim.Count
				m.observe(Event{Kind: EventCommitted, Epoch: e.Number, Units: claim.Count, Root: claim.Root})
			}
			return
		}
		m.fail(ctx, e.Number, err)
		if errors.Is(err, ErrRefused) || errors.Is(err, ErrDiverged) || errors.Is(err, ErrStore) {
			return
		}
		m.wait(ctx, m.height.Load()+1)
	}
}

// once extends the claim on chain to count units, unless it is there already.
func (c *committer) once(ctx context.Context, count uint64) (commit.Claim, error) {
	m, e := c.m, c.s.epoch
	held, err := m.cfg.Chain.Claim(ctx, e.Number)
	if err != nil && !errors.Is(err, ErrNoClaim) {
		return held, err
	}
	if errors.Is(err, ErrNoClaim) {
		held = commit.Claim{Epoch: e.Number, Claimant: m.cfg.Address}
	}
	if held.Count > c.s.store.Count() {
		return held, fmt.Errorf("%w: it claims %d units, %d are stored", ErrDiverged, held.Count, c.s.store.Count())
	}
	target := max(count, held.Count)
	old, root, proof, err := c.s.store.Extension(held.Count, target)
	if err != nil {
		return held, err
	}
	if held.Count > 0 && old != held.Root {
		return held, fmt.Errorf("%w: root %s at %d units, %s stored", ErrDiverged, held.Root, held.Count, old)
	}
	if held.Count >= count {
		return held, nil
	}
	// What is published must not be lost: a claim that cannot be opened is void.
	if err := c.s.store.Sync(); err != nil {
		return held, err
	}
	next := Commitment{Epoch: e.Number, Root: root, Count: count, Proof: proof}
	if err := m.cfg.Chain.Commit(ctx, next); err != nil {
		return held, err
	}
	held, err = m.cfg.Chain.Claim(ctx, e.Number)
	if err != nil {
		return held, err
	}
	if held.Count != count || held.Root != root || !bytes.Equal(held.Claimant, m.cfg.Address) {
		return held, fmt.Errorf("%w: %d units committed, the chain holds %d under %s", ErrDiverged, count, held.Count, held.Root)
	}
	return held, nil
}
