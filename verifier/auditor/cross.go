package auditor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/recheck"
	"github.com/assaynet/assay/verifier/sample"
)

// maxOpenings is how many keyed digests one message opens.
const maxOpenings = 64

// cross is this validator's part in the cross-check of one round's verdicts:
// it draws leaves of the others' keyed trees, opens what others drew of its
// own, and re-executes what it drew.
type cross struct {
	a     *Auditor
	e     Epoch
	at    [2]uint64 // epoch and round
	proof sample.Proof
	mine  []commit.Keyed // by position; what the own verdict vouches for

	work  recheck.Work // without an identity
	again int64        // height at which a message may be sent again
	drawn map[string]map[uint64]*crossUnit
}

// crossUnit is a leaf of another validator's keyed tree that this one drew.
type crossUnit struct {
	want    *commit.Digest // once computed; nil before, or if the module traps on the unit
	settled bool           // compared, and reported if it differs
}

// crossCheck follows the cross-check of every round. It runs beside the audit
// itself, which may still wait for answers.
func (a *Auditor) crossCheck(ctx context.Context) {
	var c *cross
	for ctx.Err() == nil {
		height, err := a.crossStep(ctx, &c)
		if err != nil {
			a.fail(ctx, Event{Err: fmt.Errorf("cross-check: %w", err)})
		}
		a.wait(ctx, max(height, a.height.Load())+1)
	}
}

// crossStep does what the newest height asks for and returns that height.
func (a *Auditor) crossStep(ctx context.Context, current **cross) (int64, error) {
	e, err := a.cfg.Chain.Epoch(ctx)
	if err != nil || !e.Adjudicating {
		return e.Height, err
	}
	s, err := a.cfg.Chain.Cross(ctx)
	if err != nil {
		return e.Height, err
	}
	own, voted := s.verdictOf(a.cfg.Address)
	if s.Epoch != e.Number || s.Round != e.Round || !voted ||
		s.Stage != StageChallenge && s.Stage != StageOpen && s.Stage != StageReport {
		return e.Height, nil
	}
	c := *current
	if at := [2]uint64{e.Number, e.Round}; c == nil || c.at != at {
		c = &cross{a: a, e: e, at: at, drawn: map[string]map[uint64]*crossUnit{}}
		c.proof = a.cfg.Key.Prove(sample.CrossInput(s.ChainID, s.Epoch, s.Round, s.VerdictsRoot))
		if err := c.load(ctx); err != nil {
			return e.Height, err
		}
		*current = c
	}
	if s.Stage == StageChallenge {
		return e.Height, c.challenge(ctx, own, e.Height)
	}
	var failed error
	if s.Stage == StageOpen {
		failed = c.open(ctx, s, own, e.Height)
	}
	return e.Height, errors.Join(failed, c.check(ctx, s))
}

// load gets the module, which re-execution needs.
func (c *cross) load(ctx context.Context) error {
	wasm, err := c.a.cfg.Chain.Module(ctx, c.e.Module)
	if err != nil {
		return err
	}
	c.work = recheck.Work{ModuleHash: c.e.Module, Wasm: wasm, Params: c.e.Params, Seed: c.e.Seed,
		TensorBytes: c.e.TensorBytes, MemoryPages: c.e.MemoryPages, GasSetup: c.e.GasSetup, GasUnit: c.e.GasUnit}
	return nil
}

// send sends a message unless the last one still has a chance to land.
func (c *cross) send(height int64, send func() error) (bool, error) {
	if height < c.again {
		return false, nil
	}
	if err := send(); err != nil {
		return false, err
	}
	c.again = height + 2
	return true, nil
}

// challenge posts the draw until it is seen on chain.
func (c *cross) challenge(ctx context.Context, own CrossVerdict, height int64) error {
	if own.Challenge != nil {
		return nil
	}
	sent, err := c.send(height, func() error {
		return c.a.cfg.Chain.SendChallenge(ctx, Challenge{Epoch: c.at[0], Round: c.at[1], Proof: c.proof})
	})
	if sent {
		c.a.count.challenges.Add(1)
		c.a.observe(Event{Kind: EventChallenge, Epoch: c.at[0], Round: c.at[1]})
	}
	return err
}

// open opens what others drew of the own keyed tree until all is on chain.
func (c *cross) open(ctx context.Context, s Cross, own CrossVerdict, height int64) error {
	i := slices.IndexFunc(s.Drawn, func(d CrossDrawn) bool { return bytes.Equal(d.Validator, c.a.cfg.Address) })
	if i < 0 {
		return nil
	}
	var positions []uint64
	for _, u := range s.Drawn[i].Units {
		if u.Digest == nil && len(positions) < maxOpenings {
			positions = append(positions, u.Position)
		}
	}
	if len(positions) == 0 || height < c.again {
		return nil
	}
	if c.mine == nil {
		if err := c.rebuild(ctx, s, own); err != nil {
			return err
		}
	}
	tree := commit.NewKeyedTree(c.mine)
	m := KeyedOpenings{Epoch: c.at[0], Round: c.at[1]}
	for _, position := range positions {
		k, path, err := tree.Prove(position)
		if err != nil {
			return err
		}
		m.Openings = append(m.Openings, KeyedOpening{Position: position, Digest: k.Digest, Path: path})
	}
	sent, err := c.send(height, func() error { return c.a.cfg.Chain.SendKeyed(ctx, m) })
	if sent {
		c.a.count.opened.Add(uint64(len(positions)))
		c.a.observe(Event{Kind: EventOpened, Epoch: c.at[0], Round: c.at[1], Units: len(positions)})
	}
	return err
}

