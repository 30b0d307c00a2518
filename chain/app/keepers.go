package app

import (
	"context"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"

	"cosmossdk.io/core/store"

	"github.com/cosmos/cosmos-sdk/codec/address"
	"github.com/cosmos/cosmos-sdk/runtime"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	authzkeeper "github.com/cosmos/cosmos-sdk/x/authz/keeper"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	consensuskeeper "github.com/cosmos/cosmos-sdk/x/consensus/keeper"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	feegrantkeeper "github.com/cosmos/cosmos-sdk/x/feegrant/keeper"
	govkeeper "github.com/cosmos/cosmos-sdk/x/gov/keeper"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	upgradekeeper "github.com/cosmos/cosmos-sdk/x/upgrade/keeper"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	auditkeeper "github.com/assaynet/assay/chain/audit/keeper"
	audittypes "github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/params"
	powerkeeper "github.com/assaynet/assay/chain/power/keeper"
	powertypes "github.com/assaynet/assay/chain/power/types"
	registrykeeper "github.com/assaynet/assay/chain/registry/keeper"
	registrytypes "github.com/assaynet/assay/chain/registry/types"
	sprintkeeper "github.com/assaynet/assay/chain/sprint/keeper"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	workkeeper "github.com/assaynet/assay/chain/work/keeper"
	worktypes "github.com/assaynet/assay/chain/work/types"
)

// keepers are the owners of the modules' states.
type keepers struct {
	Accounts  authkeeper.AccountKeeper
	Bank      bankkeeper.BaseKeeper
	Consensus consensuskeeper.Keeper
	Upgrade   *upgradekeeper.Keeper
	Authz     authzkeeper.Keeper
	FeeGrant  feegrantkeeper.Keeper
	Gov       *govkeeper.Keeper
	Power     powerkeeper.Keeper
	Registry  registrykeeper.Keeper
	Sprint    sprintkeeper.Keeper
	Audit     auditkeeper.Keeper
	Work      workkeeper.Keeper

	authority string
}

// storeNames are the stores of the modules. A new one needs a store upgrade.
func storeNames() []string {
	return []string{
		authtypes.StoreKey, banktypes.StoreKey, consensustypes.StoreKey, upgradetypes.StoreKey,
		authzkeeper.StoreKey, feegrant.StoreKey, govtypes.StoreKey, powertypes.StoreKey,
		registrytypes.StoreKey, sprinttypes.StoreKey, audittypes.StoreKey, worktypes.StoreKey,
	}
}

// accountPermissions are the module accounts and what they may do with coins.
func accountPermissions() map[string][]string {
	return map[string][]string{
		authtypes.FeeCollectorName: nil,
		govtypes.ModuleName:        {authtypes.Burner},
		registrytypes.ModuleName:   nil,
		sprinttypes.ModuleName:     {authtypes.Minter, authtypes.Burner},
		audittypes.ModuleName:      nil,
		worktypes.ModuleName:       nil,
	}
}

func newKeepers(app *App, cfg Config, deps Deps) keepers {
	var (
		k     keepers
		codec = app.enc.Codec
		store = func(name string) store.KVStoreService { return runtime.NewKVStoreService(app.keys[name]) }
	)
	k.authority = authtypes.NewModuleAddress(govtypes.ModuleName).String()

	k.Consensus = consensuskeeper.NewKeeper(codec, store(consensustypes.StoreKey), k.authority, runtime.EventService{})
	app.SetParamStore(k.Consensus.ParamsStore)

	k.Accounts = authkeeper.NewAccountKeeper(codec, store(authtypes.StoreKey), authtypes.ProtoBaseAccount,
		accountPermissions(), address.NewBech32Codec(params.Bech32Prefix), params.Bech32Prefix, k.authority)
	k.Bank = bankkeeper.NewBaseKeeper(codec, store(banktypes.StoreKey), k.Accounts,
		blockedAddresses(), k.authority, cfg.Logger)
	k.Authz = authzkeeper.NewKeeper(store(authzkeeper.StoreKey), codec, app.MsgServiceRouter(), k.Accounts)
	k.FeeGrant = feegrantkeeper.NewKeeper(codec, store(feegrant.StoreKey), k.Accounts)
	k.Upgrade = upgradekeeper.NewKeeper(nil, store(upgradetypes.StoreKey), codec, cfg.Home, app.BaseApp, k.authority)

	k.Power = powerkeeper.New(powerkeeper.Config{
		Codec: codec, Store: store(powertypes.StoreKey), Authority: k.authority, VerifyVRF: verifyVRF,
	})

	k.Registry = registrykeeper.New(registrykeeper.Config{
		Codec: codec, Store: store(registrytypes.StoreKey), Bank: k.Bank, Authority: k.authority, Admitter: deps.Admitter,
	})
	k.Sprint = sprintkeeper.NewKeeper(sprintkeeper.Config{
		Codec: codec, Store: store(sprinttypes.StoreKey), Addresses: k.Accounts.AddressCodec(), Accounts: k.Accounts,
		Bank: k.Bank, Registry: workSource{k.Registry}, Power: powerSource{k.Power},
		FeeCollector: authtypes.FeeCollectorName, Witness: app.witness, Authority: k.authority,
	})

	k.Audit = auditkeeper.NewKeeper(auditkeeper.Config{
		Codec: codec, Store: store(audittypes.StoreKey), Addresses: k.Accounts.AddressCodec(), Accounts: k.Accounts,
		Bank: k.Bank, Epochs: k.Sprint, Court: k.Sprint, Power: powerSource{k.Power}, Rechecker: deps.Rechecker,
		Authority: k.authority,
	})
	k.Work = workkeeper.NewKeeper(workkeeper.Config{
		Codec: codec, Store: store(worktypes.StoreKey), Addresses: k.Accounts.AddressCodec(), Accounts: k.Accounts,
		Bank: k.Bank, Epochs: epochSource{k.Sprint}, Miners: powerSource{k.Power}, Authority: k.authority,
	})
	// Double signing forfeits what is still vesting and the claim that is not settled; nobody is
	// paid for pointing at it.
	k.Power.OnTombstone(k.Sprint.Expel)

	// Without a staking module there is no community pool: cancelled proposals burn their
	// charge, and the distribution keeper stays nil.
	k.Gov = govkeeper.NewKeeper(codec, store(govtypes.StoreKey), k.Accounts, k.Bank, nil,
		app.MsgServiceRouter(), govtypes.DefaultConfig(), k.authority, k.Power.Tally)
	proposals := k.Gov.Proposals
	k.Gov.SetHooks(k.Power.GovHooks(func(ctx context.Context, id uint64) (govv1.Proposal, error) {
		return proposals.Get(ctx, id)
	}))
	return k
}

// blockedAddresses are the module accounts, which take no coins from transfers. Governance
// may be paid back.
func blockedAddresses() map[string]bool {
	blocked := make(map[string]bool)
	for name := range accountPermissions() {
		if name != govtypes.ModuleName {
			blocked[authtypes.NewModuleAddress(name).String()] = true
		}
	}
	return blocked
}

func headerAt(height int64) cmtproto.Header { return cmtproto.Header{Height: height} }
