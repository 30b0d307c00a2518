package types

import (
	"math/big"
	"testing"

	"cosmossdk.io/math"
)

func TestEmission(t *testing.T) {
	const first, halving = dailyEmission, halvingEpochs
	for _, c := range []struct {
		number uint64
		want   int64
	}{
		{0, 0},
		{1, 310_000_000_000_000},
		{1 + halving, 155_000_000_000_000},
		{1 + 2*halving, 77_500_000_000_000},
		{1 + 48*halving, 1},
		{1 + 49*halving, 0},
		{1 << 63, 0},
	} {
		if got := Emission(first, halving, c.number); !got.Equal(math.NewInt(c.want)) {
			t.Errorf("epoch %d: %s, want %d", c.number, got, c.want)
		}
	}
}

// The definition itself, without the search: y^h·2^e <= first^h < (y+1)^h·2^e.
func TestEmissionIsExact(t *testing.T) {
	for _, c := range []struct{ first, halving uint64 }{{dailyEmission, halvingEpochs}, {1_000_003, 7}, {5, 3}, {maxEmission, 1}} {
		h := new(big.Int).SetUint64(c.halving)
		bound := new(big.Int).Exp(new(big.Int).SetUint64(c.first), h, nil)
		last := math.NewInt(maxEmission)
		for _, number := range []uint64{1, 2, 3, 4, 5, 366, 730, 1461, 1462, 1463, 5000, 20_000} {
			y := Emission(c.first, c.halving, number)
			if y.GT(last) {
				t.Fatalf("emission of epoch %d rises", number)
			}
			last = y
			low := new(big.Int).Exp(y.BigInt(), h, nil)
			high := new(big.Int).Exp(y.AddRaw(1).BigInt(), h, nil)
			if low.Lsh(low, uint(number-1)).Cmp(bound) > 0 || high.Lsh(high, uint(number-1)).Cmp(bound) <= 0 {
				t.Errorf("first %d, halving %d, epoch %d: %s is not the floor", c.first, c.halving, number, y)
			}
		}
	}
}

// Known decimals of 310,000·10^9·2^(-n/1461), computed with 60 digits elsewhere.
func TestEmissionSecondEpoch(t *testing.T) {
	got := Emission(dailyEmission, halvingEpochs, 2)
	if want := math.NewInt(309_852_960_532_547); !got.Equal(want) {
		t.Errorf("epoch 2: %s, want %s", got, want)
	}
}

func TestMinedSupplyBoundsTheSum(t *testing.T) {
	const first, halving = 1_000_000_007, 13
	sum := math.ZeroInt()
	epochs := uint64(0)
	for n := uint64(1); ; n++ {
		e := Emission(first, halving, n)
		if e.IsZero() {
			break
		}
		sum = sum.Add(e)
		epochs++
	}
	bound := MinedSupply(first, halving)
	if bound.LT(sum) || bound.Sub(sum).GT(math.NewIntFromUint64(epochs+40)) {
		t.Errorf("bound %s for a sum of %s over %d epochs", bound, sum, epochs)
	}
	all := MinedSupply(dailyEmission, halvingEpochs)
	allowance := GenesisAllowance(dailyEmission, halvingEpochs)
	if share := all.MulRaw(100).Quo(all.Add(allowance)); share.LT(math.NewInt(80)) {
		t.Errorf("%s%% of the supply is mined", share)
	}
}

func TestPartsOfEqualAndUnequalMiners(t *testing.T) {
	pot := Emission(dailyEmission, halvingEpochs, 1)
	for _, c := range []struct {
		name         string
		units, total uint64
		want         int64
	}{
		{"64 equal", 4096, 64 * 4096, 4_843_750_000_000},
		{"1200 equal", 640, 1200 * 640, 258_333_333_333},
		{"999 of 1000", 999 * 64, 1000 * 64, 309_690_000_000_000},
		{"1 of 1000", 64, 1000 * 64, 310_000_000_000},
		{"nobody", 0, 0, 0},
		{"largest claims", 1 << 40, 100_000 << 40, 3_100_000_000},
	} {
		if got := Part(pot, c.units, c.total); !got.Equal(math.NewInt(c.want)) {
			t.Errorf("%s: %s, want %d", c.name, got, c.want)
		}
	}
}

