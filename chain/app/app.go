package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	abci "github.com/cometbft/cometbft/abci/types"
	dbm "github.com/cosmos/cosmos-db"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
	reflectionv1 "cosmossdk.io/api/cosmos/reflection/v1"
	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	nodeservice "github.com/cosmos/cosmos-sdk/client/grpc/node"
	"github.com/cosmos/cosmos-sdk/runtime/services"
	"github.com/cosmos/cosmos-sdk/server"
	"github.com/cosmos/cosmos-sdk/server/api"
	"github.com/cosmos/cosmos-sdk/server/config"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"

	"github.com/assaynet/assay/chain/params"
)

// Config is what an application is made of.
type Config struct {
	Logger log.Logger
	// DB holds the state; the application closes it.
	DB dbm.DB
	// Home is the node's folder; the upgrade module keeps its plan below it, and the node what it saw in
	// time.
	Home string
	// Deps makes the parts that execute modules. It may be nil in an application that only
	// serves codecs and commands or exports its state.
	Deps func(Code) (Deps, error)
	// Options adjust the base application: pruning, snapshots, minimum gas prices, chain id.
	Options []func(*baseapp.BaseApp)
}

// App is the application of a node. ABCI calls reach it one at a time except for queries.
type App struct {
	*baseapp.BaseApp
	keepers

	witness      *witness
	pool         *pool
	enc          Encoding
	keys         map[string]*storetypes.KVStoreKey
	manager      *module.Manager
	basic        module.BasicManager
	configurator module.Configurator
	closers      []io.Closer
}

var _ servertypes.Application = (*App)(nil)

// New returns an application at the latest height of its database. Errors are those of the
// database and of a state that does not fit this version.
func New(cfg Config) (*App, error) {
	enc := newEncoding()
	base := baseapp.NewBaseApp(params.AppName, cfg.Logger, cfg.DB, enc.Tx.TxDecoder(), cfg.Options...)
	base.SetVersion(Version)
	base.SetInterfaceRegistry(enc.Registry)
	base.SetTxEncoder(enc.Tx.TxEncoder())

	seen := openWitness(witnessPath(cfg.Home), func(err error) {
		cfg.Logger.Error("a restart will forget what was seen in time", "err", err)
	})
	app := &App{BaseApp: base, witness: seen, closers: []io.Closer{seen}, pool: newPool(), enc: enc, keys: storetypes.NewKVStoreKeys(storeNames()...)}
	deps := Deps{Admitter: none{}, Rechecker: none{}}
	if cfg.Deps != nil {
		var err error
		if deps, err = cfg.Deps(app.code); err != nil {
			return nil, fmt.Errorf("app: dependencies: %w", err)
		}
		if deps.Closer != nil {
			app.closers = append(app.closers, deps.Closer)
		}
	}
	host := &halter{Admitter: deps.Admitter}
	deps.Admitter = host
	app.keepers = newKeepers(app, cfg, deps)
	app.manager = module.NewManager(app.modules(enc)...)
	app.basic = module.NewBasicManagerFromManager(app.manager, nil)
	app.basic.RegisterLegacyAminoCodec(enc.Amino)
	app.basic.RegisterInterfaces(enc.Registry)
	setOrder(app.manager)

	app.configurator = module.NewConfigurator(enc.Codec, app.MsgServiceRouter(), app.GRPCQueryRouter())
	if err := app.manager.RegisterServices(app.configurator); err != nil {
		return nil, fmt.Errorf("app: register services: %w", err)
	}
	autocliv1.RegisterQueryServer(app.GRPCQueryRouter(), services.NewAutoCLIQueryService(app.manager.Modules))
	reflection, err := services.NewReflectionService()
	if err != nil {
		return nil, fmt.Errorf("app: reflection service: %w", err)
	}
	reflectionv1.RegisterReflectionServiceServer(app.GRPCQueryRouter(), reflection)

	app.MountKVStores(app.keys)
	app.SetInitChainer(app.initChain)
	app.SetPreBlocker(func(ctx sdk.Context, req *abci.RequestFinalizeBlock) (*sdk.ResponsePreBlock, error) {
		app.pool.beginBlock()
		res, err := app.manager.PreBlock(ctx)
		if err != nil {
			return nil, err
		}
		return res, app.Audit.CheckProofs(ctx, app.proofMessages(req.Txs))
	})
	app.SetBeginBlocker(app.manager.BeginBlock)
	app.SetEndBlocker(host.guard(app.manager.EndBlock))
	app.SetAnteHandler(newAnteHandler(app))

	app.SetMempool(app.pool)
	app.SetCheckTxHandler(app.checkTx)
	app.SetPrepareCheckStater(func(sdk.Context) {
		app.pool.committed()
		app.witness.committed()
	})
	app.SetPrepareProposal(app.prepareProposal)
	app.SetProcessProposal(app.processProposal)

	if err := app.LoadLatestVersion(); err != nil {
		return nil, fmt.Errorf("app: load state: %w", err)
	}
	return app, nil
}

