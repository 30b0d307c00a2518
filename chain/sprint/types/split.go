package types

import "cosmossdk.io/math"

// BasisPoints is the denominator of every parameter named _bps.
const BasisPoints = 10_000

// shareScale is the denominator of the shares that queries show.
const shareScale = 1_000_000_000_000

// Part returns ⌊pot · units / total⌋, 0 if total is 0. What the parts of a whole leave over, less
// than one ngnk each, is the caller's to place, so that the sum is the pot exactly.
func Part(pot math.Int, units, total uint64) math.Int {
	if total == 0 {
		return math.ZeroInt()
	}
	return pot.Mul(math.NewIntFromUint64(units)).Quo(math.NewIntFromUint64(total))
}

// Divisor returns the units that a pot is divided by, never less than the valid ones. Units that
// are void, or missing since the last epoch, are counted too, so that nobody is paid more because
// another's claim was voided or kept out of the blocks; but no further than to the units that were
// valid in the last epoch, so that a void claim of any size takes nothing from anybody, and of
// those that are only missing as many as are valid at most, so that who leaves costs those who stay
// half of one epoch's pot at most. Where nothing was valid in the last epoch, void units are counted
// as far as there are valid ones.
func Divisor(valid, void, last uint64) uint64 {
	if last == 0 {
		return valid + min(void, valid)
	}
	return max(valid, min(last, void+2*valid))
}

// ShareOf returns units / total in parts of 10^12, rounded down.
func ShareOf(units, total uint64) uint64 {
	return Part(math.NewInt(shareScale), units, total).Uint64()
}

// Bps returns ⌊amount · bps / 10,000⌋.
func Bps(amount math.Int, bps uint32) math.Int {
	return amount.MulRaw(int64(bps)).QuoRaw(BasisPoints)
}

// Release returns what an epoch's pot takes out of the reserve: 1/over of it, 0 if over is 0.
func Release(reserve math.Int, over uint64) math.Int {
	if over == 0 {
		return math.ZeroInt()
	}
	return reserve.Quo(math.NewIntFromUint64(over))
}

// Pay is what one valid claim gets and what is withheld of its part of the pot.
type Pay struct {
	// Net is credited to the miner.
	Net math.Int
	// Fee goes to those who audited.
	Fee math.Int
	// Inclusion goes to the proposer whose block took the claim, or to the reserve.
	Inclusion math.Int
	// Deduction goes to the reserve.
	Deduction math.Int
}

// PayFor splits a claim's part of the pot. The deduction is taken before the fee, and the fee is
// never more than what is left; a part of it is for the proposer: the four always add up to part.
func PayFor(part math.Int, p Params, absent bool) Pay {
	deduction := math.ZeroInt()
	if absent {
		deduction = Bps(part, p.AbsenceBps)
	}
	rest := part.Sub(deduction)
	taken := math.MinInt(math.NewIntFromUint64(p.ClaimFee), rest)
	inclusion := Bps(taken, p.InclusionBps)
	return Pay{Net: rest.Sub(taken), Fee: taken.Sub(inclusion), Inclusion: inclusion, Deduction: deduction}
}
