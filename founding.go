package main

import (
	"errors"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/cli"
	"github.com/assaynet/assay/chain/network"
	"github.com/assaynet/assay/chain/params"
	registrytypes "github.com/assaynet/assay/chain/registry/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/modules/transformerpow/shape"
	"github.com/assaynet/assay/sdk/client"
)

// presets are what `assay init` can found.
var presets = []cli.Preset{
	{Name: "public", Doc: "an epoch a day: five minutes of transformerpow at width 2048, two hours of audit", Edit: publicGenesis},
	{Name: "development", Doc: "epochs of 40 blocks, transformerpow at width 64", Edit: func(g *network.Genesis) error {
		return errors.Join(shippedProof(g, nil), votingPeriod(g, devnetVoting))
	}},
}

// publicGenesis is a real network's.
func publicGenesis(g *network.Genesis) error {
	return errors.Join(
		shippedProof(g, publicWork),
		network.Edit(g, sprinttypes.ModuleName, func(s *sprinttypes.GenesisState) error {
			s.Params = sprinttypes.ProductionParams()
			return nil
		}),
		network.Edit(g, audittypes.ModuleName, func(s *audittypes.GenesisState) error {
			s.Params = audittypes.ProductionParams()
			return nil
		}),
	)
}

// publicWork makes an activation of transformerpow that of a real sprint.
// Gas is what `assay module check --params 020000000008000010000000100000000016000010000000`
// measures and an eighth more, as for every module that is proposed with it.
func publicWork(a *registrytypes.Activation) {
	a.Params = shape.Production.Encode()
	a.TensorBytes = shape.Production.TensorBytes(shape.Production.Pass())
	a.GasSetup, a.GasUnit = 1_061_263_136, 460_920_128
}

// shippedProof stores transformerpow and puts it in force, with the small
// parameters of its manifest unless change says otherwise.
func shippedProof(g *network.Genesis, change func(*registrytypes.Activation)) error {
	entry, err := catalog.Get(catalog.TransformerPow)
	if err != nil {
		return err
	}
	packed, err := manifest.Compress(entry.Wasm)
	if err != nil {
		return err
	}
	m := entry.Manifest
	active := registrytypes.Activation{
		Slot: registrytypes.SlotPow, ModuleHash: m.Hash[:], Params: m.Params, TensorBytes: m.TensorBytes,
		MemoryPages: m.MemoryPages, GasSetup: m.GasSetup, GasUnit: m.GasUnit,
	}
	if change != nil {
		change(&active)
	}
	return network.Edit(g, registrytypes.ModuleName, func(r *registrytypes.GenesisState) error {
		r.Blobs = append(r.Blobs, registrytypes.GenesisBlob{
			Kind: client.KindModule, Hash: m.Hash[:], Size_: uint64(m.Size), Packed: packed,
			Deposit: sdk.NewInt64Coin(params.BaseDenom, 0),
		})
		r.Active = append(r.Active, active)
		return nil
	})
}

// votingPeriod shortens the votes of governance.
func votingPeriod(g *network.Genesis, d time.Duration) error {
	return network.Edit(g, govtypes.ModuleName, func(st *govv1.GenesisState) error {
		expedited := d / 2
		st.Params.VotingPeriod, st.Params.ExpeditedVotingPeriod = &d, &expedited
		return nil
	})
}
