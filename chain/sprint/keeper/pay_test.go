package keeper_test

import (
	"testing"

	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/runtime"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/assaynet/assay/chain/internal/chaintest"
	"github.com/assaynet/assay/chain/sprint/keeper"
	"github.com/assaynet/assay/chain/sprint/types"
)

// Transaction fees become part of what later epochs release: of the whole, to the last ngnk.
func TestFeesGoToTheReserve(t *testing.T) {
	const collector = "fees"
	c := chaintest.New(t, map[string][]string{types.ModuleName: {authtypes.Minter, authtypes.Burner}, collector: nil}, types.StoreKey)
	w := &world{Chain: c, tb: t, roster: chaintest.NewRoster()}
	w.k = keeper.NewKeeper(keeper.Config{
		Codec: c.Codec, Store: runtime.NewKVStoreService(c.Store(types.StoreKey)), Addresses: c.Addresses,
		Accounts: c.Accounts, Bank: c.Bank, Registry: w.roster.Registry(), Power: w.roster.Power(),
		FeeCollector: collector, Authority: chaintest.Authority,
	})
	g := types.DefaultGenesis()
	g.Params = testParams()
	if err := w.k.InitGenesis(c.Ctx, *g); err != nil {
		t.Fatal(err)
	}
	w.next()
	at := c.Accounts.GetModuleAddress(collector)
	w.Fund(t, at, 12_345)
	supply := c.Supply()
	w.settle(types.AuditResult{})
	s, err := keeper.NewQueryServer(w.k).Settlement(w.Ctx, &types.QuerySettlementRequest{Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !w.Balance(at).Equal(math.NewInt(12_345)) {
		t.Fatal("fees moved before the next epoch opens")
	}
	w.to(types.PHASE_COMPUTE)
	export, err := w.k.ExportGenesis(w.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	if want := s.Settlement.Reserved.AddRaw(12_345); !w.Balance(at).IsZero() || !export.Chain.Reserve.Equal(want) {
		t.Errorf("the reserve is %s, want %s; %s are left", export.Chain.Reserve, want, w.Balance(at))
	}
	if got := c.Supply().Sub(supply); !got.Equal(s.Settlement.Emission) {
		t.Errorf("the supply grew by %s, the emission is %s", got, s.Settlement.Emission)
	}
}

func TestEqualAndUnequalMinersArePaidExactly(t *testing.T) {
	for _, c := range []struct {
		name  string
		units []uint64
		want  []int64
	}{
		{"64 equal", repeat(64, 4096), repeat64(64, 4_843_750_000_000)},
		{"1200 equal", repeat(1200, 640), repeat64(1200, 258_333_333_333)},
		{"999 to 1", []uint64{999 * 4, 4}, []int64{309_690_000_000_000, 310_000_000_000}},
		{"thirds", []uint64{4, 4, 4}, []int64{103_333_333_333_333, 103_333_333_333_333, 103_333_333_333_333}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, testParams())
			for i, u := range c.units {
				w.claim(i, u)
			}
			w.settle(types.AuditResult{})
			sum := math.ZeroInt()
			for i, want := range c.want {
				got := w.Balance(chaintest.Address(i))
				if !got.Equal(math.NewInt(want)) {
					t.Fatalf("miner %d got %s, want %d", i, got, want)
				}
				sum = sum.Add(got)
			}
			s := w.settlement().Settlement
			if emission := types.Emission(310_000_000_000_000, 1461, 1); !sum.Add(s.Reserved).Equal(emission) {
				t.Errorf("%s paid and %s reserved of %s", sum, s.Reserved, emission)
			}
			if !w.Supply().Equal(s.Emission) {
				t.Errorf("supply %s, emission %s", w.Supply(), s.Emission)
			}
			if n := len(w.roster.Settled[1]); n != len(c.units) {
				t.Errorf("power was told of %d shares, want %d", n, len(c.units))
			}
		})
	}
}

func repeat(n int, v uint64) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func repeat64(n int, v int64) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func TestVoidShareGoesToTheReserveAndComesBackLater(t *testing.T) {
	w := newWorld(t, testParams())
	w.claim(0, 300)
	w.claim(1, 100)
	w.to(types.PHASE_AUDIT)
	n, err := w.k.AddFalseUnit(w.Ctx, chaintest.Address(1))
	if err != nil || n != 1 {
		t.Fatalf("%d false units, %v", n, err)
	}
	w.settle(types.AuditResult{Entropy: [32]byte{7}})
	first := w.settlement()
	if got, want := w.Balance(chaintest.Address(0)), first.Settlement.Emission.MulRaw(3).QuoRaw(4); !got.Equal(want) {
		t.Errorf("the honest miner got %s, want %s and nothing of the void share", got, want)
	}
	if !w.Balance(chaintest.Address(1)).IsZero() {
		t.Error("a void claim was paid")
	}
	if first.Settlement.ValidClaims != 1 || first.Settlement.ValidUnits != 300 || first.Lines[1].Status != types.CLAIM_VOID_FALSE {
		t.Errorf("settlement %+v", first.Settlement)
	}
	if len(w.roster.Settled[1]) != 1 {
		t.Error("a void claim counts for power")
	}
	reserve := first.Settlement.Reserved

	w.to(types.PHASE_COMPUTE)
	before := w.Balance(chaintest.Address(0))
	w.claim(0, 300)
	w.settle(types.AuditResult{})
	second := w.settlement().Settlement
	if want := reserve.QuoRaw(10); !second.Released.Equal(want) {
		t.Errorf("released %s, want %s", second.Released, want)
	}
	if got := w.Balance(chaintest.Address(0)).Sub(before); !got.Equal(second.Emission.Add(second.Released)) {
		t.Errorf("the only miner got %s of %s and %s", got, second.Emission, second.Released)
	}
}

// A void claim of any size takes nothing from the others, and a claim that is missing since the last
// epoch brings them nothing.
func TestVoidAndMissingUnitsChangeNobodysPay(t *testing.T) {
	w := newWorld(t, testParams())
	paid := func() math.Int {
		t.Helper()
		s := w.settlement()
		pot := s.Settlement.Emission.Add(s.Settlement.Released)
		return s.Lines[0].Amount.MulRaw(1_000_000).Add(pot.QuoRaw(2)).Quo(pot) // rounded
	}
	next := func(void bool, others ...uint64) math.Int {
		t.Helper()
		w.to(types.PHASE_COMPUTE)
		w.claim(0, 900)
		for _, units := range others {
			w.claim(1, units)
		}
		w.to(types.PHASE_AUDIT)
		if void {
			if err := w.k.VoidClaim(w.Ctx, chaintest.Address(1), types.CLAIM_VOID_UNANSWERED); err != nil {
				t.Fatal(err)
			}
		}
		w.settle(types.AuditResult{})
		return paid()
	}
	if got := next(false, 100); got.Int64() != 900_000 {
		t.Errorf("with the other one: %s millionths of the pot", got)
	}
	if got := next(true, 1_000_000); got.Int64() != 900_000 {
		t.Errorf("with a void claim of a million units: %s millionths of the pot", got)
	}
	if got := next(false, 100); got.Int64() != 900_000 {
		t.Errorf("with the other one again: %s millionths of the pot", got)
	}
	if got := next(false); got.Int64() != 900_000 {
		t.Errorf("with the other's claim missing: %s millionths of the pot", got)
	}
	if got := next(false); got.Int64() != 1_000_000 {
		t.Errorf("with the other gone: %s millionths of the pot", got)
	}
}

func TestEpochWithoutValidClaim(t *testing.T) {
	w := newWorld(t, testParams())
	w.settle(types.AuditResult{})
	s := w.settlement().Settlement
	if !s.Reserved.Equal(s.Emission) || s.ValidClaims != 0 {
		t.Errorf("settlement %+v", s)
	}
	if shares, told := w.roster.Settled[1]; !told || len(shares) != 0 {
		t.Errorf("power was told %v, %v", shares, told)
	}
}

func TestFeesAndAbsence(t *testing.T) {
	p := testParams()
	p.ClaimFee, p.AbsenceBps = 1_000_000_007, 1000
	w := newWorld(t, p)
	w.claim(0, 400) // a validator that votes
	w.claim(1, 400) // a validator that does not
	w.claim(2, 200) // no validator
	w.settle(types.AuditResult{Auditors: []types.Auditor{
		{Validator: chaintest.Address(0), Weight: 30}, {Validator: chaintest.Address(1), Absent: true}, {Validator: chaintest.Address(3), Weight: 60}}})
	s := w.settlement()
	part := s.Settlement.Emission.MulRaw(4).QuoRaw(10)
	fees := int64(3 * 1_000_000_007)
	if got, want := w.Balance(chaintest.Address(0)), part.SubRaw(1_000_000_007).AddRaw(fees/3); !got.Equal(want) {
		t.Errorf("present validator got %s, want %s", got, want)
	}
	if got, want := w.Balance(chaintest.Address(1)), part.Sub(part.QuoRaw(10)).SubRaw(1_000_000_007); !got.Equal(want) {
		t.Errorf("absent validator got %s, want %s", got, want)
	}
	if got, want := w.Balance(chaintest.Address(3)), math.NewInt(fees*2/3); !got.Equal(want) {
		t.Errorf("validator without a claim got %s, want %s", got, want)
	}
	total := s.Settlement.Paid.Add(s.Settlement.AuditPaid).Add(s.Settlement.Reserved)
	if !total.Equal(s.Settlement.Emission) {
		t.Errorf("account does not balance: %s of %s", total, s.Settlement.Emission)
	}
}

func TestVestingIsReleasedAndForfeited(t *testing.T) {
	p := testParams()
	p.VestingEpochs = 3
	w := newWorld(t, p)
	w.claim(0, 4)
	w.claim(1, 4)
	w.settle(types.AuditResult{})
	if !w.Balance(chaintest.Address(0)).IsZero() {
		t.Error("released before it vested")
	}
	reward := w.settlement().Lines[0].Amount
	w.to(types.PHASE_COMPUTE)
	w.settle(types.AuditResult{})
	if got := w.Balance(chaintest.Address(0)); !got.Equal(reward.QuoRaw(3)) {
		t.Errorf("after one epoch %s, want %s", got, reward.QuoRaw(3))
	}
	supply := w.Supply()
	forfeited, rewarded, err := w.k.Forfeit(w.Ctx, chaintest.Address(1), 1000, []types.Proof{{{Reporter: chaintest.Address(9)}}})
	if err != nil {
		t.Fatal(err)
	}
	if want := reward.Sub(reward.QuoRaw(3)); !forfeited.Equal(want) || !rewarded.Equal(want.QuoRaw(10)) {
		t.Errorf("forfeited %s, rewarded %s", forfeited, rewarded)
	}
	if !w.Supply().Equal(supply.Sub(forfeited).Add(rewarded)) || !w.Balance(chaintest.Address(9)).Equal(rewarded) {
		t.Error("the rest did not burn")
	}
	for range 3 {
		w.to(types.PHASE_COMPUTE)
		w.settle(types.AuditResult{})
	}
	if !w.Balance(chaintest.Address(0)).Equal(reward) {
		t.Errorf("in the end %s, want %s", w.Balance(chaintest.Address(0)), reward)
	}
	if got := w.Balance(chaintest.Address(1)); !got.Equal(reward.QuoRaw(3)) {
		t.Errorf("who forfeited got %s", got)
	}
}

func TestExpelledParticipantLosesVestingAndClaim(t *testing.T) {
	p := testParams()
	p.VestingEpochs = 3
	for _, phase := range []types.Phase{types.PHASE_COMPUTE, types.PHASE_AUDIT, types.PHASE_DONE} {
		w := newWorld(t, p)
		w.claim(0, 4)
		w.claim(1, 4)
		if phase == types.PHASE_DONE {
			w.settle(types.AuditResult{})
		}
		w.to(phase)
		if err := w.k.Expel(w.Ctx, chaintest.Address(0)); err != nil {
			t.Fatal(err)
		}
		if err := w.k.Expel(w.Ctx, chaintest.Address(9)); err != nil {
			t.Fatalf("who has nothing: %v", err)
		}
		if phase != types.PHASE_DONE {
			w.settle(types.AuditResult{})
		}
		for range 4 {
			w.to(types.PHASE_COMPUTE)
			w.settle(types.AuditResult{})
		}
		if got := w.Balance(chaintest.Address(0)); !got.IsZero() {
			t.Errorf("expelled in %s it got %s", phase, got)
		}
		if w.Balance(chaintest.Address(1)).IsZero() {
			t.Errorf("expelled in %s: the other one got nothing", phase)
		}
	}
}

func TestSettlementIsPaged(t *testing.T) {
	p := testParams()
	p.SettlePage, p.VestingEpochs = 7, 2
	w := newWorld(t, p)
	for i := range 30 {
		w.claim(i, 4)
	}
	w.to(types.PHASE_ADJUDICATE)
	if err := w.k.Settle(w.Ctx, types.AuditResult{}); err != nil {
		t.Fatal(err)
	}
	paid := func() (n int) {
		_ = w.k.WalkClaims(w.Ctx, 1, func(_ sdk.AccAddress, c types.Claim) (bool, error) {
			if c.Status == types.CLAIM_PAID {
				n++
			}
			return false, nil
		})
		return n
	}
	for _, want := range []int{7, 14, 21, 28, 30} {
		w.next()
		if got := paid(); got != want {
			t.Fatalf("%d claims paid, want %d", got, want)
		}
	}
	w.to(types.PHASE_DONE)
	if s := w.settlement().Settlement; s.ValidClaims != 30 || s.Height == 0 {
		t.Errorf("settlement %+v", s)
	}
}
