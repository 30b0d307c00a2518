package app

import (
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/x/auth"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/authz"
	authzmodule "github.com/cosmos/cosmos-sdk/x/authz/module"
	"github.com/cosmos/cosmos-sdk/x/bank"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/consensus"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	feegrantmodule "github.com/cosmos/cosmos-sdk/x/feegrant/module"
	"github.com/cosmos/cosmos-sdk/x/genutil"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	"github.com/cosmos/cosmos-sdk/x/gov"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	"github.com/cosmos/cosmos-sdk/x/upgrade"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	"github.com/assaynet/assay/chain/audit"
	audittypes "github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/power"
	powertypes "github.com/assaynet/assay/chain/power/types"
	"github.com/assaynet/assay/chain/registry"
	registrytypes "github.com/assaynet/assay/chain/registry/types"
	"github.com/assaynet/assay/chain/sprint"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/chain/work"
	worktypes "github.com/assaynet/assay/chain/work/types"
)

// modules returns the modules over the keepers.
func (app *App) modules(enc Encoding) []module.AppModule {
	return []module.AppModule{
		auth.NewAppModule(enc.Codec, app.Accounts, nil),
		bank.NewAppModule(enc.Codec, app.Bank, app.Accounts),
		consensus.NewAppModule(enc.Codec, app.Consensus),
		upgrade.NewAppModule(app.Upgrade, app.Accounts.AddressCodec()),
		authzmodule.NewAppModule(enc.Codec, app.Authz, app.Accounts, app.Bank, enc.Registry),
		feegrantmodule.NewAppModule(enc.Codec, app.Accounts, app.Bank, app.FeeGrant, enc.Registry),
		gov.NewAppModule(enc.Codec, app.Gov, app.Accounts, app.Bank),
		// Without genesis transactions genutil calls neither of its keepers; validators come
		// from the power module's genesis.
		genutil.NewAppModule(app.Accounts, nil, app, enc.Tx),
		registry.NewAppModule(app.Registry),
		sprint.NewAppModule(app.Sprint),
		audit.NewAppModule(app.Audit),
		work.NewAppModule(app.Work),
		power.NewAppModule(app.Power),
	}
}

// setOrder fixes the order of the modules in a block and at genesis. Power comes last: it
// returns the validator updates of what the others decided. The sprint comes before the audit,
// which must see the phase of the next block.
func setOrder(m *module.Manager) {
	m.SetOrderPreBlockers(upgradetypes.ModuleName, authtypes.ModuleName)
	m.SetOrderBeginBlockers(powertypes.ModuleName, authz.ModuleName)
	m.SetOrderEndBlockers(banktypes.ModuleName, govtypes.ModuleName, feegrant.ModuleName,
		sprinttypes.ModuleName, audittypes.ModuleName, worktypes.ModuleName, powertypes.ModuleName)
	genesis := []string{
		authtypes.ModuleName, banktypes.ModuleName, govtypes.ModuleName, powertypes.ModuleName,
		registrytypes.ModuleName, sprinttypes.ModuleName, audittypes.ModuleName, worktypes.ModuleName,
		authz.ModuleName, feegrant.ModuleName, upgradetypes.ModuleName, consensustypes.ModuleName,
		genutiltypes.ModuleName,
	}
	m.SetOrderInitGenesis(genesis...)
	m.SetOrderExportGenesis(genesis...)
}
