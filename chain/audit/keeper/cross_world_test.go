package keeper_test

import (
	"errors"
	"slices"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/audit/keeper"
	"github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/internal/chaintest"
	sprintkeeper "github.com/assaynet/assay/chain/sprint/keeper"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// computed is what a validator re-executed for its verdict, and the verdict's message.
type computed struct {
	tree *commit.KeyedTree
	msg  *types.MsgVerdict
}

// compute re-executes everything that validator v drew of the claims with a set bit, as an auditor
// does; spoil may falsify what it puts into its tree.
func (w *world) compute(v int, spoil func(i int, k *commit.Keyed), ok ...bool) computed {
	w.tb.Helper()
	m := w.verdictMsg(v, ok...)
	key := sample.AuditKey(sample.Proof(m.VrfProof).Output())
	var items []commit.Keyed
	position := 0
	err := w.sprint.WalkClaims(w.Ctx, w.epoch().Number, func(miner sdk.AccAddress, c sprinttypes.Claim) (bool, error) {
		if commit.Bitmap(m.Bitmap).Has(position) {
			for _, x := range w.drawOfClaim(v, miner, c) {
				k := commit.Keyed{Claimant: miner, Index: x, Digest: keyedDigest(key, unitDigest(w.epoch().Seed, miner, x))}
				if spoil != nil {
					spoil(len(items), &k)
				}
				items = append(items, k)
			}
		}
		position++
		return false, nil
	})
	if err != nil {
		w.tb.Fatal(err)
	}
	c := computed{commit.NewKeyedTree(items), m}
	root := c.tree.Root()
	m.KeyedRoot = root[:]
	return c
}

func (w *world) drawOfClaim(v int, miner sdk.AccAddress, c sprinttypes.Claim) []uint64 {
	r := w.round()
	sr := sample.Round{}
	for _, s := range r.Seats {
		addr, err := w.Addresses.StringToBytes(s.Validator)
		if err != nil {
			w.tb.Fatal(err)
		}
		sr.Seats = append(sr.Seats, sample.Seat{Validator: addr, Power: s.Power})
	}
	return sr.Draw(chaintest.Address(v), miner, c.Count, w.epoch().DrawOf(c)).Indexes(w.proof(v).Output())
}

// cast computes and sends a verdict.
func (w *world) cast(v int, spoil func(int, *commit.Keyed), ok ...bool) computed {
	w.tb.Helper()
	c := w.compute(v, spoil, ok...)
	if err := w.verdict(c.msg); err != nil {
		w.tb.Fatal(err)
	}
	return c
}

func (w *world) challengeMsg(v int) *types.MsgChallenge {
	r := w.round()
	proof := w.secrets[v].Prove(sample.CrossInput(chaintest.ChainID, r.Epoch, uint64(r.Round), commit.Root(r.VerdictsRoot)))
	return &types.MsgChallenge{Validator: w.Bech32(chaintest.Address(v)), Epoch: r.Epoch, Round: r.Round, VrfProof: proof[:]}
}

func (w *world) challenge(m *types.MsgChallenge) error {
	return w.Try(func(ctx sdk.Context) error { _, err := w.msgs.Challenge(ctx, m); return err })
}

func (w *world) openKeyed(m *types.MsgOpenKeyed) error {
	return w.Try(func(ctx sdk.Context) error { _, err := w.msgs.OpenKeyed(ctx, m); return err })
}

func (w *world) reportKeyed(reporter, validator int, position uint64) error {
	r := w.round()
	return w.Try(func(ctx sdk.Context) error {
		_, err := w.msgs.ReportKeyed(ctx, &types.MsgReportKeyed{Reporter: w.Bech32(chaintest.Address(reporter)),
			Epoch: r.Epoch, Round: r.Round, Validator: w.Bech32(chaintest.Address(validator)), Position: position})
		return err
	})
}

// challenged is what was drawn of each verdict of the running round.
func (w *world) challenged() map[string][]types.KeyedUnit {
	w.tb.Helper()
	r, err := keeper.NewQueryServer(w.k).Challenged(w.Ctx, &types.QueryChallengedRequest{})
	if err != nil {
		w.tb.Fatal(err)
	}
	out := make(map[string][]types.KeyedUnit)
	for _, c := range r.Challenged {
		if c.Round == w.round().Round {
			out[c.Validator] = c.Units
		}
	}
	return out
}

// openMsg opens everything that was drawn of a validator.
func (w *world) openMsg(v int, c computed) *types.MsgOpenKeyed {
	w.tb.Helper()
	m := &types.MsgOpenKeyed{Validator: w.Bech32(chaintest.Address(v)), Epoch: w.round().Epoch, Round: w.round().Round}
	for _, u := range w.challenged()[m.Validator] {
		k, path, err := c.tree.Prove(u.Position)
		if err != nil {
			w.tb.Fatal(err)
		}
		m.Openings = append(m.Openings, types.KeyedOpening{Position: u.Position, Digest: k.Digest[:], Path: path})
	}
	return m
}

// toStage lets blocks pass until the cross-check is in a stage.
func (w *world) toStage(s types.CrossStage) {
	w.tb.Helper()
	for i := 0; w.round().Cross != s; i++ {
		if i > 200 {
			w.tb.Fatalf("no %s, still %s", s, w.round().Cross)
		}
		w.next()
	}
}

func (w *world) seat(v int) types.Seat {
	w.tb.Helper()
	r := w.round()
	for _, s := range append(append([]types.Seat(nil), r.Seats...), r.Absent...) {
		if s.Validator == w.Bech32(chaintest.Address(v)) {
			return s
		}
	}
	w.tb.Fatalf("validator %d has no seat", v)
	return types.Seat{}
}

// check is what an honest validator does with what it drew: it computes the units under the other's
// key and reports what differs. It returns how many it reported.
func (w *world) check(v int) int {
	w.tb.Helper()
	reported := 0
	for name, units := range w.challenged() {
		addr, err := w.Addresses.StringToBytes(name)
		if err != nil {
			w.tb.Fatal(err)
		}
		target := slices.IndexFunc(w.power.list, func(s types.Seat) bool { return s.Validator == name })
		key := sample.AuditKey(w.proof(target).Output())
		for _, u := range units {
			miner, err := w.Addresses.StringToBytes(u.Claimant)
			if err != nil {
				w.tb.Fatal(err)
			}
			want := keyedDigest(key, unitDigest(w.epoch().Seed, miner, u.Index))
			if len(u.Digest) == 0 || commit.Digest(u.Digest) == want || w.seat(target).FalseOk {
				continue
			}
			if err := w.reportKeyed(v, target, u.Position); err == nil {
				reported++
			} else if !errors.Is(err, types.ErrDuplicateReport) && !errors.Is(err, types.ErrPendingReports) {
				w.tb.Fatalf("report of %x: %v", addr, err)
			}
		}
	}
	return reported
}

func crossParams() types.Params {
	p := auditParams()
	p.Challenges = 6
	p.ChallengeBlocks, p.OpenBlocks, p.KeyedReportBlocks = 5, 5, 2
	return p
}

// crossWorld has four validators, of whom the first two claim, and a miner.
func crossWorld(t testing.TB, p types.Params) *world {
	w := newWorld(t, sprintParams(), p, 10, 20, 30, 40)
	w.claim(0, 100)
	w.claim(1, 100)
	w.claim(9, 100)
	w.to(sprinttypes.PHASE_AUDIT)
	return w
}

func (w *world) mustChallenge(validators ...int) {
	w.tb.Helper()
	w.toStage(types.CROSS_CHALLENGE)
	for _, v := range validators {
		if err := w.challenge(w.challengeMsg(v)); err != nil {
			w.tb.Fatal(err)
		}
	}
}

func (w *world) mustOpen(v int, c computed) {
	w.tb.Helper()
	if m := w.openMsg(v, c); len(m.Openings) > 0 {
		if err := w.openKeyed(m); err != nil {
			w.tb.Fatal(err)
		}
	}
}

// auditors are the weights that the settlement of epoch 1 took over.
func (w *world) auditors() []sprinttypes.AuditPay {
	w.tb.Helper()
	w.to(sprinttypes.PHASE_DONE)
	r, err := sprintkeeper.NewQueryServer(w.sprint).Settlement(w.Ctx, &sprinttypes.QuerySettlementRequest{Epoch: 1})
	if err != nil {
		w.tb.Fatal(err)
	}
	return r.Settlement.Auditors
}

// endCross lets blocks pass until the cross-check of the running round is over.
func (w *world) endCross() {
	w.tb.Helper()
	for round := w.epoch().Round; w.epoch().Round == round && w.epoch().Phase <= sprinttypes.PHASE_ADJUDICATE; {
		w.next()
	}
}

func seatIn(seats []types.Seat, name string) (types.Seat, bool) {
	i := slices.IndexFunc(seats, func(s types.Seat) bool { return s.Validator == name })
	if i < 0 {
		return types.Seat{}, false
	}
	return seats[i], true
}

// endRoundOnly lets blocks pass until verdicts are no longer taken.
func (w *world) endRoundOnly() {
	w.tb.Helper()
	for w.epoch().Phase == sprinttypes.PHASE_AUDIT {
		w.next()
	}
}
