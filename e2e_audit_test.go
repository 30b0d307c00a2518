package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/openings"
	"github.com/assaynet/assay/verifier/sample"
)

// inventedTree is a tree over units that nobody computed: well formed, and impossible to defend.
func inventedTree(t *testing.T, name string, folds int) (*commit.Builder, [][]commit.Digest) {
	t.Helper()
	b, err := commit.NewBuilder(minUnits)
	must(t, err)
	leaves := make([][]commit.Digest, folds)
	for f := range leaves {
		for u := range minUnits {
			leaves[f] = append(leaves[f], sha256.Sum256(binary.LittleEndian.AppendUint64([]byte(name), uint64(f*minUnits+u))))
		}
		_, err := b.AddFold(leaves[f])
		must(t, err)
	}
	return b, leaves
}

// testClaims: what a claim must be, and that one whose units cannot be opened is void.
func testClaims(ctx context.Context, t *testing.T, n *testNet) {
	s := n.tester
	n.phase(ctx, t, 1, sprinttypes.PHASE_COMPUTE)
	tree, leaves := inventedTree(t, "own", 3)
	other, _ := inventedTree(t, "other", 3)
	claim := func(count uint64, b *commit.Builder, proof [][]byte) *sprinttypes.MsgCommitWork {
		root, err := b.RootAt(min(count, b.Count()) / minUnits * minUnits)
		must(t, err)
		return &sprinttypes.MsgCommitWork{Miner: s.address, Epoch: 1, Root: root[:], Count: count, Proof: proof}
	}
	change := func(m *sprinttypes.MsgCommitWork, f func(*sprinttypes.MsgCommitWork)) []sdk.Msg { f(m); return msgs(m) }
	probe := func() string { return shown(n.link.e2eClaim(ctx, 1, s.address)) }
	s.refused(ctx, t, probe,
		attempt{name: "claim of another epoch", lane: true, msgs: change(claim(16, tree, nil), func(m *sprinttypes.MsgCommitWork) { m.Epoch = 2 }),
			want: sprinttypes.ErrWrongEpoch, says: []string{"claim names epoch 2, epoch 1 runs"}},
		attempt{name: "short root", lane: true, msgs: change(claim(16, tree, nil), func(m *sprinttypes.MsgCommitWork) { m.Root = m.Root[1:] }),
			want: sprinttypes.ErrInvalidRoot, says: []string{"31 bytes, not 32"}},
		attempt{name: "claim too small", lane: true, msgs: msgs(claim(8, tree, nil)),
			want: sprinttypes.ErrClaimTooSmall, says: []string{"8 units, at least 16"}},
		attempt{name: "claim with wrong fold", lane: true, msgs: msgs(claim(24, tree, nil)),
			want: sprinttypes.ErrFoldMismatch, says: []string{"24 units, the fold is 16"}},
		attempt{name: "claim too large", lane: true, msgs: msgs(claim(math.MaxUint64, tree, nil)),
			want: sprinttypes.ErrClaimTooLarge, says: []string{"18446744073709551615 units, at most 16384"}},
		attempt{name: "first claim with a proof", lane: true, msgs: msgs(claim(16, tree, [][]byte{make([]byte, 32)})),
			want: sprinttypes.ErrInvalidProof, says: []string{"a first claim carries none"}},
		attempt{name: "verdict before the audit", lane: true, msgs: msgs(&audittypes.MsgVerdict{
			Validator: s.address, Epoch: 1, VrfProof: make([]byte, sample.ProofSize), KeyedRoot: make([]byte, 32)}),
			want: audittypes.ErrWrongPhase, says: []string{"allowed is", "AUDIT"}},
	)
	s.accepted(ctx, t, attempt{name: "claim", lane: true, msgs: msgs(claim(16, tree, nil))})
	proof, err := tree.ConsistencyProof(16, 48)
	must(t, err)
	s.refused(ctx, t, probe,
		attempt{name: "extension that does not grow", lane: true, msgs: msgs(claim(16, tree, nil)),
			want: sprinttypes.ErrNotExtended, says: []string{"16 units after 16"}},
		attempt{name: "extension of other units", lane: true, msgs: msgs(claim(48, other, proof)),
			want: sprinttypes.ErrNotAppendOnly, says: []string{"from 16 to 48 units"}},
		attempt{name: "extension without a proof", lane: true, msgs: msgs(claim(48, tree, nil)),
			want: sprinttypes.ErrNotAppendOnly, says: []string{"from 16 to 48 units"}},
		attempt{name: "proof of short nodes", lane: true, msgs: msgs(claim(48, tree, [][]byte{{1}})),
			want: sprinttypes.ErrInvalidProof, says: []string{"node 0 has 1 bytes, not 32"}},
	)
	s.accepted(ctx, t, attempt{name: "extension", lane: true, msgs: msgs(claim(48, tree, proof))})

	e := n.phase(ctx, t, 1, sprinttypes.PHASE_AUDIT)
	later, err := tree.ConsistencyProof(16, 32)
	must(t, err)
	s.refused(ctx, t, probe, attempt{name: "claim after the deadline", lane: true, msgs: msgs(claim(48, tree, later)),
		want: sprinttypes.ErrCommitClosed, says: []string{fmt.Sprintf("epoch 1 took claims below height %d", e.CommitEnd)}})
	testAnswers(ctx, t, n, leaves, tree)

	n.settled(ctx, t, 1, map[string]sprinttypes.ClaimStatus{
		s.address:                  sprinttypes.CLAIM_VOID_UNANSWERED,
		n.nodes[0].member.Operator: sprinttypes.CLAIM_PAID,
		n.nodes[1].member.Operator: sprinttypes.CLAIM_PAID,
		n.nodes[2].member.Operator: sprinttypes.CLAIM_PAID,
	})
	c, err := n.link.e2eClaim(ctx, 1, s.address)
	must(t, err)
	if c.Count != 48 || !c.Amount.IsZero() {
		t.Errorf("the void claim has %d units and %s ngnk, want 48 and none", c.Count, c.Amount)
	}
}

