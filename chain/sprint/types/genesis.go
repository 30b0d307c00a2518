package types

import (
	"cosmossdk.io/errors"
	"cosmossdk.io/math"
)

// DefaultGenesis is a chain before its first epoch.
func DefaultGenesis() *GenesisState {
	return &GenesisState{
		Params: DefaultParams(),
		Epoch:  Epoch{Params: DefaultParams()},
		Chain:  Chain{Emitted: math.ZeroInt(), Reserve: math.ZeroInt(), Vesting: math.ZeroInt(), Entropy: make([]byte, 32)},
	}
}

// Validate returns ErrInvalidGenesis or ErrInvalidParams.
func (g GenesisState) Validate() error {
	if err := g.Params.Validate(); err != nil {
		return err
	}
	for _, v := range []struct {
		name   string
		amount math.Int
	}{{"emitted", g.Chain.Emitted}, {"reserve", g.Chain.Reserve}, {"vesting", g.Chain.Vesting}} {
		if v.amount.IsNil() || v.amount.IsNegative() {
			return errors.Wrapf(ErrInvalidGenesis, "%s is not a non-negative amount", v.name)
		}
	}
	if len(g.Chain.Entropy) != rootBytes {
		return errors.Wrapf(ErrInvalidGenesis, "entropy has %d bytes, not %d", len(g.Chain.Entropy), rootBytes)
	}
	if err := g.validateEpoch(); err != nil {
		return err
	}
	var claims, units, late uint64
	seen := make(map[string]bool)
	for _, c := range g.Claims {
		key := string(append([]byte(c.Miner+"/"), math.NewIntFromUint64(c.Epoch).String()...))
		switch {
		case seen[key]:
			return errors.Wrapf(ErrInvalidGenesis, "two claims of %s in epoch %d", c.Miner, c.Epoch)
		case len(c.Root) != rootBytes:
			return errors.Wrapf(ErrInvalidGenesis, "claim of %s: root has %d bytes", c.Miner, len(c.Root))
		case c.Amount.IsNil() || c.Withheld.IsNil():
			return errors.Wrapf(ErrInvalidGenesis, "claim of %s: no amount", c.Miner)
		case c.Late > c.Count || c.Unseen && c.Late == 0:
			return errors.Wrapf(ErrInvalidGenesis, "claim of %s: %d of %d units are late", c.Miner, c.Late, c.Count)
		case len(c.Proposer) > maxAddress || len(c.LateProposer) > maxAddress || c.Late == 0 && len(c.LateProposer) > 0:
			return errors.Wrapf(ErrInvalidGenesis, "claim of %s: proposers of %d and %d bytes", c.Miner, len(c.Proposer), len(c.LateProposer))
		case c.Epoch > g.Epoch.Number:
			return errors.Wrapf(ErrInvalidGenesis, "claim of %s: epoch %d has not opened", c.Miner, c.Epoch)
		}
		seen[key] = true
		if c.Epoch == g.Epoch.Number {
			claims++
			units += c.Count
			if c.Late > 0 {
				late++
			}
		}
	}
	if claims != g.Epoch.Claims || units != g.Epoch.Units || late != g.Epoch.Late {
		return errors.Wrapf(ErrInvalidGenesis, "the running epoch counts %d claims, %d units and %d late claims, its claims are %d, %d and %d",
			g.Epoch.Claims, g.Epoch.Units, g.Epoch.Late, claims, units, late)
	}
	return g.validateVesting()
}

func (g GenesisState) validateEpoch() error {
	if g.Epoch.Number == 0 {
		if g.Epoch.Phase != PHASE_UNSPECIFIED {
			return errors.Wrapf(ErrInvalidGenesis, "no epoch has opened, yet one is in %s", g.Epoch.Phase)
		}
		return nil
	}
	if err := g.Epoch.Params.Validate(); err != nil {
		return err
	}
	if g.Epoch.Phase < PHASE_COMPUTE || g.Epoch.Phase > PHASE_DONE {
		return errors.Wrapf(ErrInvalidGenesis, "unknown phase %d", g.Epoch.Phase)
	}
	if len(g.Epoch.Seed) != rootBytes || len(g.Epoch.Work.ModuleHash) != rootBytes {
		return errors.Wrapf(ErrInvalidGenesis, "seed or module hash is not %d bytes", rootBytes)
	}
	return nil
}

func (g GenesisState) validateVesting() error {
	sum := math.ZeroInt()
	seen := make(map[string]bool)
	for _, a := range g.Vesting {
		if seen[a.Owner] {
			return errors.Wrapf(ErrInvalidGenesis, "two vesting accounts of %s", a.Owner)
		}
		seen[a.Owner] = true
		for _, t := range a.Tranches {
			if t.Amount.IsNil() || t.Released.IsNil() || t.Released.IsNegative() || t.Released.GT(t.Amount) {
				return errors.Wrapf(ErrInvalidGenesis, "vesting account of %s: tranche of epoch %d", a.Owner, t.Epoch)
			}
		}
		sum = sum.Add(a.Held())
	}
	if !sum.Equal(g.Chain.Vesting) {
		return errors.Wrapf(ErrInvalidGenesis, "vesting accounts hold %s, the total says %s", sum, g.Chain.Vesting)
	}
	for _, s := range g.Settlements {
		for _, v := range []math.Int{s.Emission, s.Released, s.Paid, s.AuditPaid, s.InclusionPaid, s.Burned, s.Reserved, s.Fees} {
			if v.IsNil() || v.IsNegative() {
				return errors.Wrapf(ErrInvalidGenesis, "settlement of epoch %d: an amount is missing or negative", s.Epoch)
			}
		}
		for _, a := range s.Auditors {
			for _, t := range a.Taken {
				if err := t.Validate(); err != nil {
					return errors.Wrapf(err, "settlement of epoch %d: %s", s.Epoch, a.Validator)
				}
			}
		}
	}
	return nil
}
