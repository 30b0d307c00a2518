package keeper_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/internal/chaintest"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

// proposedBy lets a participant propose the running block.
func (w *world) proposedBy(i int) {
	key := append(bytes.Repeat([]byte{0xcc}, 19), byte(i))
	w.roster.Operators[string(key)] = chaintest.Address(i)
	w.Ctx = w.Ctx.WithProposer(sdk.ConsAddress(key))
}

func (w *world) verdictOf(v int) types.Verdict {
	w.tb.Helper()
	g, err := w.k.ExportGenesis(w.Ctx)
	if err != nil {
		w.tb.Fatal(err)
	}
	for _, x := range g.Verdicts {
		if x.Validator == w.Bech32(chaintest.Address(v)) {
			return x
		}
	}
	w.tb.Fatalf("no verdict of %d", v)
	return types.Verdict{}
}

func checkTaken(t *testing.T, what string, got sprinttypes.Taken, proposer int, late, of uint64) {
	t.Helper()
	if !bytes.Equal(got.Proposer, chaintest.Address(proposer)) || got.Late != late || got.Of != of {
		t.Errorf("%s: taken by %X, %d of %d blocks late; want %d, %d of %d", what, got.Proposer, got.Late, got.Of, proposer, late, of)
	}
}

// Each of an auditor's messages notes whose block took it and how late; of the openings the one that completes
// them counts. All of that is paid for when the epoch is settled, and no coin is left over.
func TestWhoTakesAnAuditorsMessagesIsNotedAndPaid(t *testing.T) {
	w := crossWorld(t, crossParams())
	w.proposedBy(2)
	done := []computed{w.cast(0, nil, true, true, true)}
	w.blocks(3)
	w.proposedBy(3)
	for v := 1; v < 4; v++ {
		done = append(done, w.cast(v, nil, true, true, true))
	}
	checkTaken(t, "the first verdict", w.verdictOf(0).Taken, 2, 0, 8)
	checkTaken(t, "a later one", w.verdictOf(1).Taken, 3, 3, 8)

	w.toStage(types.CROSS_CHALLENGE)
	w.proposedBy(3)
	w.mustChallenge(0, 1, 2)
	w.next()
	w.proposedBy(1)
	w.mustChallenge(3)
	checkTaken(t, "a challenge", w.verdictOf(0).ChallengeTaken, 3, 0, 5)
	checkTaken(t, "a later one", w.verdictOf(3).ChallengeTaken, 1, 1, 5)

	w.toStage(types.CROSS_OPEN)
	all := w.openMsg(0, done[0])
	if len(all.Openings) < 2 {
		t.Fatalf("%d openings are asked for", len(all.Openings))
	}
	first, rest := *all, *all
	first.Openings, rest.Openings = all.Openings[:1], all.Openings[1:]
	if err := w.openKeyed(&first); err != nil {
		t.Fatal(err)
	}
	if got := w.verdictOf(0).OpenedTaken; got.Of != 0 {
		t.Errorf("a part of the openings is noted: %+v", got)
	}
	w.next()
	w.proposedBy(2)
	before := w.verdictOf(0)
	if err := w.openKeyed(&first); !errors.Is(err, types.ErrDuplicateOpening) {
		t.Errorf("opened again: %v", err)
	}
	if got := w.verdictOf(0); got.String() != before.String() {
		t.Error("a refused opening changed the verdict")
	}
	if err := w.openKeyed(&rest); err != nil {
		t.Fatal(err)
	}
	checkTaken(t, "the openings", w.verdictOf(0).OpenedTaken, 2, 1, 5)
	for v := 1; v < 4; v++ {
		w.mustOpen(v, done[v])
	}

	g, err := w.k.ExportGenesis(w.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Validate(); err != nil {
		t.Error(err)
	}
	bz := w.Codec.MustMarshalJSON(g)
	if err := w.k.InitGenesis(w.Ctx, *g); err != nil {
		t.Fatal(err)
	}
	again, err := w.k.ExportGenesis(w.Ctx)
	if err != nil || !bytes.Equal(w.Codec.MustMarshalJSON(again), bz) {
		t.Errorf("a second export differs, %v", err)
	}
	g.Verdicts[0].ChallengeTaken.Late = 99
	if err := g.Validate(); !errors.Is(err, types.ErrInvalidGenesis) {
		t.Errorf("a challenge 99 blocks late: %v", err)
	}

	verdicts := make([]types.Verdict, 4)
	for v := range verdicts {
		verdicts[v] = w.verdictOf(v)
	}
	supply := w.Supply()
	paid := w.auditors()
	sp := w.epoch().Params
	fees := math.NewIntFromUint64(sp.ClaimFee).Sub(sprinttypes.Bps(math.NewIntFromUint64(sp.ClaimFee), sp.InclusionBps)).MulRaw(3)
	burned := math.ZeroInt()
	for v, a := range paid {
		gross := sprinttypes.Part(fees, w.power.list[v].Power, 100)
		want := gross
		for _, x := range verdicts[v].TakenOf() {
			incl, late := x.Split(gross, sp)
			want, burned = want.Sub(incl).Sub(late), burned.Add(late)
		}
		if len(verdicts[v].TakenOf()) != 3 || !a.Amount.Equal(want) || !want.LT(gross) {
			t.Errorf("validator %d: %d messages, paid %s of %s, want %s", v, len(verdicts[v].TakenOf()), a.Amount, gross, want)
		}
	}
	if got := w.Supply().Sub(supply); !burned.IsPositive() || !got.Equal(math.NewIntFromUint64(sp.EmissionPerEpoch).Sub(burned)) {
		t.Errorf("the supply grew by %s; %s burned", got, burned)
	}
}

// A demand's deposit is divided among who answers, who takes the answer, what is lost because it came late, and
// the reserve, which gets what nobody is entitled to.
func TestWhoTakesAnAnswerIsPaid(t *testing.T) {
	for name, c := range map[string]struct {
		proposer int // 5 is the claimant; negative: nobody's key
		wait     int
		change   func(w *world)
		paid     bool
	}{
		"at once":       {1, 0, nil, true},
		"late":          {1, 3, nil, true},
		"its own block": {5, 1, nil, false},
		"nobody's key":  {-1, 1, nil, false},
		"who is jailed": {1, 1, func(w *world) { w.roster.Miners[string(chaintest.Address(1))] = true }, false},
		"after the deadline, while the others were not heard": {1, 6, func(w *world) { w.roster.Unheard = 50 }, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, sprintParams(), auditParams(), 10, 20)
			w.claim(5, 100)
			w.to(sprinttypes.PHASE_AUDIT)
			drawn := w.drawOf(0, 5)[:3]
			id, err := w.demand(w.demandMsg(0, 5, drawn...))
			if err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				c.change(w)
			}
			w.blocks(1 + c.wait)
			if c.proposer >= 0 {
				w.proposedBy(c.proposer)
			}
			pay := math.NewInt(3_000_000)
			x := sprinttypes.TakenIn(nil, 4, int64(4-c.wait))
			incl, late := x.Split(pay, w.epoch().Params)
			miner, proposer, supply := w.Balance(chaintest.Address(5)), w.Balance(chaintest.Address(1)), w.Supply()
			reserve := w.Balance(w.sprint.Account())

			bad := w.answerMsg(5, id, drawn...)
			bad.Openings[2][70] ^= 4
			if err := w.answer(bad); !errors.Is(err, types.ErrInvalidOpening) {
				t.Errorf("a flipped opening: %v", err)
			}
			if !w.held().Equal(pay) || !w.Supply().Equal(supply) || !w.Balance(chaintest.Address(1)).Equal(proposer) {
				t.Error("a refused answer moved coins")
			}
			if err := w.answer(w.answerMsg(5, id, drawn...)); err != nil {
				t.Fatal(err)
			}
			gets := math.ZeroInt()
			if c.paid {
				gets = incl
			}
			for what, v := range map[string][2]math.Int{
				"miner":    {w.Balance(chaintest.Address(5)).Sub(miner), pay.Sub(incl).Sub(late)},
				"proposer": {w.Balance(chaintest.Address(1)).Sub(proposer), gets},
				"burned":   {supply.Sub(w.Supply()), late},
				"reserve":  {w.Balance(w.sprint.Account()).Sub(reserve), incl.Sub(gets)},
				"deposit":  {w.held(), math.ZeroInt()},
			} {
				if !v[0].Equal(v[1]) {
					t.Errorf("%s: %s, want %s", what, v[0], v[1])
				}
			}
		})
	}
}

