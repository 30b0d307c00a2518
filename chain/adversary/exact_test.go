package adversary

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/sample"
)

// shares is what each of n validators of equal power draws of a claim whose claimant is one of them.
func shares(count uint64, n int, p types.Params) []int {
	total := sample.Total(count, p.SampleMin, p.SampleMax)
	var out []int
	for range n - 1 {
		out = append(out, sample.Share(total, 1, uint64(n), 1))
	}
	return out
}

// A 10 % faker with a claim of normal size passes with at most 10^-9: exactly, by the hypergeometric
// distribution, whatever the number of validators. Normal is what a miner computes in a sprint of
// five minutes at 130 units a second; two cores compute more of the test network's units.
func TestTenPercentFakerIsCaught(t *testing.T) {
	most := big.NewRat(1, 1_000_000_000)
	params := types.ProductionParams()
	const normal = 38_912 // a multiple of the fold, whose root is 197
	for _, count := range []uint64{normal, 100_032, 1_000_000, 100_000_000} {
		for _, validators := range []int{2, 4, 10, 100} {
			p := Escape(count, count/10, shares(count, validators, params))
			f, _ := p.Float64()
			t.Logf("%d units, %d validators: passes with %.2e", count, validators, f)
			if p.Cmp(most) > 0 {
				t.Errorf("%d units, %d validators: a 10 %% faker passes with %.3e", count, validators, f)
			}
		}
	}
	// One unit less of the root and it would not hold: the bound is tight.
	if p := Escape(38_400, 3_840, []int{195}); p.Cmp(most) <= 0 {
		t.Error("195 draws should not be enough")
	}
}

// Each further false unit costs more than it saves, for every size of claim and number of false
// units: the drop of the probability to pass, times the reward, exceeds the cost of one unit as long
// as a unit costs less than SampleMin times what it earns.
func TestNoNumberOfFalseUnitsPays(t *testing.T) {
	p := types.DefaultParams()
	for _, count := range []uint64{64, 1024, 38_912, 1_000_000} {
		draws := []int{sample.Total(count, p.SampleMin, p.SampleMax)}
		for _, falses := range []uint64{1, 2, count / 100, count / 10, count / 2, count} {
			if falses == 0 {
				continue
			}
			// Expected income is Escape, of 1. The work saved is falses/count of at most 1.
			left := Escape(count, falses, draws)
			saved := new(big.Rat).SetFrac64(int64(falses), int64(count))
			if left.Add(left, saved).Cmp(big.NewRat(1, 1)) > 0 {
				t.Errorf("%d of %d units false: passes and saves %s of an honest reward", falses, count, left.FloatString(6))
			}
		}
		// The first unit: n/count of the reward is lost, 1/count saved.
		loss := new(big.Rat).Sub(big.NewRat(1, 1), Escape(count, 1, draws))
		if loss.Cmp(new(big.Rat).SetFrac64(int64(p.SampleMin), int64(count))) < 0 {
			t.Errorf("%d units: one false unit loses %s", count, loss.FloatString(9))
		}
	}
}

// Real VRF draws catch as often as the distribution says.
func TestDrawsCatchAsComputed(t *testing.T) {
	const (
		count, falses = 1024, 102
		validators    = 4
		runs          = 3000
	)
	random := rand.NewChaCha8([32]byte{9})
	key, err := sample.GenerateKey(random)
	if err != nil {
		t.Fatal(err)
	}
	sizes := []int{4, 4, 4, 4} // few, so that some pass
	passed := 0
	for i := range runs {
		hit := false
		for v := range sizes {
			// An output is a hash of a proof; hashing is what is under test here, not the proof.
			out := sample.Output{byte(i), byte(i >> 8), byte(v)}
			if i == 0 && v == 0 {
				out = key.Prove([]byte("one of them is real")).Output()
			}
			for _, x := range sample.Samples(out, []byte("claimant"), count, sizes[v]) {
				hit = hit || x%10 == 0 && x/10 < falses
			}
		}
		if !hit {
			passed++
		}
	}
	want, _ := Escape(count, falses, sizes).Float64()
	got := float64(passed) / runs
	// Four standard deviations of a proportion near 0.18 in 3,000 runs are 0.028.
	t.Logf("%d validators, 4 draws each: %.4f passed, computed %.4f", validators, got, want)
	if got < want-0.028 || got > want+0.028 {
		t.Errorf("%.4f passed, computed %.4f", got, want)
	}
}
