package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/assaynet/assay/chain/network"
	registrytypes "github.com/assaynet/assay/chain/registry/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

// TestPresets: what `assay init` founds is valid, and the proof of work in
// force is one that governance could have put there: it runs within its bounds
// on the reference device.
func TestPresets(t *testing.T) {
	e := openEngine(t)
	j := newJudge(e, nil)
	defer j.Close()
	scratch, err := network.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	defer scratch.Close()
	for _, p := range presets {
		t.Run(p.Name, func(t *testing.T) {
			g, err := network.NewGenesis("found-1", time.Unix(1_800_000_000, 0).UTC(), scratch)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Edit(g); err != nil {
				t.Fatal(err)
			}
			if err := g.Save(filepath.Join(t.TempDir(), "genesis.json")); err != nil {
				t.Fatal(err)
			}
			var active []registrytypes.Activation
			if err := network.Edit(g, registrytypes.ModuleName, func(s *registrytypes.GenesisState) error {
				active = s.Active
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if len(active) != 1 {
				t.Fatalf("%d modules are active", len(active))
			}
			if err := j.AdmitActivation(active[0], shipped(t, "transformerpow").Wasm, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPublicEpoch: the public network's epoch is a day with a sprint of five minutes.
func TestPublicEpoch(t *testing.T) {
	p := sprinttypes.ProductionParams()
	const block = 6 * time.Second
	if day := time.Duration(p.EpochBlocks) * block; day != 24*time.Hour {
		t.Errorf("an epoch of %v", day)
	}
	if sprint := time.Duration(p.ComputeBlocks) * block; sprint != 5*time.Minute {
		t.Errorf("a sprint of %v", sprint)
	}
}