// testAnswers: the validators demand what the tester does not serve, and only true openings answer.
func testAnswers(ctx context.Context, t *testing.T, n *testNet, leaves [][]commit.Digest, tree *commit.Builder) {
	s := n.tester
	q := audittypes.NewQueryClient(n.link.c.Conn())
	var d audittypes.Demand
	n.until(ctx, t, "a demand", func(e sprinttypes.Epoch) bool {
		r, err := q.Demands(ctx, &audittypes.QueryDemandsRequest{Claimant: s.address})
		if err == nil && len(r.Demands) > 0 {
			d = r.Demands[0]
		}
		return d.Epoch != 0 || e.Number > 1 || e.Phase > sprinttypes.PHASE_ADJUDICATE
	})
	if d.Epoch == 0 {
		t.Fatal("what was not served was not demanded")
	}
	// A false opening for each index: digests that the claim does not hold.
	forged := make([][]byte, len(d.Indexes))
	for i, x := range d.Indexes {
		fold := x / minUnits
		path, err := tree.InclusionProof(fold, tree.Count())
		must(t, err)
		o := commit.Opening{Index: x, Digests: slices.Clone(leaves[fold]), Proof: path}
		o.Digests[x%minUnits][0] ^= 1
		forged[i], err = o.MarshalBinary()
		must(t, err)
	}
	answer := func(id uint64, opened ...[]byte) []sdk.Msg {
		return msgs(&audittypes.MsgAnswer{Miner: s.address, Demand: id, Openings: opened})
	}
	probe := func() string {
		return shown(q.Answers(ctx, &audittypes.QueryAnswersRequest{Epoch: 1, Claimant: s.address}))
	}
	stranger := n.coins(t, answererAccount)
	stranger.refused(ctx, t, probe,
		attempt{name: "answer to another's demand", lane: true, msgs: msgs(&audittypes.MsgAnswer{Miner: stranger.address, Demand: d.Id, Openings: forged}),
			want: audittypes.ErrNotAddressed, says: []string{"is for " + s.address}})
	s.refused(ctx, t, probe,
		attempt{name: "answer to no demand", lane: true, msgs: answer(1<<40, forged...),
			want: audittypes.ErrNoDemand, says: []string{"demand 1099511627776"}},
		attempt{name: "empty answer", lane: true, msgs: answer(d.Id),
			want: audittypes.ErrIncompleteAnswer, says: []string{"0 openings, allowed is 1 to 64"}},
		attempt{name: "answer to a part", lane: true, msgs: answer(d.Id, forged[1:]...),
			want: audittypes.ErrIncompleteAnswer, says: []string{fmt.Sprintf("%d openings for %d indexes", len(forged)-1, len(forged))}},
		attempt{name: "answer that is no opening", lane: true, msgs: answer(d.Id, slices.Repeat([][]byte{[]byte("none")}, len(forged))...),
			want: audittypes.ErrInvalidOpening},
		attempt{name: "answer with forged openings", lane: true, msgs: answer(d.Id, forged...),
			want: audittypes.ErrInvalidOpening, says: []string{"root"}},
	)
}

