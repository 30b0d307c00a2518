package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/client/flags"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/network"
)

func homeFlag(cmd *cobra.Command, cfg Config) *string {
	return cmd.Flags().String(flags.FlagHome, cfg.Home, "The node's home folder")
}

func initCommand(cfg Config) *cobra.Command {
	if len(cfg.Presets) == 0 {
		cfg.Presets = []Preset{{Name: "default", Doc: "the defaults of every module", Edit: func(*network.Genesis) error { return nil }}}
	}
	var (
		chainID, genesis string
		preset           string
		peers            []string
		blockTime        time.Duration
		private          bool
		snapshots        uint64
		keep             uint32
		trust            syncFlags
	)
	addrs := network.Addresses{}
	cmd := &cobra.Command{
		Use:   "init MONIKER",
		Short: "Make a node's keys and configuration, and with no --genesis a chain of its own",
		Long: "Make a node's keys and configuration in its home folder.\n\n" +
			"With --genesis the node joins the chain of that file. Without it a new chain is made\n" +
			"whose only validator is this node; --preset says with which epochs and proof of work:\n" + presetDocs(cfg.Presets) + "\n" +
			"A node that joins an old chain may begin with a snapshot of the state instead of block 1:\n" + syncDoc,
		Example: "  assay init alice --chain-id mine-1\n" +
			"  assay init bob --genesis genesis.json --peers ID@203.0.113.7:26656\n" +
			"  assay init bob --genesis genesis.json --peers ID@203.0.113.7:26656 \\\n" +
			"      --sync-rpc tcp://203.0.113.7:26657,tcp://203.0.113.9:26657 --sync-height 120000 --sync-hash 4E0A...",
		Args: cobra.ExactArgs(1),
	}
	home := homeFlag(cmd, cfg)
	f := cmd.Flags()
	f.StringVar(&chainID, flags.FlagChainID, "", "name of the new chain (without --genesis)")
	f.StringVar(&genesis, "genesis", "", "genesis file of the chain to join")
	f.StringVar(&preset, "preset", cfg.Presets[0].Name, "what a new chain begins with")
	f.StringSliceVar(&peers, "peers", nil, "persistent peers, id@host:port")
	f.DurationVar(&blockTime, "block-time", 0, "pause after a block; 0 for the public network's")
	f.BoolVar(&private, "private", false, "allow unroutable addresses and several nodes on a host")
	f.StringVar(&addrs.P2P, "p2p", "0.0.0.0:26656", "address for peers")
	f.StringVar(&addrs.RPC, "rpc", "127.0.0.1:26657", "address of CometBFT's RPC")
	f.Uint64Var(&snapshots, "snapshot-blocks", 0, "distance of the snapshots that joining nodes may begin with (default 1000)")
	f.Uint32Var(&keep, "snapshot-keep", 0, "how many of them are kept (default 2)")
	trust.add(f)
	f.StringVar(&addrs.GRPC, "grpc", "127.0.0.1:9090", "address of gRPC")
	f.StringVar(&addrs.REST, "rest", "127.0.0.1:1317", "address of REST")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if network.Exists(*home) {
			return fmt.Errorf("%s is initialised already", *home)
		}
		if err := trust.check(); err != nil {
			return err
		}
		if trust.given() && genesis == "" {
			return errors.New("--sync-rpc joins a chain: give its --genesis")
		}
		scratch, err := network.Scratch()
		if err != nil {
			return err
		}
		defer scratch.Close()
		keys, err := network.LoadKeys(*home, scratch.Encoding().Codec)
		if err != nil {
			return err
		}
		target := filepath.Join(*home, "config", "genesis.json")
		var sync *network.StateSync
		if genesis != "" {
			chainID, sync, err = join(cmd, genesis, target, trust)
		} else {
			if chainID == "" {
				return fmt.Errorf("a new chain needs --%s; to join one give its --genesis", flags.FlagChainID)
			}
			err = newChain(chainID, keys, scratch, target, cfg.Presets, preset)
		}
		if err != nil {
			return err
		}
		if err := network.WriteConfig(*home, network.Settings{
			Moniker: args[0], ChainID: chainID, Addresses: addrs, Peers: peers, BlockTime: blockTime, Private: private,
			SnapshotBlocks: snapshots, SnapshotKeep: keep, StateSync: sync,
		}); err != nil {
			return err
		}
		made := map[string]string{
			"home": *home, "chain_id": chainID, "node_id": string(keys.Node.ID()), "operator": keys.Operator.String(),
		}
		if sync != nil {
			made["sync_height"], made["sync_hash"] = strconv.FormatInt(sync.Height, 10), hex.EncodeToString(sync.Hash)
		}
		return printJSON(cmd, made)
	}
	return cmd
}

// presetDocs is a line for each preset.
func presetDocs(presets []Preset) string {
	var b strings.Builder
	for _, p := range presets {
		fmt.Fprintf(&b, "  %-12s %s\n", p.Name, p.Doc)
	}
	return b.String()
}

