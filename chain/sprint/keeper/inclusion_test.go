package keeper_test

import (
	"bytes"
	"errors"
	"testing"

	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/internal/chaintest"
	"github.com/assaynet/assay/chain/sprint/keeper"
	"github.com/assaynet/assay/chain/sprint/types"
)

const inclusionFee = 1_000_000_007

// includedParams have an odd fee, so that nothing divides evenly.
func includedParams() types.Params {
	p := testParams()
	p.ClaimFee, p.InclusionBps = inclusionFee, 1_234
	return p
}

// share is what the proposer gets of a whole fee.
func share(p types.Params) math.Int {
	return math.NewIntFromUint64(p.ClaimFee).MulRaw(int64(p.InclusionBps)).QuoRaw(types.BasisPoints)
}

// proposedBy lets a participant propose the blocks from now on; a negative one is a key that nobody has.
func (w *world) proposedBy(i int) {
	key := bytes.Repeat([]byte{0xee}, 20)
	if i >= 0 {
		key = append(bytes.Repeat([]byte{0xcc}, 19), byte(i))
		w.roster.Operators[string(key)] = chaintest.Address(i)
	}
	w.Ctx = w.Ctx.WithProposer(sdk.ConsAddress(key))
}

// balanced fails unless the account of the last settlement adds up and no coin came from elsewhere.
func (w *world) balanced() types.Settlement {
	w.tb.Helper()
	s := w.settlement().Settlement
	total := s.Paid.Add(s.AuditPaid).Add(s.InclusionPaid).Add(s.Burned).Add(s.Reserved)
	if !total.Equal(s.Emission.Add(s.Released)) {
		w.tb.Errorf("%s paid, %s to auditors, %s to proposers, %s reserved of %s", s.Paid, s.AuditPaid, s.InclusionPaid, s.Reserved, s.Emission.Add(s.Released))
	}
	return s
}

// Who proposes the block that takes the last commitment gets its part of the fee, the others who took
// earlier ones get nothing, and who audits gets the rest.
func TestProposersArePaidForTheCommitmentsTheyTake(t *testing.T) {
	p := includedParams()
	p.SettlePage = 2 // a proposer's claims are on several pages
	w := newWorld(t, p)
	w.roster.Register(chaintest.Address(7), chaintest.Address(8), chaintest.Address(9))
	w.proposedBy(7)
	b := newTree(t)
	b.extend(w, 5, 3) // later extended in a block of another
	for i := range 3 {
		w.claim(i, 400)
	}
	w.next()
	w.proposedBy(8)
	w.claim(3, 4)
	b.extend(w, 5, 2)
	w.settle(types.AuditResult{Auditors: []types.Auditor{{Validator: chaintest.Address(9), Weight: 3}}})
	s := w.balanced()
	for i, claims := range map[int]int64{7: 3, 8: 2} {
		if got, want := w.Balance(chaintest.Address(i)), share(p).MulRaw(claims); !got.Equal(want) {
			t.Errorf("proposer %d of %d claims got %s, want %s", i, claims, got, want)
		}
	}
	if got, want := w.Balance(chaintest.Address(9)), math.NewInt(inclusionFee).Sub(share(p)).MulRaw(5); !got.Equal(want) {
		t.Errorf("the auditor got %s, want %s", got, want)
	}
	if !s.InclusionPaid.Equal(share(p).MulRaw(5)) || !w.Supply().Equal(s.Emission) {
		t.Errorf("proposers got %s in all; the supply is %s", s.InclusionPaid, w.Supply())
	}
	lines := w.settlement().Lines
	if lines[0].Includer != w.Bech32(chaintest.Address(7)) || lines[4].Includer != w.Bech32(chaintest.Address(8)) {
		t.Errorf("the table names %q and %q", lines[0].Includer, lines[4].Includer)
	}
}

// What nobody is entitled to goes to the reserve, so that nobody gains by who falls out.
func TestInclusionsThatPayNobody(t *testing.T) {
	for name, c := range map[string]func(w *world){
		"a void claim": func(w *world) {
			w.proposedBy(7)
			w.claim(0, 400)
			w.to(types.PHASE_AUDIT)
			if err := w.k.VoidClaim(w.Ctx, chaintest.Address(0), types.CLAIM_VOID_UNANSWERED); err != nil {
				w.tb.Fatal(err)
			}
		},
		"its own claim": func(w *world) { w.proposedBy(0); w.claim(0, 400) },
		"its own, after one that another took": func(w *world) {
			b := newTree(w.tb)
			w.proposedBy(7)
			b.extend(w, 0, 1)
			w.proposedBy(0)
			b.extend(w, 0, 1)
		},
		"nobody's key": func(w *world) { w.proposedBy(-1); w.claim(0, 400) },
		"one that is jailed when it is paid": func(w *world) {
			w.proposedBy(7)
			w.claim(0, 400)
			w.roster.Miners[string(chaintest.Address(7))] = true
		},
		"one that is gone": func(w *world) {
			w.proposedBy(7)
			w.claim(0, 400)
			delete(w.roster.Miners, string(chaintest.Address(7)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, includedParams())
			w.roster.Register(chaintest.Address(7))
			c(w)
			w.settle(types.AuditResult{})
			if s := w.balanced(); !s.InclusionPaid.IsZero() {
				t.Errorf("proposers got %s", s.InclusionPaid)
			}
			if got := w.Balance(chaintest.Address(7)); !got.IsZero() {
				t.Errorf("the proposer got %s", got)
			}
		})
	}
}

