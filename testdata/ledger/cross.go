package ledger

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/assaynet/assay/verifier/auditor"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// crossed is the cross-check of an epoch's verdicts. Its three stages share the
// blocks after the audit.
type crossed struct {
	challenges map[string]sample.Output
	drawn      []auditor.CrossDrawn // once the challenges are closed
	closed     bool
	reported   map[[32]byte]bool
}

// Exposed are the validators whose keyed digests were reported and found wrong.
func (l *Ledger) Exposed(epoch uint64) [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.exposed[epoch])
}

// Unopened are the validators that left something unopened that was drawn of them.
func (l *Ledger) Unopened(epoch uint64) (out [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.cross(epoch).drawn {
		if slices.ContainsFunc(d.Units, func(u auditor.CrossUnit) bool { return u.Digest == nil }) {
			out = append(out, d.Validator)
		}
	}
	return out
}

// DrawnOf counts what was drawn of a validator's keyed tree in an epoch.
func (l *Ledger) DrawnOf(epoch uint64, validator []byte) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.cross(epoch).drawn {
		if bytes.Equal(d.Validator, validator) {
			return len(d.Units)
		}
	}
	return 0
}

func (l *Ledger) cross(epoch uint64) *crossed {
	c := l.crosses[epoch]
	if c == nil {
		c = &crossed{challenges: map[string]sample.Output{}, reported: map[[32]byte]bool{}}
		l.crosses[epoch] = c
	}
	return c
}

func (l *Ledger) stage() auditor.Stage {
	if l.cfg.Challenges == 0 || l.height+1 < l.auditEnd() {
		return auditor.StageNone
	}
	stages := []auditor.Stage{auditor.StageChallenge, auditor.StageOpen, auditor.StageReport}
	return stages[min(2, (l.height+1-l.auditEnd())*3/max(1, l.cfg.Answer))]
}

func (l *Ledger) verdictsRoot() commit.Root {
	var all []commit.Verdict
	for _, v := range l.verdicts[l.epoch] {
		all = append(all, commit.Verdict{Epoch: l.epoch, Validator: v.Validator, Output: v.Output, Bitmap: v.Bitmap, KeyedRoot: v.KeyedRoot})
	}
	return commit.VerdictsRoot(all)
}

func (v *ValidatorView) Cross(context.Context) (auditor.Cross, error) {
	unlock, err := v.lock()
	if err != nil {
		return auditor.Cross{}, err
	}
	defer unlock()
	l := v.l
	out := auditor.Cross{ChainID: chainID, Epoch: l.epoch, Stage: l.stage(), VerdictsRoot: l.verdictsRoot(), Challenges: l.cfg.Challenges}
	if out.Stage == auditor.StageNone {
		return out, nil
	}
	if out.Stage != auditor.StageChallenge {
		if err := l.closeChallenges(); err != nil {
			return out, err
		}
	}
	for _, d := range l.cross(l.epoch).drawn {
		out.Drawn = append(out.Drawn, auditor.CrossDrawn{Validator: d.Validator, Units: slices.Clone(d.Units)})
	}
	out.Verdicts, err = l.crossVerdicts()
	return out, err
}

func (l *Ledger) crossVerdicts() ([]auditor.CrossVerdict, error) {
	r, err := l.round(l.epoch)
	if err != nil {
		return nil, err
	}
	var out []auditor.CrossVerdict
	for _, v := range l.verdicts[l.epoch] {
		seat, _ := r.Seat(v.Validator)
		x := auditor.CrossVerdict{Validator: v.Validator, Power: seat.Power, Output: v.Output, Bitmap: v.Bitmap, KeyedRoot: v.KeyedRoot}
		for i, c := range l.sorted(l.epoch) {
			if v.Bitmap.Has(i) {
				x.Leaves += uint64(r.Draw(v.Validator, c.Claimant, c.Count, l.units(c)).Size())
			}
		}
		if o, ok := l.cross(l.epoch).challenges[string(v.Validator)]; ok {
			x.Challenge = &o
		}
		out = append(out, x)
	}
	return out, nil
}

// closeChallenges lists every leaf that was drawn, with its unit.
func (l *Ledger) closeChallenges() error {
	x := l.cross(l.epoch)
	if x.closed {
		return nil
	}
	verdicts, err := l.crossVerdicts()
	if err != nil {
		return err
	}
	r, err := l.round(l.epoch)
	if err != nil {
		return err
	}
	x.closed = true
	total := uint64(0)
	for _, v := range verdicts {
		total += v.Power
	}
	for _, t := range verdicts {
		var leaves []auditor.CrossUnit // of the whole tree
		for i, c := range l.sorted(l.epoch) {
			if t.Bitmap.Has(i) {
				for _, u := range r.Draw(t.Validator, c.Claimant, c.Count, l.units(c)).Indexes(t.Output) {
					leaves = append(leaves, auditor.CrossUnit{Position: uint64(len(leaves)), Claimant: c.Claimant, Index: u})
				}
			}
		}
		var positions []uint64
		for _, w := range verdicts {
			if w.Challenge != nil && !bytes.Equal(w.Validator, t.Validator) {
				positions = append(positions, sample.CrossDraw{Target: t.Validator, Leaves: t.Leaves, Challenges: l.cfg.Challenges,
					Power: w.Power, TargetPower: t.Power, TotalPower: total}.Positions(*w.Challenge)...)
			}
		}
		slices.Sort(positions)
		d := auditor.CrossDrawn{Validator: t.Validator}
		for _, p := range slices.Compact(positions) {
			d.Units = append(d.Units, leaves[p])
		}
		if len(d.Units) > 0 {
			x.drawn = append(x.drawn, d)
		}
	}
	return nil
}

