package keeper_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/internal/chaintest"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
)

func TestRefusedCrossChecks(t *testing.T) {
	w := crossWorld(t, crossParams())
	if err := w.challenge(&types.MsgChallenge{Validator: w.Bech32(chaintest.Address(0)), Epoch: 1, VrfProof: make([]byte, 96)}); !errors.Is(err, types.ErrWrongPhase) {
		t.Errorf("before the verdicts are fixed: %v", err)
	}
	done := []computed{w.cast(0, nil, true, true, true), w.cast(1, func(_ int, k *commit.Keyed) { k.Digest[0] ^= 1 }, true, true, true), w.cast(2, nil, true, true, true)}
	w.toStage(types.CROSS_CHALLENGE)
	state := func() string {
		g, err := w.k.ExportGenesis(w.Ctx)
		if err != nil {
			t.Fatal(err)
		}
		return string(w.Codec.MustMarshalJSON(g))
	}
	refused := func(name string, err, want error, before string) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if state() != before {
			t.Errorf("%s: the state changed", name)
		}
	}
	before := state()
	for _, c := range []struct {
		name   string
		change func(*types.MsgChallenge)
		want   error
	}{
		{"another epoch", func(m *types.MsgChallenge) { m.Epoch = 2 }, types.ErrWrongEpoch},
		{"another round", func(m *types.MsgChallenge) { m.Round = 1 }, types.ErrWrongRound},
		{"no seat", func(m *types.MsgChallenge) { m.Validator = w.Bech32(chaintest.Address(9)) }, types.ErrNoSeat},
		{"no verdict", func(m *types.MsgChallenge) { m.Validator = w.Bech32(chaintest.Address(3)) }, types.ErrNoVerdict},
		{"no address", func(m *types.MsgChallenge) { m.Validator = "x" }, types.ErrInvalidAddress},
		{"short proof", func(m *types.MsgChallenge) { m.VrfProof = m.VrfProof[1:] }, types.ErrInvalidProof},
		{"another's proof", func(m *types.MsgChallenge) { m.VrfProof = w.challengeMsg(1).VrfProof }, types.ErrInvalidProof},
		{"proof of the verdict", func(m *types.MsgChallenge) { p := w.proof(0); m.VrfProof = p[:] }, types.ErrInvalidProof},
	} {
		m := w.challengeMsg(0)
		c.change(m)
		refused(c.name, w.challenge(m), c.want, before)
	}
	refused("opened too early", w.openKeyed(&types.MsgOpenKeyed{Validator: w.Bech32(chaintest.Address(0)), Epoch: 1,
		Openings: []types.KeyedOpening{{Digest: make([]byte, 32)}}}), types.ErrWrongStage, before)
	refused("reported too early", w.reportKeyed(0, 1, 0), types.ErrWrongStage, before)
	w.mustChallenge(0, 1)
	before = state()
	refused("a second challenge", w.challenge(w.challengeMsg(0)), types.ErrDuplicateChallenge, before)
	w.mustChallenge(2)
	w.next()
	before = state()
	refused("a late challenge", w.challenge(w.challengeMsg(2)), types.ErrWrongStage, before)

	good := w.openMsg(0, done[0])
	if len(good.Openings) < 2 {
		t.Fatalf("%d challenges, the test needs two", len(good.Openings))
	}
	free := uint64(0)
	for slices.ContainsFunc(good.Openings, func(o types.KeyedOpening) bool { return o.Position == free }) {
		free++
	}
	for _, c := range []struct {
		name   string
		change func(*types.MsgOpenKeyed)
		want   error
	}{
		{"none", func(m *types.MsgOpenKeyed) { m.Openings = nil }, types.ErrInvalidKeyed},
		{"too many", func(m *types.MsgOpenKeyed) { m.Openings = make([]types.KeyedOpening, 65) }, types.ErrInvalidKeyed},
		{"out of order", func(m *types.MsgOpenKeyed) { slices.Reverse(m.Openings) }, types.ErrInvalidKeyed},
		{"twice", func(m *types.MsgOpenKeyed) { m.Openings[1] = m.Openings[0] }, types.ErrInvalidKeyed},
		{"short digest", func(m *types.MsgOpenKeyed) { m.Openings[0].Digest = m.Openings[0].Digest[1:] }, types.ErrInvalidKeyed},
		{"long path", func(m *types.MsgOpenKeyed) { m.Openings[0].Path = make([][]byte, 41) }, types.ErrInvalidKeyed},
		{"short path", func(m *types.MsgOpenKeyed) { m.Openings[0].Path = m.Openings[0].Path[1:] }, types.ErrInvalidKeyed},
		{"short node", func(m *types.MsgOpenKeyed) { m.Openings[0].Path[0] = []byte{1} }, types.ErrInvalidKeyed},
		{"another digest", func(m *types.MsgOpenKeyed) { m.Openings[0].Digest = make([]byte, 32) }, types.ErrInvalidKeyed},
		{"not drawn", func(m *types.MsgOpenKeyed) {
			m.Openings = []types.KeyedOpening{{Position: free, Digest: make([]byte, 32)}}
		}, types.ErrNotChallenged},
		{"out of range", func(m *types.MsgOpenKeyed) {
			m.Openings = []types.KeyedOpening{{Position: ^uint64(0), Digest: make([]byte, 32)}}
		}, types.ErrNotChallenged},
		{"another's", func(m *types.MsgOpenKeyed) { m.Validator = w.Bech32(chaintest.Address(2)) }, nil},
		{"without a verdict", func(m *types.MsgOpenKeyed) { m.Validator = w.Bech32(chaintest.Address(3)) }, types.ErrNoVerdict},
		{"another round", func(m *types.MsgOpenKeyed) { m.Round = 1 }, types.ErrWrongRound},
	} {
		m := w.openMsg(0, done[0])
		c.change(m)
		err := w.openKeyed(m)
		if c.want == nil { // not drawn of that one, or under another root
			if err == nil {
				t.Errorf("%s: accepted", c.name)
			}
			continue
		}
		refused(c.name, err, c.want, before)
	}
	// Openings may come in parts, each leaf once.
	part := *good
	part.Openings = good.Openings[:1]
	if err := w.openKeyed(&part); err != nil {
		t.Fatal(err)
	}
	before = state()
	refused("a leaf again", w.openKeyed(good), types.ErrDuplicateOpening, before)
	refused("report of what is not open", w.reportKeyed(1, 0, good.Openings[1].Position), types.ErrNotOpened, before)
	refused("report of what was not drawn", w.reportKeyed(1, 0, free), types.ErrNotOpened, before)
	refused("report of no verdict", w.reportKeyed(1, 3, 0), types.ErrNotOpened, before)
	refused("report by a miner", w.reportKeyed(9, 0, good.Openings[0].Position), types.ErrNoSeat, before)
	rest := *good
	rest.Openings = good.Openings[1:]
	if err := w.openKeyed(&rest); err != nil {
		t.Fatal(err)
	}
	w.mustOpen(1, done[1])
	w.mustOpen(2, done[2])

	// A wrong accusation costs its sender, a right one the accused; both only once.
	if err := w.reportKeyed(2, 0, good.Openings[0].Position); err != nil {
		t.Fatal(err)
	}
	wrong := w.challenged()[w.Bech32(chaintest.Address(1))]
	if err := w.reportKeyed(0, 1, wrong[0].Position); err != nil {
		t.Fatal(err)
	}
	if err := w.reportKeyed(0, 1, wrong[1].Position); err != nil {
		t.Fatal(err)
	}
	before = state()
	refused("a leaf reported twice", w.reportKeyed(3, 1, wrong[0].Position), types.ErrDuplicateReport, before)
	w.blocks(4)
	runs := w.hasher.runs
	if s := w.seat(2); !s.Refuted || s.FalseOk {
		t.Errorf("the liar: %+v", s)
	}
	if s := w.seat(0); s.FalseOk || s.Refuted {
		t.Errorf("the accused: %+v", s)
	}
	if s := w.seat(1); !s.FalseOk || w.claimOf(1).Status != sprinttypes.CLAIM_VOID_VERDICT {
		t.Errorf("the convicted: %+v, claim %s", s, w.claimOf(1).Status)
	}
	w.to(sprinttypes.PHASE_SETTLE)
	if w.hasher.runs != runs || runs != 3 {
		t.Errorf("%d re-executions were started, then %d", runs, w.hasher.runs-runs)
	}
	before = state()
	refused("a report too late", w.reportKeyed(0, 1, wrong[1].Position), types.ErrWrongPhase, before)
}