// drawn is the tester's draw of a miner's claim, fetched from that miner.
type drawn struct {
	claim   commit.Claim
	indexes []uint64
}

// round waits for the audit of epoch 1 and returns it with the tester's VRF proof.
func (n *testNet) round(ctx context.Context, t *testing.T) (sprinttypes.Epoch, sample.Round, sample.Proof) {
	t.Helper()
	e := n.phase(ctx, t, 1, sprinttypes.PHASE_AUDIT)
	info, err := n.link.round(ctx, e, 1, 0)
	must(t, err)
	return e, info, n.keys.VRF.Prove(info.Input())
}

// draw is what the tester's VRF drew of a node's claim.
func (n *testNet) draw(ctx context.Context, t *testing.T, node int, e sprinttypes.Epoch, info sample.Round, proof sample.Proof) drawn {
	t.Helper()
	c, err := n.link.e2eClaim(ctx, 1, n.nodes[node].member.Operator)
	must(t, err)
	var d drawn
	d.claim, err = claim(c)
	must(t, err)
	d.indexes = info.Draw(n.tester.addr, d.claim.Claimant, c.Count, e.DrawOf(c)).Indexes(proof.Output())
	if len(d.indexes) == 0 {
		t.Fatalf("the tester draws nothing of node %d", node)
	}
	return d
}

// fetched is what a node's miner opens to the tester: two units at least. Its node may hear of the audit's first
// block after the one that the tests read.
func (n *testNet) fetched(ctx context.Context, t *testing.T, node int, d drawn, proof sample.Proof) []openings.Opened {
	t.Helper()
	client := openings.NewClient(openings.ClientConfig{})
	defer client.Close()
	for h := int64(1); ; h++ {
		var err error
		h, err = n.link.WaitHeight(ctx, h)
		must(t, err)
		got := client.Fetch(ctx, "http://"+n.nodes[node].member.Addresses.Serve, openings.Request{Epoch: 1, Claimant: d.claim.Claimant,
			Validator: n.tester.addr, Proof: proof, Indexes: d.indexes}, d.claim, minUnits)
		var refused *openings.Error
		switch {
		case got.Err == nil && len(got.Opened) > 1:
			return got.Opened
		case !errors.As(got.Err, &refused) || refused.Code != openings.CodeUnknownRound:
			t.Fatalf("an honest miner opened %d units: %v", len(got.Opened), got.Err)
		}
	}
}