func (v *ValidatorView) SendChallenge(_ context.Context, m auditor.Challenge) error {
	unlock, err := v.lock()
	if err != nil {
		return err
	}
	defer unlock()
	l := v.l
	return l.refuse(auditor.ErrRefused, func() error {
		r, err := l.round(l.epoch)
		if err != nil {
			return err
		}
		seat, ok := r.Seat(v.addr)
		_, twice := l.cross(l.epoch).challenges[string(v.addr)]
		if m.Epoch != l.epoch || l.stage() != auditor.StageChallenge || !ok || twice {
			return fmt.Errorf("%w: challenge of %x at height %d", ErrRule, v.addr, l.height+1)
		}
		out, err := seat.Key.Verify(sample.CrossInput(chainID, l.epoch, 0, l.verdictsRoot()), m.Proof)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRule, err)
		}
		l.cross(l.epoch).challenges[string(v.addr)] = out
		return nil
	}())
}

func (v *ValidatorView) SendKeyed(_ context.Context, m auditor.KeyedOpenings) error {
	unlock, err := v.lock()
	if err != nil {
		return err
	}
	defer unlock()
	l := v.l
	return l.refuse(auditor.ErrRefused, func() error {
		if m.Epoch != l.epoch || l.stage() != auditor.StageOpen {
			return fmt.Errorf("%w: openings of %x at height %d", ErrRule, v.addr, l.height+1)
		}
		if err := l.closeChallenges(); err != nil {
			return err
		}
		verdicts, err := l.crossVerdicts()
		if err != nil {
			return err
		}
		own := slices.IndexFunc(verdicts, func(x auditor.CrossVerdict) bool { return bytes.Equal(x.Validator, v.addr) })
		at := slices.IndexFunc(l.cross(l.epoch).drawn, func(d auditor.CrossDrawn) bool { return bytes.Equal(d.Validator, v.addr) })
		if own < 0 || at < 0 {
			return fmt.Errorf("%w: nothing was drawn of %x", ErrRule, v.addr)
		}
		units := l.cross(l.epoch).drawn[at].Units
		for _, o := range m.Openings {
			i := slices.IndexFunc(units, func(u auditor.CrossUnit) bool { return u.Position == o.Position && u.Digest == nil })
			if i < 0 {
				return fmt.Errorf("%w: leaf %d was not drawn, or is open", ErrRule, o.Position)
			}
			k := commit.Keyed{Claimant: units[i].Claimant, Index: units[i].Index, Digest: o.Digest}
			if err := commit.VerifyKeyed(k, o.Position, verdicts[own].Leaves, o.Path, verdicts[own].KeyedRoot); err != nil {
				return err
			}
			digest := o.Digest
			units[i].Digest = &digest
		}
		return nil
	}())
}

// SendKeyedReport re-executes at once; the chain does it some blocks later.
func (v *ValidatorView) SendKeyedReport(ctx context.Context, m auditor.KeyedReport) error {
	unlock, err := v.lock()
	if err != nil {
		return err
	}
	defer unlock()
	l := v.l
	return l.refuse(auditor.ErrRefused, func() error {
		id := commit.KeyedReportID(m.Epoch, m.Round, m.Validator, m.Position)
		x := l.cross(l.epoch)
		if m.Epoch != l.epoch || l.stage() < auditor.StageOpen || x.reported[id] {
			return fmt.Errorf("%w: report about leaf %d of %x", ErrRule, m.Position, m.Validator)
		}
		verdicts, err := l.crossVerdicts()
		if err != nil {
			return err
		}
		for _, d := range x.drawn {
			for _, u := range d.Units {
				if !bytes.Equal(d.Validator, m.Validator) || u.Position != m.Position || u.Digest == nil {
					continue
				}
				i := slices.IndexFunc(verdicts, func(x auditor.CrossVerdict) bool { return bytes.Equal(x.Validator, m.Validator) })
				w := l.cfg.Work
				w.Seed, w.Identity = l.seed, u.Claimant
				got, err := l.cfg.Checker.KeyedUnit(ctx, w, u.Index, sample.AuditKey(verdicts[i].Output))
				if err != nil {
					return err
				}
				if got == *u.Digest {
					return fmt.Errorf("%w: %x accused a true keyed digest of %x", ErrRule, v.addr, m.Validator)
				}
				x.reported[id] = true
				l.exposed[l.epoch] = append(l.exposed[l.epoch], m.Validator)
				return nil
			}
		}
		return fmt.Errorf("%w: leaf %d of %x is not open", ErrRule, m.Position, m.Validator)
	}())
}
