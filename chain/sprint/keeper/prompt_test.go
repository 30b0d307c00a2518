package keeper_test

import (
	"errors"
	"testing"

	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/internal/chaintest"
	"github.com/assaynet/assay/chain/sprint/types"
)

// auditedBy is the result of an audit of so many rounds, with one auditor, 9, of whom these messages were taken.
func auditedBy(rounds uint32, taken ...types.Taken) types.AuditResult {
	return types.AuditResult{Rounds: rounds, Auditors: []types.Auditor{{Validator: chaintest.Address(9), Weight: 3, Taken: taken}}}
}

// What an auditor earns is divided to the last coin among itself, who took its messages, what burns because
// they came late, and the reserve, which gets what nobody is entitled to.
func TestWhoTookAnAuditorsMessagesIsPaid(t *testing.T) {
	by := func(i int, late, of uint64) types.Taken {
		return types.Taken{Proposer: chaintest.Address(i), Late: late, Of: of}
	}
	for name, c := range map[string]struct {
		rounds uint32
		taken  []types.Taken
		change func(w *world)
		paid   bool // those who took them
	}{
		"nothing was taken":   {1, nil, nil, true},
		"a verdict":           {1, []types.Taken{by(7, 0, 12)}, nil, true},
		"three messages":      {1, []types.Taken{by(7, 0, 12), by(8, 2, 6), by(7, 5, 6)}, nil, true},
		"of two rounds":       {2, []types.Taken{by(7, 11, 12), by(8, 1, 12)}, nil, true},
		"as late as can be":   {1, []types.Taken{by(7, 12, 12), by(8, 6, 6)}, nil, true},
		"its own block":       {1, []types.Taken{by(9, 3, 12)}, nil, false},
		"nobody's block":      {1, []types.Taken{{Late: 3, Of: 12}}, nil, false},
		"who is jailed":       {1, []types.Taken{by(7, 3, 12)}, func(w *world) { w.roster.Miners[string(chaintest.Address(7))] = true }, false},
		"who is gone":         {1, []types.Taken{by(7, 3, 12)}, func(w *world) { delete(w.roster.Miners, string(chaintest.Address(7))) }, false},
		"no round is counted": {0, []types.Taken{by(7, 0, 12)}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := includedParams()
			p.PromptBps = 777
			w := newWorld(t, p)
			w.roster.Register(chaintest.Address(7), chaintest.Address(8), chaintest.Address(9))
			w.claim(0, 400)
			if c.change != nil {
				c.change(w)
			}
			w.settle(auditedBy(c.rounds, c.taken...))
			s := w.balanced()

			fees := math.NewInt(inclusionFee).Sub(share(p))
			rest, burned, took := fees, math.ZeroInt(), map[string]math.Int{}
			for _, x := range c.taken {
				incl, late := x.Split(fees.QuoRaw(int64(max(1, c.rounds))), p)
				rest, burned = rest.Sub(incl).Sub(late), burned.Add(late)
				if _, ok := took[string(x.Proposer)]; !ok {
					took[string(x.Proposer)] = math.ZeroInt()
				}
				took[string(x.Proposer)] = took[string(x.Proposer)].Add(incl)
			}
			if got := w.Balance(chaintest.Address(9)); !got.Equal(rest) || !s.AuditPaid.Equal(rest) || !s.Auditors[0].Amount.Equal(rest) {
				t.Errorf("the auditor got %s, the account says %s and %s, want %s", got, s.AuditPaid, s.Auditors[0].Amount, rest)
			}
			sum := math.ZeroInt()
			for _, i := range []int{7, 8} {
				want, ok := took[string(chaintest.Address(i))]
				if !ok || !c.paid {
					want = math.ZeroInt()
				}
				sum = sum.Add(want)
				if got := w.Balance(chaintest.Address(i)); !got.Equal(want) {
					t.Errorf("%d got %s, want %s", i, got, want)
				}
			}
			if !s.InclusionPaid.Equal(sum) || !s.Burned.Equal(burned) || !w.Supply().Equal(s.Emission.Sub(burned)) {
				t.Errorf("%s to proposers, want %s; %s burned, want %s; the supply is %s of %s", s.InclusionPaid, sum, s.Burned, burned, w.Supply(), s.Emission)
			}
			if len(s.Auditors[0].Taken) > 0 {
				t.Error("what is paid is still kept")
			}
		})
	}
}

// A settlement that is exported between two pages pays the same after the import.
func TestTakenMessagesAreExported(t *testing.T) {
	p := includedParams()
	p.SettlePage = 1
	start := func() *world {
		w := newWorld(t, p)
		w.roster.Register(chaintest.Address(7), chaintest.Address(9))
		return w
	}
	w := start()
	w.claim(0, 400)
	w.claim(1, 400)
	w.to(types.PHASE_ADJUDICATE)
	taken := types.Taken{Proposer: chaintest.Address(7), Late: 2, Of: 12}
	if err := w.k.Settle(w.Ctx, auditedBy(1, taken)); err != nil {
		t.Fatal(err)
	}
	g, err := w.k.ExportGenesis(w.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got := g.Settlements[0].Auditors[0].Taken; len(got) != 1 || got[0].Late != 2 {
		t.Fatalf("exported %+v", got)
	}
	again := start()
	again.roster.Register(chaintest.Address(0), chaintest.Address(1))
	minted := sdk.NewCoins(sdk.NewCoin(types.BaseDenom, g.Settlements[0].Emission))
	if err := again.Bank.MintCoins(again.Ctx, types.ModuleName, minted); err != nil {
		t.Fatal(err)
	}
	if err := again.k.InitGenesis(again.Ctx, *g); err != nil {
		t.Fatal(err)
	}
	again.to(types.PHASE_DONE)
	s := again.balanced()
	incl, late := taken.Split(math.NewInt(inclusionFee).Sub(share(p)).MulRaw(2), p)
	if got := again.Balance(chaintest.Address(7)); !got.Equal(incl) || !s.Burned.Equal(late) {
		t.Errorf("the proposer got %s, want %s; burned %s, want %s", got, incl, s.Burned, late)
	}
	g.Settlements[0].Auditors[0].Taken[0].Late = 13
	if err := g.Validate(); !errors.Is(err, types.ErrInvalidGenesis) {
		t.Errorf("taken 13 of 12 blocks late: %v", err)
	}
}
