package keeper_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/internal/chaintest"
	sprintkeeper "github.com/assaynet/assay/chain/sprint/keeper"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

func TestRefusedVerdicts(t *testing.T) {
	w := newWorld(t, sprintParams(), auditParams(), 10, 20)
	w.claim(5, 8)
	w.claim(6, 8)
	if err := w.verdict(&types.MsgVerdict{Validator: w.Bech32(chaintest.Address(0)), Epoch: 1, VrfProof: make([]byte, 96), Bitmap: []byte{3}, KeyedRoot: make([]byte, 32)}); !errors.Is(err, types.ErrWrongPhase) {
		t.Errorf("before the audit: %v", err)
	}
	w.to(sprinttypes.PHASE_AUDIT)
	for _, c := range []struct {
		name   string
		change func(*types.MsgVerdict)
		want   error
	}{
		{"not an address", func(m *types.MsgVerdict) { m.Validator = "x" }, types.ErrInvalidAddress},
		{"no seat", func(m *types.MsgVerdict) { m.Validator = w.Bech32(chaintest.Address(5)) }, types.ErrNoSeat},
		{"another epoch", func(m *types.MsgVerdict) { m.Epoch = 2 }, types.ErrWrongEpoch},
		{"another round", func(m *types.MsgVerdict) { m.Round = 1 }, types.ErrWrongRound},
		{"short proof", func(m *types.MsgVerdict) { m.VrfProof = m.VrfProof[1:] }, types.ErrInvalidProof},
		{"flipped proof", func(m *types.MsgVerdict) { m.VrfProof[40] ^= 1 }, types.ErrInvalidProof},
		{"zero proof", func(m *types.MsgVerdict) { m.VrfProof = make([]byte, 96) }, types.ErrInvalidProof},
		{"another's proof", func(m *types.MsgVerdict) { p := w.proof(1); m.VrfProof = p[:] }, types.ErrInvalidProof},
		{"long bitmap", func(m *types.MsgVerdict) { m.Bitmap = []byte{3, 0} }, types.ErrInvalidBitmap},
		{"no bitmap", func(m *types.MsgVerdict) { m.Bitmap = nil }, types.ErrInvalidBitmap},
		{"bits beyond the claims", func(m *types.MsgVerdict) { m.Bitmap = []byte{7} }, types.ErrInvalidBitmap},
		{"short root", func(m *types.MsgVerdict) { m.KeyedRoot = m.KeyedRoot[1:] }, types.ErrInvalidRoot},
	} {
		m := w.verdictMsg(0, true, true)
		c.change(m)
		if err := w.verdict(m); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if w.round().Seats[0].Present {
			t.Errorf("%s: state changed", c.name)
		}
	}
	w.vote(0, true, true)
	if err := w.verdict(w.verdictMsg(0, true, false)); !errors.Is(err, types.ErrDuplicateVerdict) {
		t.Errorf("a second verdict: %v", err)
	}
	w.endRound()
	if err := w.verdict(w.verdictMsg(1, true, true)); !errors.Is(err, types.ErrWrongPhase) {
		t.Errorf("late: %v", err)
	}
}

func TestVerdictsPayAndSeedTheNextEpoch(t *testing.T) {
	entropy := func(votes ...int) []byte {
		w := newWorld(t, sprintParams(), auditParams(), 10, 20, 30)
		w.claim(1, 8)
		w.claim(2, 8)
		w.to(sprinttypes.PHASE_AUDIT)
		for _, v := range votes {
			w.vote(v, true, true)
		}
		w.to(sprinttypes.PHASE_DONE)
		r, err := sprintkeeper.NewQueryServer(w.sprint).Settlement(w.Ctx, &sprinttypes.QuerySettlementRequest{Epoch: 1})
		if err != nil {
			t.Fatal(err)
		}
		s := r.Settlement
		if len(s.Auditors) != 3 || s.ValidClaims != 2 {
			t.Fatalf("settlement %+v", s)
		}
		for i, a := range s.Auditors {
			voted := false
			for _, v := range votes {
				voted = voted || v == i
			}
			if voted != (a.Weight > 0) || voted != a.Amount.IsPositive() {
				t.Errorf("validator %d, voted %v: weight %d, amount %s", i, voted, a.Weight, a.Amount)
			}
		}
		// An absent validator loses a tenth of its reward.
		part := s.Emission.QuoRaw(2)
		for i, line := range r.Lines {
			voted := false
			for _, v := range votes {
				voted = voted || v == i+1
			}
			want := part.SubRaw(1_000_000)
			if !voted {
				want = part.Sub(part.QuoRaw(10)).SubRaw(1_000_000)
			}
			if !line.Amount.Equal(want) {
				t.Errorf("validator %d, voted %v, got %s, want %s", i+1, voted, line.Amount, want)
			}
		}
		return s.Entropy
	}
	all := entropy(0, 1, 2)
	if bytes.Equal(all, entropy(0, 1)) {
		t.Error("a missing verdict does not change the entropy")
	}
	if !bytes.Equal(all, entropy(2, 1, 0)) {
		t.Error("the order of verdicts changes the entropy")
	}
}

