package types

import "cosmossdk.io/math"

// Vested returns how much of the tranche is due in all once the given epoch is settled: linear
// over the epochs after the one that earned it, complete with the last.
func (t Tranche) Vested(epoch uint64) math.Int {
	if epoch < t.Epoch {
		return math.ZeroInt()
	}
	passed := epoch - t.Epoch
	if passed >= t.Over {
		return t.Amount
	}
	return Part(t.Amount, passed, t.Over)
}

// Held returns what is not released yet.
func (a VestingAccount) Held() math.Int {
	sum := math.ZeroInt()
	for _, t := range a.Tranches {
		sum = sum.Add(t.Amount.Sub(t.Released))
	}
	return sum
}

// Credit adds a reward, to the tranche of its epoch where there is one.
func (a *VestingAccount) Credit(epoch, over uint64, amount math.Int) {
	if n := len(a.Tranches); n > 0 && a.Tranches[n-1].Epoch == epoch && a.Tranches[n-1].Over == over {
		a.Tranches[n-1].Amount = a.Tranches[n-1].Amount.Add(amount)
		return
	}
	a.Tranches = append(a.Tranches, Tranche{Epoch: epoch, Over: over, Amount: amount, Released: math.ZeroInt()})
}

// Release takes out what is due once the epoch is settled and drops the tranches that are complete.
func (a *VestingAccount) Release(epoch uint64) math.Int {
	sum := math.ZeroInt()
	kept := a.Tranches[:0]
	for _, t := range a.Tranches {
		due := t.Vested(epoch)
		sum = sum.Add(due.Sub(t.Released))
		t.Released = due
		if due.LT(t.Amount) {
			kept = append(kept, t)
		}
	}
	a.Tranches = kept
	return sum
}
