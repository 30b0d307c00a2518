package keeper_test

import (
	"testing"

	"github.com/assaynet/assay/chain/internal/chaintest"
	"github.com/assaynet/assay/chain/sprint/types"
)

// TestPreparationHoldsTheNextEpochBack lets power take one share a block: the epoch stays in DONE, past its
// end, until all are taken, each once and void ones not at all, and the next one opens in that very block.
func TestPreparationHoldsTheNextEpochBack(t *testing.T) {
	const claims = 30
	w := newWorld(t, testParams())
	w.roster.Entries = 1
	for i := range claims {
		w.claim(i, 100+uint64(i)/fold*fold)
	}
	w.to(types.PHASE_AUDIT)
	if err := w.k.VoidClaim(w.Ctx, chaintest.Address(3), types.CLAIM_VOID_UNANSWERED); err != nil {
		t.Fatal(err)
	}
	w.settle(types.AuditResult{})
	late := 0
	for w.epoch().Number == 1 {
		if phase := w.epoch().Phase; phase != types.PHASE_DONE {
			t.Fatalf("phase %s", phase)
		}
		if w.Height() > w.epoch().NextStart {
			late++
		}
		w.next()
	}
	if !w.roster.Prepared[1] || late < claims/2 {
		t.Fatalf("the next epoch opened %d blocks late, power ready: %v", late, w.roster.Prepared[1])
	}
	if e := w.epoch(); e.Number != 2 || e.StartHeight != w.Height() {
		t.Fatalf("epoch %d starts at %d in block %d", e.Number, e.StartHeight, w.Height())
	}
	shares, seen, units := w.roster.Settled[1], make(map[string]bool), uint64(0)
	for _, s := range shares {
		seen[string(s.Miner)], units = true, units+s.Units
	}
	if len(shares) != claims-1 || len(seen) != claims-1 || seen[string(chaintest.Address(3))] || units != settledUnits(w) {
		t.Fatalf("%d shares of %d miners with %d units were recorded, %d were valid", len(shares), len(seen), units, settledUnits(w))
	}
}

// settledUnits are the valid units of the first epoch.
func settledUnits(w *world) uint64 {
	w.tb.Helper()
	g, err := w.k.ExportGenesis(w.Ctx)
	if err != nil {
		w.tb.Fatal(err)
	}
	for _, s := range g.Settlements {
		if s.Epoch == 1 {
			return s.ValidUnits
		}
	}
	return 0
}