// proven lets a validator report a unit of miner 5's claim, in a block of a proposer, and waits for the result.
func (w *world) proven(reporter, proposer int, index uint64, drawn bool) (at sprinttypes.Taken) {
	w.tb.Helper()
	w.proposedBy(proposer)
	m := w.reportMsg(reporter, 5, index)
	if drawn {
		p := w.proof(reporter)
		m.VrfProof = p[:]
	}
	if err := w.report(m); err != nil {
		w.tb.Fatal(err)
	}
	e := w.epoch()
	at = sprinttypes.TakenIn(chaintest.Address(proposer), e.Params.AuditBlocks, e.AuditEnd-w.Ctx.BlockHeight())
	w.blocks(3)
	if s := w.statuses()[index]; s != types.REPORT_PROVEN {
		w.tb.Fatalf("the report of unit %d is %s", index, s)
	}
	return at
}

// reimport exports the module's state and puts it into an empty store.
func (w *world) reimport() {
	w.tb.Helper()
	g, err := w.k.ExportGenesis(w.Ctx)
	if err != nil {
		w.tb.Fatal(err)
	}
	store := w.Ctx.KVStore(w.Store(types.StoreKey))
	var keys [][]byte
	it := store.Iterator(nil, nil)
	for ; it.Valid(); it.Next() {
		keys = append(keys, it.Key())
	}
	if err := it.Close(); err != nil {
		w.tb.Fatal(err)
	}
	for _, key := range keys {
		store.Delete(key)
	}
	if err := w.k.InitGenesis(w.Ctx, *g); err != nil {
		w.tb.Fatal(err)
	}
}

