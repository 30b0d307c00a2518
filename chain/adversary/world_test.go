package adversary

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/modules/catalog"
)

var (
	once   sync.Once
	shared *Lab
	labErr error
)

// lab is one sandbox for all tests: compiling the modules takes seconds.
func lab(t *testing.T) *Lab {
	t.Helper()
	once.Do(func() { shared, labErr = NewLab("") })
	if labErr != nil {
		t.Fatal(labErr)
	}
	return shared
}

// All strategies below a third of the power earn less than honesty, and no honest participant is ever
// punished: its claim is void at most, and only if its machine flipped a bit. The full run is
// make adversary.
func TestNoStrategyPays(t *testing.T) {
	// A seed with which also the late committer, one block in ten, is late.
	plan := Plan{Seed: 3, Replicates: 1, Epochs: 15, Cost: 0.5}
	scenarios := Scenarios()
	if testing.Short() {
		plan.Epochs = 4
	}
	rows, err := Run(context.Background(), lab(t), plan, scenarios)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := Table(&table, rows); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", table.String())
	for i, r := range rows {
		s := scenarios[i]
		if r.HonestPunished > 0 {
			t.Errorf("%s: honest participants were punished %d times", r.Name, r.HonestPunished)
		}
		if flips := strings.Contains(r.Name, "flips"); r.HonestVoid > 0 && !flips {
			t.Errorf("%s: %d claims of honest participants are void", r.Name, r.HonestVoid)
		}
		if s.Rare || s.Neutral || testing.Short() {
			continue
		}
		if r.Gain > 0 || r.Gain == 0 && !s.Seldom {
			t.Errorf("%s gains %.3f %% of an honest reward an epoch", r.Name, r.Gain)
		}
	}
}

// Rare strategies are checked by what is certain: in a long enough run of one seed the fault is seen
// and costs more than it saved.
func TestRareFaultsAreCaughtInTheEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("a longer run")
	}
	for _, s := range Scenarios() {
		if !s.Rare {
			continue
		}
		rows, err := Run(context.Background(), lab(t), Plan{Seed: 2, Replicates: 2, Epochs: 20, Cost: 0.5}, []Scenario{s})
		if err != nil {
			t.Fatal(err)
		}
		if rows[0].Gain >= 0 || rows[0].Void == 0 {
			t.Errorf("%s: gains %.3f %%, void in %.1f %% of the epochs", s.Name, rows[0].Gain, rows[0].Void)
		}
	}
}