func TestVotesNeverReject(t *testing.T) {
	p := auditParams()
	p.CoverageBps, p.MaxRounds = 10_000, 2
	w := newWorld(t, sprintParams(), p, 10, 10, 10)
	w.claim(5, 8)
	for round := uint32(0); round <= 2; round++ {
		w.to(sprinttypes.PHASE_AUDIT)
		if got := w.round().Round; got != round || w.epoch().Round != round {
			t.Fatalf("round %d, want %d", got, round)
		}
		for v := range 3 {
			w.vote(v, false)
		}
		w.endRound()
	}
	w.to(sprinttypes.PHASE_DONE)
	if c := w.claimOf(5); c.Status != sprinttypes.CLAIM_PAID {
		t.Errorf("a claim that everybody rejects without a proof is %s", c.Status)
	}
}

func TestThosePresentRedrawWhatIsMissing(t *testing.T) {
	p := auditParams()
	p.CoverageBps = 6_667
	w := newWorld(t, sprintParams(), p, 10, 10, 40)
	w.claim(5, 100) // 20 of 400 units are drawn
	w.claim(6, 100)
	w.to(sprinttypes.PHASE_AUDIT)
	w.vote(0, true, true)
	w.vote(1, true, false)
	w.endRound()
	r := w.round()
	if r.Round != 1 || len(r.Seats) != 2 || len(r.Absent) != 1 || r.Power != 20 {
		t.Fatalf("round %+v", r)
	}
	// Shares of 20 units for powers 10, 10 and 40: 4, 4 and 14.
	e := w.epoch()
	if a, b := e.DrawOf(w.claimOf(5)), e.DrawOf(w.claimOf(6)); a != 12 || b != 16 {
		t.Errorf("redrawn are %d and %d, want 12 and 16", a, b)
	}
	if a, b := len(w.drawOf(0, 5)), len(w.drawOf(1, 6)); a != 6 || b != 8 {
		t.Errorf("each draws %d and %d, want 6 and 8", a, b)
	}
	if err := w.verdict(w.verdictMsg(2, true, true)); !errors.Is(err, types.ErrNoSeat) {
		t.Errorf("who was absent: %v", err)
	}
	w.vote(0, true, true)
	w.vote(1, true, true)
	w.to(sprinttypes.PHASE_DONE)
	if e := w.epoch(); e.Round != 1 || e.Number != 1 {
		t.Errorf("settled after round %d", e.Round)
	}
}

func TestSilentNetworkSettles(t *testing.T) {
	p := auditParams()
	p.CoverageBps = 6_667
	w := newWorld(t, sprintParams(), p, 10, 10)
	w.claim(5, 8)
	w.to(sprinttypes.PHASE_DONE)
	if e := w.epoch(); e.Round != p.MaxRounds {
		t.Errorf("settled after round %d", e.Round)
	}
	if c := w.claimOf(5); c.Status != sprinttypes.CLAIM_PAID {
		t.Errorf("claim is %s", c.Status)
	}
}

func TestOnlyValidatorIsNotAudited(t *testing.T) {
	p := auditParams()
	p.CoverageBps = 10_000
	w := newWorld(t, sprintParams(), p, 10)
	w.claim(0, 8)
	w.to(sprinttypes.PHASE_AUDIT)
	if n := len(w.drawOf(0, 0)); n != 0 {
		t.Errorf("it draws %d of its own units", n)
	}
	w.to(sprinttypes.PHASE_DONE)
	if w.epoch().Round != 0 {
		t.Error("a further round that nobody can draw in")
	}
}

func TestEpochWithoutClaimsOrValidators(t *testing.T) {
	w := newWorld(t, sprintParams(), auditParams())
	w.to(sprinttypes.PHASE_DONE)
	w.to(sprinttypes.PHASE_COMPUTE)
	if w.epoch().Number != 2 {
		t.Error("the next epoch has not opened")
	}
}
