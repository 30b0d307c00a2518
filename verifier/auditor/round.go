package auditor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/recheck"
	"github.com/assaynet/assay/verifier/sample"
)

// round is one round of one epoch's audit at work.
type round struct {
	a       *Auditor
	e       Epoch
	proof   sample.Proof
	key     [32]byte // of the keyed digests
	work    recheck.Work
	claims  []Claim
	tasks   []*task // claims of which something was drawn
	journal *journal
}

// round audits until the verdict is on chain and the round is over.
func (a *Auditor) round(ctx context.Context, e Epoch) error {
	info, err := a.cfg.Chain.Round(ctx, e.Number, e.Round)
	if err != nil {
		return err
	}
	seat, ok := info.Seat(a.cfg.Address)
	if !ok {
		return nil // no seat in this round: nothing to do
	}
	if !bytes.Equal(seat.Key.Bytes(), a.cfg.Key.Public().Bytes()) {
		return errors.New("auditor: the seat has another VRF key than this validator")
	}
	r := &round{a: a, e: e, proof: a.cfg.Key.Prove(info.Input())}
	if over, err := r.over(ctx); err != nil || over {
		return err
	}
	r.key = sample.AuditKey(r.proof.Output())
	if err := r.load(ctx, info); err != nil {
		return err
	}
	defer r.journal.close()
	a.count.rounds.Add(1)

	// A quarter of what is left of the round, two blocks at least, is for the
	// verdict to land; what is missing at half time is demanded on chain.
	left := e.AuditEnd - e.Height
	verdictAt := e.AuditEnd - max(2, left/4)
	demandAt := e.Height + left/2
	r.gather(ctx, demandAt, verdictAt)
	if err := r.vote(ctx); err != nil {
		return err
	}
	r.linger(ctx)
	return nil
}

// over says whether nothing is left to do in the round: the verdict is on chain, from before a restart,
// and no journal says what was still open. The cross-check computes again what it needs.
func (r *round) over(ctx context.Context) (bool, error) {
	voted, err := r.a.cfg.Chain.Voted(ctx, r.e.Number, r.e.Round)
	if err != nil || !voted {
		return false, err
	}
	kept, err := readJournal(r.a.cfg.Dir, r.e.Number, r.e.Round, r.proof)
	if err != nil || len(kept.done) > 0 {
		return false, err
	}
	r.a.count.verdicts.Add(1)
	r.a.observe(Event{Kind: EventVerdict, Epoch: r.e.Number, Round: r.e.Round})
	return true, nil
}

// load reads the claims, checks them against the root that the VRF input
// binds, and draws.
func (r *round) load(ctx context.Context, info sample.Round) error {
	var err error
	if r.claims, err = r.a.cfg.Chain.Claims(ctx, r.e.Number, r.e.Round); err != nil {
		return err
	}
	plain := make([]commit.Claim, len(r.claims))
	for i, c := range r.claims {
		plain[i] = c.Claim
		if i > 0 && bytes.Compare(r.claims[i-1].Claimant, c.Claimant) >= 0 {
			return errors.New("auditor: claims are not sorted by address")
		}
	}
	if root := commit.ClaimsRoot(plain); root != info.ClaimsRoot {
		return fmt.Errorf("auditor: claims have root %s, the round says %s", root, info.ClaimsRoot)
	}
	wasm, err := r.a.cfg.Chain.Module(ctx, r.e.Module)
	if err != nil {
		return err
	}
	if sha256.Sum256(wasm) != r.e.Module {
		return fmt.Errorf("auditor: module bytes do not hash to %x", r.e.Module)
	}
	r.work = recheck.Work{ModuleHash: r.e.Module, Wasm: wasm, Params: r.e.Params, Seed: r.e.Seed,
		TensorBytes: r.e.TensorBytes, MemoryPages: r.e.MemoryPages, GasSetup: r.e.GasSetup, GasUnit: r.e.GasUnit}
	if r.journal, err = openJournal(r.a.cfg.Dir, r.e.Number, r.e.Round, r.proof); err != nil {
		return err
	}
	units := 0
	for i, c := range r.claims {
		d := info.Draw(r.a.cfg.Address, c.Claimant, c.Count, c.Units)
		indexes := d.Indexes(r.proof.Output())
		if len(indexes) == 0 {
			continue
		}
		units += len(indexes)
		t := newTask(i, c, indexes)
		r.journal.restore(t)
		r.tasks = append(r.tasks, t)
	}
	r.a.observe(Event{Kind: EventRound, Epoch: r.e.Number, Round: r.e.Round, Claims: len(r.tasks), Units: units})
	return nil
}

