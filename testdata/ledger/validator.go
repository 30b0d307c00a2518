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

// ValidatorView is the ledger as one validator's account sees it.
type ValidatorView struct {
	l    *Ledger
	addr []byte
	// LoseVerdicts are verdicts that the network swallows.
	LoseVerdicts int
	// Lost is called for each of them, if set; it must not call the ledger.
	Lost func()
}

// Validator is the view of one account.
func (l *Ledger) Validator(addr []byte) *ValidatorView { return &ValidatorView{l: l, addr: addr} }

var _ auditor.Chain = (*ValidatorView)(nil)

func (v *ValidatorView) lock() (unlock func(), err error) {
	return (&MinerView{v.l, v.addr}).lock()
}

func (v *ValidatorView) Epoch(context.Context) (auditor.Epoch, error) {
	unlock, err := v.lock()
	if err != nil {
		return auditor.Epoch{}, err
	}
	defer unlock()
	l, c := v.l, v.l.cfg
	return auditor.Epoch{Number: l.epoch, Auditing: l.height+1 >= l.commitEnd() && l.height+1 < l.auditEnd(),
		Adjudicating: l.height+1 >= l.auditEnd(), Height: l.height,
		AuditEnd: l.auditEnd(), Seed: l.seed, Module: c.Work.ModuleHash, Params: c.Work.Params, TensorBytes: c.Work.TensorBytes, MemoryPages: c.Work.MemoryPages,
		GasSetup: c.Work.GasSetup, GasUnit: c.Work.GasUnit, Fold: c.Fold, MaxDemand: c.MaxDemand}, nil
}

func (v *ValidatorView) WaitHeight(ctx context.Context, h int64) (int64, error) {
	return v.l.Wait(ctx, h)
}

func (v *ValidatorView) Module(_ context.Context, hash [32]byte) ([]byte, error) {
	return v.l.module(hash)
}

func (v *ValidatorView) Round(_ context.Context, epoch, _ uint64) (sample.Round, error) {
	unlock, err := v.lock()
	if err != nil {
		return sample.Round{}, err
	}
	defer unlock()
	return v.l.round(epoch)
}

func (v *ValidatorView) Claims(_ context.Context, epoch, _ uint64) ([]auditor.Claim, error) {
	unlock, err := v.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []auditor.Claim
	for _, c := range v.l.sorted(epoch) {
		out = append(out, auditor.Claim{Claim: c.Claim, Units: v.l.units(c), Endpoint: c.Endpoint})
	}
	return out, nil
}

func (v *ValidatorView) Voted(_ context.Context, epoch, _ uint64) (bool, error) {
	unlock, err := v.lock()
	if err != nil {
		return false, err
	}
	defer unlock()
	return slices.ContainsFunc(v.l.verdicts[epoch], func(x Verdict) bool { return bytes.Equal(x.Validator, v.addr) }), nil
}

func (v *ValidatorView) Answers(_ context.Context, epoch uint64, claimant []byte) ([]auditor.Answer, error) {
	unlock, err := v.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []auditor.Answer
	if c := v.l.claims[epoch][string(claimant)]; c != nil {
		for x, d := range c.Answers {
			out = append(out, auditor.Answer{Index: x, Digest: d})
		}
	}
	return out, nil
}

func (v *ValidatorView) SendVerdict(_ context.Context, m auditor.Verdict) error {
	unlock, err := v.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if v.LoseVerdicts > 0 {
		v.LoseVerdicts--
		if v.Lost != nil {
			v.Lost()
		}
		return nil
	}
	return v.l.refuse(auditor.ErrRefused, v.l.verdict(v.addr, m))
}

