package keeper_test

import (
	"bytes"
	"errors"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/internal/chaintest"
	"github.com/assaynet/assay/chain/sprint/keeper"
	"github.com/assaynet/assay/chain/sprint/types"
)

func TestSeedFollowsEntropyAndBlock(t *testing.T) {
	seeds := make(map[string]bool)
	for _, entropy := range []byte{1, 2} {
		w := newWorld(t, testParams())
		w.settle(types.AuditResult{Entropy: [32]byte{entropy}})
		w.to(types.PHASE_COMPUTE)
		e := w.epoch()
		if e.Number != 2 || e.StartHeight != w.Height() {
			t.Fatalf("epoch %d starts at %d in block %d", e.Number, e.StartHeight, w.Height())
		}
		if e.StartHeight != 2+12 {
			t.Errorf("epoch 2 starts at %d", e.StartHeight)
		}
		seeds[string(e.Seed)] = true
	}
	if len(seeds) != 2 {
		t.Error("the seed does not depend on the verdicts")
	}
	a := keeper.Seed("c", 1, []byte{1}, []byte{2})
	for _, b := range [][32]byte{keeper.Seed("d", 1, []byte{1}, []byte{2}), keeper.Seed("c", 2, []byte{1}, []byte{2}),
		keeper.Seed("c", 1, []byte{1}, []byte{3}), keeper.Seed("c", 1, []byte{1, 2}, nil)} {
		if a == b {
			t.Error("two seeds are equal")
		}
	}
}

func TestFurtherRoundsDrawOnlyWhatIsNamed(t *testing.T) {
	w := newWorld(t, testParams())
	w.claim(0, 400)
	w.claim(1, 400)
	draw := func(i int) uint64 {
		c, err := w.k.Claim(w.Ctx, 1, chaintest.Address(i))
		if err != nil {
			t.Fatal(err)
		}
		return w.epoch().DrawOf(c)
	}
	w.to(types.PHASE_AUDIT)
	if draw(0) != 20 || draw(1) != 20 {
		t.Errorf("first round draws %d and %d", draw(0), draw(1))
	}
	if err := w.k.Redraw(w.Ctx, nil); !errors.Is(err, types.ErrWrongPhase) {
		t.Errorf("redraw during the audit: %v", err)
	}
	w.to(types.PHASE_ADJUDICATE)
	if err := w.k.Redraw(w.Ctx, []types.Draw{{Miner: chaintest.Address(1), Units: 1000}}); err != nil {
		t.Fatal(err)
	}
	if e := w.epoch(); e.Phase != types.PHASE_AUDIT || e.Round != 1 || e.AuditEnd != w.Height()+1+4 {
		t.Errorf("epoch %+v", e)
	}
	if draw(0) != 0 || draw(1) != 400 {
		t.Errorf("second round draws %d and %d", draw(0), draw(1))
	}
	w.settle(types.AuditResult{ModuleFailed: true})
	if len(w.roster.Failures) != 1 {
		t.Error("the registry was not told that the module failed")
	}
	if _, err := w.k.AddFalseUnit(w.Ctx, chaintest.Address(0)); !errors.Is(err, types.ErrWrongPhase) {
		t.Errorf("false unit after the payment: %v", err)
	}
}

func TestOldEpochsArePruned(t *testing.T) {
	w := newWorld(t, testParams()) // retains two
	for n := uint64(1); n <= 5; n++ {
		w.claim(0, 4)
		w.settle(types.AuditResult{})
		w.to(types.PHASE_COMPUTE)
	}
	w.next()
	g, err := w.k.ExportGenesis(w.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Claims) != 2 || len(g.Settlements) != 2 || g.Claims[0].Epoch != 4 || g.Chain.Pruned != 3 {
		t.Errorf("%d claims and %d settlements are left", len(g.Claims), len(g.Settlements))
	}
}

func TestGenesisRoundTrip(t *testing.T) {
	p := testParams()
	p.VestingEpochs, p.SettlePage = 3, 2
	w := newWorld(t, p)
	for i := range 5 {
		w.claim(i, 4*uint64(i+1))
	}
	w.settle(types.AuditResult{Entropy: [32]byte{4}})
	w.to(types.PHASE_COMPUTE)
	w.claim(2, 8)
	w.to(types.PHASE_ADJUDICATE)
	if err := w.k.Settle(w.Ctx, types.AuditResult{}); err != nil {
		t.Fatal(err)
	}
	out, err := w.k.ExportGenesis(w.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	bz := w.Codec.MustMarshalJSON(out)
	var in types.GenesisState
	w.Codec.MustUnmarshalJSON(bz, &in)

	v := newWorld(t, p)
	if err := v.k.InitGenesis(v.Ctx, in); !errors.Is(err, types.ErrInvalidGenesis) {
		t.Errorf("coins that do not exist: %v", err)
	}
	v.Fund(t, v.k.Account(), w.Balance(w.k.Account()).Int64())
	if err := v.k.InitGenesis(v.Ctx, in); err != nil {
		t.Fatal(err)
	}
	again, err := v.k.ExportGenesis(v.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(v.Codec.MustMarshalJSON(again), bz) {
		t.Error("a second export differs")
	}
	in.Chain.Vesting = in.Chain.Vesting.AddRaw(1)
	if err := in.Validate(); !errors.Is(err, types.ErrInvalidGenesis) {
		t.Errorf("wrong total: %v", err)
	}
}

func TestGenesisSupplyLeavesFourFifthsToMining(t *testing.T) {
	w := newWorld(t, testParams())
	allowed := types.GenesisAllowance(310_000_000_000_000, 1461)
	w.Fund(t, chaintest.Address(0), allowed.Int64())
	if err := w.k.InitGenesis(w.Ctx, *types.DefaultGenesis()); err != nil {
		t.Fatal(err)
	}
	w.Fund(t, chaintest.Address(0), 1)
	if err := w.k.InitGenesis(w.Ctx, *types.DefaultGenesis()); !errors.Is(err, types.ErrInvalidGenesis) {
		t.Errorf("one ngnk too much: %v", err)
	}
}

func TestParamsChangeWithTheNextEpoch(t *testing.T) {
	w := newWorld(t, testParams())
	p := testParams()
	p.Fold = 8
	p.MinClaimUnits = 8
	update := func(authority string, p types.Params) error {
		return w.Try(func(ctx sdk.Context) error {
			_, err := w.msgs.UpdateParams(ctx, &types.MsgUpdateParams{Authority: authority, Params: p})
			return err
		})
	}
	if err := update(w.Bech32(chaintest.Address(0)), p); !errors.Is(err, types.ErrInvalidAuthority) {
		t.Errorf("a stranger: %v", err)
	}
	if err := update(chaintest.Authority, types.Params{}); !errors.Is(err, types.ErrInvalidParams) {
		t.Errorf("empty: %v", err)
	}
	if err := update(chaintest.Authority, p); err != nil {
		t.Fatal(err)
	}
	w.claim(0, 4) // the running epoch keeps its own
	w.settle(types.AuditResult{})
	w.to(types.PHASE_COMPUTE)
	if w.epoch().Params.Fold != 8 {
		t.Error("the next epoch has not taken the parameters")
	}
}
