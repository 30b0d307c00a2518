package keeper_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/runtime"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/assaynet/assay/chain/internal/chaintest"
	"github.com/assaynet/assay/chain/sprint/keeper"
	"github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
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
	p.ReserveReleaseEpochs = 10
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
	forfeited, rewarded, err := w.k.Forfeit(w.Ctx, chaintest.Address(1), chaintest.Address(9), 1000)
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

func TestNoWorkNoClaims(t *testing.T) {
	w := newWorld(t, testParams())
	w.roster.Work.ModuleHash = make([]byte, 32)
	w.settle(types.AuditResult{})
	w.to(types.PHASE_COMPUTE)
	w.roster.Register(chaintest.Address(0))
	err := w.commit(&types.MsgCommitWork{Miner: w.Bech32(chaintest.Address(0)), Epoch: 2, Root: make([]byte, 32), Count: 4})
	if !errors.Is(err, types.ErrNoWork) {
		t.Errorf("%v", err)
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

func TestRefusedClaims(t *testing.T) {
	p := testParams()
	p.MaxClaims, p.MaxClaimUnits, p.MaxExtensions = 2, 400, 1
	w := newWorld(t, p)
	honest, jailed, stranger := chaintest.Address(0), chaintest.Address(1), chaintest.Address(2)
	w.roster.Register(honest, jailed)
	w.roster.Miners[string(jailed)] = true
	root := bytes.Repeat([]byte{9}, 32)
	valid := func() *types.MsgCommitWork {
		return &types.MsgCommitWork{Miner: w.Bech32(honest), Epoch: 1, Root: root, Count: 8}
	}
	for _, c := range []struct {
		name   string
		change func(*types.MsgCommitWork)
		want   error
	}{
		{"not an address", func(m *types.MsgCommitWork) { m.Miner = "assay1" }, types.ErrInvalidAddress},
		{"unknown miner", func(m *types.MsgCommitWork) { m.Miner = w.Bech32(stranger) }, types.ErrUnknownMiner},
		{"jailed miner", func(m *types.MsgCommitWork) { m.Miner = w.Bech32(jailed) }, types.ErrJailedMiner},
		{"next epoch", func(m *types.MsgCommitWork) { m.Epoch = 2 }, types.ErrWrongEpoch},
		{"short root", func(m *types.MsgCommitWork) { m.Root = root[1:] }, types.ErrInvalidRoot},
		{"part of a fold", func(m *types.MsgCommitWork) { m.Count = 9 }, types.ErrFoldMismatch},
		{"too small", func(m *types.MsgCommitWork) { m.Count = 3 }, types.ErrClaimTooSmall},
		{"nothing", func(m *types.MsgCommitWork) { m.Count = 0 }, types.ErrClaimTooSmall},
		{"too large", func(m *types.MsgCommitWork) { m.Count = 404 }, types.ErrClaimTooLarge},
		{"first with a proof", func(m *types.MsgCommitWork) { m.Proof = [][]byte{root} }, types.ErrInvalidProof},
		{"long proof", func(m *types.MsgCommitWork) { m.Proof = make([][]byte, 200) }, types.ErrInvalidProof},
		{"short node", func(m *types.MsgCommitWork) { m.Proof = [][]byte{root[2:]} }, types.ErrInvalidProof},
	} {
		m := valid()
		c.change(m)
		before := w.epoch()
		if err := w.commit(m); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if w.epoch().Claims != before.Claims || w.epoch().Units != before.Units {
			t.Errorf("%s: state changed", c.name)
		}
	}
	if err := w.commit(valid()); err != nil {
		t.Fatal(err)
	}
	w.claim(5, 4)
	m := valid()
	m.Miner = w.Bech32(chaintest.Address(6))
	w.roster.Register(chaintest.Address(6))
	if err := w.commit(m); !errors.Is(err, types.ErrTooManyClaims) {
		t.Errorf("third of two claims: %v", err)
	}
	w.to(types.PHASE_AUDIT)
	if err := w.commit(valid()); !errors.Is(err, types.ErrCommitClosed) {
		t.Errorf("late: %v", err)
	}
}

func TestExtensionsAreAppendOnly(t *testing.T) {
	p := testParams()
	p.MaxExtensions = 2
	w := newWorld(t, p)
	a := chaintest.Address(0)
	w.roster.Register(a)
	b, err := commit.NewBuilder(fold)
	if err != nil {
		t.Fatal(err)
	}
	add := func(folds int) {
		for range folds {
			digests := make([]commit.Digest, fold)
			for i := range digests {
				binary.LittleEndian.PutUint64(digests[i][:], b.Count()+uint64(i)+1)
			}
			if _, err := b.AddFold(digests); err != nil {
				t.Fatal(err)
			}
		}
	}
	send := func(older uint64, spoil func(*types.MsgCommitWork)) error {
		root := b.Root()
		m := &types.MsgCommitWork{Miner: w.Bech32(a), Epoch: 1, Root: root[:], Count: b.Count()}
		if older > 0 {
			if m.Proof, err = b.ConsistencyProof(older, b.Count()); err != nil {
				t.Fatal(err)
			}
		}
		if spoil != nil {
			spoil(m)
		}
		return w.commit(m)
	}
	add(3)
	if err := send(0, nil); err != nil {
		t.Fatal(err)
	}
	first := b.Count()
	if err := send(first, nil); !errors.Is(err, types.ErrNotExtended) {
		t.Errorf("same again: %v", err)
	}
	add(4)
	for name, spoil := range map[string]func(*types.MsgCommitWork){
		// Not among these: a count that the same proof fits. A root does not bind its count; the
		// audit finds out, because the units beyond cannot be opened.
		"another root": func(m *types.MsgCommitWork) { m.Root[3] ^= 1 },
		"another node": func(m *types.MsgCommitWork) { m.Proof[0] = bytes.Repeat([]byte{1}, 32) },
		"missing node": func(m *types.MsgCommitWork) { m.Proof = m.Proof[1:] },
	} {
		if err := send(first, spoil); !errors.Is(err, types.ErrNotAppendOnly) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := send(first, nil); err != nil {
		t.Fatal(err)
	}
	second := b.Count()
	add(1)
	if err := send(second, nil); err != nil {
		t.Fatal(err)
	}
	third := b.Count()
	add(1)
	if err := send(third, nil); !errors.Is(err, types.ErrTooManyExtends) {
		t.Errorf("third extension: %v", err)
	}
	c, err := w.k.Claim(w.Ctx, 1, a)
	if err != nil || c.Count != third || c.Extensions != 2 || w.epoch().Units != third {
		t.Errorf("claim %+v of %d units, %v", c, w.epoch().Units, err)
	}
	w.to(types.PHASE_AUDIT)
	want := commit.ClaimsRoot([]commit.Claim{{Epoch: 1, Claimant: a, Root: commit.Root(c.Root), Count: third}})
	if !bytes.Equal(w.epoch().ClaimsRoot, want[:]) {
		t.Error("claims root differs")
	}
}

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
