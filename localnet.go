package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cosmossdk.io/log/v2"
	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/network"
	"github.com/assaynet/assay/chain/params"
	powertypes "github.com/assaynet/assay/chain/power/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/runtime/miner"
	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/verifier/auditor"
)

// Accounts with coins at the genesis of a local network.
const (
	researcherAccount = "researcher"
	clientAccount     = "client"
)

// localSpec describes a network of this process.
type localSpec struct {
	Dir      string
	Nodes    int
	BasePort int // 0: free ports
	// BlockTime is the pause after a commit.
	BlockTime time.Duration
	Sprint    sprinttypes.Params
	Voting    time.Duration // length of a governance vote

	Price func(node int) int64 // ngnk a byte and token; nil: free

	Worker func(node int) miner.Worker // nil, or nil for a node: honest
	Mining func(node int, e miner.Event)
	Audit  func(node int, e auditor.Event)

	Logger func(node int) log.Logger // nil: silence
}

// localnet is a network whose nodes, miners and auditors all run here and
// talk over real sockets.
type localnet struct {
	spec   localSpec
	layout *network.Layout
	engine *engine
	models *gateway.Sandbox
	nodes  []*localNode
}

// localNode is a node with its participant; either may be stopped.
type localNode struct {
	member network.Member
	node   *network.Node
	part   *participant
}

// newLocalnet makes keys, genesis and configuration, and the executing parts.
func newLocalnet(spec localSpec) (*localnet, error) {
	layout, err := network.Create(network.Spec{
		Dir: spec.Dir, ChainID: "assay-local-1", Nodes: spec.Nodes, BlockTime: spec.BlockTime, BasePort: spec.BasePort,
		Balance: gnkCoins(10), // for the deposits of demands
		Accounts: []network.Account{
			{Name: researcherAccount, Coins: gnkCoins(10_000)},
			{Name: clientAccount, Coins: gnkCoins(1_000)},
		},
		Edit: spec.genesis,
	})
	if err != nil {
		return nil, err
	}
	return openLocalnet(spec, layout)
}

// openLocalnet opens a network that was made earlier.
func openLocalnet(spec localSpec, layout *network.Layout) (*localnet, error) {
	n := &localnet{spec: spec, layout: layout}
	for _, m := range layout.Members {
		n.nodes = append(n.nodes, &localNode{member: m})
	}
	var err error
	if n.engine, err = newEngine(cacheDir()); err != nil {
		return nil, err
	}
	n.models = gateway.NewSandbox(n.engine.native)
	if err := serveShippedModel(n.engine, n.models); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// cacheDir keeps compiled modules between runs.
func cacheDir() string {
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "assay")
	}
	return filepath.Join(os.TempDir(), "assay-cache")
}

func gnkCoins(n int64) sdk.Coins {
	return sdk.NewCoins(sdk.NewCoin(params.BaseDenom, math.NewInt(n).MulRaw(1_000_000_000)))
}

// genesis puts the shipped proof of work in force and the parameters of a
// short network.
func (s localSpec) genesis(g *network.Genesis) error {
	return errors.Join(
		shippedProof(g, nil),
		network.Edit(g, sprinttypes.ModuleName, func(st *sprinttypes.GenesisState) error {
			st.Params = s.Sprint
			return nil
		}),
		network.Edit(g, powertypes.ModuleName, func(p *powertypes.GenesisState) error {
			p.Params.WindowEpochs = 2
			p.Params.MaxChangeBps = 3_333
			p.Params.Lane.StampBits = 12
			return nil
		}),
		votingPeriod(g, s.Voting),
	)
}

// serveShippedModel loads the shipped model with the module that runs it.
func serveShippedModel(e *engine, models *gateway.Sandbox) error {
	entry, err := catalog.Get(catalog.Llama)
	if err != nil {
		return err
	}
	blob, err := catalog.Model(catalog.Opticks)
	if err != nil {
		return err
	}
	file, err := manifest.DecodeModel(blob.Blob)
	if err != nil {
		return err
	}
	mod, err := e.rt.Admit(entry.Wasm)
	if err != nil {
		return fmt.Errorf("admit %s: %w", catalog.Llama, err)
	}
	return models.Serve(gateway.Served{Name: blob.Name, Module: mod, Info: &entry.Manifest, ModelHash: blob.Hash, Model: file})
}

// deps makes the executing parts of a node that shares this process's engine.
func (n *localnet) deps(_ string, code app.Code) (app.Deps, error) {
	return newDeps(n.engine, code), nil
}

// startNode starts the chain node i.
func (n *localnet) startNode(i int) error {
	opts := network.Options{Deps: n.deps}
	if n.spec.Logger != nil {
		opts.Logger = n.spec.Logger(i)
	}
	node, err := network.Start(n.nodes[i].member.Home, opts)
	if err != nil {
		return fmt.Errorf("start %s: %w", n.nodes[i].member.Moniker, err)
	}
	n.nodes[i].node = node
	return nil
}

// startWork starts the miner, auditor and gateway beside node i.
func (n *localnet) startWork(ctx context.Context, i int) error {
	ln := n.nodes[i]
	keys, err := network.LoadKeys(ln.member.Home, ln.node.App().Encoding().Codec)
	if err != nil {
		return err
	}
	cfg := participantConfig{
		Home: ln.member.Home, GRPC: ln.member.Addresses.GRPC, Listen: ln.member.Addresses.Serve,
		Keys: keys, Engine: n.engine, Models: n.models,
	}
	if n.spec.Price != nil {
		cfg.Price = n.spec.Price(i)
	}
	if n.spec.Worker != nil {
		cfg.Worker = n.spec.Worker(i)
	}
	if n.spec.Mining != nil {
		cfg.Mining = func(e miner.Event) { n.spec.Mining(i, e) }
	}
	if n.spec.Audit != nil {
		cfg.Audit = func(e auditor.Event) { n.spec.Audit(i, e) }
	}
	if ln.part, err = startParticipant(ctx, cfg); err != nil {
		return fmt.Errorf("start the miner of %s: %w", ln.member.Moniker, err)
	}
	return nil
}

// stopWork and stopNode are idempotent.
func (ln *localNode) stopWork() error {
	if ln.part == nil {
		return nil
	}
	p := ln.part
	ln.part = nil
	return p.Close()
}

func (ln *localNode) stopNode() error {
	if ln.node == nil {
		return nil
	}
	node := ln.node
	ln.node = nil
	return node.Stop()
}

// Close stops everything.
func (n *localnet) Close() error {
	var errs []error
	for _, ln := range n.nodes {
		errs = append(errs, ln.stopWork())
	}
	for _, ln := range n.nodes {
		errs = append(errs, ln.stopNode())
	}
	if n.models != nil {
		errs = append(errs, n.models.Close())
	}
	return errors.Join(append(errs, n.engine.Close())...)
}

// account opens one of the named accounts of the network on node i.
func (n *localnet) account(ctx context.Context, i int, name string) (*client.Account, error) {
	kr, err := network.OpenKeyring(n.layout.Dir, "test", n.nodes[i].node.App().Encoding().Codec)
	if err != nil {
		return nil, err
	}
	key, err := namedKey(kr, name)
	if err != nil {
		return nil, err
	}
	c, err := client.Dial(ctx, client.Config{GRPC: n.nodes[i].member.Addresses.GRPC})
	if err != nil {
		return nil, err
	}
	return c.Account(key), nil
}