func newChain(chainID string, keys *network.Keys, scratch *app.App, target string, presets []Preset, preset string) error {
	at := slices.IndexFunc(presets, func(p Preset) bool { return p.Name == preset })
	if at < 0 {
		return fmt.Errorf("no preset %q; there are\n%s", preset, presetDocs(presets))
	}
	g, err := network.NewGenesis(chainID, time.Now().UTC().Truncate(time.Millisecond), scratch)
	if err != nil {
		return err
	}
	if err := g.AddAccount(keys.Operator, nil); err != nil {
		return err
	}
	if err := g.AddMiner(keys, "", 1); err != nil {
		return err
	}
	if err := presets[at].Edit(g); err != nil {
		return err
	}
	return g.Save(target)
}

// join checks a genesis file, finds out what to trust of its chain, and copies the file.
func join(cmd *cobra.Command, from, to string, trust syncFlags) (chainID string, sync *network.StateSync, err error) {
	genesis, err := genutiltypes.AppGenesisFromFile(from)
	if err != nil {
		return "", nil, fmt.Errorf("genesis %s: %w", from, err)
	}
	if err := genesis.ValidateAndComplete(); err != nil {
		return "", nil, fmt.Errorf("genesis %s: %w", from, err)
	}
	raw, err := os.ReadFile(from)
	if err != nil {
		return "", nil, err
	}
	if trust.given() {
		if sync, err = trust.settings(cmd, genesis.ChainID); err != nil {
			return "", nil, err
		}
	}
	return genesis.ChainID, sync, os.WriteFile(to, raw, 0o600)
}

func startCommand(cfg Config) *cobra.Command {
	var (
		level string
		trust syncFlags
	)
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Run the node of a home folder until it is interrupted",
		Long: "Run the node of a home folder until it is interrupted.\n\n" +
			"A new one executes every block from the first on, or begins with a snapshot of the state:\n" + syncDoc +
			"\nA home that has a state goes on with it; the flags change nothing then.\n\n" +
			"The log goes to standard error. Ctrl-C and SIGTERM end the node with status 0, what it cannot go on with\n" +
			"ends it with 1 and the reason.",
		Example: "  assay start --home /srv/assay\n" +
			"  assay start --sync-rpc tcp://203.0.113.7:26657,tcp://203.0.113.9:26657",
		Args: cobra.NoArgs,
	}
	home := homeFlag(cmd, cfg)
	cmd.Flags().StringVar(&level, flags.FlagLogLevel, "info", "log level: debug, info, warn, error, or module:level pairs")
	trust.add(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := trust.check(); err != nil {
			return err
		}
		if !network.Exists(*home) {
			return fmt.Errorf("%s is not initialised: run init first", *home)
		}
		logger, err := newLogger(cmd, level)
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process
		opts := network.Options{Logger: logger, Deps: cfg.Deps}
		if trust.given() {
			opts.StateSync = func(chainID string) (*network.StateSync, error) { return trust.settings(cmd, chainID) }
		}
		node, err := network.Start(*home, opts)
		if err != nil {
			return err
		}
		return runUntil(ctx, node)
	}
	return cmd
}

// runUntil waits for the context or for the node to stop by itself, which is a failure.
func runUntil(ctx context.Context, node *network.Node) error {
	select {
	case <-ctx.Done():
		return node.Stop()
	case <-node.Comet().Quit():
	case <-node.Halted():
	}
	return errors.Join(node.Failure(), node.Stop())
}

// newLogger understands a level or, like CometBFT, pairs of module and level.
func newLogger(cmd *cobra.Command, level string) (log.Logger, error) {
	w := cmd.ErrOrStderr()
	// Colours are for terminals, the whole time for files.
	style := []log.Option{log.ColorOption(false), log.TimeFormatOption(time.RFC3339)}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		style = nil
	}
	if l, err := zerolog.ParseLevel(level); err == nil {
		return log.NewLogger(w, append(style, log.LevelOption(l))...), nil
	}
	filter, err := log.ParseLogLevel(level)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flags.FlagLogLevel, err)
	}
	return log.NewLogger(w, append(style, log.FilterOption(filter))...), nil
}

func exportCommand(cfg Config) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the state of a stopped node as a genesis file",
		Example: "  assay export > genesis.json\n" +
			"  assay export --home ~/.cache/assay/devnet/node0 | jq .app_state.sprint",
		Args: cobra.NoArgs,
	}
	home := homeFlag(cmd, cfg)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		genesis, err := genutiltypes.AppGenesisFromFile(filepath.Join(*home, "config", "genesis.json"))
		if err != nil {
			return err
		}
		db, err := network.OpenState(*home)
		if err != nil {
			return fmt.Errorf("%w (is the node stopped?)", err)
		}
		a, err := app.New(app.Config{Logger: log.NewNopLogger(), DB: db, Home: *home})
		if err != nil {
			return err
		}
		defer a.Close()
		exported, err := a.Export()
		if err != nil {
			return err
		}
		genesis.AppState = exported.AppState
		genesis.InitialHeight = exported.Height
		return printJSON(cmd, genesis)
	}
	return cmd
}

func printJSON(cmd *cobra.Command, v any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
