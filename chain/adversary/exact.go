package adversary

import "math/big"

// Escape is the exact probability that a claim of count units, of which falses are false, passes
// draws of the given sizes: each draws without replacement, independently of the others, so it is the
// product of C(count-falses, n)/C(count, n).
func Escape(count, falses uint64, draws []int) *big.Rat {
	p := big.NewRat(1, 1)
	for _, n := range draws {
		for i := uint64(0); i < uint64(n); i++ {
			if falses+i >= count {
				return new(big.Rat) // more is drawn than is true
			}
			p.Mul(p, new(big.Rat).SetFrac64(int64(count-falses-i), int64(count-i)))
		}
	}
	return p
}
