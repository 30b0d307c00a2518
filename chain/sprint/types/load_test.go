package types

import (
	"math/bits"
	"testing"

	"cosmossdk.io/math"

	"github.com/assaynet/assay/verifier/sample"
)

// What the most claims of the least size cost validators, and what they cost who makes them, at the
// parameters of a public network: the figures of docs/spec/chain.md, section 10.
func TestManySmallClaimsDoNotOverloadValidators(t *testing.T) {
	const (
		validators = 100
		power      = 10_000
		total      = validators * power
		claims     = maxClaims
	)
	p := ProductionParams()
	drawn := sample.Total(p.MinClaimUnits, p.SampleMin, p.SampleMax)
	each := sample.Share(drawn, power, total, 0)
	if drawn != 64 || each != 1 {
		t.Errorf("%d units are drawn of the smallest claim, %d by each validator; want 64 and 1", drawn, each)
	}
	// One unit of a validator's work costs the claimant a whole minimum claim of work.
	perValidator := uint64(claims * each)
	computed := uint64(claims) * p.MinClaimUnits
	if ratio := computed / perValidator; ratio < 4_096 {
		t.Errorf("a claimant computes %d units for each unit of a validator", ratio)
	}
	// Two hours of an audit round for so many units: 72 ms each on one core, 144 on two.
	const secondsPerBlock = 6
	if ms := p.AuditBlocks * secondsPerBlock * 1000 / perValidator; ms != 72 {
		t.Errorf("a round leaves %d ms for each unit", ms)
	}
	// A split into so many claims pays a third of the emission to those who check it.
	fees := math.NewIntFromUint64(p.ClaimFee).MulRaw(claims)
	emission := Emission(p.EmissionPerEpoch, p.HalvingEpochs, 1)
	if percent := fees.MulRaw(100).Quo(emission).Int64(); percent != 32 {
		t.Errorf("fees are %d %% of an epoch's emission, want 32", percent)
	}
	// The verdict's bitmap and the blocks of the settlement.
	if bytes, pages := (claims+7)/8, claims/int(p.SettlePage); bytes > 32<<10 || pages > int(p.EpochBlocks)/10 {
		t.Errorf("a bitmap of %d bytes, a settlement of %d blocks", bytes, pages)
	}
	// A claim of any size costs a validator of power share s at most ⌈300·s⌉ units.
	for count := p.MinClaimUnits; count <= p.MaxClaimUnits; count *= 2 {
		n := sample.Total(count, p.SampleMin, p.SampleMax)
		if got := sample.Share(n, power, total, 0); got > 3 || bits.Len(uint(n)) > 9 {
			t.Fatalf("%d units of a claim of %d", got, count)
		}
	}
}
