package keeper_test

import (
	"errors"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/internal/chaintest"
	sprintkeeper "github.com/assaynet/assay/chain/sprint/keeper"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
)

// lateWorld has four validators that mine, with a grace of three blocks.
func lateWorld(t *testing.T) *world {
	sp := sprintParams()
	sp.GraceBlocks = 3
	return newWorld(t, sp, auditParams(), 30, 30, 20, 20)
}

// extend adds folds to miner i's claim, with what the chain says.
func (w *world) extend(i, folds int) error {
	w.tb.Helper()
	m, e := w.miners[i], w.epoch()
	old := m.builder.Count()
	for range folds {
		digests := make([]commit.Digest, fold)
		for j := range digests {
			digests[j] = unitDigest(e.Seed, m.addr, m.builder.Count()+uint64(j))
		}
		if _, err := m.builder.AddFold(digests); err != nil {
			w.tb.Fatal(err)
		}
		m.folds = append(m.folds, digests)
	}
	proof, err := m.builder.ConsistencyProof(old, m.builder.Count())
	if err != nil {
		w.tb.Fatal(err)
	}
	root := m.builder.Root()
	err = w.Try(func(ctx sdk.Context) error {
		_, err := sprintkeeper.NewMsgServer(w.sprint).CommitWork(ctx, &sprinttypes.MsgCommitWork{
			Miner: w.Bech32(m.addr), Epoch: e.Number, Root: root[:], Count: m.builder.Count(), Proof: proof})
		return err
	})
	if err == nil {
		m.count = m.builder.Count()
	}
	return err
}

// toGrace lets blocks pass until what is committed is late.
func (w *world) toGrace() {
	w.tb.Helper()
	for !w.epoch().AcceptsLate(w.Height()) {
		w.next()
	}
}

// Late units count exactly if those who hold half of the power of the verdicts saw them in time. They
// are audited in any case, and the rest of the claim is paid in any case.
func TestLateUnitsCountIfTheyWereSeenInTime(t *testing.T) {
	for name, c := range map[string]struct {
		saw, votes []int // seats
		want       uint64
	}{
		"seen by all":                      {[]int{0, 1, 2, 3}, []int{0, 1, 2, 3}, 8},
		"half is enough":                   {[]int{0, 2}, []int{0, 1, 2, 3}, 8},
		"a coalition vouches for itself":   {[]int{0}, []int{0, 1, 2, 3}, 4},
		"a coalition denies":               {[]int{0, 1}, []int{0, 1, 3}, 8},
		"absent seats are not asked":       {[]int{2}, []int{2, 3}, 8},
		"seen by nobody":                   {nil, []int{0, 1, 2, 3}, 4},
		"nobody gave a verdict":            {nil, nil, 4},
		"of those with a verdict too few":  {[]int{2}, []int{0, 2, 3}, 4},
		"only one verdict, which saw none": {nil, []int{3}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			w := lateWorld(t)
			w.claim(0, 4)
			w.claim(1, 1)
			w.claim(2, 4)
			w.toGrace()
			if err := w.extend(1, 1); err != nil {
				t.Fatal(err)
			}
			if e := w.epoch(); e.Late != 1 || e.Units != 16+8+16 {
				t.Fatalf("the epoch counts %d late claims and %d units", e.Late, e.Units)
			}
			w.to(sprinttypes.PHASE_AUDIT)
			for _, v := range c.votes {
				m := w.verdictMsg(v, true, true, true)
				m.Seen = commit.NewBitmap(1)
				for _, s := range c.saw {
					if s == v {
						commit.Bitmap(m.Seen).Set(0)
					}
				}
				if err := w.verdict(m); err != nil {
					t.Fatal(err)
				}
			}
			w.to(sprinttypes.PHASE_DONE)
			claim := w.claimOf(1)
			if claim.Status != sprinttypes.CLAIM_PAID || claim.Count != 8 || claim.Late != 4 || claim.Counted() != c.want {
				t.Errorf("claim %+v, want %d units that count", claim, c.want)
			}
			s := w.settlementOf(1)
			if s.ValidUnits != 32+c.want || s.ValidClaims != 3 {
				t.Errorf("%d units of %d claims are valid, want %d of 3", s.ValidUnits, s.ValidClaims, 32+c.want)
			}
			part := sprinttypes.Part(s.Emission, c.want, s.Units)
			if got := claim.Amount.Add(claim.Withheld); !got.Equal(part) {
				t.Errorf("the claim's part is %s, want %s", got, part)
			}
		})
	}
}

