package keeper_test

import (
	"errors"
	"slices"
	"testing"

	"cosmossdk.io/math"

	"github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/internal/chaintest"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

// sharedWorld is one in which validators 1 and 2 drew a unit of miner 5's claim that 3 did not draw: the first such
// unit is returned, with the others that 1 drew, and what 5 has to forfeit. All of its units are false.
func sharedWorld(t *testing.T, p types.Params) (w *world, shared uint64, others []uint64, vesting math.Int) {
	t.Helper()
	sp := sprintParams()
	sp.EpochBlocks, sp.AuditBlocks = 36, 24
	w = newWorld(t, sp, p, 10, 40, 30, 5)
	vesting = w.earn(5)
	all := make([]uint64, 40)
	for i := range all {
		all[i] = uint64(i)
	}
	w.claim(5, 10, all...)
	w.claim(6, 10)
	w.to(sprinttypes.PHASE_AUDIT)
	drew := func(v int) func(uint64) bool {
		drawn := w.drawOf(v, 5)
		return func(x uint64) bool { return slices.Contains(drawn, x) }
	}
	one, two, three := w.drawOf(1, 5), drew(2), drew(3)
	i := slices.IndexFunc(one, func(x uint64) bool { return two(x) && !three(x) })
	if i < 0 {
		t.Fatalf("no unit is drawn by 1 and 2 alone: %v, %v, %v", one, w.drawOf(2, 5), w.drawOf(3, 5))
	}
	shared = one[i]
	for _, x := range one {
		if x != shared {
			others = append(others, x)
		}
	}
	return w, shared, others, vesting
}

// own is a report with the proof of the reporter's own draw.
func (w *world) own(v int, index uint64) error {
	m, p := w.reportMsg(v, 5, index), w.proof(v)
	m.VrfProof = p[:]
	return w.report(m)
}

// Who drew a unit and reports it while its first report waits has the same part of what it earns, whoever came
// first: leaving a report out of a block costs its proposer what the next one is paid, and moves nothing else.
func TestWhoDrewTheSameUnitSharesWhatItEarns(t *testing.T) {
	ap := auditParams()
	ap.ReportDelay = 4
	type sent struct{ reporter, proposer, wait int } // reporter 6 drew nothing, 3 not this unit
	for name, c := range map[string]struct {
		reports []sent
		share   []int // who has a part
	}{
		"one alone":                   {[]sent{{1, 0, 0}}, []int{1}},
		"both, one first":             {[]sent{{1, 0, 0}, {2, 0, 0}}, []int{1, 2}},
		"both, the other first":       {[]sent{{2, 0, 0}, {1, 0, 0}}, []int{1, 2}},
		"left out by a censor":        {[]sent{{1, 1, 1}, {2, 0, 0}}, []int{1, 2}},
		"left out for half the delay": {[]sent{{1, 1, 2}, {2, 0, 0}}, []int{1, 2}},
		"behind a stranger":           {[]sent{{6, 0, 1}, {2, 0, 0}, {1, 3, 0}}, []int{1, 2}},
		"behind another's draw":       {[]sent{{3, 3, 0}, {2, 3, 0}}, []int{2}},
		"nobody drew it":              {[]sent{{3, 3, 0}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w, shared, others, vesting := sharedWorld(t, ap)
			var before, want [7]math.Int
			for v := range before {
				before[v], want[v] = w.Balance(chaintest.Address(v)), math.ZeroInt()
			}
			supply, e := w.Supply(), w.epoch()
			part := vesting.QuoRaw(10).QuoRaw(3)
			owed := func(reporter, proposer int, pay math.Int, left int64) {
				taken := sprinttypes.TakenIn(chaintest.Address(proposer), e.Params.AuditBlocks, left)
				incl, late := taken.Split(pay, e.Params)
				want[reporter] = want[reporter].Add(pay.Sub(incl).Sub(late))
				if proposer != reporter {
					want[proposer] = want[proposer].Add(incl)
				}
			}
			runs := w.hasher.runs
			for _, s := range c.reports {
				w.proposedBy(s.proposer)
				var err error
				if slices.Contains(c.share, s.reporter) {
					n := int64(len(c.share))
					owed(s.reporter, s.proposer, vesting.QuoRaw(10).QuoRaw(3*n), e.AuditEnd-w.Ctx.BlockHeight())
					err = w.own(s.reporter, shared)
				} else {
					err = w.report(w.reportMsg(s.reporter, 5, shared))
				}
				if err != nil {
					t.Fatalf("report of %d: %v", s.reporter, err)
				}
				w.reimport()
				w.blocks(s.wait)
			}
			w.blocks(5)
			if got := w.hasher.runs - runs; got != 1 {
				t.Errorf("the unit was executed %d times", got)
			}
			if s := w.statuses()[shared]; s != types.REPORT_PROVEN || w.claimOf(5).FalseUnits != 1 {
				t.Fatalf("the report is %s, %d false units", s, w.claimOf(5).FalseUnits)
			}
			w.proposedBy(0)
			for _, x := range others[:2] {
				owed(1, 0, part, e.AuditEnd-w.Ctx.BlockHeight())
				if err := w.own(1, x); err != nil {
					t.Fatal(err)
				}
			}
			w.blocks(6)
			if !w.roster.Miners[string(chaintest.Address(5))] {
				t.Fatal("three false units do not jail")
			}
			burned := vesting
			for v := range want {
				if v != 5 { // what it has it forfeits
					burned = burned.Sub(want[v])
					if got := w.Balance(chaintest.Address(v)).Sub(before[v]); !got.Equal(want[v]) {
						t.Errorf("%d got %s, want %s", v, got, want[v])
					}
				}
			}
			if got := supply.Sub(w.Supply()); !got.Equal(burned) {
				t.Errorf("%s burned, want %s", got, burned)
			}
		})
	}
}

// A report joins another one only with an own draw, once a validator, within the sender's bounds, and while the
// other waits; it needs no room in the queue. A refused one changes nothing.
func TestRefusedJoiningReports(t *testing.T) {
	ap := auditParams()
	ap.MaxQueue, ap.MaxReports, ap.MaxPending = 2, 3, 2
	w, shared, others, _ := sharedWorld(t, ap)
	if err := w.own(1, shared); err != nil {
		t.Fatal(err)
	}
	if err := w.own(1, others[0]); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, got, want error) {
		t.Helper()
		if !errors.Is(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	state := w.exported()
	refused("one's own again", w.own(1, shared), types.ErrPendingReports)
	refused("a third pending", w.own(1, others[1]), types.ErrPendingReports)
	refused("not drawn", w.report(w.reportMsg(3, 5, shared)), types.ErrDuplicateReport)
	refused("not drawn, with a proof", w.own(3, shared), types.ErrNotDrawn)
	refused("a stranger", w.report(w.reportMsg(6, 5, shared)), types.ErrDuplicateReport)
	m, p := w.reportMsg(2, 5, shared), w.proof(2)
	m.VrfProof = p[:]
	m.Opening[70] ^= 1
	refused("a flipped opening", w.report(m), types.ErrInvalidOpening)
	if got := w.exported(); got != state {
		t.Error("a refused report changed the state")
	}
	if err := w.own(2, shared); err != nil {
		t.Fatalf("a full queue: %v", err)
	}
	state = w.exported()
	refused("again", w.own(2, shared), types.ErrDuplicateReport)
	if got := w.exported(); got != state {
		t.Error("a second joining report changed the state")
	}
	w.blocks(4)
	refused("when it is decided", w.own(2, shared), types.ErrDuplicateReport)
	g, err := w.k.ExportGenesis(w.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range g.Senders {
		if s.Pending != 0 {
			t.Errorf("%d reports of %s are pending", s.Pending, s.Address)
		}
	}
}

// Who joins a report shares its outcome when the unit is correct, too.
func TestWhoJoinsARefutedReportIsRefuted(t *testing.T) {
	sp := sprintParams()
	sp.EpochBlocks, sp.AuditBlocks = 36, 24
	w := newWorld(t, sp, auditParams(), 10, 40, 30, 5)
	w.claim(5, 10)
	w.to(sprinttypes.PHASE_AUDIT)
	two := w.drawOf(2, 5)
	i := slices.IndexFunc(w.drawOf(1, 5), func(x uint64) bool { return slices.Contains(two, x) })
	if i < 0 {
		t.Fatal("no unit is drawn by both")
	}
	x := w.drawOf(1, 5)[i]
	for _, v := range []int{1, 2} {
		if err := w.own(v, x); err != nil {
			t.Fatal(err)
		}
	}
	w.blocks(3)
	if s := w.statuses()[x]; s != types.REPORT_REFUTED {
		t.Fatalf("the report is %s", s)
	}
	for i, s := range w.round().Seats {
		if want := i == 1 || i == 2; s.Refuted != want {
			t.Errorf("seat %d refuted: %v, want %v", i, s.Refuted, want)
		}
	}
	for _, v := range []int{1, 2} {
		if err := w.own(v, w.drawOf(v, 5)[0]); !errors.Is(err, types.ErrRefutedReporter) {
			t.Errorf("validator %d reports again: %v", v, err)
		}
	}
}

// Who said ok over the claim and joins when it sees another's evidence is convicted by its own draw, and has no part.
func TestWhoSaidOkAndJoinsEarnsNothing(t *testing.T) {
	w, shared, others, vesting := sharedWorld(t, auditParams())
	w.vote(2, true, true)
	before := [3]math.Int{}
	for v := range before {
		before[v] = w.Balance(chaintest.Address(v))
	}
	e := w.epoch()
	incl, late := sprinttypes.TakenIn(nil, e.Params.AuditBlocks, e.AuditEnd-w.Ctx.BlockHeight()).Split(vesting.QuoRaw(10).QuoRaw(3), e.Params)
	want := vesting.QuoRaw(10).QuoRaw(3).Sub(incl).Sub(late).MulRaw(3)
	for _, x := range []uint64{shared, others[0], others[1]} {
		if err := w.own(1, x); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.own(2, shared); err != nil {
		t.Fatal(err)
	}
	w.blocks(6)
	if !w.roster.Miners[string(chaintest.Address(5))] || !w.roster.Miners[string(chaintest.Address(2))] {
		t.Fatal("the cheat or who vouched for it is not jailed")
	}
	if got := w.Balance(chaintest.Address(2)).Sub(before[2]); !got.IsZero() {
		t.Errorf("who said ok got %s", got)
	}
	if got := w.Balance(chaintest.Address(1)).Sub(before[1]); !got.Equal(want) {
		t.Errorf("who found it got %s, want %s", got, want)
	}
}

// exported is the module's whole state as JSON.
func (w *world) exported() string {
	w.tb.Helper()
	g, err := w.k.ExportGenesis(w.Ctx)
	if err != nil {
		w.tb.Fatal(err)
	}
	return string(w.Codec.MustMarshalJSON(g))
}
