package types

import "cosmossdk.io/errors"

// DefaultGenesis is a chain without any audit.
func DefaultGenesis() *GenesisState {
	return &GenesisState{Params: DefaultParams(), NextReport: 1, NextDemand: 1}
}

// Validate returns ErrInvalidGenesis or ErrInvalidParams.
func (g GenesisState) Validate() error {
	if err := g.Params.Validate(); err != nil {
		return err
	}
	if g.NextReport == 0 || g.NextDemand == 0 {
		return errors.Wrap(ErrInvalidGenesis, "sequences begin at 1")
	}
	if n := len(g.Round.Seats) + len(g.Round.Absent); n > MaxSeats {
		return errors.Wrapf(ErrInvalidGenesis, "%d seats, at most %d", n, MaxSeats)
	}
	for _, v := range g.Verdicts {
		if len(v.Output) != rootBytes || len(v.KeyedRoot) != rootBytes ||
			(len(v.Challenge) != 0 && len(v.Challenge) != rootBytes) {
			return errors.Wrapf(ErrInvalidGenesis, "verdict of %s: output or root is not %d bytes", v.Validator, rootBytes)
		}
		for _, t := range v.TakenOf() {
			if err := t.Validate(); err != nil {
				return errors.Wrapf(ErrInvalidGenesis, "verdict of %s: %v", v.Validator, err)
			}
		}
	}
	for _, r := range g.Reports {
		if len(r.Id) != rootBytes || len(r.Digest) != rootBytes || r.Sequence >= g.NextReport {
			return errors.Wrapf(ErrInvalidGenesis, "report on unit %d of %s", r.Index, r.Claimant)
		}
		if err := r.Taken.Validate(); err != nil {
			return errors.Wrapf(ErrInvalidGenesis, "report on unit %d of %s: %v", r.Index, r.Claimant, err)
		}
		for i, j := range r.Joined {
			before := Report{Reporter: r.Reporter, Joined: r.Joined[:i]}
			if err := j.Taken.Validate(); err != nil || i >= MaxSeats || before.By(j.Reporter) {
				return errors.Wrapf(ErrInvalidGenesis, "report on unit %d of %s, joined by %s: %v", r.Index, r.Claimant, j.Reporter, err)
			}
		}
	}
	for _, d := range g.Demands {
		if len(d.Indexes) == 0 || len(d.Indexes) > maxDemand || d.Id >= g.NextDemand {
			return errors.Wrapf(ErrInvalidGenesis, "demand %d", d.Id)
		}
	}
	for _, c := range g.Challenged {
		if len(c.Units) == 0 {
			return errors.Wrapf(ErrInvalidGenesis, "challenges of %s", c.Validator)
		}
		for i, u := range c.Units {
			if (len(u.Digest) != 0 && len(u.Digest) != rootBytes) || (i > 0 && u.Position <= c.Units[i-1].Position) {
				return errors.Wrapf(ErrInvalidGenesis, "challenge of %s at %d", c.Validator, u.Position)
			}
		}
	}
	for _, r := range g.Past {
		if len(r.Seats) > MaxSeats || r.Epoch != g.Round.Epoch || r.Round >= g.Round.Round {
			return errors.Wrapf(ErrInvalidGenesis, "round %d of epoch %d", r.Round, r.Epoch)
		}
	}
	for _, a := range g.Answers {
		if len(a.Digest) != rootBytes {
			return errors.Wrapf(ErrInvalidGenesis, "answer for unit %d of %s", a.Index, a.Claimant)
		}
	}
	return nil
}
