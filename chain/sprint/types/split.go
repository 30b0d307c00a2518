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
	// Deduction goes to the reserve.
	Deduction math.Int
}

// PayFor splits a claim's part of the pot. The deduction is taken before the fee, and the fee is
// never more than what is left: the three always add up to part.
func PayFor(part math.Int, fee uint64, absent bool, absenceBps uint32) Pay {
	deduction := math.ZeroInt()
	if absent {
		deduction = Bps(part, absenceBps)
	}
	rest := part.Sub(deduction)
	taken := math.MinInt(math.NewIntFromUint64(fee), rest)
	return Pay{Net: rest.Sub(taken), Fee: taken, Deduction: deduction}
}