// testVerdicts: one verdict a seat and round, with the seat's own VRF; demands of the own draw only.
func testVerdicts(ctx context.Context, t *testing.T, n *testNet) {
	s, outsider := n.tester, n.coins(t, seatlessAccount)
	e, info, proof := n.round(ctx, t)
	key, err := sample.GenerateKey(rand.Reader)
	must(t, err)
	foreign := key.Prove(info.Input())
	q := audittypes.NewQueryClient(n.link.c.Conn())
	probe := func() string {
		voted, err := auditorLink{&link{c: n.link.c, acct: n.link.c.Account(s.key)}}.Voted(ctx, 1, 0)
		return shown(voted, err) + shown(n.demandsOf(ctx, s.address))
	}
	verdict := func(change func(*audittypes.MsgVerdict)) []sdk.Msg {
		m := &audittypes.MsgVerdict{Validator: s.address, Epoch: 1, VrfProof: proof[:],
			Bitmap: commit.NewBitmap(int(e.Claims)), KeyedRoot: make([]byte, 32)}
		change(m)
		return msgs(m)
	}
	d := n.draw(ctx, t, 0, e, info, proof)
	demand := func(validator string, proof []byte, indexes ...uint64) *audittypes.MsgDemand {
		return &audittypes.MsgDemand{Validator: validator, Epoch: 1, Claimant: n.nodes[0].member.Operator, Indexes: indexes, VrfProof: proof}
	}
	undrawn := uint64(0)
	for slices.Contains(d.indexes, undrawn) {
		undrawn++
	}
	s.refused(ctx, t, probe,
		attempt{name: "verdict of another round", lane: true, msgs: verdict(func(m *audittypes.MsgVerdict) { m.Round = 1 }),
			want: audittypes.ErrWrongRound, says: []string{"verdict names round 1, round 0 runs"}},
		attempt{name: "verdict with too long a bitmap", lane: true, msgs: verdict(func(m *audittypes.MsgVerdict) { m.Bitmap = make([]byte, 9) }),
			want: audittypes.ErrInvalidBitmap},
		attempt{name: "verdict over claims that are not", lane: true, msgs: verdict(func(m *audittypes.MsgVerdict) { m.Bitmap[len(m.Bitmap)-1] |= 0x80 }),
			want: audittypes.ErrInvalidBitmap},
		attempt{name: "verdict with another's VRF proof", lane: true, msgs: verdict(func(m *audittypes.MsgVerdict) { m.VrfProof = foreign[:] }),
			want: audittypes.ErrInvalidProof},
		attempt{name: "verdict with a torn VRF proof", lane: true, msgs: verdict(func(m *audittypes.MsgVerdict) { m.VrfProof = proof[1:] }),
			want: audittypes.ErrInvalidProof, says: []string{"95 bytes, not 96"}},
		attempt{name: "verdict with a short root", lane: true, msgs: verdict(func(m *audittypes.MsgVerdict) { m.KeyedRoot = nil }),
			want: audittypes.ErrInvalidRoot, says: []string{"0 bytes, not 32"}},
		attempt{name: "demand of what was not drawn", lane: true, msgs: msgs(demand(s.address, proof[:], undrawn)),
			want: audittypes.ErrNotDrawn},
		attempt{name: "demand of a unit that cannot be", lane: true, msgs: msgs(demand(s.address, proof[:], math.MaxUint64)),
			want: audittypes.ErrNotDrawn},
		attempt{name: "demand of no claim", lane: true, msgs: msgs(&audittypes.MsgDemand{
			Validator: s.address, Epoch: 1, Claimant: outsider.address, Indexes: []uint64{0}, VrfProof: proof[:]}),
			want: sprinttypes.ErrNoClaim, says: []string{outsider.address}},
		attempt{name: "demand of nobody", lane: true, msgs: msgs(&audittypes.MsgDemand{
			Validator: s.address, Epoch: 1, Claimant: "nobody", Indexes: []uint64{0}, VrfProof: proof[:]}),
			want: audittypes.ErrInvalidAddress},
		attempt{name: "demand of too much", lane: true, msgs: msgs(demand(s.address, proof[:], 0, 1, 2, 3, 4, 5, 6, 7, 8)),
			want: audittypes.ErrTooManyIndexes, says: []string{"9, at most 8"}},
		attempt{name: "demand out of order", lane: true, msgs: msgs(demand(s.address, proof[:], 2, 1)),
			want: audittypes.ErrInvalidIndex, says: []string{"they must ascend"}},
		attempt{name: "demand without a proof", lane: true, msgs: msgs(demand(s.address, nil, d.indexes[0])),
			want: audittypes.ErrInvalidProof, says: []string{"no verdict of this round is on chain"}},
		attempt{name: "two demands of one claim", lane: true, msgs: msgs(demand(s.address, proof[:], d.indexes[0]), demand(s.address, proof[:], d.indexes[0])),
			want: audittypes.ErrDemandOpen, says: []string{"demand"}},
	)
	outsider.refused(ctx, t, probe,
		attempt{name: "verdict of one without a seat", lane: true, msgs: verdict(func(m *audittypes.MsgVerdict) { m.Validator = outsider.address }),
			want: audittypes.ErrNoSeat, says: []string{outsider.address + " in round 0"}},
		attempt{name: "demand of one without a seat", msgs: msgs(demand(outsider.address, proof[:], d.indexes[0])),
			want: audittypes.ErrNoSeat, says: []string{outsider.address + " in round 0"}},
	)
	s.accepted(ctx, t,
		attempt{name: "verdict", lane: true, msgs: verdict(func(m *audittypes.MsgVerdict) {
			// It vouches for everything and has computed nothing.
			for i := range int(e.Claims) {
				commit.Bitmap(m.Bitmap).Set(i)
			}
			m.KeyedRoot = bytes.Repeat([]byte{7}, 32)
		})},
		attempt{name: "demand", lane: true, msgs: msgs(demand(s.address, nil, d.indexes[0]))})
	s.refused(ctx, t, func() string { return "" },
		attempt{name: "second verdict", lane: true, msgs: verdict(func(m *audittypes.MsgVerdict) { m.Bitmap[0] |= 1 }),
			want: audittypes.ErrDuplicateVerdict, says: []string{s.address + " in round 0"}})
	// A demand of what would have been served anyway is answered all the same.
	n.until(ctx, t, "the answer of an honest miner", func(e sprinttypes.Epoch) bool {
		if e.Number > 1 {
			t.Fatal("epoch 1 ended without the answer of an honest miner")
		}
		r, err := q.Answers(ctx, &audittypes.QueryAnswersRequest{Epoch: 1, Claimant: n.nodes[0].member.Operator})
		return err == nil && len(r.Answers) == 1 && r.Answers[0].Index == d.indexes[0]
	})
	n.exposed(ctx, t, s.address)
}

