package keeper_test

import (
	"bytes"
	"testing"

	"github.com/cosmos/cosmos-sdk/runtime"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/assaynet/assay/chain/internal/chaintest"
	"github.com/assaynet/assay/chain/sprint/keeper"
	"github.com/assaynet/assay/chain/sprint/types"
)

const fold = 4

// world is a chain with the sprint module and nothing else of ours.
type world struct {
	*chaintest.Chain
	tb     testing.TB
	k      keeper.Keeper
	msgs   types.MsgServer
	roster *chaintest.Roster
}

func testParams() types.Params {
	p := types.DefaultParams()
	p.EpochBlocks, p.ComputeBlocks, p.CommitBlocks, p.AuditBlocks = 12, 3, 5, 4
	p.Fold, p.MinClaimUnits, p.MaxClaimUnits = fold, fold, 1<<20
	p.ClaimFee, p.VestingEpochs, p.RetainEpochs = 0, 0, 2
	p.ReserveReleaseEpochs, p.GraceBlocks, p.InclusionBps = 10, 0, 0
	return p
}

func newWorld(tb testing.TB, p types.Params) *world {
	tb.Helper()
	c := chaintest.New(tb, map[string][]string{types.ModuleName: {authtypes.Minter, authtypes.Burner}}, types.StoreKey)
	w := &world{Chain: c, tb: tb, roster: chaintest.NewRoster()}
	w.k = keeper.NewKeeper(keeper.Config{
		Codec: c.Codec, Store: runtime.NewKVStoreService(c.Store(types.StoreKey)), Addresses: c.Addresses,
		Accounts: c.Accounts, Bank: c.Bank, Registry: w.roster.Registry(), Power: w.roster.Power(),
		Authority: chaintest.Authority,
	})
	w.msgs = keeper.NewMsgServer(w.k)
	g := types.DefaultGenesis()
	g.Params = p
	if err := w.k.InitGenesis(c.Ctx, *g); err != nil {
		tb.Fatal(err)
	}
	w.next() // the first epoch opens
	return w
}

func (w *world) next() {
	w.tb.Helper()
	w.Next(w.tb, func(ctx sdk.Context) error { return w.k.EndBlock(ctx) })
	if err := w.k.CheckInvariants(w.Ctx); err != nil {
		w.tb.Fatalf("after block %d: %v", w.Height()-1, err)
	}
}

func (w *world) epoch() types.Epoch {
	w.tb.Helper()
	e, err := w.k.Epoch(w.Ctx)
	if err != nil {
		w.tb.Fatal(err)
	}
	return e
}

// to lets blocks pass until the phase.
func (w *world) to(phase types.Phase) {
	w.tb.Helper()
	for i := 0; w.epoch().Phase != phase; i++ {
		if i > 2000 {
			w.tb.Fatalf("no %s after %d blocks, still %s", phase, i, w.epoch().Phase)
		}
		w.next()
	}
}

// settle runs an epoch from its adjudicate phase to its end.
func (w *world) settle(r types.AuditResult) {
	w.tb.Helper()
	w.to(types.PHASE_ADJUDICATE)
	if err := w.k.Settle(w.Ctx, r); err != nil {
		w.tb.Fatal(err)
	}
	w.to(types.PHASE_DONE)
}

func (w *world) claim(i int, units uint64) {
	w.tb.Helper()
	a := chaintest.Address(i)
	w.roster.Register(a)
	if err := w.commit(&types.MsgCommitWork{Miner: w.Bech32(a), Epoch: w.epoch().Number, Root: bytes.Repeat([]byte{byte(i + 1)}, 32), Count: units}); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) commit(m *types.MsgCommitWork) error {
	return w.Try(func(ctx sdk.Context) error {
		_, err := w.msgs.CommitWork(ctx, m)
		return err
	})
}

func (w *world) settlement() *types.QuerySettlementResponse {
	w.tb.Helper()
	s, err := keeper.NewQueryServer(w.k).Settlement(w.Ctx, &types.QuerySettlementRequest{})
	if err != nil {
		w.tb.Fatal(err)
	}
	return s
}
