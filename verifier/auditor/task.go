package auditor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/openings"
	"github.com/assaynet/assay/verifier/recheck"
)

// task is one claim and this validator's sample of it. One goroutine works on
// it at a time.
type task struct {
	position int // of the claim in the sorted list
	claim    Claim
	missing  []uint64 // sorted; drawn and not yet judged
	drawn    int
	keyed    []commit.Keyed  // of what was re-executed
	falses   []falseUnit     // confirmed
	demanded []uint64        // of the last demand
	reported map[uint64]bool // accepted or refused: not to be sent again
	err      error           // why the last missing unit is missing
}

// falseUnit is evidence.
type falseUnit struct {
	Index   uint64 `json:"index"`
	Opening []byte `json:"opening,omitempty"` // empty: opened on chain
}

func newTask(position int, c Claim, indexes []uint64) *task {
	return &task{position: position, claim: c, missing: indexes, drawn: len(indexes), reported: map[uint64]bool{}}
}

// settled: everything drawn was judged, and what is false was reported.
func (t *task) settled() bool { return len(t.missing) == 0 && len(t.unreported()) == 0 }

// ok: everything drawn was judged and is true.
func (t *task) ok() bool { return len(t.missing) == 0 && len(t.falses) == 0 && t.drawn > 0 }

func (t *task) unreported() []falseUnit {
	var out []falseUnit
	for _, f := range t.falses {
		if !t.reported[f.Index] {
			out = append(out, f)
		}
	}
	return out
}

// serve fetches what is missing of one claim, judges it and reports.
func (r *round) serve(ctx context.Context, t *task) {
	if len(t.missing) > 0 {
		r.fetch(ctx, t)
		if len(t.demanded) > 0 {
			r.answers(ctx, t)
		}
	}
	r.report(ctx, t)
}

// fetch asks the miner.
func (r *round) fetch(ctx context.Context, t *task) {
	a := r.a
	a.count.fetches.Add(1)
	res := a.client.Fetch(ctx, t.claim.Endpoint, openings.Request{Epoch: r.e.Number, Round: r.e.Round, Claimant: t.claim.Claimant,
		Validator: a.cfg.Address, Proof: r.proof, Indexes: t.missing}, t.claim.Claim, r.e.Fold)
	if res.Err != nil {
		a.count.fetchErrs.Add(1)
		if t.err == nil || t.err.Error() != res.Err.Error() { // once, not each block
			a.fail(ctx, r.event(t, Event{Err: res.Err}))
		}
		t.err = res.Err
	}
	units := make([]claimed, len(res.Opened))
	for i, o := range res.Opened {
		units[i] = claimed{index: o.Opening.Index, digest: o.Digest, opening: o.Opening}
	}
	r.judge(ctx, t, units)
}

// claimed is a unit with the digest that its claim is proven to hold.
type claimed struct {
	index   uint64
	digest  commit.Digest
	opening commit.Opening // without digests: opened on chain
}

// judge re-executes units and takes those off the missing that it could judge.
func (r *round) judge(ctx context.Context, t *task, units []claimed) {
	if len(units) == 0 {
		return
	}
	a := r.a
	select {
	case a.check <- struct{}{}:
		defer func() { <-a.check }()
	case <-ctx.Done():
		return
	}
	work := r.work
	work.Identity = t.claim.Claimant
	indexes := make([]uint64, len(units))
	for i, u := range units {
		indexes[i] = u.index
	}
	got, err := r.execute(ctx, work, indexes)
	if err != nil {
		a.fail(ctx, r.event(t, Event{Err: err}))
		return
	}
	judged := make(map[uint64]bool, len(units))
	for i, u := range units {
		if isFalse, err := r.isFalse(ctx, work, u, got[i]); err != nil {
			a.fail(ctx, r.event(t, Event{Index: u.index, Err: err}))
			continue // not judged: it stays missing and is tried again
		} else if isFalse {
			a.count.falses.Add(1)
			f := falseUnit{Index: u.index}
			if len(u.opening.Digests) > 0 {
				if f.Opening, err = u.opening.MarshalBinary(); err != nil {
					a.fail(ctx, r.event(t, Event{Index: u.index, Err: err}))
					continue
				}
			}
			t.falses = append(t.falses, f)
			a.observe(r.event(t, Event{Kind: EventFalse, Index: u.index}))
		}
		a.count.units.Add(1)
		if got[i].err == nil {
			t.keyed = append(t.keyed, commit.Keyed{Claimant: t.claim.Claimant, Index: u.index, Digest: got[i].Keyed})
		}
		judged[u.index] = true
	}
	var missing []uint64
	for _, x := range t.missing {
		if !judged[x] {
			missing = append(missing, x)
		}
	}
	t.missing = missing
	if len(t.missing) == 0 {
		a.count.claims.Add(1)
		a.observe(r.event(t, Event{Kind: EventClaim, Units: t.drawn, OK: t.ok()}))
		if err := r.journal.append(t); err != nil {
			a.fail(ctx, r.event(t, Event{Err: err}))
		}
	}
}

