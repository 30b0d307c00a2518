package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	cmtdb "github.com/cometbft/cometbft-db"
	abci "github.com/cometbft/cometbft/abci/types"
	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/rpc/client/local"
	cmttypes "github.com/cometbft/cometbft/types"
	"golang.org/x/sync/errgroup"

	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/server"
	"github.com/cosmos/cosmos-sdk/server/api"
	servergrpc "github.com/cosmos/cosmos-sdk/server/grpc"
	cmtlog "github.com/cosmos/cosmos-sdk/server/log"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"

	"github.com/assaynet/assay/chain/app"
)

// Options are what a home folder cannot hold.
type Options struct {
	// Logger gets the node's messages; nil means silence.
	Logger log.Logger
	// Deps makes the parts that execute modules for the node of a home folder. Nil means
	// none: such a node can follow only a chain that never stores a module.
	Deps func(home string, code app.Code) (app.Deps, error)
	// StateSync is asked what to trust if the home has no state yet, and lets the node begin
	// with a snapshot instead of block 1. Nil means what config.toml says.
	StateSync func(chainID string) (*StateSync, error)
}

// Node is a running node. Its methods may be called from any goroutine.
type Node struct {
	home   string
	app    *app.App
	comet  *node.Node
	client client.Context
	addrs  Addresses
	chain  string

	dbs    []*lateDB
	halted chan struct{}
	why    failure
	closes atomic.Bool
	cancel context.CancelFunc
	group  *errgroup.Group
	stop   sync.Once
	err    error
}

// Start runs the node of a home folder: application, CometBFT, gRPC and REST. It returns once
// all of them listen; the node runs until Stop.
func Start(home string, opts Options) (_ *Node, err error) {
	if opts.Logger == nil {
		opts.Logger = log.NewNopLogger()
	}
	conf, err := readFiles(home)
	if err != nil {
		return nil, err
	}
	var deps func(app.Code) (app.Deps, error)
	if opts.Deps != nil {
		deps = func(code app.Code) (app.Deps, error) { return opts.Deps(home, code) }
	}
	doc, err := readGenesis(conf.comet)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(home, "data"), 0o700); err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	if gone, err := discardRestore(home, conf.comet); err != nil {
		return nil, err
	} else if gone {
		opts.Logger.Info("a snapshot that was not restored to its end is discarded")
	}
	db, err := conf.openState(home)
	if err != nil {
		return nil, err
	}
	if err := checkSnapshots(conf.server.StateSync); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	n := &Node{home: home, chain: doc.ChainID}
	conf.viper.Set(server.FlagStateSyncSnapshotInterval, 0) // Node.snapshots takes them
	conf.comet.FilterPeers = true
	n.app, err = app.New(app.Config{
		Logger: opts.Logger, DB: db, Home: home, Deps: deps,
		Options: append(server.DefaultBaseappOptions(conf.viper), func(b *baseapp.BaseApp) { b.SetIDPeerFilter(n.filterPeer) }),
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	application := n.app
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Stop())
		}
	}()
	if opts.StateSync != nil {
		if height := application.LastBlockHeight(); height > 0 {
			opts.Logger.Info("the home has a state already: no snapshot is looked for", "height", height)
		} else {
			y, err := opts.StateSync(doc.ChainID)
			if err != nil {
				return nil, err
			}
			y.apply(conf.comet.StateSync)
			if err := conf.comet.StateSync.ValidateBasic(); err != nil {
				return nil, fmt.Errorf("network: state sync: %w", err)
			}
		}
	}
	if conf.comet.StateSync.Enable && application.LastBlockHeight() == 0 {
		if err := beginRestore(home); err != nil {
			return nil, err
		}
	}
	keys, err := LoadKeys(home, application.Encoding().Codec)
	if err != nil {
		return nil, err
	}
	clients := newGatedClients(server.NewCometABCIWrapper(application))
	comet, err := node.NewNode(conf.comet, keys.Consensus, keys.Node,
		clients,
		func() (*cmttypes.GenesisDoc, error) { return doc, nil },
		n.openDB, node.DefaultMetricsProvider(conf.comet.Instrumentation),
		cmtlog.CometLoggerWrapper{Logger: failureLogger{opts.Logger, &n.why}}, withRelay)
	if err != nil {
		return nil, fmt.Errorf("network: make node: %w", err)
	}
	if err := comet.Start(); err != nil {
		return nil, fmt.Errorf("network: start node: %w", err)
	}
	n.comet = comet
	if n.halted, err = watchConsensus(comet); err != nil {
		return nil, err
	}
	n.addrs = Addresses{
		P2P:  strings.TrimPrefix(conf.comet.P2P.ListenAddress, "tcp://"),
		RPC:  strings.TrimPrefix(conf.comet.RPC.ListenAddress, "tcp://"),
		GRPC: conf.server.GRPC.Address,
		REST: strings.TrimPrefix(conf.server.API.Address, "tcp://"),
	}
	enc := application.Encoding()
	n.client = client.Context{}.
		WithHomeDir(home).
		WithChainID(doc.ChainID).
		WithCodec(enc.Codec).
		WithInterfaceRegistry(enc.Registry).
		WithTxConfig(enc.Tx).
		WithLegacyAmino(enc.Amino).
		WithKeyring(keys.Keyring).
		WithAccountRetriever(authtypes.AccountRetriever{}).
		WithClient(local.New(comet))
	return n, n.serve(conf, &clients.gate, opts.Logger)
}

