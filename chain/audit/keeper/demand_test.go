package keeper_test

import (
	"errors"
	"testing"

	"cosmossdk.io/math"

	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/assaynet/assay/chain/audit/keeper"
	"github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/internal/chaintest"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

func (w *world) held() math.Int {
	return w.Balance(authtypes.NewModuleAddress(types.ModuleName))
}

func (w *world) answerMsg(i int, demand uint64, indexes ...uint64) *types.MsgAnswer {
	m := &types.MsgAnswer{Miner: w.Bech32(chaintest.Address(i)), Demand: demand}
	for _, x := range indexes {
		m.Openings = append(m.Openings, w.opening(i, x))
	}
	return m
}

func TestUnansweredDemandVoids(t *testing.T) {
	w := newWorld(t, sprintParams(), auditParams(), 10, 20)
	w.claim(5, 100)
	w.claim(6, 100)
	w.to(sprinttypes.PHASE_AUDIT)
	before := w.Balance(chaintest.Address(0))
	drawn := w.drawOf(0, 5)[:2]
	id, err := w.demand(w.demandMsg(0, 5, drawn...))
	if err != nil {
		t.Fatal(err)
	}
	if deposit := before.Sub(w.Balance(chaintest.Address(0))); !deposit.Equal(math.NewInt(2_000_000)) || !w.held().Equal(deposit) {
		t.Errorf("deposit %s, held %s", deposit, w.held())
	}
	w.blocks(4) // four blocks to answer, after that of the demand
	if c := w.claimOf(5); c.Status != sprinttypes.CLAIM_OPEN {
		t.Fatalf("%s before the deadline", c.Status)
	}
	w.next()
	if c := w.claimOf(5); c.Status != sprinttypes.CLAIM_VOID_UNANSWERED {
		t.Fatalf("claim is %s", c.Status)
	}
	if !w.Balance(chaintest.Address(0)).Equal(before) || !w.held().IsZero() {
		t.Error("the deposit did not return")
	}
	if err := w.answer(w.answerMsg(5, id, drawn...)); !errors.Is(err, types.ErrNoDemand) {
		t.Errorf("too late: %v", err)
	}
	if _, err := w.demand(w.demandMsg(0, 5, drawn...)); !errors.Is(err, types.ErrClaimVoid) {
		t.Errorf("demand of a void claim: %v", err)
	}
	w.to(sprinttypes.PHASE_DONE)
	if c := w.claimOf(6); c.Status != sprinttypes.CLAIM_PAID {
		t.Errorf("the other claim is %s", c.Status)
	}
}

// A coalition with a third or more can have every block refused that holds an answer. Then only its
// own pass, which are not enough for the demand to run out, however many there are.
func TestKeptOutAnswerIsNoSilence(t *testing.T) {
	w := newWorld(t, sprintParams(), auditParams(), 10, 20)
	w.claim(5, 100)
	w.claim(6, 100)
	w.to(sprinttypes.PHASE_AUDIT)
	drawn := w.drawOf(0, 5)[:1]
	id, err := w.demand(w.demandMsg(0, 5, drawn...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.demand(w.demandMsg(0, 6, w.drawOf(0, 6)[:1]...)); err != nil {
		t.Fatal(err)
	}
	w.roster.Unheard = 34 // two thirds of the power are not more than two thirds
	w.blocks(60)
	if c := w.claimOf(5); c.Status != sprinttypes.CLAIM_OPEN {
		t.Fatalf("%s while a third was not heard", c.Status)
	}
	if err := w.answer(w.answerMsg(5, id, drawn...)); err != nil {
		t.Fatalf("an answer after the deadline of a demand that stands: %v", err)
	}
	w.roster.Unheard = 33
	w.next()
	if c := w.claimOf(5); c.Status != sprinttypes.CLAIM_OPEN {
		t.Errorf("the answered claim is %s", c.Status)
	}
	if c := w.claimOf(6); c.Status != sprinttypes.CLAIM_VOID_UNANSWERED {
		t.Errorf("the silent claim is %s", c.Status)
	}
}

func TestAnsweredDemandPaysTheMiner(t *testing.T) {
	w := newWorld(t, sprintParams(), auditParams(), 10, 20)
	w.claim(5, 100)
	w.to(sprinttypes.PHASE_AUDIT)
	w.vote(0, false) // the verdict on chain stands for the proof
	drawn := w.drawOf(0, 5)[:3]
	m := w.demandMsg(0, 5, drawn...)
	m.VrfProof = nil
	id, err := w.demand(m)
	if err != nil {
		t.Fatal(err)
	}
	w.blocks(4)
	for name, c := range map[string]struct {
		spoil func(*types.MsgAnswer)
		want  error
	}{
		"another miner":     {func(m *types.MsgAnswer) { m.Miner = w.Bech32(chaintest.Address(0)) }, types.ErrNotAddressed},
		"another demand":    {func(m *types.MsgAnswer) { m.Demand++ }, types.ErrNoDemand},
		"one is missing":    {func(m *types.MsgAnswer) { m.Openings = m.Openings[1:] }, types.ErrIncompleteAnswer},
		"none":              {func(m *types.MsgAnswer) { m.Openings = nil }, types.ErrIncompleteAnswer},
		"another order":     {func(m *types.MsgAnswer) { m.Openings[0], m.Openings[1] = m.Openings[1], m.Openings[0] }, types.ErrInvalidOpening},
		"a flipped opening": {func(m *types.MsgAnswer) { m.Openings[2][70] ^= 4 }, types.ErrInvalidOpening},
	} {
		m := w.answerMsg(5, id, drawn...)
		c.spoil(m)
		if err := w.answer(m); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := w.answer(w.answerMsg(5, id, drawn...)); err != nil {
		t.Fatal(err)
	}
	incl, late := sprinttypes.TakenIn(nil, 4, 1).Split(math.NewInt(3_000_000), w.epoch().Params)
	if got := w.Balance(chaintest.Address(5)); !got.Equal(math.NewInt(3_000_000).Sub(incl).Sub(late)) || !w.held().IsZero() {
		t.Errorf("the answer earned %s of the deposit", got)
	}
	if n := w.roster.Answers[string(chaintest.Address(5))]; n != 1 {
		t.Errorf("%d answers were given back to the lane, want 1: refused ones are not", n)
	}
	q := keeper.NewQueryServer(w.k)
	a, err := q.Answers(w.Ctx, &types.QueryAnswersRequest{Claimant: w.Bech32(chaintest.Address(5))})
	if err != nil || len(a.Answers) != 3 {
		t.Errorf("%d answers, %v", len(a.Answers), err)
	}
	w.to(sprinttypes.PHASE_DONE)
	if c := w.claimOf(5); c.Status != sprinttypes.CLAIM_PAID {
		t.Errorf("claim is %s", c.Status)
	}
}

// Each demand costs the claimant a transaction, of which the lane takes so many an epoch. So each must
// ask for something new: else one seat would make an honest miner run out of them for the price of as
// many indexes, and lose its claim to the next demand.
func TestDemandAsksForSomethingNew(t *testing.T) {
	w := newWorld(t, sprintParams(), auditParams(), 10, 20)
	w.claim(5, 100)
	w.to(sprinttypes.PHASE_AUDIT)
	drawn := w.drawOf(0, 5)
	ask := func(indexes ...uint64) error {
		id, err := w.demand(w.demandMsg(0, 5, indexes...))
		if err != nil {
			return err
		}
		return w.answer(w.answerMsg(5, id, indexes...))
	}
	if err := ask(drawn[:2]...); err != nil {
		t.Fatal(err)
	}
	paid := w.Balance(chaintest.Address(5))
	for _, again := range [][]uint64{drawn[:1], drawn[1:2], drawn[:2]} {
		if err := ask(again...); !errors.Is(err, types.ErrAnswered) {
			t.Errorf("demand of %v, opened before: %v", again, err)
		}
	}
	if !w.held().IsZero() || !w.Balance(chaintest.Address(5)).Equal(paid) {
		t.Error("a refused demand moved coins")
	}
	// What others had opened meanwhile may be part of a demand.
	if err := ask(drawn[1:3]...); err != nil {
		t.Errorf("demand of an opened unit and a new one: %v", err)
	}
}

// A faker that serves only its true units must open the false one on chain, where it is reported
// even if the audit's round is over by then.
func TestFalseUnitOpenedOnChainIsReportedAfterTheRound(t *testing.T) {
	p := auditParams()
	p.ExtraDraw = 0
	w := newWorld(t, sprintParams(), p, 10, 20)
	all := make([]uint64, 16)
	for i := range all {
		all[i] = uint64(i)
	}
	w.claim(5, 4, all...)
	w.to(sprinttypes.PHASE_AUDIT)
	drawn := w.drawOf(0, 5)
	for w.epoch().AuditEnd > w.Height()+1 {
		w.next()
	}
	id, err := w.demand(w.demandMsg(0, 5, drawn[0]))
	if err != nil {
		t.Fatal(err)
	}
	w.to(sprinttypes.PHASE_ADJUDICATE)
	if err := w.report(w.reportMsg(0, 5, drawn[1])); !errors.Is(err, types.ErrWrongPhase) {
		t.Errorf("a unit that was not opened on chain: %v", err)
	}
	w.blocks(2)
	if err := w.answer(w.answerMsg(5, id, drawn[0])); err != nil {
		t.Fatal(err)
	}
	w.next()
	m := w.reportMsg(0, 5, drawn[0])
	m.Opening = nil // the digest is on chain
	if err := w.report(m); err != nil {
		t.Fatal(err)
	}
	w.to(sprinttypes.PHASE_DONE)
	if c := w.claimOf(5); c.Status != sprinttypes.CLAIM_VOID_FALSE {
		t.Errorf("claim is %s", c.Status)
	}
}

func TestAnsweredUnitsCannotBeReportedForever(t *testing.T) {
	w := newWorld(t, sprintParams(), auditParams(), 10, 20)
	w.claim(5, 4)
	w.to(sprinttypes.PHASE_AUDIT)
	drawn := w.drawOf(0, 5)
	id, err := w.demand(w.demandMsg(0, 5, drawn[0]))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.answer(w.answerMsg(5, id, drawn[0])); err != nil {
		t.Fatal(err)
	}
	end := w.round().ReportEnd
	if end != w.Height()+1+3 {
		t.Errorf("reports end at %d", end)
	}
	w.endRound()
	if err := w.report(w.reportMsg(0, 5, drawn[0])); !errors.Is(err, types.ErrWrongPhase) {
		t.Errorf("at %d: %v", w.Height(), err)
	}
}

// Who was caught once cannot hide the rest of its false units from the extra draw.
func TestSilenceAfterAFalseUnitCondemns(t *testing.T) {
	w := newWorld(t, sprintParams(), auditParams(), 10, 20)
	w.claim(5, 100, 7)
	w.to(sprinttypes.PHASE_AUDIT)
	w.mustReport(0, 5, 7)
	w.vote(0, false)
	w.vote(1, true)
	w.endRound()
	if e := w.epoch(); e.Round != 1 {
		t.Fatalf("round %d", e.Round)
	}
	for v := range 2 {
		if _, err := w.demand(w.demandMsg(v, 5, w.drawOf(v, 5)[0])); err != nil {
			t.Fatal(err)
		}
	}
	w.to(sprinttypes.PHASE_DONE)
	if c := w.claimOf(5); c.FalseUnits != 3 || c.Status != sprinttypes.CLAIM_VOID_FALSE {
		t.Errorf("claim %+v", c)
	}
	if len(w.roster.Jailings) != 1 {
		t.Errorf("%d jailings", len(w.roster.Jailings))
	}
}

func TestRefusedDemands(t *testing.T) {
	p := auditParams()
	p.MaxDemand = 2
	w := newWorld(t, sprintParams(), p, 10, 20)
	w.claim(0, 100)
	w.claim(5, 100)
	w.to(sprinttypes.PHASE_AUDIT)
	drawn := w.drawOf(0, 5)
	var foreign uint64
	for i := uint64(0); ; i++ {
		held := false
		for _, x := range drawn {
			held = held || x == i
		}
		if !held {
			foreign = i
			break
		}
	}
	for _, c := range []struct {
		name   string
		change func(*types.MsgDemand)
		want   error
	}{
		{"no seat", func(m *types.MsgDemand) { m.Validator = w.Bech32(chaintest.Address(5)) }, types.ErrNoSeat},
		{"another epoch", func(m *types.MsgDemand) { m.Epoch++ }, types.ErrWrongEpoch},
		{"no index", func(m *types.MsgDemand) { m.Indexes = nil }, types.ErrTooManyIndexes},
		{"too many", func(m *types.MsgDemand) { m.Indexes = drawn[:3] }, types.ErrTooManyIndexes},
		{"twice the same", func(m *types.MsgDemand) { m.Indexes = []uint64{drawn[0], drawn[0]} }, types.ErrInvalidIndex},
		{"not drawn", func(m *types.MsgDemand) { m.Indexes = []uint64{foreign} }, types.ErrNotDrawn},
		{"own claim", func(m *types.MsgDemand) { m.Claimant = w.Bech32(chaintest.Address(0)) }, types.ErrNotDrawn},
		{"no claim", func(m *types.MsgDemand) { m.Claimant = w.Bech32(chaintest.Address(7)) }, sprinttypes.ErrNoClaim},
		{"no proof", func(m *types.MsgDemand) { m.VrfProof = nil }, types.ErrInvalidProof},
		{"another's proof", func(m *types.MsgDemand) { p := w.proof(1); m.VrfProof = p[:] }, types.ErrInvalidProof},
	} {
		m := w.demandMsg(0, 5, drawn[0])
		c.change(m)
		if _, err := w.demand(m); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if !w.held().IsZero() {
		t.Error("a refused demand left its deposit")
	}
	if _, err := w.demand(w.demandMsg(0, 5, drawn[0])); err != nil {
		t.Fatal(err)
	}
	if _, err := w.demand(w.demandMsg(0, 5, drawn[1])); !errors.Is(err, types.ErrDemandOpen) {
		t.Errorf("a second open demand: %v", err)
	}
	w.endRound()
	if _, err := w.demand(w.demandMsg(1, 5, w.drawOf(1, 5)[0])); !errors.Is(err, types.ErrWrongPhase) {
		t.Errorf("after the audit: %v", err)
	}
}