func TestPayAddsUp(t *testing.T) {
	for _, part := range []int64{0, 1, 9, 10_000, 123_456_789_012} {
		for _, fee := range []uint64{0, 1, 10, 1 << 50} {
			for _, absent := range []bool{false, true} {
				p := PayFor(math.NewInt(part), Params{ClaimFee: fee, AbsenceBps: 777, InclusionBps: 4999}, absent)
				if !p.Net.Add(p.Fee).Add(p.Inclusion).Add(p.Deduction).Equal(math.NewInt(part)) ||
					p.Net.IsNegative() || p.Fee.IsNegative() || p.Inclusion.IsNegative() {
					t.Errorf("part %d, fee %d, absent %v: %+v", part, fee, absent, p)
				}
				if p.Inclusion.GT(p.Fee) {
					t.Errorf("part %d, fee %d: the proposer is paid %s, those who audit %s", part, fee, p.Inclusion, p.Fee)
				}
				if !absent && p.Deduction.IsPositive() {
					t.Errorf("deduction from a validator that was present")
				}
			}
		}
	}
}

func TestVestingReleasesExactly(t *testing.T) {
	for _, over := range []uint64{0, 1, 3, 7, 30} {
		a := VestingAccount{Owner: "owner"}
		a.Credit(5, over, math.NewInt(1_000_003))
		a.Credit(5, over, math.NewInt(10))
		if len(a.Tranches) != 1 {
			t.Fatalf("%d tranches of one epoch", len(a.Tranches))
		}
		total := math.ZeroInt()
		for epoch := uint64(5); epoch <= 5+over; epoch++ {
			if epoch == 5 && over > 0 && !a.Release(5).IsZero() {
				t.Errorf("over %d: released in the epoch that earned it", over)
			}
			total = total.Add(a.Release(epoch))
			if !a.Held().Add(total).Equal(math.NewInt(1_000_013)) {
				t.Fatalf("over %d: %s held and %s released", over, a.Held(), total)
			}
		}
		if len(a.Tranches) != 0 || !total.Equal(math.NewInt(1_000_013)) {
			t.Errorf("over %d: %s released, %d tranches left", over, total, len(a.Tranches))
		}
	}
}

func TestParamsRefuseWhatIsOutOfRange(t *testing.T) {
	for _, p := range []Params{DefaultParams(), ProductionParams()} {
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(*Params){
		"commit before compute": func(p *Params) { p.CommitBlocks = p.ComputeBlocks - 1 },
		"epoch too short":       func(p *Params) { p.EpochBlocks = p.CommitBlocks + p.GraceBlocks + p.AuditBlocks - 1 },
		"grace too long":        func(p *Params) { p.GraceBlocks, p.EpochBlocks = maxGrace+1, 2*maxGrace },
		"no fold":               func(p *Params) { p.Fold = 0 },
		"no samples":            func(p *Params) { p.SampleMin = 0 },
		"samples reversed":      func(p *Params) { p.SampleMax = p.SampleMin - 1 },
		"claim below fold":      func(p *Params) { p.MinClaimUnits = p.Fold - 1 },
		"emission too large":    func(p *Params) { p.EmissionPerEpoch = maxEmission + 1 },
		"halving zero":          func(p *Params) { p.HalvingEpochs = 0 },
		"absence over all":      func(p *Params) { p.AbsenceBps = BasisPoints + 1 },
		"page too large":        func(p *Params) { p.SettlePage = maxPage + 1 },
	} {
		p := DefaultParams()
		change(&p)
		if p.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestOpenFixesTheDeadlines(t *testing.T) {
	p := DefaultParams()
	e := p.Open(3, 100, [32]byte{1}, Work{})
	if e.ComputeEnd != 114 || e.CommitEnd != 117 || e.AuditEnd != 133 || e.NextStart != 140 {
		t.Errorf("deadlines %d %d %d %d", e.ComputeEnd, e.CommitEnd, e.AuditEnd, e.NextStart)
	}
	if !e.AcceptsClaims(116) || e.AcceptsClaims(117) {
		t.Error("commit deadline is off by one")
	}
	e.Phase = PHASE_COMMIT
	if e.ClaimsEnd() != 121 || e.AcceptsLate(116) || !e.AcceptsLate(117) || !e.AcceptsLate(120) {
		t.Error("the grace is off by one")
	}
	if !e.AcceptsLate(121) {
		t.Error("a grace that goes on takes nothing")
	}
	if !e.InTime(115) || e.InTime(116) {
		t.Error("what the last block can take is off by one")
	}
}

func BenchmarkEmission(b *testing.B) {
	for i := range b.N {
		Emission(dailyEmission, halvingEpochs, uint64(i%1461)+2)
	}
}