// gather works on all claims, block by block, until each is settled or the
// verdict is due. What stays unserved at demandAt is demanded.
func (r *round) gather(ctx context.Context, demandAt, verdictAt int64) {
	a := r.a
	gatherCtx, cancel := a.until(ctx, verdictAt)
	defer cancel()
	for gatherCtx.Err() == nil {
		h := a.height.Load()
		r.pass(gatherCtx)
		open := r.unsettled()
		if len(open) == 0 {
			return
		}
		if a.height.Load() >= demandAt {
			for _, t := range open {
				r.demand(gatherCtx, t)
			}
		}
		a.wait(gatherCtx, h+1)
	}
}

func (r *round) unsettled() []*task {
	var open []*task
	for _, t := range r.tasks {
		if !t.settled() {
			open = append(open, t)
		}
	}
	return open
}

// pass tries every unsettled claim once, several at a time.
func (r *round) pass(ctx context.Context) {
	queue := make(chan *task)
	var wg sync.WaitGroup
	for range min(r.a.cfg.Fetchers, len(r.tasks)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for t := range queue {
				r.serve(ctx, t)
			}
		}()
	}
	for _, t := range r.unsettled() {
		select {
		case queue <- t:
		case <-ctx.Done():
		}
	}
	close(queue)
	wg.Wait()
}

// vote sends the verdict until it is seen on chain or too late.
func (r *round) vote(ctx context.Context) error {
	a := r.a
	bitmap := commit.NewBitmap(len(r.claims))
	var keyed []commit.Keyed
	for _, t := range r.tasks {
		if t.ok() {
			bitmap.Set(t.position)
			keyed = append(keyed, t.keyed...) // what the bit vouches for
		}
		if !t.settled() {
			a.count.unserved.Add(1)
		}
	}
	// What the root binds has to be opened within a few blocks, perhaps by a machine that failed
	// meanwhile. Without the journal it is computed again, which may take longer than that.
	if err := r.journal.sync(); err != nil {
		a.fail(ctx, Event{Epoch: r.e.Number, Round: r.e.Round, Err: err})
	}
	v := Verdict{Epoch: r.e.Number, Round: r.e.Round, Proof: r.proof, Bitmap: bitmap, KeyedRoot: commit.KeyedRoot(keyed)}
	again := int64(0) // height to send at; an accepted message gets two blocks to land
	for ctx.Err() == nil && a.height.Load()+1 < r.e.AuditEnd+2 {
		h := a.height.Load()
		voted, err := a.cfg.Chain.Voted(ctx, r.e.Number, r.e.Round)
		if err == nil && voted {
			a.count.verdicts.Add(1)
			a.observe(Event{Kind: EventVerdict, Epoch: r.e.Number, Round: r.e.Round, Claims: len(r.okTasks()), Units: len(keyed)})
			return nil
		}
		if err == nil && h >= again && h+1 < r.e.AuditEnd {
			if err = a.cfg.Chain.SendVerdict(ctx, v); err == nil {
				again = h + 2
			}
		}
		if err != nil {
			a.fail(ctx, Event{Epoch: r.e.Number, Round: r.e.Round, Err: fmt.Errorf("verdict: %w", err)})
		}
		a.wait(ctx, h+1)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	a.fail(ctx, Event{Epoch: r.e.Number, Round: r.e.Round, Err: errors.New("auditor: the verdict did not get on chain in time")})
	return nil
}

func (r *round) okTasks() []*task {
	var out []*task
	for _, t := range r.tasks {
		if t.ok() {
			out = append(out, t)
		}
	}
	return out
}

// linger goes on after the verdict: it demands what is still missing while the
// round takes demands, and judges what is answered on chain, until nothing is
// left or the chain is in another round or epoch.
func (r *round) linger(ctx context.Context) {
	a := r.a
	for ctx.Err() == nil {
		pending := false
		for _, t := range r.unsettled() {
			if len(t.demanded) > 0 {
				r.answers(ctx, t)
			}
			if len(t.missing) > 0 && a.height.Load()+1 < r.e.AuditEnd {
				r.demand(ctx, t)
			}
			pending = pending || (!t.settled() && len(t.demanded) > 0)
		}
		if !pending {
			return
		}
		e, err := a.cfg.Chain.Epoch(ctx)
		if err == nil && (e.Number != r.e.Number || e.Round != r.e.Round) {
			return
		}
		a.wait(ctx, a.height.Load()+1)
	}
}