// exposed: the others' cross-check drops the verdict of who vouched without computing, and nobody else's.
func (n *testNet) exposed(ctx context.Context, t *testing.T, lazy string) {
	t.Helper()
	n.until(ctx, t, "the end of epoch 1", func(e sprinttypes.Epoch) bool { return e.Number > 1 })
	verdicts, err := audittypes.NewQueryClient(n.link.c.Conn()).Verdicts(ctx, &audittypes.QueryVerdictsRequest{Epoch: 1})
	must(t, err)
	for _, v := range verdicts.Verdicts {
		if v.FalseOk || v.Dropped != (v.Validator == lazy) {
			t.Errorf("verdict of %s, round %d: convicted %v, dropped %v", v.Validator, v.Round, v.FalseOk, v.Dropped)
		}
	}
	r, err := sprinttypes.NewQueryClient(n.link.c.Conn()).Settlement(ctx, &sprinttypes.QuerySettlementRequest{Epoch: 1})
	must(t, err)
	for _, a := range r.Settlement.Auditors {
		if a.Validator == lazy && (!a.Absent || a.Amount.IsPositive()) {
			t.Errorf("who vouched without computing is absent: %v, and is paid %s", a.Absent, a.Amount)
		}
	}
}

// demandsOf lists a validator's open demands against node 0.
func (n *testNet) demandsOf(ctx context.Context, validator string) ([]audittypes.Demand, error) {
	r, err := audittypes.NewQueryClient(n.link.c.Conn()).Demands(ctx, &audittypes.QueryDemandsRequest{Claimant: n.nodes[0].member.Operator})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(r.Demands, func(d audittypes.Demand) bool { return d.Validator != validator }), nil
}

