package keeper_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"cosmossdk.io/math"

	"github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/internal/chaintest"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/verifier/commit"
)

func TestFalseUnitVoidsAfterTheDelay(t *testing.T) {
	p := auditParams()
	p.ExtraDraw = 0
	w := newWorld(t, sprintParams(), p, 10, 20)
	w.claim(5, 8, 7)
	w.claim(6, 8)
	w.to(sprinttypes.PHASE_AUDIT)
	w.mustReport(0, 5, 7)
	w.blocks(2) // the delay is two blocks: the block of the report and the next decide nothing
	if c := w.claimOf(5); c.Status != sprinttypes.CLAIM_OPEN {
		t.Fatalf("%s before the delay", c.Status)
	}
	w.next()
	if c := w.claimOf(5); c.Status != sprinttypes.CLAIM_VOID_FALSE || c.FalseUnits != 1 {
		t.Fatalf("claim %+v", c)
	}
	w.to(sprinttypes.PHASE_DONE)
	if c := w.claimOf(5); !c.Amount.IsZero() {
		t.Error("a void claim was paid")
	}
	if c := w.claimOf(6); c.Status != sprinttypes.CLAIM_PAID {
		t.Errorf("the honest claim is %s", c.Status)
	}
	if len(w.roster.Jailings) != 0 {
		t.Error("one false unit jails")
	}
	if w.statuses()[7] != types.REPORT_PROVEN {
		t.Errorf("reports %v", w.statuses())
	}
}

// earn lets miner i be paid in one epoch, so that it has something to forfeit.
func (w *world) earn(i int) math.Int {
	w.tb.Helper()
	w.claim(i, 8)
	w.to(sprinttypes.PHASE_DONE)
	amount := w.claimOf(i).Amount
	w.to(sprinttypes.PHASE_COMPUTE)
	return amount
}

func TestThreeFalseUnitsForfeitAndJail(t *testing.T) {
	for _, own := range []bool{true, false} {
		w := newWorld(t, sprintParams(), auditParams(), 10, 20)
		vesting := w.earn(5)
		false5 := []uint64{0, 1, 2, 3, 4, 5, 6, 7}
		w.claim(5, 2, false5...) // 8 units, all are drawn together
		w.claim(6, 100)
		w.to(sprinttypes.PHASE_AUDIT)
		drawn := w.drawOf(1, 5)
		if len(drawn) < 5 {
			t.Fatalf("validator 1 draws %v", drawn)
		}
		before, supply := w.Balance(chaintest.Address(1)), w.Supply()
		for i := range 4 {
			m := w.reportMsg(1, 5, drawn[i])
			if own {
				p := w.proof(1)
				m.VrfProof = p[:]
			}
			if err := w.report(m); err != nil {
				t.Fatal(err)
			}
		}
		w.blocks(6)
		if c := w.claimOf(5); c.FalseUnits != 3 {
			t.Fatalf("claim %+v", c)
		}
		if w.statuses()[drawn[3]] != types.REPORT_MOOT {
			t.Errorf("the fourth report is %s", w.statuses()[drawn[3]])
		}
		if !w.roster.Miners[string(chaintest.Address(5))] {
			t.Error("not jailed")
		}
		reward := math.ZeroInt()
		if own {
			part := vesting.QuoRaw(10).QuoRaw(3)
			incl, late := sprinttypes.TakenIn(nil, 8, 8).Split(part, w.epoch().Params)
			reward = part.Sub(incl).Sub(late).MulRaw(3)
		}
		if got := w.Balance(chaintest.Address(1)).Sub(before); !got.Equal(reward) {
			t.Errorf("own draw %v: the reporter got %s, want %s", own, got, reward)
		}
		if burnt := supply.Sub(w.Supply()); !burnt.Equal(vesting.Sub(reward)) {
			t.Errorf("own draw %v: %s burnt of %s", own, burnt, vesting)
		}
		if err := w.report(w.reportMsg(0, 5, drawn[4])); !errors.Is(err, types.ErrCondemned) {
			t.Errorf("report of a condemned claim: %v", err)
		}
		w.endRound()
		if err := w.report(w.reportMsg(0, 5, drawn[4])); !errors.Is(err, types.ErrWrongPhase) {
			t.Errorf("after the audit: %v", err)
		}
		w.to(sprinttypes.PHASE_DONE)
		if w.epoch().Round != 0 {
			t.Error("a condemned claim is drawn again")
		}
	}
}

