package failover

import (
	"math/rand/v2"
	"testing"
)

// TestRanges compares the list with one flag a byte.
func TestRanges(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var r ranges
		var flags [64]bool
		for range 60 {
			lo := rng.Int64N(64)
			hi := lo + rng.Int64N(65-lo)
			switch rng.IntN(3) {
			case 0:
				r.add(lo, hi)
				for i := lo; i < hi; i++ {
					flags[i] = true
				}
			case 1:
				r.remove(lo, hi)
				for i := lo; i < hi; i++ {
					flags[i] = false
				}
			default:
				want := false
				for i := lo; i < hi; i++ {
					want = want || flags[i]
				}
				if got := r.intersects(lo, hi); got != want {
					t.Fatalf("%v intersects [%d,%d): %v", r, lo, hi, got)
				}
			}
			last := int64(-1)
			var have [64]bool
			for _, s := range r {
				if s.lo <= last || s.hi <= s.lo {
					t.Fatalf("not in order: %v", r)
				}
				last = s.hi
				for i := s.lo; i < s.hi; i++ {
					have[i] = true
				}
			}
			if have != flags {
				t.Fatalf("%v is not %v", r, flags)
			}
		}
	}
}