// testReports: a report needs the evidence, and one of a correct unit costs only who sent it.
func testReports(ctx context.Context, t *testing.T, n *testNet) {
	critic := n.newcomer(t, "critic")
	n.register(ctx, t, critic, "")
	outsider := n.coins(t, accuserAccount)
	// Who has no seat pays a deposit for a report.
	outsider.accepted(ctx, t, attempt{name: "coins for the critic", msgs: msgs(banktypes.NewMsgSend(outsider.addr, critic.addr, gnkCoins(1)))})
	e, info, proof := n.round(ctx, t)
	d := n.draw(ctx, t, 1, e, info, proof)
	got := n.fetched(ctx, t, 1, d, proof)
	opening := func(i int, change func(*commit.Opening)) []byte {
		o := got[i].Opening
		o.Digests = slices.Clone(o.Digests)
		change(&o)
		raw, err := o.MarshalBinary()
		must(t, err)
		return raw
	}
	honest := n.nodes[1].member.Operator
	index := got[0].Opening.Index
	report := func(opened []byte, change func(*audittypes.MsgReport)) *audittypes.MsgReport {
		m := &audittypes.MsgReport{Reporter: critic.address, Epoch: 1, Claimant: honest, Index: index, Opening: opened}
		change(m)
		return m
	}
	same := func(*audittypes.MsgReport) {}
	good := opening(0, func(*commit.Opening) {})
	q := audittypes.NewQueryClient(n.link.c.Conn())
	probe := func() string {
		return shown(q.Reports(ctx, &audittypes.QueryReportsRequest{Epoch: 1})) + shown(n.link.e2eClaim(ctx, 1, honest))
	}
	critic.refused(ctx, t, probe,
		attempt{name: "opening that does not match the root", lane: true, msgs: msgs(report(opening(0, func(o *commit.Opening) { o.Digests[index%minUnits][0] ^= 1 }), same)),
			want: audittypes.ErrInvalidOpening, says: []string{"root"}},
		attempt{name: "opening of another unit", lane: true, msgs: msgs(report(opening(1, func(*commit.Opening) {}), same)),
			want: audittypes.ErrInvalidOpening, says: []string{fmt.Sprintf("of unit %d, not %d", got[1].Opening.Index, index)}},
		attempt{name: "no opening", lane: true, msgs: msgs(report(nil, same)),
			want: audittypes.ErrInvalidOpening, says: []string{"was not opened on chain"}},
		attempt{name: "opening too long", lane: true, msgs: msgs(report(make([]byte, commit.MaxOpeningBytes+1), same)),
			want: audittypes.ErrInvalidOpening, says: []string{fmt.Sprintf("at most %d", commit.MaxOpeningBytes)}},
		attempt{name: "unit beyond the claim", lane: true, msgs: msgs(report(good, func(m *audittypes.MsgReport) { m.Index = d.claim.Count })),
			want: audittypes.ErrInvalidIndex, says: []string{fmt.Sprintf("unit %d of a claim of %d", d.claim.Count, d.claim.Count)}},
		attempt{name: "report of another epoch", lane: true, msgs: msgs(report(good, func(m *audittypes.MsgReport) { m.Epoch = 7 })),
			want: audittypes.ErrWrongEpoch, says: []string{"names epoch 7, epoch 1 runs"}},
		attempt{name: "draw of one without a seat", lane: true, msgs: msgs(report(good, func(m *audittypes.MsgReport) { m.VrfProof = proof[:] })),
			want: audittypes.ErrNoSeat, says: []string{"carries no proof"}},
		attempt{name: "one unit twice", lane: true, msgs: msgs(report(good, same), report(good, same)),
			want: audittypes.ErrPendingReports, says: []string{"at most 1", "try again when one is decided"}},
	)
	outsider.refused(ctx, t, probe,
		attempt{name: "report of a stranger", lane: true, msgs: msgs(report(good, func(m *audittypes.MsgReport) { m.Reporter = outsider.address })),
			want: audittypes.ErrUnknownReporter, says: []string{"not registered"}})

	critic.accepted(ctx, t, attempt{name: "report of a correct unit", lane: true, msgs: msgs(report(good, same))})
	n.until(ctx, t, "the adjudication", func(e sprinttypes.Epoch) bool {
		r, err := q.Reports(ctx, &audittypes.QueryReportsRequest{Epoch: 1})
		must(t, err)
		if len(r.Reports) != 1 {
			t.Fatalf("%d reports are on chain, want 1", len(r.Reports))
		}
		status := r.Reports[0].Status
		if status != audittypes.REPORT_QUEUED && status != audittypes.REPORT_REFUTED {
			t.Fatalf("the report of a correct unit is %s", status)
		}
		return status == audittypes.REPORT_REFUTED
	})
	critic.refused(ctx, t, probe,
		attempt{name: "report after a refuted one", lane: true,
			msgs: msgs(report(opening(1, func(*commit.Opening) {}), func(m *audittypes.MsgReport) { m.Index = got[1].Opening.Index })),
			want: audittypes.ErrRefutedReporter, says: []string{"may report again in epoch 2"}})
	c, err := n.link.e2eClaim(ctx, 1, honest)
	must(t, err)
	if c.Void() || c.FalseUnits != 0 {
		t.Errorf("the claim of a miner that was accused falsely is %s with %d false units", c.Status, c.FalseUnits)
	}
}