func TestReportOfACorrectUnit(t *testing.T) {
	w := newWorld(t, sprintParams(), auditParams(), 10, 20)
	w.claim(5, 8, 7)
	w.to(sprinttypes.PHASE_AUDIT)
	w.vote(1, true)
	w.mustReport(1, 5, 3)
	w.blocks(3)
	if w.statuses()[3] != types.REPORT_REFUTED || w.claimOf(5).Status != sprinttypes.CLAIM_OPEN {
		t.Fatalf("report is %s, claim %s", w.statuses()[3], w.claimOf(5).Status)
	}
	if err := w.report(w.reportMsg(1, 5, 7)); !errors.Is(err, types.ErrRefutedReporter) {
		t.Errorf("a refuted sender reports: %v", err)
	}
	if !w.round().Seats[1].Refuted {
		t.Error("the refuted validator keeps its pay")
	}
	w.mustReport(0, 5, 7)
	w.blocks(3)
	if w.claimOf(5).Status != sprinttypes.CLAIM_VOID_FALSE {
		t.Error("a refuted report protects the claim")
	}
}

func TestRefusedReports(t *testing.T) {
	p := auditParams()
	p.MaxReports, p.MaxQueue = 3, 4
	w := newWorld(t, sprintParams(), p, 10, 20)
	w.claim(5, 8, 7, 8)
	w.claim(6, 8)
	stranger := chaintest.Address(9)
	w.to(sprinttypes.PHASE_AUDIT)
	for _, c := range []struct {
		name   string
		change func(*types.MsgReport)
		want   error
	}{
		{"unknown reporter", func(m *types.MsgReport) { m.Reporter = w.Bech32(stranger) }, types.ErrUnknownReporter},
		{"another epoch", func(m *types.MsgReport) { m.Epoch = 7 }, types.ErrWrongEpoch},
		{"no claim", func(m *types.MsgReport) { m.Claimant = w.Bech32(stranger) }, sprinttypes.ErrNoClaim},
		{"index beyond", func(m *types.MsgReport) { m.Index = 32 }, types.ErrInvalidIndex},
		{"another index", func(m *types.MsgReport) { m.Index = 6 }, types.ErrInvalidOpening},
		{"another claim", func(m *types.MsgReport) { m.Claimant = w.Bech32(chaintest.Address(6)) }, types.ErrInvalidOpening},
		{"no opening", func(m *types.MsgReport) { m.Opening = nil }, types.ErrInvalidOpening},
		{"broken opening", func(m *types.MsgReport) { m.Opening = m.Opening[:40] }, types.ErrInvalidOpening},
		{"flipped digest", func(m *types.MsgReport) { m.Opening[60] ^= 1 }, types.ErrInvalidOpening},
		{"huge opening", func(m *types.MsgReport) { m.Opening = make([]byte, 1<<20) }, types.ErrInvalidOpening},
		{"short proof", func(m *types.MsgReport) { m.VrfProof = make([]byte, 5) }, types.ErrInvalidProof},
		{"another's proof", func(m *types.MsgReport) { p := w.proof(0); m.VrfProof = p[:] }, types.ErrInvalidProof},
	} {
		m := w.reportMsg(1, 5, 7)
		c.change(m)
		if err := w.report(m); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if len(w.statuses()) != 0 {
		t.Error("a refused report is in the state")
	}
	w.mustReport(6, 5, 0) // a miner may report too, but most of the queue is for validators
	if err := w.report(w.reportMsg(6, 5, 1)); !errors.Is(err, types.ErrPendingReports) {
		t.Errorf("second report of a miner while the first waits: %v", err)
	}
	if err := w.report(w.reportMsg(5, 5, 2)); !errors.Is(err, types.ErrQueueFull) {
		t.Errorf("second miner's report in a queue of four: %v", err)
	}
	w.mustReport(0, 5, 10)
	w.mustReport(1, 5, 7)
	if err := w.report(w.reportMsg(0, 5, 7)); !errors.Is(err, types.ErrDuplicateReport) {
		t.Errorf("a unit twice: %v", err)
	}
	w.mustReport(1, 5, 8)
	if err := w.report(w.reportMsg(1, 5, 9)); !errors.Is(err, types.ErrQueueFull) {
		t.Errorf("fifth of four: %v", err)
	}
	w.blocks(3)
	w.mustReport(1, 5, 9)
	w.next()
	if err := w.report(w.reportMsg(1, 5, 11)); !errors.Is(err, types.ErrTooManyReports) {
		t.Errorf("fourth of three: %v", err)
	}
}

func TestOneAdjudicationABlockAndNoSettlementBefore(t *testing.T) {
	p := auditParams()
	p.ForfeitUnits, p.ExtraDraw, p.MaxPending = 100, 0, 10
	w := newWorld(t, sprintParams(), p, 10)
	w.claim(5, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	w.to(sprinttypes.PHASE_AUDIT)
	w.blocks(6)
	for i := range uint64(10) {
		w.mustReport(0, 5, i)
	}
	last := uint32(0)
	for w.claimOf(5).FalseUnits < 10 {
		if w.epoch().Phase >= sprinttypes.PHASE_SETTLE {
			t.Fatal("settles while reports are queued")
		}
		w.next()
		if n := w.claimOf(5).FalseUnits; n > last+1 {
			t.Fatalf("%d units in one block", n-last)
		}
		last = w.claimOf(5).FalseUnits
	}
	w.to(sprinttypes.PHASE_DONE)
}

// Whose reports are decided first does not follow from their order, nor from the block that took them if that is
// within half the delay: drawn ones go first, then the lowest id. Others' claims and later reports wait.
func TestTheOrderOfReportsDecidesNothing(t *testing.T) {
	sp, ap := sprintParams(), auditParams()
	sp.EpochBlocks, sp.AuditBlocks = 40, 24
	ap.ReportDelay, ap.ForfeitUnits, ap.ExtraDraw, ap.MaxPending = 4, 100, 0, 20
	setup := func(t *testing.T) (w *world, drawn, others []uint64) {
		w = newWorld(t, sp, ap, 10, 20)
		all := make([]uint64, 16)
		for i := range all {
			all[i] = uint64(i)
		}
		w.claim(5, 4, all...)
		w.claim(6, 4, all...)
		w.to(sprinttypes.PHASE_AUDIT)
		drawn = w.drawOf(1, 5)
		for _, i := range all {
			if !slices.Contains(drawn, i) {
				others = append(others, i)
			}
		}
		if len(drawn) < 5 || len(others) < 2 {
			t.Fatalf("validator 1 draws %v", drawn)
		}
		byID := func(a, b uint64) int {
			x, y := commit.ReportID(w.epoch().Number, chaintest.Address(5), a), commit.ReportID(w.epoch().Number, chaintest.Address(5), b)
			return bytes.Compare(x[:], y[:])
		}
		slices.SortFunc(drawn, byID)
		slices.SortFunc(others, byID)
		return w, drawn, others
	}
	own := func(w *world, index uint64) {
		m, p := w.reportMsg(1, 5, index), w.proof(1)
		m.VrfProof = p[:]
		if err := w.report(m); err != nil {
			w.tb.Fatal(err)
		}
	}
	// decided runs until all reports against 5 are decided, and returns their order.
	decided := func(w *world, n int) (order []uint64) {
		for seen := w.statuses(); len(order) < n; seen = w.statuses() {
			for index, s := range seen {
				if s == types.REPORT_PROVEN && !slices.Contains(order, index) {
					order = append(order, index)
				}
			}
			w.reimport()
			w.next()
		}
		return order
	}
	for _, late := range []int{0, 1, 2, 3} {
		t.Run(fmt.Sprintf("the first comes %d blocks later", late), func(t *testing.T) {
			w, drawn, others := setup(t)
			w.mustReport(0, 5, others[0])
			own(w, drawn[3])
			own(w, drawn[1])
			w.mustReport(0, 5, others[1])
			w.blocks(late)
			own(w, drawn[0])
			want := []uint64{drawn[0], drawn[1], drawn[3], others[0], others[1]}
			if late > 2 { // half the delay is two blocks
				want[0], want[1] = want[1], want[0]
			}
			if got := decided(w, 5); !slices.Equal(got, want) {
				t.Errorf("decided in the order %v, want %v", got, want)
			}
		})
	}
	t.Run("another claim", func(t *testing.T) {
		w, drawn, _ := setup(t)
		m := w.reportMsg(0, 6, 15)
		if err := w.report(m); err != nil {
			t.Fatal(err)
		}
		own(w, drawn[0])
		w.blocks(5)
		if w.claimOf(6).FalseUnits != 1 || w.claimOf(5).FalseUnits != 0 {
			t.Errorf("claims have %d and %d false units", w.claimOf(6).FalseUnits, w.claimOf(5).FalseUnits)
		}
	})
}

func TestOkOverAFalseUnitIsPunished(t *testing.T) {
	w := newWorld(t, sprintParams(), auditParams(), 10, 20, 30)
	w.claim(0, 8)
	w.claim(1, 8)
	w.claim(5, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
	w.to(sprinttypes.PHASE_AUDIT)
	w.vote(0, true, true, true)  // lazy
	w.vote(1, true, true, false) // honest: it found the unit
	w.vote(2, true, true, true)  // lazy, without a claim
	drawn := w.drawOf(0, 5)
	w.mustReport(1, 5, drawn[0])
	w.blocks(3)
	if c := w.claimOf(0); c.Status != sprinttypes.CLAIM_VOID_VERDICT {
		t.Errorf("the lazy validator's claim is %s", c.Status)
	}
	if c := w.claimOf(1); c.Status != sprinttypes.CLAIM_OPEN {
		t.Errorf("the honest validator's claim is %s", c.Status)
	}
	if !w.roster.Miners[string(chaintest.Address(0))] || w.roster.Miners[string(chaintest.Address(1))] {
		t.Error("not the lazy one is jailed")
	}
	for _, s := range w.round().Seats {
		lazy := s.Validator == w.Bech32(chaintest.Address(0))
		if s.Validator != w.Bech32(chaintest.Address(2)) && s.FalseOk != lazy {
			t.Errorf("seat %+v", s)
		}
	}
}

func TestExtraDrawAfterOneFalseUnit(t *testing.T) {
	p := auditParams()
	p.ExtraDraw = 50
	w := newWorld(t, sprintParams(), p, 10, 10)
	w.claim(5, 100, 7, 8, 9)
	w.claim(6, 100)
	w.to(sprinttypes.PHASE_AUDIT)
	w.vote(0, true, true)
	w.vote(1, true, true)
	w.mustReport(0, 5, 7)
	w.endRound()
	e := w.epoch()
	if e.Round != 1 || e.DrawOf(w.claimOf(5)) != 50 || e.DrawOf(w.claimOf(6)) != 0 {
		t.Fatalf("round %d draws %d and %d", e.Round, e.DrawOf(w.claimOf(5)), e.DrawOf(w.claimOf(6)))
	}
	if n := len(w.drawOf(0, 5)) + len(w.drawOf(1, 5)); n != 50 {
		t.Errorf("%d units are drawn", n)
	}
	w.mustReport(0, 5, 8)
	w.mustReport(0, 5, 9)
	w.to(sprinttypes.PHASE_DONE)
	if c := w.claimOf(5); c.FalseUnits != 3 || !w.roster.Miners[string(chaintest.Address(5))] {
		t.Errorf("claim %+v", c)
	}
	if w.epoch().Round != 1 {
		t.Errorf("%d rounds", w.epoch().Round)
	}
}

func TestModuleThatTrapsBlamesNobody(t *testing.T) {
	w := newWorld(t, sprintParams(), auditParams(), 10)
	w.claim(5, 8, 7)
	w.to(sprinttypes.PHASE_AUDIT)
	w.hasher.trap = abi.TrapUnreachable
	w.mustReport(0, 5, 7)
	w.to(sprinttypes.PHASE_DONE)
	if w.statuses()[7] != types.REPORT_MODULE_FAILED || w.claimOf(5).Status != sprinttypes.CLAIM_PAID {
		t.Errorf("report is %s, claim %s", w.statuses()[7], w.claimOf(5).Status)
	}
	if len(w.roster.Failures) != 1 || w.roster.Failures[0] != 1 {
		t.Errorf("the registry was told of %v", w.roster.Failures)
	}
}

func TestRestartedNodeAndGenesisKeepTheQueue(t *testing.T) {
	w := newWorld(t, sprintParams(), auditParams(), 10, 20)
	w.claim(5, 8, 7)
	w.to(sprinttypes.PHASE_AUDIT)
	w.vote(0, false)
	p := w.proof(1)
	m := w.reportMsg(1, 5, 7)
	m.VrfProof = p[:]
	_ = w.report(m) // drawn or not
	if len(w.statuses()) == 0 {
		w.mustReport(1, 5, 7)
	}
	if _, err := w.demand(w.demandMsg(0, 5, w.drawOf(0, 5)[0])); err != nil {
		t.Fatal(err)
	}
	w.next()
	out, err := w.k.ExportGenesis(w.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	bz := w.Codec.MustMarshalJSON(out)
	var in types.GenesisState
	w.Codec.MustUnmarshalJSON(bz, &in)
	if err := w.k.InitGenesis(w.Ctx, in); err != nil {
		t.Fatal(err)
	}
	again, err := w.k.ExportGenesis(w.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(w.Codec.MustMarshalJSON(again), bz) {
		t.Error("a second export differs")
	}
	w.hasher = newHasher() // the node forgot its jobs
	w.wire()
	w.blocks(3)
	if c := w.claimOf(5); c.Status != sprinttypes.CLAIM_VOID_FALSE {
		t.Errorf("claim is %s", c.Status)
	}
}

func TestOldAuditsArePruned(t *testing.T) {
	p := auditParams()
	p.RetainEpochs = 1
	w := newWorld(t, sprintParams(), p, 10)
	for range 4 {
		w.claim(5, 8, 7)
		w.to(sprinttypes.PHASE_AUDIT)
		w.vote(0, false)
		w.mustReport(0, 5, 7)
		w.to(sprinttypes.PHASE_DONE)
		w.to(sprinttypes.PHASE_COMPUTE)
	}
	w.next()
	g, err := w.k.ExportGenesis(w.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Verdicts) != 1 || len(g.Reports) != 1 || g.Pruned != 3 {
		t.Errorf("%d verdicts and %d reports are left, pruned to %d", len(g.Verdicts), len(g.Reports), g.Pruned)
	}
}

// Liars with seats fill the queue at the end of the round; the first refuted report ends the reports of
// each, so an honest one finds room, and no claim settles before it is decided.
func TestAFullQueueDoesNotRunOutTheClock(t *testing.T) {
	sp, p := sprintParams(), auditParams()
	sp.AuditBlocks, sp.EpochBlocks = 16, 40
	p.MaxQueue, p.MaxPending, p.ExtraDraw = 16, 8, 0
	w := newWorld(t, sp, p, 10, 10, 10)
	w.claim(5, 8, 7)
	w.claim(6, 8)
	w.to(sprinttypes.PHASE_AUDIT)
	next := [2]uint64{}
	flood := func() (sent int) {
		for v := range next {
			for w.report(w.reportMsg(v, 6, uint64(v)*16+next[v])) == nil {
				next[v]++
				sent++
			}
		}
		return sent
	}
	if sent := flood(); sent != 16 {
		t.Fatalf("%d reports fill the queue, want 16", sent)
	}
	if err := w.report(w.reportMsg(2, 5, 7)); !errors.Is(err, types.ErrQueueFull) {
		t.Fatalf("an honest report: %v", err)
	}
	for err := error(types.ErrQueueFull); err != nil; err = w.report(w.reportMsg(2, 5, 7)) {
		w.next()
		flood()
		if w.epoch().Phase != sprinttypes.PHASE_AUDIT {
			t.Fatal("the round ended before an honest report found room")
		}
	}
	w.to(sprinttypes.PHASE_DONE)
	if c := w.claimOf(5); c.Status != sprinttypes.CLAIM_VOID_FALSE {
		t.Errorf("the cheat's claim is %s", c.Status)
	}
	if c := w.claimOf(6); c.Status != sprinttypes.CLAIM_PAID {
		t.Errorf("the claim that was accused falsely is %s", c.Status)
	}
}

// A report counts in its own epoch and phase alone, and its evidence for no other claim.
func TestReportsOfSettledEpochsAreRefused(t *testing.T) {
	w := newWorld(t, sprintParams(), auditParams(), 10, 20)
	w.claim(5, 8, 7)
	w.to(sprinttypes.PHASE_AUDIT)
	old := w.reportMsg(0, 5, 7)
	w.to(sprinttypes.PHASE_DONE)
	if err := w.report(old); !errors.Is(err, types.ErrWrongPhase) {
		t.Errorf("after the settlement: %v", err)
	}
	w.to(sprinttypes.PHASE_COMPUTE)
	if err := w.report(old); !errors.Is(err, types.ErrWrongEpoch) && !errors.Is(err, types.ErrWrongPhase) {
		t.Errorf("in the next epoch: %v", err)
	}
	w.claim(5, 8)
	w.to(sprinttypes.PHASE_AUDIT)
	if err := w.report(old); !errors.Is(err, types.ErrWrongEpoch) {
		t.Errorf("in the next audit: %v", err)
	}
	replayed := *old
	replayed.Epoch = 2
	if err := w.report(&replayed); !errors.Is(err, types.ErrInvalidOpening) {
		t.Errorf("evidence of the old claim against the new: %v", err)
	}
	if c := w.claimOf(5); c.FalseUnits != 0 || c.Void() || len(w.statuses()) != 0 {
		t.Errorf("refused reports changed the claim to %s, or are in the state", c.Status)
	}
}

// While nobody but a coalition below a third may have made a block since a report, it is not decided, and others
// compete with it, however long that takes.
func TestReportsWaitForOthersBlocks(t *testing.T) {
	for unheard, waits := range map[uint64]bool{67: true, 66: false} {
		w := newWorld(t, sprintParams(), auditParams(), 10, 20)
		w.claim(5, 4, 0, 1, 2)
		w.to(sprinttypes.PHASE_AUDIT)
		w.roster.Unheard = unheard // a third of the power is not more than a third
		w.mustReport(0, 5, 0)
		w.blocks(5)
		status := w.statuses()[0]
		if decided := status != types.REPORT_QUEUED; decided == waits {
			t.Fatalf("%s with %d of 100 unheard", status, unheard)
		}
		if !waits {
			continue
		}
		w.mustReport(1, 5, 1)
		w.reimport()
		w.roster.Unheard = 66
		w.next()
		if status := w.statuses()[0]; status != types.REPORT_QUEUED {
			t.Errorf("%s in the block that ended the wait: no time to re-execute it", status)
		}
		w.blocks(3)
		if got := w.statuses(); got[0] != types.REPORT_PROVEN || got[1] != types.REPORT_PROVEN {
			t.Errorf("%v once others were heard", got)
		}
	}
}