// witnessPath is the file of the node's witness; none without a home.
func witnessPath(home string) string {
	if home == "" {
		return ""
	}
	return filepath.Join(home, "data", "witness")
}

// initChain writes the genesis. Every module must find its part, so that a file of another
// chain is refused.
func (app *App) initChain(ctx sdk.Context, req *abci.RequestInitChain) (*abci.ResponseInitChain, error) {
	var genesis map[string]json.RawMessage
	if err := json.Unmarshal(req.AppStateBytes, &genesis); err != nil {
		return nil, fmt.Errorf("app: genesis state: %w", err)
	}
	if err := app.Upgrade.SetModuleVersionMap(ctx, app.manager.GetVersionMap()); err != nil {
		return nil, err
	}
	return app.manager.InitGenesis(ctx, app.enc.Codec, genesis)
}

// Encoding returns the application's codecs.
func (app *App) Encoding() Encoding { return app.enc }

// Modules returns the modules by name, for commands made from their services.
func (app *App) Modules() map[string]any { return app.manager.Modules }

// Basic returns the modules' basics, for genesis files and commands.
func (app *App) Basic() module.BasicManager { return app.basic }

// Authority is the account through which governance acts.
func (app *App) Authority() string { return app.authority }

// RegisterAPIRoutes adds the REST routes.
func (app *App) RegisterAPIRoutes(srv *api.Server, _ config.APIConfig) {
	authtx.RegisterGRPCGatewayRoutes(srv.ClientCtx, srv.GRPCGatewayRouter)
	cmtservice.RegisterGRPCGatewayRoutes(srv.ClientCtx, srv.GRPCGatewayRouter)
	nodeservice.RegisterGRPCGatewayRoutes(srv.ClientCtx, srv.GRPCGatewayRouter)
	app.basic.RegisterGRPCGatewayRoutes(srv.ClientCtx, srv.GRPCGatewayRouter)
}

// RegisterTxService adds the transaction service.
func (app *App) RegisterTxService(ctx client.Context) {
	authtx.RegisterTxService(app.GRPCQueryRouter(), ctx, app.Simulate, app.enc.Registry)
}

// RegisterTendermintService adds the block and validator service.
func (app *App) RegisterTendermintService(ctx client.Context) {
	cmtservice.RegisterTendermintService(ctx, app.GRPCQueryRouter(), app.enc.Registry, server.NewCometABCIWrapper(app).Query)
}

// RegisterNodeService adds the node service.
func (app *App) RegisterNodeService(ctx client.Context, cfg config.Config) {
	nodeservice.RegisterNodeService(ctx, app.GRPCQueryRouter(), cfg, func() int64 {
		return app.CommitMultiStore().EarliestVersion()
	})
}

// Close releases the database and what the dependencies opened. It may be called repeatedly.
func (app *App) Close() error {
	closers := app.closers
	app.closers = nil
	var errs []error
	for _, c := range closers {
		errs = append(errs, c.Close()) // they read code from the state
	}
	return errors.Join(append(errs, app.BaseApp.Close())...)
}

// Export returns the state as a genesis, with the validators that the power module seats.
func (app *App) Export() (servertypes.ExportedApp, error) {
	ctx := app.NewContextLegacy(true, headerAt(app.LastBlockHeight()))
	genesis, err := app.manager.ExportGenesis(ctx, app.enc.Codec)
	if err != nil {
		return servertypes.ExportedApp{}, fmt.Errorf("app: export: %w", err)
	}
	state, err := json.MarshalIndent(genesis, "", "  ")
	if err != nil {
		return servertypes.ExportedApp{}, fmt.Errorf("app: export: %w", err)
	}
	return servertypes.ExportedApp{
		AppState:        state,
		Height:          app.LastBlockHeight() + 1,
		ConsensusParams: app.GetConsensusParams(ctx),
	}, nil
}

// code reads a stored blob from the last committed state.
func (app *App) code(ctx context.Context, hash [32]byte) ([]byte, error) {
	at, err := app.CreateQueryContext(0, false)
	if err != nil {
		return nil, fmt.Errorf("app: read code %x: %w", hash, err)
	}
	return app.Registry.Bytes(at.WithContext(ctx), hash[:])
}

// StoreKey is the key of a module's store, for reading a query context; nil
// if there is none of that name.
func (app *App) StoreKey(name string) *storetypes.KVStoreKey { return app.keys[name] }
