package keeper_test

import (
	"errors"
	"math/rand/v2"
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

func TestHonestValidatorsPassTheCrossCheckAndTheStagesEndEarly(t *testing.T) {
	w := crossWorld(t, crossParams())
	var done []computed
	for v := range 4 {
		done = append(done, w.cast(v, nil, true, true, true))
	}
	w.mustChallenge(0, 1, 2, 3)
	began := w.Height()
	w.next()
	if w.round().Cross != types.CROSS_OPEN {
		t.Fatalf("all have challenged, and the stage is %s", w.round().Cross)
	}
	drawn := w.challenged()
	total := 0
	for _, units := range drawn {
		total += len(units)
	}
	if len(drawn) != 4 || total < 4*3 {
		t.Errorf("%d units of %d verdicts were drawn", total, len(drawn))
	}
	for v := range 4 {
		w.mustOpen(v, done[v])
		if n := w.check(v); n > 0 {
			t.Errorf("validator %d finds %d wrong digests of honest ones", v, n)
		}
	}
	w.next()
	if w.round().Cross != types.CROSS_REPORT || w.round().CrossEnd != w.Height()+2 {
		t.Fatalf("all is opened, and the stage is %s to %d at %d", w.round().Cross, w.round().CrossEnd, w.Height())
	}
	w.to(sprinttypes.PHASE_SETTLE)
	if blocks := w.Height() - began; blocks != 4 {
		t.Errorf("the cross-check took %d blocks, want 4", blocks)
	}
	for v, a := range w.auditors() {
		if a.Weight != w.power.list[v].Power*1_000_000 || a.Absent {
			t.Errorf("validator %d: %+v", v, a)
		}
	}
	if w.hasher.runs != 0 || len(w.roster.Jailings) != 0 {
		t.Errorf("%d re-executions, %d jailings", w.hasher.runs, len(w.roster.Jailings))
	}
}

// Every way to vote without computing is found by those who do compute.
func TestVotesWithoutComputingAreExposed(t *testing.T) {
	zero := func(int, *commit.Keyed) {}
	for name, c := range map[string]struct {
		spoil     func(i int, k *commit.Keyed)
		convicted bool
	}{
		"all digests invented": {func(i int, k *commit.Keyed) { k.Digest = commit.Digest{byte(i), 1} }, true},
		"one in two computed":  {func(i int, k *commit.Keyed) { k.Digest[5] ^= byte(i % 2) }, true},
		"the miner's digests":  {func(_ int, k *commit.Keyed) { k.Digest = unitDigest(nil, k.Claimant, k.Index) }, true},
		"another's key":        {func(_ int, k *commit.Keyed) { k.Digest = keyedDigest([32]byte{9}, k.Digest) }, true},
		"all computed":         {zero, false},
	} {
		w := crossWorld(t, crossParams())
		var done []computed
		for v := range 3 {
			done = append(done, w.cast(v, nil, true, true, true))
		}
		done = append(done, w.cast(3, c.spoil, true, true, true))
		w.mustChallenge(0, 1, 2, 3)
		w.next()
		for v := range 4 {
			w.mustOpen(v, done[v])
		}
		for v := range 3 {
			w.check(v)
		}
		auditors := w.auditors()
		if w.seat(3).FalseOk != c.convicted || w.roster.Miners[string(chaintest.Address(3))] != c.convicted || (auditors[3].Weight == 0) != c.convicted {
			t.Errorf("%s: seat %+v, pay %+v", name, w.seat(3), auditors[3])
		}
		for v := range 3 {
			if s := w.seat(v); s.FalseOk || s.Refuted || s.Dropped || auditors[v].Absent {
				t.Errorf("%s: honest validator %d: %+v", name, v, s)
			}
		}
		if n := w.hasher.runs; c.convicted && n < 1 || !c.convicted && n > 0 {
			t.Errorf("%s: %d re-executions", name, n)
		}
	}
}

// A root that was copied or invented cannot be opened: the verdict counts for nothing, its sender
// as absent.
func TestRootsThatCannotBeOpenedAreDropped(t *testing.T) {
	for name, root := range map[string]func(w *world, other computed) []byte{
		"copied":   func(_ *world, other computed) []byte { return other.msg.KeyedRoot },
		"invented": func(*world, computed) []byte { return make([]byte, 32) },
	} {
		p := crossParams()
		p.CoverageBps, p.MaxRounds = 6_667, 1
		w := crossWorld(t, p)
		var done []computed
		for v := range 3 {
			done = append(done, w.cast(v, nil, true, true, true))
		}
		lazy := w.verdictMsg(3, true, true, true)
		lazy.KeyedRoot = root(w, done[0])
		if err := w.verdict(lazy); err != nil {
			t.Fatal(err)
		}
		w.mustChallenge(0, 1, 2, 3)
		w.next()
		for v := range 3 {
			w.mustOpen(v, done[v])
		}
		m := w.openMsg(3, w.compute(3, nil, true, true, true))
		if err := w.openKeyed(m); !errors.Is(err, types.ErrInvalidKeyed) {
			t.Errorf("%s: an opening under another root: %v", name, err)
		}
		w.endCross()
		// Its 40 of 100 are missing to two thirds: the others draw what it did not vouch for.
		r := w.round()
		if w.epoch().Round != 1 || len(r.Seats) != 3 || len(r.Absent) != 1 || !r.Absent[0].Dropped {
			t.Fatalf("%s: round %+v", name, r)
		}
		for v := range 3 {
			done[v] = w.cast(v, nil, true, true, true)
		}
		w.mustChallenge(0, 1, 2)
		w.next()
		for v := range 3 {
			w.mustOpen(v, done[v])
		}
		for v, a := range w.auditors() {
			if a.Absent != (v == 3) || (a.Weight == 0) != (v == 3) {
				t.Errorf("%s: validator %d: %+v", name, v, a)
			}
		}
		if w.roster.Miners[string(chaintest.Address(3))] {
			t.Errorf("%s: who did not answer is jailed", name)
		}
	}
}

// endCross lets blocks pass until the cross-check of the running round is over.
func (w *world) endCross() {
	w.tb.Helper()
	for round := w.epoch().Round; w.epoch().Round == round && w.epoch().Phase <= sprinttypes.PHASE_ADJUDICATE; {
		w.next()
	}
}

func TestPayIsForWhatWasVouchedFor(t *testing.T) {
	w := crossWorld(t, crossParams())
	done := []computed{w.cast(0, nil, true, true, true), w.cast(1, nil), w.cast(2, nil, true, false, true), w.cast(3, nil, true, true, true)}
	w.mustChallenge(0, 1, 2) // the last one does not cross-check
	w.toStage(types.CROSS_OPEN)
	for v := range 4 {
		w.mustOpen(v, done[v])
	}
	a := w.auditors()
	if a[0].Weight != 10_000_000 {
		t.Errorf("who vouched for all weighs %d", a[0].Weight)
	}
	if a[1].Weight != 0 || a[1].Absent {
		t.Errorf("an all-clear verdict: %+v, want present and nothing", a[1])
	}
	if a[2].Weight <= 15_000_000 || a[2].Weight >= 25_000_000 {
		t.Errorf("who vouched for two claims of three weighs %d of 30,000,000", a[2].Weight)
	}
	if a[3].Weight != 0 || a[3].Absent {
		t.Errorf("who did not cross-check: %+v, want present and nothing", a[3])
	}
}

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

// Over random powers, claims and schedules honest validators lose nothing, whoever is silent.
func TestHonestValidatorsLoseNothing(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 3))
		powers := make([]uint64, 2+rng.IntN(5))
		for i := range powers {
			powers[i] = 1 + rng.Uint64N(100)
		}
		p := crossParams()
		p.Challenges = 1 + rng.Uint32N(12)
		p.CoverageBps, p.MaxRounds = 6_667, 2
		w := newWorld(t, sprintParams(), p, powers...)
		claims := 1 + rng.IntN(6)
		for i := range claims {
			w.claim(rng.IntN(2)*10+i, 1+rng.IntN(60))
		}
		for w.epoch().Phase != sprinttypes.PHASE_SETTLE {
			w.to(sprinttypes.PHASE_AUDIT)
			ok := make([]bool, claims)
			for i := range ok {
				ok[i] = true
			}
			done := make(map[int]computed)
			for v := range powers {
				silent := v > 0 && rng.IntN(4) == 0 && w.epoch().Round == 0
				if _, seated := seatIn(w.round().Seats, w.Bech32(chaintest.Address(v))); seated && !silent {
					done[v] = w.cast(v, nil, ok...)
					w.blocks(rng.IntN(2))
				}
			}
			w.endRoundOnly()
			if w.round().Cross == types.CROSS_CHALLENGE {
				for v := range powers {
					if _, voted := done[v]; voted {
						w.mustChallenge(v)
					}
				}
				w.next()
			}
			if w.round().Cross == types.CROSS_OPEN {
				for v := range powers {
					if c, voted := done[v]; voted {
						w.mustOpen(v, c)
					}
				}
				for v := range done {
					if w.check(v) > 0 {
						t.Fatal("an honest digest is wrong")
					}
				}
			}
			for w.epoch().Phase == sprinttypes.PHASE_ADJUDICATE {
				w.next()
			}
		}
		for v := range powers {
			s := w.seat(v)
			if s.FalseOk || s.Refuted || s.Dropped {
				t.Fatalf("seed %d: honest validator %d: %+v", seed, v, s)
			}
		}
		for v, a := range w.auditors() {
			if present := w.seat(v).Present; a.Absent == present || present && a.Weight == 0 {
				t.Fatalf("seed %d: validator %d: %+v, seat %+v", seed, v, a, w.seat(v))
			}
		}
		if len(w.roster.Jailings) > 0 || w.hasher.runs > 0 {
			t.Fatalf("seed %d: %d jailings, %d re-executions", seed, len(w.roster.Jailings), w.hasher.runs)
		}
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