// filterPeer refuses peers once the node is being stopped. CometBFT would accept a peer that
// reconnects at that moment and forget the connection; within one process nothing closes it,
// and the peer would take it for a live one and refuse the restarted node.
func (n *Node) filterPeer(string) *abci.ResponseQuery {
	if n.closes.Load() {
		return &abci.ResponseQuery{Code: 1, Log: "the node is stopping"}
	}
	return &abci.ResponseQuery{}
}

// openDB opens a database for CometBFT and remembers it: CometBFT leaves the transaction index
// open when it stops, and a restart in this process would find it locked.
func (n *Node) openDB(ctx *cmtcfg.DBContext) (cmtdb.DB, error) {
	db, err := cmtcfg.DefaultDBProvider(ctx)
	if err != nil {
		return nil, err
	}
	late := &lateDB{DB: db}
	n.dbs = append(n.dbs, late)
	return late, nil
}

// serve starts gRPC and REST, and what follows the blocks.
func (n *Node) serve(conf *files, g *gate, logger log.Logger) error {
	n.app.RegisterTxService(n.client)
	n.app.RegisterTendermintService(n.client)
	n.app.RegisterNodeService(n.client, conf.server)

	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.group, ctx = errgroup.WithContext(ctx)
	n.group.Go(func() error { return g.follow(ctx, n.comet) })
	if conf.server.StateSync.SnapshotInterval > 0 {
		n.group.Go(func() error { return n.snapshots(ctx, conf.server.StateSync, logger) })
	}
	if !conf.server.GRPC.Enable {
		return nil
	}
	srv, clientCtx, err := servergrpc.NewGRPCServerAndContext(n.client, n.app, conf.server.GRPC, logger)
	if err != nil {
		return fmt.Errorf("network: gRPC: %w", err)
	}
	n.group.Go(func() error { return servergrpc.StartGRPCServer(ctx, logger, conf.server.GRPC, srv) })
	if conf.server.API.Enable {
		rest := api.New(clientCtx, logger, srv)
		n.app.RegisterAPIRoutes(rest, conf.server.API)
		n.group.Go(func() error { return rest.Start(ctx, conf.server) })
	}
	return nil
}

// Home is the node's folder.
func (n *Node) Home() string { return n.home }

// ChainID is the name of the chain.
func (n *Node) ChainID() string { return n.chain }

// App is the node's application: for reading heights and hashes beside it.
func (n *Node) App() *app.App { return n.app }

// Comet is the consensus node.
func (n *Node) Comet() *node.Node { return n.comet }

// Client is a context for queries and transactions through this node, with its keyring.
func (n *Node) Client() client.Context { return n.client }

// Addresses are where the node listens.
func (n *Node) Addresses() Addresses { return n.addrs }

// Height is the last committed height.
func (n *Node) Height() int64 { return n.app.LastBlockHeight() }

// WaitHeight returns once the node has committed the height, or with the context's error.
func (n *Node) WaitHeight(ctx context.Context, height int64) error {
	const subscriber = "assay-wait-height"
	name := fmt.Sprintf("%s-%p", subscriber, &height)
	events, err := n.comet.EventBus().Subscribe(ctx, name, cmttypes.EventQueryNewBlock, 16)
	if err != nil {
		return fmt.Errorf("network: wait for height: %w", err)
	}
	defer func() { _ = n.comet.EventBus().UnsubscribeAll(context.WithoutCancel(ctx), name) }()
	for n.Height() < height {
		select {
		case <-ctx.Done():
			return fmt.Errorf("network: waiting for height %d at %d: %w", height, n.Height(), ctx.Err())
		case <-events.Canceled():
			return fmt.Errorf("network: waiting for height %d at %d: %w", height, n.Height(), events.Err())
		case <-n.comet.Quit():
			return fmt.Errorf("network: node stopped at height %d", n.Height())
		case <-n.halted:
			return n.Failure()
		case <-events.Out():
		}
	}
	return nil
}

// Stop ends the node and releases its home folder; it waits until that is done. It may be
// called repeatedly.
func (n *Node) Stop() error {
	n.stop.Do(func() {
		n.closes.Store(true)
		var errs []error
		if n.cancel != nil {
			n.cancel()
		}
		if n.group != nil {
			if err := n.group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
				errs = append(errs, err)
			}
		}
		if n.comet != nil {
			if err := n.comet.Stop(); err != nil {
				errs = append(errs, err)
			}
			n.comet.Wait()
		}
		for _, db := range n.dbs {
			errs = append(errs, db.Close())
		}
		errs = append(errs, n.app.Close())
		n.err = errors.Join(errs...)
	})
	return n.err
}

func readGenesis(cfg *cmtcfg.Config) (*cmttypes.GenesisDoc, error) {
	genesis, err := genutiltypes.AppGenesisFromFile(cfg.GenesisFile())
	if err != nil {
		return nil, fmt.Errorf("network: genesis %s: %w", cfg.GenesisFile(), err)
	}
	doc, err := genesis.ToGenesisDoc()
	if err != nil {
		return nil, fmt.Errorf("network: genesis %s: %w", cfg.GenesisFile(), err)
	}
	return doc, nil
}

// Exists says whether a home folder has been initialised.
func Exists(home string) bool {
	_, err := os.Stat(filepath.Join(home, "config", "genesis.json"))
	return err == nil
}