// The part of a replicate that is not simulated, because the adversary is barred, would change
// nothing for it.
func TestTheBarredEarnNothing(t *testing.T) {
	var s Scenario
	for _, s = range Scenarios() {
		if s.Name == "faker of 100 %" {
			break
		}
	}
	w, err := NewWorld(context.Background(), lab(t), s.module, 3, true, s.members(lab(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	cheat := w.players[participants-1]
	var income, work float64
	for epoch := range 6 {
		if err := w.Epoch(); err != nil {
			t.Fatal(err)
		}
		barred, err := cheat.barredFor(14 - epoch)
		if err != nil {
			t.Fatal(err)
		}
		if !barred {
			t.Fatalf("a faker of everything is not barred after epoch %d", epoch+1)
		}
		in, err := cheat.income()
		if err != nil {
			t.Fatal(err)
		}
		if did := cheat.mined + cheat.audited; epoch > 0 && (in != income || did != work) {
			t.Errorf("epoch %d: income %v and work %v, were %v and %v", epoch+1, in, did, income, work)
		}
		income, work = in, cheat.mined+cheat.audited
	}
}

// The same plan gives the same table.
func TestRunsRepeat(t *testing.T) {
	plan := Plan{Seed: 5, Replicates: 2, Epochs: 3, Cost: 0.5}
	var first []byte
	for range 2 {
		rows, err := Run(context.Background(), lab(t), plan, Scenarios()[1:3])
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := JSON(&b, plan, rows); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b.Bytes()
			continue
		}
		if !bytes.Equal(first, b.Bytes()) {
			t.Errorf("two runs of one plan differ:\n%s\n%s", first, b.Bytes())
		}
	}
	var decoded struct{ Rows []Row }
	if err := json.Unmarshal(first, &decoded); err != nil || len(decoded.Rows) != 2 {
		t.Errorf("the output is no JSON of two rows: %v", err)
	}
}

// Every approximation changes practically every digest of the real module.
func TestApproximationsChangeDigests(t *testing.T) {
	for _, c := range []Cut{FourBitWeights, DroppedLowBits, SkippedLayer, SkippedAttention} {
		part, err := Differing(context.Background(), lab(t), c, 512)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("cut %d: %.2f %% of the digests differ", c, part)
		if part < 99.9 {
			t.Errorf("cut %d changes only %.2f %% of the digests", c, part)
		}
	}
}

// unprompted turns off what proposers are paid for taking what auditors send.
func unprompted(p *sprinttypes.Params, _ *audittypes.Params) { p.PromptBps = 0 }

// Honest participants of both modules are paid alike, but for what blocks they took, and the chain refuses nothing that they send.
func TestHonestWorld(t *testing.T) {
	for _, module := range []string{catalog.HashPow, catalog.TransformerPow} {
		members := make([]Member, participants)
		for i := range members {
			members[i].Folds = folds
		}
		// Whose turn it is when verdicts come is paid too: without that.
		w, err := newWorld(context.Background(), lab(t), module, 1, true, unprompted, members)
		if err != nil {
			t.Fatal(err)
		}
		p := sprintParams(folds*fold, participants)
		included := make(map[string]float64) // ngnk, of those whose turn it was
		for range 3 {
			if err := w.Epoch(); err != nil {
				t.Fatal(err)
			}
			q, err := w.sprintQuery.Settlement(w.ctx, &sprinttypes.QuerySettlementRequest{})
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range q.Lines {
				included[l.Includer] += float64(p.ClaimFee / sprinttypes.BasisPoints * uint64(p.InclusionBps))
			}
		}
		first, err := w.players[0].income()
		if err != nil {
			t.Fatal(err)
		}
		first -= included[w.players[0].name]
		for _, p := range w.players {
			in, err := p.income()
			if err != nil {
				t.Fatal(err)
			}
			in -= included[p.name]
			// Powers that do not divide evenly differ by one in 10^6, and with them the audit's pay.
			if math.Abs(in/first-1) > 1e-6 || in <= 0 || p.void+p.jailed > 0 {
				t.Errorf("%s: player %d earned %.0f ngnk, the first %.0f; void %d, jailed %d", module, p.Index, in, first, p.void, p.jailed)
			}
		}
		if len(w.refusals) > 0 {
			t.Errorf("%s: the chain refused %v", module, w.refusals)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Rented hardware that makes two thirds of one sprint never has a third of the power.
func TestRenterStaysBelowAThird(t *testing.T) {
	renter := &Renter{Epoch: 2}
	members := make([]Member, participants)
	for i := range members {
		members[i].Folds = folds
	}
	members[participants-1].Strategy = renter
	w, err := NewWorld(context.Background(), lab(t), catalog.HashPow, 4, false, members)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for range 5 {
		if err := w.Epoch(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("two thirds of one sprint on top of a sixth: at most %.1f %% of the power", 100*renter.Peak)
	if renter.Peak >= 1./3 || renter.Peak < 1./6 {
		t.Errorf("the renter had %.3f of the power", renter.Peak)
	}
}

// Every row that the threat model refers to is in the table.
func TestThreatModelNamesRows(t *testing.T) {
	page, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, line := range strings.Split(string(page), "\n") {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		for _, m := range regexp.MustCompile(`\*([^*]+)\*`).FindAllStringSubmatch(line, -1) {
			name := strings.TrimSpace(strings.ReplaceAll(m[1], "…", ""))
			found++
			if !slices.ContainsFunc(Scenarios(), func(s Scenario) bool { return strings.Contains(s.Name, name) }) {
				t.Errorf("no strategy is called %q", name)
			}
		}
	}
	if found < 15 {
		t.Errorf("only %d rows are named", found)
	}
}