func (l *Ledger) verdict(addr []byte, m auditor.Verdict) error {
	if m.Epoch != l.epoch || m.Round != 0 || l.height+1 >= l.auditEnd() {
		return fmt.Errorf("%w: verdict for round %d of epoch %d at height %d", ErrRule, m.Round, m.Epoch, l.height+1)
	}
	if err := l.drawn(addr, m.Proof, nil, nil); err != nil {
		return err
	}
	if slices.ContainsFunc(l.verdicts[l.epoch], func(x Verdict) bool { return bytes.Equal(x.Validator, addr) }) {
		return fmt.Errorf("%w: second verdict of %x", ErrRule, addr)
	}
	if err := m.Bitmap.Check(len(l.claims[l.epoch])); err != nil {
		return err
	}
	l.verdicts[l.epoch] = append(l.verdicts[l.epoch], Verdict{addr, m.Proof.Output(), m.Bitmap, m.KeyedRoot})
	return nil
}

func (v *ValidatorView) SendReport(ctx context.Context, m auditor.Report) error {
	unlock, err := v.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return v.l.refuse(auditor.ErrRefused, v.l.report(ctx, v.addr, m))
}

// report re-executes at once; the chain does it some blocks later.
func (l *Ledger) report(ctx context.Context, addr []byte, m auditor.Report) error {
	c := l.claims[l.epoch][string(m.Claimant)]
	if m.Epoch != l.epoch || c == nil {
		return fmt.Errorf("%w: no claim of %x in epoch %d", ErrRule, m.Claimant, m.Epoch)
	}
	if err := l.drawn(addr, m.Proof, c, []uint64{m.Index}); err != nil {
		return err
	}
	digest, answered := c.Answers[m.Index]
	if len(m.Opening) > 0 || !answered {
		var o commit.Opening
		if err := o.UnmarshalBinary(m.Opening); err != nil {
			return err
		}
		var err error
		if digest, err = o.Verify(c.Root, c.Count, l.cfg.Fold); err != nil {
			return err
		}
		if o.Index != m.Index {
			return fmt.Errorf("%w: opening of another unit", ErrRule)
		}
	}
	id := commit.ReportID(m.Epoch, m.Claimant, m.Index)
	if l.reports[id] {
		return fmt.Errorf("%w: reported before", ErrRule)
	}
	w := l.cfg.Work
	w.Seed, w.Identity = l.seed, m.Claimant
	got, err := l.cfg.Checker.Unit(ctx, w, m.Index)
	if err != nil {
		return err
	}
	if got == digest {
		return fmt.Errorf("%w: %x accused unit %d of %x, which is true", ErrRule, addr, m.Index, m.Claimant)
	}
	l.reports[id] = true
	c.FalseUnits = append(c.FalseUnits, m.Index)
	c.Void = "false"
	return nil
}

func (v *ValidatorView) SendDemand(_ context.Context, m auditor.Demand) error {
	unlock, err := v.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return v.l.refuse(auditor.ErrRefused, v.l.demand(v.addr, m))
}

func (l *Ledger) demand(addr []byte, m auditor.Demand) error {
	c := l.claims[l.epoch][string(m.Claimant)]
	if m.Epoch != l.epoch || c == nil || l.height+1 >= l.auditEnd() {
		return fmt.Errorf("%w: demand against %x in epoch %d at height %d", ErrRule, m.Claimant, m.Epoch, l.height+1)
	}
	if len(m.Indexes) == 0 || len(m.Indexes) > l.cfg.MaxDemand {
		return fmt.Errorf("%w: %d indexes", ErrRule, len(m.Indexes))
	}
	if err := l.drawn(addr, m.Proof, c, m.Indexes); err != nil {
		return err
	}
	if !slices.ContainsFunc(m.Indexes, func(x uint64) bool { _, ok := c.Answers[x]; return !ok }) {
		return fmt.Errorf("%w: units %d of %x were opened before", ErrRule, m.Indexes, m.Claimant)
	}
	for _, d := range l.demands {
		if bytes.Equal(d.validator, addr) && bytes.Equal(d.claimant, m.Claimant) {
			return fmt.Errorf("%w: an open demand of %x already", ErrRule, addr)
		}
	}
	l.nextID++
	l.demands = append(l.demands, demand{l.nextID, addr, m.Claimant, m.Indexes, l.height + l.cfg.Answer})
	return nil
}