// executed is a re-executed unit, or the trap that the module ended in.
type executed struct {
	sandbox.Unit
	err *recheck.TrapError
}

// execute computes units in a kept instance; if that traps, each one alone in
// a fresh instance, so that one unit's trap does not hide the others.
func (r *round) execute(ctx context.Context, w recheck.Work, indexes []uint64) ([]executed, error) {
	out := make([]executed, len(indexes))
	units, err := r.a.cfg.Checker.Units(ctx, w, indexes, &r.key)
	var trap *recheck.TrapError
	if err == nil {
		for i, u := range units {
			out[i].Unit = u
		}
		return out, nil
	}
	if !errors.As(err, &trap) {
		return nil, err
	}
	for i, x := range indexes {
		units, err := r.a.cfg.Checker.Units(ctx, w, []uint64{x}, &r.key)
		switch {
		case err == nil:
			out[i].Unit = units[0]
		case errors.As(err, &trap):
			out[i] = executed{sandbox.Unit{Index: x}, trap}
		default:
			return nil, err
		}
	}
	return out, nil
}

// isFalse decides about one unit. Whoever is about to be accused gets a fresh
// instance on the reference device. A claimed digest of a unit on which the
// module traps cannot be true; the chain finds out whose fault that is.
func (r *round) isFalse(ctx context.Context, w recheck.Work, u claimed, got executed) (bool, error) {
	if got.err == nil && got.Digest == u.digest {
		return false, nil
	}
	err := r.a.cfg.Confirm.Confirm(ctx, w, u.index, u.digest)
	var trap *recheck.TrapError
	switch {
	case err == nil, errors.As(err, &trap):
		return true, nil
	case errors.Is(err, recheck.ErrImpure):
		r.a.fail(ctx, Event{Epoch: r.e.Number, Round: r.e.Round, Claimant: w.Identity, Index: u.index, Err: err})
		return false, nil
	}
	return false, err
}

// report sends evidence, at most Config.Reports of one claim.
func (r *round) report(ctx context.Context, t *task) {
	a := r.a
	for _, f := range t.unreported() {
		if len(t.reported) >= a.cfg.Reports {
			t.reported[f.Index] = true // enough of this claim
			continue
		}
		err := a.cfg.Chain.SendReport(ctx, Report{Epoch: r.e.Number, Claimant: t.claim.Claimant, Index: f.Index,
			Opening: f.Opening, Proof: r.proof})
		if err != nil {
			a.fail(ctx, r.event(t, Event{Index: f.Index, Err: fmt.Errorf("report: %w", err)}))
			if errors.Is(err, ErrRefused) {
				t.reported[f.Index] = true
			}
			continue
		}
		t.reported[f.Index] = true
		a.count.reports.Add(1)
		a.observe(r.event(t, Event{Kind: EventReported, Index: f.Index}))
	}
}

// demand asks on chain for what the miner did not serve. A next demand follows
// when the last one was answered.
func (r *round) demand(ctx context.Context, t *task) {
	if len(t.missing) == 0 || slices.ContainsFunc(t.demanded, func(x uint64) bool { return slices.Contains(t.missing, x) }) {
		return
	}
	r.answers(ctx, t) // what another validator had opened is not to be demanded again
	if len(t.missing) == 0 {
		return
	}
	a := r.a
	indexes := slices.Clone(t.missing[:min(len(t.missing), max(1, r.e.MaxDemand))])
	err := a.cfg.Chain.SendDemand(ctx, Demand{Epoch: r.e.Number, Claimant: t.claim.Claimant, Indexes: indexes, Proof: r.proof})
	if err != nil {
		a.fail(ctx, r.event(t, Event{Err: fmt.Errorf("demand: %w", err)}))
		return
	}
	t.demanded = indexes
	a.count.demands.Add(1)
	a.observe(r.event(t, Event{Kind: EventDemanded, Units: len(indexes)}))
}

// answers judges what of the missing was opened on chain.
func (r *round) answers(ctx context.Context, t *task) {
	answers, err := r.a.cfg.Chain.Answers(ctx, r.e.Number, t.claim.Claimant)
	if err != nil {
		r.a.fail(ctx, r.event(t, Event{Err: err}))
		return
	}
	var units []claimed
	for _, x := range answers {
		if _, found := slices.BinarySearch(t.missing, x.Index); found {
			units = append(units, claimed{index: x.Index, digest: x.Digest})
		}
	}
	r.judge(ctx, t, units)
	r.report(ctx, t)
}

func (r *round) event(t *task, e Event) Event {
	e.Epoch, e.Round, e.Claimant = r.e.Number, r.e.Round, t.claim.Claimant
	return e
}