func (w *world) settlementOf(epoch uint64) sprinttypes.Settlement {
	w.tb.Helper()
	r, err := sprintkeeper.NewQueryServer(w.sprint).Settlement(w.Ctx, &sprinttypes.QuerySettlementRequest{Epoch: epoch})
	if err != nil {
		w.tb.Fatal(err)
	}
	return r.Settlement
}

// A claim that came late as a whole and was not seen counts for nothing, and its miner loses nothing
// else; a false unit among late ones voids the claim like any other.
func TestClaimsThatAreLateAsAWhole(t *testing.T) {
	w := lateWorld(t)
	w.claim(0, 4)
	w.toGrace()
	w.claim(1, 2)
	w.claim(2, 2, 5)
	w.to(sprinttypes.PHASE_AUDIT)
	for v := range 4 {
		m := w.verdictMsg(v, true, true, false)
		m.Seen = commit.NewBitmap(2)
		commit.Bitmap(m.Seen).Set(1)
		if err := w.verdict(m); err != nil {
			t.Fatal(err)
		}
	}
	w.mustReport(0, 2, 5)
	w.to(sprinttypes.PHASE_DONE)
	if c := w.claimOf(1); c.Status != sprinttypes.CLAIM_PAID || c.Counted() != 0 || !c.Amount.IsZero() || !c.Unseen {
		t.Errorf("unseen as a whole: %+v", c)
	}
	if c := w.claimOf(2); c.Status != sprinttypes.CLAIM_VOID_FALSE {
		t.Errorf("late and false: %+v", c)
	}
	if s := w.settlementOf(1); s.ValidUnits != 16 {
		t.Errorf("%d units are valid, want 16", s.ValidUnits)
	}
	for _, m := range []int{0, 1} {
		if _, jailed, err := w.roster.Miner(w.Ctx, chaintest.Address(m)); err != nil || jailed {
			t.Errorf("miner %d: jailed %v, %v", m, jailed, err)
		}
	}
}

// Without a grace, after it, and before the deadline nothing is late; what a verdict says of late
// claims has exactly a bit for each, or nothing.
func TestRefusedLateClaimsAndBitmaps(t *testing.T) {
	w := lateWorld(t)
	w.claim(0, 1)
	if err := w.extend(0, 1); err != nil || w.claimOf(0).Late != 0 {
		t.Fatalf("in time: %v, %d units late", err, w.claimOf(0).Late)
	}
	w.toGrace()
	for range 2 {
		if err := w.extend(0, 1); err != nil {
			t.Fatal(err)
		}
	}
	if c, e := w.claimOf(0), w.epoch(); c.Late != 8 || c.Count != 16 || e.Late != 1 {
		t.Fatalf("%d of %d units are late, %d claims", c.Late, c.Count, e.Late)
	}
	genesis, err := w.sprint.ExportGenesis(w.Ctx)
	if err != nil || genesis.Validate() != nil {
		t.Errorf("a genesis with late units: %v, %v", err, genesis.Validate())
	}
	genesis.Epoch.Late = 0
	if err := genesis.Validate(); !errors.Is(err, sprinttypes.ErrInvalidGenesis) {
		t.Errorf("a genesis that does not count late claims: %v", err)
	}
	w.to(sprinttypes.PHASE_AUDIT)
	if err := w.extend(0, 1); !errors.Is(err, sprinttypes.ErrCommitClosed) {
		t.Errorf("after the grace: %v", err)
	}
	for name, seen := range map[string][]byte{"too long": {1, 0}, "bits past the claims": {2}} {
		m := w.verdictMsg(0, true)
		m.Seen = seen
		if err := w.verdict(m); !errors.Is(err, types.ErrInvalidBitmap) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := w.verdictMsg(0, true)
	m.Seen = []byte{1}
	if err := w.verdict(m); err != nil {
		t.Error(err)
	}
	w.to(sprinttypes.PHASE_DONE)

	sp := sprintParams()
	sp.GraceBlocks = 0
	w = newWorld(t, sp, auditParams(), 10, 10)
	w.claim(0, 1)
	for w.Height() < w.epoch().CommitEnd {
		w.next()
	}
	if e := w.epoch(); e.Phase != sprinttypes.PHASE_AUDIT || e.AcceptsLate(w.Height()) {
		t.Errorf("without a grace claims are taken in %s at height %d", e.Phase, w.Height())
	}
}