// Each of the proofs that make a forfeit earns an equal part of the reporters' share, divided like all other pay
// with the block that took it; what nobody is entitled to burns with the rest.
func TestProofsOfAForfeitArePaidEqually(t *testing.T) {
	type proof struct {
		reporter, proposer int
		drawn              bool
	}
	for name, proofs := range map[string][]proof{
		"one reporter":       {{1, 0, true}, {1, 0, true}, {1, 0, true}},
		"its own block":      {{1, 1, true}, {1, 0, true}, {1, 1, true}},
		"three reporters":    {{1, 0, true}, {3, 2, true}, {2, 1, true}},
		"what nobody drew":   {{1, 0, false}, {3, 2, true}, {2, 1, false}},
		"nobody is entitled": {{1, 0, false}, {1, 0, false}, {1, 0, false}},
	} {
		t.Run(name, func(t *testing.T) {
			sp := sprintParams()
			sp.EpochBlocks, sp.AuditBlocks = 28, 16
			w := newWorld(t, sp, auditParams(), 10, 40, 30, 20)
			vesting := w.earn(5)
			w.claim(5, 2, 0, 1, 2, 3, 4, 5, 6, 7)
			w.to(sprinttypes.PHASE_AUDIT)
			var before [4]math.Int
			for v := range before {
				before[v] = w.Balance(chaintest.Address(v))
			}
			supply := w.Supply()
			part := vesting.QuoRaw(10).QuoRaw(3)
			var want [4]math.Int
			for v := range want {
				want[v] = math.ZeroInt()
			}
			var used []uint64
			for i, p := range proofs {
				drawn := w.drawOf(p.reporter, 5)
				n := slices.IndexFunc(drawn, func(x uint64) bool { return !slices.Contains(used, x) })
				if n < 0 {
					t.Fatalf("validator %d draws %v, of which nothing is left", p.reporter, drawn)
				}
				index := drawn[n]
				used = append(used, index)
				incl, late := w.proven(p.reporter, p.proposer, index, p.drawn).Split(part, w.epoch().Params)
				if p.drawn {
					want[p.reporter] = want[p.reporter].Add(part).Sub(incl).Sub(late)
					if p.proposer != p.reporter {
						want[p.proposer] = want[p.proposer].Add(incl)
					}
				}
				if i == 1 { // who proved what survives an export
					w.reimport()
				}
			}
			if !w.roster.Miners[string(chaintest.Address(5))] {
				t.Fatal("three false units do not jail")
			}
			burned := vesting
			for v := range want {
				burned = burned.Sub(want[v])
				if got := w.Balance(chaintest.Address(v)).Sub(before[v]); !got.Equal(want[v]) {
					t.Errorf("validator %d got %s, want %s", v, got, want[v])
				}
			}
			if got := supply.Sub(w.Supply()); !got.Equal(burned) {
				t.Errorf("%s burned, want %s", got, burned)
			}
		})
	}
}

// A unit that a suspect does not open counts as a false one, and its part of the reward burns.
func TestWhatIsNotOpenedEarnsNoReward(t *testing.T) {
	sp := sprintParams()
	sp.EpochBlocks, sp.AuditBlocks = 28, 16
	w := newWorld(t, sp, auditParams(), 10, 20, 30, 40)
	vesting := w.earn(5)
	w.claim(5, 2, 0, 1, 2, 3, 4, 5, 6, 7)
	w.to(sprinttypes.PHASE_AUDIT)
	before := w.Balance(chaintest.Address(3))
	first := w.drawOf(3, 5)[0]
	incl, late := w.proven(3, 3, first, true).Split(vesting.QuoRaw(10).QuoRaw(3), w.epoch().Params)
	w.proposedBy(0)
	for v := 1; v < 3; v++ {
		if _, err := w.demand(w.demandMsg(v, 5, w.drawOf(v, 5)[0])); err != nil {
			t.Fatal(err)
		}
	}
	supply := w.Supply()
	w.blocks(6)
	if c := w.claimOf(5); c.FalseUnits != 3 || !w.roster.Miners[string(chaintest.Address(5))] {
		t.Fatalf("claim %+v", c)
	}
	reward := vesting.QuoRaw(10).QuoRaw(3).Sub(incl).Sub(late)
	if got := w.Balance(chaintest.Address(3)).Sub(before); !got.Equal(reward) {
		t.Errorf("the reporter got %s, want %s", got, reward)
	}
	if got, want := supply.Sub(w.Supply()), vesting.Sub(reward); !got.Equal(want) {
		t.Errorf("%s burned, want %s", got, want)
	}
}
