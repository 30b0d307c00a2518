package keeper_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/internal/chaintest"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
)

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

// A stage of the cross-check goes on while nobody but a coalition below a third may have made a block in its second
// half: so who is kept out of its blocks is not dropped.
func TestStagesWaitForOthersBlocks(t *testing.T) {
	w := crossWorld(t, crossParams())
	var done []computed
	for v := range 4 {
		done = append(done, w.cast(v, nil, true, true, true))
	}
	w.to(sprinttypes.PHASE_ADJUDICATE)
	w.next()
	w.roster.Unheard = 67
	w.blocks(20)
	if w.round().Cross != types.CROSS_CHALLENGE {
		t.Fatalf("the stage is %s while others were not heard", w.round().Cross)
	}
	w.mustChallenge(0, 1, 2, 3)
	w.next()
	w.blocks(20)
	if w.round().Cross != types.CROSS_OPEN {
		t.Fatalf("the stage is %s while others were not heard", w.round().Cross)
	}
	for v := range 4 {
		w.mustOpen(v, done[v])
	}
	w.next()
	w.blocks(20)
	if w.round().Cross != types.CROSS_REPORT {
		t.Fatalf("the stage is %s while others were not heard", w.round().Cross)
	}
	w.roster.Unheard = 66
	w.to(sprinttypes.PHASE_SETTLE)
	for v, a := range w.auditors() {
		if a.Absent || a.Weight == 0 {
			t.Errorf("validator %d: %+v", v, a)
		}
	}
}