// rebuild makes the keyed tree of the own verdict: from what the journal of the
// round holds, and else by re-execution, which needs nobody's openings. The
// verdict on chain says which claims it is about.
func (c *cross) rebuild(ctx context.Context, s Cross, own CrossVerdict) error {
	a := c.a
	info, err := a.cfg.Chain.Round(ctx, c.at[0], c.at[1])
	if err != nil {
		return err
	}
	claims, err := a.cfg.Chain.Claims(ctx, c.at[0], c.at[1])
	if err != nil {
		return err
	}
	kept, err := readJournal(a.cfg.Dir, c.at[0], c.at[1], a.cfg.Key.Prove(info.Input()))
	if err != nil {
		return err
	}
	key := sample.AuditKey(own.Output)
	var mine []commit.Keyed
	for position, claim := range claims {
		if !own.Bitmap.Has(position) {
			continue
		}
		indexes := info.Draw(a.cfg.Address, claim.Claimant, claim.Count, claim.Units).Indexes(own.Output)
		t := newTask(position, claim, indexes)
		if kept.restore(t); len(t.missing) > 0 {
			if t.keyed, err = c.keyed(ctx, claim.Claimant, indexes, key); err != nil {
				return err
			}
		}
		mine = append(mine, t.keyed...)
	}
	if root := commit.KeyedRoot(mine); root != own.KeyedRoot {
		return fmt.Errorf("auditor: the keyed tree has root %s, the verdict on chain %s", root, own.KeyedRoot)
	}
	c.mine = mine
	return nil
}

// keyed re-executes units of one claim under a key.
func (c *cross) keyed(ctx context.Context, claimant []byte, indexes []uint64, key [32]byte) ([]commit.Keyed, error) {
	a := c.a
	select {
	case a.check <- struct{}{}:
		defer func() { <-a.check }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	work := c.work
	work.Identity = claimant
	units, err := a.cfg.Checker.Units(ctx, work, indexes, &key)
	if err != nil {
		return nil, err
	}
	out := make([]commit.Keyed, len(units))
	for i, u := range units {
		out[i] = commit.Keyed{Claimant: claimant, Index: u.Index, Digest: u.Keyed}
	}
	return out, nil
}

// check re-executes what this validator drew of the others' trees, as soon as
// the chain has fixed it, and reports a digest that is wrong once it is opened.
func (c *cross) check(ctx context.Context, s Cross) error {
	total := uint64(0)
	for _, v := range s.Verdicts {
		total += v.Power
	}
	me, _ := s.verdictOf(c.a.cfg.Address)
	if me.Challenge == nil {
		return nil // the own draw did not get on chain in time
	}
	var failed []error
	for _, d := range s.Drawn {
		v, ok := s.verdictOf(d.Validator)
		if !ok || bytes.Equal(d.Validator, c.a.cfg.Address) {
			continue
		}
		positions := sample.CrossDraw{Target: v.Validator, Leaves: v.Leaves, Challenges: s.Challenges,
			Power: me.Power, TargetPower: v.Power, TotalPower: total}.Positions(*me.Challenge)
		key := sample.AuditKey(v.Output)
		for _, u := range d.Units {
			if _, mine := slices.BinarySearch(positions, u.Position); mine {
				failed = append(failed, c.compare(ctx, v, u, key))
			}
		}
	}
	return errors.Join(failed...)
}

// compare settles one drawn leaf. Before somebody is accused, a fresh instance
// on the reference device decides.
func (c *cross) compare(ctx context.Context, v CrossVerdict, u CrossUnit, key [32]byte) error {
	units := c.drawn[string(v.Validator)]
	if units == nil {
		units = map[uint64]*crossUnit{}
		c.drawn[string(v.Validator)] = units
	}
	x := units[u.Position]
	if x == nil {
		k, err := c.keyed(ctx, u.Claimant, []uint64{u.Index}, key)
		var trap *recheck.TrapError
		if err != nil && !errors.As(err, &trap) {
			return err // of this machine: tried again
		}
		x = &crossUnit{}
		if err == nil {
			x.want = &k[0].Digest
		}
		units[u.Position] = x
		c.a.count.crossed.Add(1)
	}
	if u.Digest == nil || x.settled {
		return nil
	}
	if x.want != nil && *x.want == *u.Digest {
		x.settled = true
		return nil
	}
	work := c.work
	work.Identity = u.Claimant
	got, err := c.a.cfg.Confirm.KeyedUnit(ctx, work, u.Index, key)
	var trap *recheck.TrapError
	switch {
	case err != nil && !errors.As(err, &trap):
		return err
	case err == nil && got == *u.Digest:
		x.settled = true
		return fmt.Errorf("%w: unit %d", recheck.ErrImpure, u.Index)
	}
	err = c.a.cfg.Chain.SendKeyedReport(ctx, KeyedReport{Epoch: c.at[0], Round: c.at[1], Validator: v.Validator, Position: u.Position})
	x.settled = err == nil || errors.Is(err, ErrRefused)
	if err != nil {
		return fmt.Errorf("report of a keyed digest: %w", err)
	}
	c.a.count.exposed.Add(1)
	c.a.observe(Event{Kind: EventExposed, Epoch: c.at[0], Round: c.at[1], Claimant: v.Validator, Index: u.Index})
	return nil
}