// In the grace, who takes late units is paid if they count; if not, who took those that count is paid. So
// nobody names an accomplice by a commitment that comes too late.
func TestLateCommitmentsPayWhoTookWhatCounts(t *testing.T) {
	for _, unseen := range []bool{false, true} {
		p := includedParams()
		p.GraceBlocks = 2
		w := newWorld(t, p)
		w.roster.Register(chaintest.Address(7), chaintest.Address(8))
		b := newTree(t)
		w.proposedBy(7)
		b.extend(w, 0, 3)
		for w.Height() < w.epoch().CommitEnd {
			w.next()
		}
		w.proposedBy(8)
		b.extend(w, 0, 1)
		r := types.AuditResult{}
		if unseen {
			r.Unseen = []sdk.AccAddress{chaintest.Address(0)}
		}
		w.settle(r)
		w.balanced()
		paid, not := 8, 7
		if unseen {
			paid, not = 7, 8
		}
		if got := w.Balance(chaintest.Address(paid)); !got.Equal(share(p)) || !w.Balance(chaintest.Address(not)).IsZero() {
			t.Errorf("unseen %v: %d got %s of %s, %d got %s", unseen, paid, got, share(p), not, w.Balance(chaintest.Address(not)))
		}
		q, err := keeper.NewQueryServer(w.k).Claim(w.Ctx, &types.QueryClaimRequest{Epoch: 1, Miner: w.Bech32(chaintest.Address(0))})
		if err != nil || q.Includer != w.Bech32(chaintest.Address(paid)) {
			t.Errorf("unseen %v: the query names %q, %v", unseen, q.Includer, err)
		}
	}
}

// A coalition that claims in small parts, and takes all of them in its own blocks, pays more fees than it
// gets back: at the highest part that the parameters allow too.
func TestStuffingWithOwnClaimsCosts(t *testing.T) {
	p := includedParams()
	p.InclusionBps = 5_000
	earn := func(parts int) math.Int {
		w := newWorld(t, p)
		w.claim(0, 400) // of another
		w.proposedBy(9)
		w.roster.Register(chaintest.Address(9))
		for i := range parts {
			w.claim(1+i, uint64(400/parts))
		}
		w.settle(types.AuditResult{})
		w.balanced()
		sum := w.Balance(chaintest.Address(9))
		for i := range parts {
			sum = sum.Add(w.Balance(chaintest.Address(1 + i)))
		}
		return sum
	}
	one := earn(1)
	for _, parts := range []int{2, 5} {
		if many := earn(parts); !many.LT(one.SubRaw(int64(parts-1) * inclusionFee / 2)) {
			t.Errorf("%d claims earn %s, one earns %s", parts, many, one)
		}
	}
	p.InclusionBps++
	if err := p.Validate(); !errors.Is(err, types.ErrInvalidParams) {
		t.Errorf("more than half of the fee for the proposer: %v", err)
	}
}

// Proposers outlive an export in the middle of an epoch, and go with their claims.
func TestProposersAreExported(t *testing.T) {
	p := includedParams()
	w := newWorld(t, p)
	w.roster.Register(chaintest.Address(7))
	w.proposedBy(7)
	w.claim(0, 400)
	g, err := w.k.ExportGenesis(w.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Claims) != 1 || !bytes.Equal(g.Claims[0].Proposer, chaintest.Address(7)) || len(g.Claims[0].LateProposer) > 0 {
		t.Fatalf("exported %+v", g.Claims)
	}
	if err := g.Validate(); err != nil {
		t.Error(err)
	}
	again := newWorld(t, p)
	again.roster.Register(chaintest.Address(0), chaintest.Address(7))
	if err := again.k.InitGenesis(again.Ctx, *g); err != nil {
		t.Fatal(err)
	}
	again.settle(types.AuditResult{})
	if got := again.Balance(chaintest.Address(7)); !got.Equal(share(p)) {
		t.Errorf("after the import the proposer got %s, want %s", got, share(p))
	}
	g.Claims[0].LateProposer = chaintest.Address(8)
	if err := g.Validate(); !errors.Is(err, types.ErrInvalidGenesis) {
		t.Errorf("a late proposer without late units: %v", err)
	}
	g.Claims[0].LateProposer, g.Claims[0].Proposer = nil, make([]byte, 33)
	if err := g.Validate(); !errors.Is(err, types.ErrInvalidGenesis) {
		t.Errorf("a proposer of 33 bytes: %v", err)
	}
}

// The grace goes on until others than a coalition below a third made a block in it: so a commitment that such a
// coalition leaves out of all its blocks, however many follow each other, has the chance of another.
func TestTheGraceWaitsForOthersBlocks(t *testing.T) {
	p := includedParams()
	p.GraceBlocks = 2
	w := newWorld(t, p)
	b := newTree(t)
	b.extend(w, 0, 1)
	for w.Height() < w.epoch().CommitEnd {
		w.next()
	}
	w.roster.Unheard = 67
	for range 20 {
		w.next()
	}
	if e := w.epoch(); e.Phase != types.PHASE_COMMIT || !e.AcceptsLate(w.Height()) {
		t.Fatalf("%s at height %d, the claims end at %d", e.Phase, w.Height(), e.ClaimsEnd())
	}
	b.extend(w, 0, 2)
	w.roster.Unheard = 66
	w.next()
	e := w.epoch()
	if e.Phase != types.PHASE_AUDIT || e.AcceptsLate(w.Height()) || e.AuditEnd != w.Height()+int64(p.AuditBlocks) {
		t.Fatalf("%s at height %d, its audit ends at %d", e.Phase, w.Height(), e.AuditEnd)
	}
	c, err := w.k.Claim(w.Ctx, e.Number, chaintest.Address(0))
	if err != nil || c.Count != 3*p.Fold {
		t.Errorf("%d units, want 3 folds: %v", c.Count, err)
	}
}
