package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"cosmossdk.io/client/v2/autocli"
	"cosmossdk.io/core/appmodule"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/config"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/client/keys"
	"github.com/cosmos/cosmos-sdk/client/rpc"
	"github.com/cosmos/cosmos-sdk/codec/address"
	"github.com/cosmos/cosmos-sdk/runtime/services"
	"github.com/cosmos/cosmos-sdk/server"
	"github.com/cosmos/cosmos-sdk/version"
	authcli "github.com/cosmos/cosmos-sdk/x/auth/client/cli"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/network"
	"github.com/assaynet/assay/chain/params"
)

// Config is what the commands need to know of the program that they are part of.
type Config struct {
	// Home is the default folder of a node; empty means .assay in the user's home.
	Home string
	// Deps makes the parts that execute modules for a node that is started; see
	// network.Options.
	Deps func(home string, code app.Code) (app.Deps, error)
	// Presets are what a new chain can begin with, the first one if nothing is said; without any it
	// begins with the defaults.
	Presets []Preset
}

// Preset is what the genesis of a new chain holds beside its first validator: the proof of
// work in force and the parameters that suit its epochs.
type Preset struct {
	Name string
	Doc  string // half a line
	Edit func(*network.Genesis) error
}

// Add hangs the chain's commands below root. It builds an application over memory to know the
// modules, which takes some milliseconds.
func Add(root *cobra.Command, cfg Config) error {
	params.Configure()
	version.AppName = params.AppName // the SDK's own texts name it
	if cfg.Home == "" {
		user, err := os.UserHomeDir()
		if err != nil {
			return fmt.Errorf("cli: home folder: %w", err)
		}
		cfg.Home = filepath.Join(user, "."+params.AppName)
	}
	scratch, err := network.Scratch()
	if err != nil {
		return fmt.Errorf("cli: %w", err)
	}
	base := clientContext(cfg.Home, scratch)

	tx := txCommand()
	query := queryCommand()
	options := autocli.AppOptions{
		Modules:               map[string]appmodule.AppModule{},
		ModuleOptions:         services.ExtractAutoCLIOptions(scratch.Modules()),
		AddressCodec:          address.NewBech32Codec(params.Bech32Prefix),
		ValidatorAddressCodec: address.NewBech32Codec(params.Bech32Prefix + "valoper"),
		ConsensusAddressCodec: address.NewBech32Codec(params.Bech32Prefix + "valcons"),
		ClientCtx:             base,
	}
	for name, m := range scratch.Modules() {
		if module, ok := m.(appmodule.AppModule); ok {
			options.Modules[name] = module
		}
	}
	// The commands made from services go below a root of their own: the real root's other
	// commands are none of their business.
	shelf := &cobra.Command{Use: root.Use}
	shelf.AddCommand(tx, query)
	if err := options.EnhanceRootCommand(shelf); err != nil {
		return fmt.Errorf("cli: commands of the modules: %w", err)
	}
	shelf.RemoveCommand(tx, query)
	addTo(tx, "power", registerCommand())
	addTo(tx, "registry", storeCommand())
	awaitInclusion(tx)

	status := server.StatusCommand()
	status.Example = "  assay status --node tcp://127.0.0.1:26601\n" +
		"  assay status --node tcp://127.0.0.1:26601 | jq -r .sync_info.latest_block_height"
	for _, c := range []*cobra.Command{tx, query, keys.Commands(), status} {
		c.PersistentPreRunE = prepare(base)
		if c.PersistentFlags().Lookup(flags.FlagHome) == nil {
			c.PersistentFlags().String(flags.FlagHome, cfg.Home, "The node's home folder")
		}
		root.AddCommand(c)
		addExamples(c)
	}
	root.AddCommand(initCommand(cfg), startCommand(cfg), exportCommand(cfg))
	return nil
}

// addTo hangs a command below a module's.
func addTo(parent *cobra.Command, name string, child *cobra.Command) {
	for _, c := range parent.Commands() {
		if c.Name() == name {
			c.AddCommand(child)
			return
		}
	}
	group := &cobra.Command{Use: name, Short: "Transactions of the " + name + " module", RunE: client.ValidateCmd}
	group.AddCommand(child)
	parent.AddCommand(group)
}

func clientContext(home string, a *app.App) client.Context {
	enc := a.Encoding()
	return client.Context{}.
		WithCodec(enc.Codec).
		WithInterfaceRegistry(enc.Registry).
		WithTxConfig(enc.Tx).
		WithLegacyAmino(enc.Amino).
		WithInput(os.Stdin).
		WithAccountRetriever(authtypes.AccountRetriever{}).
		WithHomeDir(home).
		WithViper("ASSAY")
}

// prepare reads flags and, where a home has one, its client.toml. It creates nothing.
func prepare(base client.Context) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		cmd.SilenceUsage = true // what fails from here on is not the usage
		cmd.SetOut(cmd.OutOrStdout())
		cmd.SetErr(cmd.ErrOrStderr())
		ctx := base.WithCmdContext(cmd.Context()).WithOutput(cmd.OutOrStdout())
		// The home comes first: it holds the defaults of the other flags.
		home, err := cmd.Flags().GetString(flags.FlagHome)
		if err != nil {
			return err
		}
		ctx = ctx.WithHomeDir(home)
		if _, err := os.Stat(filepath.Join(ctx.HomeDir, "config", "client.toml")); err == nil {
			if ctx, err = config.ReadFromClientConfig(ctx); err != nil {
				return err
			}
		}
		return client.SetCmdClientContextHandler(ctx, cmd)
	}
}

func txCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "tx", Short: "Send transactions", RunE: client.ValidateCmd, SuggestionsMinimumDistance: 2}
	cmd.AddCommand(
		authcli.GetSignCommand(),
		authcli.GetSignBatchCommand(),
		authcli.GetMultiSignCommand(),
		authcli.GetValidateSignaturesCommand(),
		authcli.GetBroadcastCommand(),
		authcli.GetEncodeCommand(),
		authcli.GetDecodeCommand(),
		authcli.GetSimulateCmd(),
	)
	cmd.PersistentFlags().String(flags.FlagChainID, "", "The network's chain id")
	return cmd
}

func queryCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "query", Aliases: []string{"q"}, Short: "Query the chain", RunE: client.ValidateCmd, SuggestionsMinimumDistance: 2}
	cmd.AddCommand(
		rpc.WaitTxCmd(),
		rpc.ValidatorCommand(),
		server.QueryBlockCmd(),
		server.QueryBlocksCmd(),
		server.QueryBlockResultsCmd(),
		authcli.QueryTxsByEventsCmd(),
		authcli.QueryTxCmd(),
	)
	cmd.PersistentFlags().String(flags.FlagChainID, "", "The network's chain id")
	return cmd
}
