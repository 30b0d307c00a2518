package types

import (
	"math/big"

	"cosmossdk.io/math"
)

// Emission returns what the epoch with the given number, counted from 1, mints in ngnk:
//
//	⌊first · 2^(−(number−1)/halving)⌋
//
// It is the largest y with y^halving · 2^(number−1) ≤ first^halving, a comparison of integers: no
// rounding of an irrational number enters, and no epoch's value depends on another's. Number 0
// mints nothing. Cost: about log2(first) powers with the exponent halving.
func Emission(first, halving, number uint64) math.Int {
	if number == 0 || first == 0 || halving == 0 {
		return math.ZeroInt()
	}
	elapsed := number - 1
	if elapsed/halving >= 64 { // first < 2^64
		return math.ZeroInt()
	}
	return math.NewIntFromBigInt(scaledRoot(new(big.Int).SetUint64(first), halving, elapsed))
}

// MinedSupply bounds from above what all epochs together mint in ngnk, within one ngnk of the
// geometric series first / (1 − 2^(−1/halving)) and less than one ngnk an epoch above the sum.
func MinedSupply(first, halving uint64) math.Int {
	if first == 0 || halving == 0 {
		return math.ZeroInt()
	}
	const precision = 128 // bits of 2^(−1/halving); the error stays far below one ngnk
	one := new(big.Int).Lsh(big.NewInt(1), precision)
	ratio := scaledRoot(one, halving, 1)
	ratio.Add(ratio, big.NewInt(1)) // not below the true ratio
	gap := new(big.Int).Sub(one, ratio)
	sum := new(big.Int).SetUint64(first)
	sum.Mul(sum, one)
	sum.Add(sum, new(big.Int).Sub(gap, big.NewInt(1)))
	return math.NewIntFromBigInt(sum.Quo(sum, gap))
}

// GenesisAllowance is the most that may exist beside what epochs mint, so that at least four fifths
// of the supply are mined.
func GenesisAllowance(first, halving uint64) math.Int {
	return MinedSupply(first, halving).QuoRaw(4)
}

// scaledRoot returns ⌊base · 2^(−elapsed/halving)⌋.
func scaledRoot(base *big.Int, halving, elapsed uint64) *big.Int {
	whole := uint(elapsed / halving)
	degree := new(big.Int).SetUint64(halving)
	// y^halving ≤ base^halving / 2^elapsed holds for integers y exactly when it holds for the
	// quotient rounded down.
	bound := new(big.Int).Exp(base, degree, nil)
	bound.Rsh(bound, uint(elapsed))

	// The factor lies in (2^-(whole+1), 2^-whole].
	low := new(big.Int).Rsh(base, whole+1) // low^halving ≤ bound
	high := new(big.Int).Rsh(base, whole)
	high.Add(high, big.NewInt(1)) // high^halving > bound
	mid, power := new(big.Int), new(big.Int)
	for {
		mid.Add(low, high)
		mid.Rsh(mid, 1)
		if mid.Cmp(low) == 0 {
			return low
		}
		if power.Exp(mid, degree, nil).Cmp(bound) <= 0 {
			low.Set(mid)
		} else {
			high.Set(mid)
		}
	}
}
