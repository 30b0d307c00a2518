package keeper_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// A validator's draw is a function of its own key and of the claims: neither a proposer, by blocks,
// their order and what it leaves out, nor other validators, by what they say or withhold, change it.
func TestNobodyChangesAnothersDraw(t *testing.T) {
	draws := func(play func(w *world)) (out [][]uint64) {
		w := newWorld(t, sprintParams(), auditParams(), 10, 20, 30)
		w.claim(5, 100)
		w.claim(6, 100)
		w.to(sprinttypes.PHASE_AUDIT)
		play(w)
		return [][]uint64{w.drawOf(0, 5), w.drawOf(0, 6)}
	}
	want := draws(func(*world) {})
	for name, play := range map[string]func(w *world){
		"other blocks":           func(w *world) { w.Ctx = w.Ctx.WithHeaderHash([]byte("another block")) },
		"later blocks":           func(w *world) { w.blocks(3) },
		"others' verdicts":       func(w *world) { w.vote(1, true, false); w.vote(2, false, true) },
		"others' verdicts, late": func(w *world) { w.blocks(2); w.vote(2, true, true) },
		"a report":               func(w *world) { w.mustReport(1, 5, 3) },
	} {
		if got := draws(play); !slices.EqualFunc(got, want, slices.Equal[[]uint64]) {
			t.Errorf("%s change a draw", name)
		}
	}
}

// Whoever chooses what the draws depend on, as a miner does by its claim and a coalition by what it
// claims and withholds, chooses without knowing: the best variant of many for the coalition's own
// keys, just under a third of the power, is drawn by the others as often as any.
func TestGrindingDoesNotSteerOthers(t *testing.T) {
	random := rand.NewChaCha8([32]byte{7})
	var secrets []*sample.SecretKey
	for range 3 {
		k, err := sample.GenerateKey(random)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, k)
	}
	const (
		count, falses = 10_000, 1_000 // one unit in ten is false: the first thousand
		units, trials = 100, 40
		variants      = 8
	)
	d := sample.Draw{Claimant: []byte("faker"), Count: count, Units: units, Power: 33, TotalPower: 100}
	hits := func(secret *sample.SecretKey, root commit.Root) (n int) {
		draw := d
		draw.Validator = secret.Public().Bytes()
		for _, x := range draw.Indexes(secret.Prove(sample.Input("c", 1, 0, root)).Output()) {
			if x < falses {
				n++
			}
		}
		return n
	}
	var coalition, others, drawn int
	for trial := range trials {
		best, least := commit.Root{}, count
		for v := range variants {
			root := commit.Root{byte(trial), byte(v)}
			if n := hits(secrets[0], root); n < least {
				best, least = root, n
			}
		}
		coalition += least
		others += hits(secrets[1], best) + hits(secrets[2], best)
		drawn += 2 * d.Size()
	}
	// 40 trials of 66 units at 10 %: 264 hits, standard deviation 15.
	if mean := drawn / 10; others < mean-75 || others > mean+75 {
		t.Errorf("the others drew %d false units, %d are expected", others, mean)
	}
	if coalition*2 > others/2 {
		t.Errorf("grinding did nothing for the coalition's own draws: %d hits to %d of two others", coalition, others)
	}
}

// A validator with nine tenths of the power draws nothing of its own claim; the others draw all of
// it, and its verdict counts for nothing there.
func TestGiantDoesNotAuditItself(t *testing.T) {
	p := crossParams()
	p.CoverageBps, p.MaxRounds = 6_667, 1
	w := newWorld(t, sprintParams(), p, 900, 50, 50)
	w.claim(0, 100)
	w.to(sprinttypes.PHASE_AUDIT)
	if n := len(w.drawOf(0, 0)); n != 0 {
		t.Errorf("it draws %d units of its own claim", n)
	}
	if n := len(w.drawOf(1, 0)) + len(w.drawOf(2, 0)); n < 20 {
		t.Errorf("the others draw %d of 20 units", n)
	}
	w.vote(0, true) // ok about itself
	w.vote(1, false)
	w.vote(2, false)
	w.toStage(types.CROSS_DONE)
	w.endCross()
	if e := w.epoch(); e.Round != 1 || e.DrawOf(w.claimOf(0)) != 20 {
		t.Errorf("its own vote covers its claim: round %d draws %d", e.Round, e.DrawOf(w.claimOf(0)))
	}
}
