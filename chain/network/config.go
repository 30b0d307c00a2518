package network

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	cmtcfg "github.com/cometbft/cometbft/config"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/spf13/viper"

	"github.com/cosmos/cosmos-sdk/client/flags"
	serverconfig "github.com/cosmos/cosmos-sdk/server/config"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/params"
)

// Addresses are where a node listens: host:port each. Empty ones are not served, except P2P,
// which every node has.
type Addresses struct {
	P2P  string `json:"p2p"`
	RPC  string `json:"rpc"`
	GRPC string `json:"grpc"`
	REST string `json:"rest"`
	// Serve is for what runs beside the node: openings and inference.
	Serve string `json:"serve"`
}

// Settings are what the configuration files of a node are made from.
type Settings struct {
	Moniker   string
	ChainID   string
	Addresses Addresses
	// Peers are the persistent peers, id@host:port.
	Peers []string
	// BlockTime is the pause after a commit; zero means the public network's.
	BlockTime time.Duration
	// Private allows several nodes on one host and unroutable addresses.
	Private bool
	// SnapshotBlocks is the distance of the snapshots of the state that the node takes and
	// serves to nodes that join; zero means defaultSnapshotBlocks.
	SnapshotBlocks uint64
	// SnapshotKeep is how many of them it keeps, the newest; zero means two.
	SnapshotKeep uint32
	// StateSync lets the node begin with such a snapshot; nil: with block 1.
	StateSync *StateSync
}

// StateSync is what a joining node trusts. Trust makes one from nodes alone.
type StateSync struct {
	// RPC are the addresses of nodes, as tcp://host:port, that give light blocks. With more
	// than one they check each other.
	RPC []string
	// Height and Hash are those of a header that the operator knows to be the chain's.
	Height int64
	Hash   []byte
}

const (
	// defaultSnapshotBlocks is 100 minutes of blocks on a public network.
	defaultSnapshotBlocks = 1_000
	// defaultSnapshotKeep leaves a joining node one interval to fetch the older one.
	defaultSnapshotKeep = 2
	// trustPeriod is how old the trusted header may be: less than evidenceAge, at which
	// evidence of its signers' misbehaviour expires.
	trustPeriod = 14 * 24 * time.Hour
)

// publicBlockTime is the pause after a commit on a public network.
const publicBlockTime = 4 * time.Second

func defaultComet(home string) *cmtcfg.Config {
	cfg := cmtcfg.DefaultConfig()
	cfg.SetRoot(home)
	// A transaction carries a chunk of 256 KiB; transactions that failed their check may come
	// again with another signature, so failures need no cache.
	cfg.Mempool.MaxTxBytes = 512 << 10
	cfg.Mempool.Size = app.CometPool
	cfg.Mempool.MaxTxsBytes = 256 << 20
	cfg.RPC.MaxBodyBytes = 2 << 20
	cfg.Consensus.TimeoutCommit = publicBlockTime
	// Prometheus registers process-wide; two nodes in one process would clash.
	cfg.Instrumentation.Prometheus = false
	return cfg
}

// WriteConfig writes config.toml and app.toml below a home folder.
func WriteConfig(home string, s Settings) error {
	cfg := defaultComet(home)
	cfg.Moniker = s.Moniker
	cfg.P2P.ListenAddress = "tcp://" + s.Addresses.P2P
	cfg.RPC.ListenAddress = ""
	if s.Addresses.RPC != "" {
		cfg.RPC.ListenAddress = "tcp://" + s.Addresses.RPC
	}
	cfg.RPC.PprofListenAddress = ""
	cfg.P2P.PersistentPeers = strings.Join(s.Peers, ",")
	if s.Private {
		cfg.P2P.AllowDuplicateIP = true
		cfg.P2P.AddrBookStrict = false
		cfg.P2P.PexReactor = false
	}
	if s.BlockTime > 0 {
		hasten(cfg, s.BlockTime)
	}
	if s.StateSync != nil {
		s.StateSync.apply(cfg.StateSync)
	}
	if err := cfg.ValidateBasic(); err != nil {
		return fmt.Errorf("network: config of %s: %w", s.Moniker, err)
	}
	if err := os.MkdirAll(filepath.Join(home, "config"), 0o700); err != nil {
		return fmt.Errorf("network: home: %w", err)
	}
	cmtcfg.WriteConfigFile(filepath.Join(home, "config", "config.toml"), cfg)

	srv := serverconfig.DefaultConfig()
	srv.MinGasPrices = "0" + params.BaseDenom
	// The state's database; CometBFT's own, which are written once and little read, are left at its
	// default. A home without this line keeps what it was made with (docs/rationale.md).
	srv.AppDBBackend = string(dbm.PebbleDBBackend)
	srv.API.Enable = s.Addresses.REST != ""
	if srv.API.Enable {
		srv.API.Address = "tcp://" + s.Addresses.REST
	}
	srv.GRPC.Enable = s.Addresses.GRPC != ""
	if srv.GRPC.Enable {
		srv.GRPC.Address = s.Addresses.GRPC
	}
	srv.GRPCWeb.Enable = false
	srv.StateSync.SnapshotInterval = cmp.Or(s.SnapshotBlocks, defaultSnapshotBlocks)
	srv.StateSync.SnapshotKeepRecent = cmp.Or(s.SnapshotKeep, defaultSnapshotKeep)
	serverconfig.WriteConfigFile(filepath.Join(home, "config", "app.toml"), srv)

	client := fmt.Sprintf("chain-id = %q\nkeyring-backend = \"test\"\noutput = \"text\"\nnode = \"tcp://%s\"\nbroadcast-mode = \"sync\"\n",
		s.ChainID, s.Addresses.RPC)
	return os.WriteFile(filepath.Join(home, "config", "client.toml"), []byte(client), 0o600)
}

// hasten adapts the consensus timeouts to short blocks on a fast network. The proposal
// timeout stays long enough for a loaded machine: it passes only when a proposer is gone.
func hasten(cfg *cmtcfg.Config, pause time.Duration) {
	c := cfg.Consensus
	c.TimeoutCommit = pause
	c.TimeoutPropose = max(2*pause, 2*time.Second)
	c.TimeoutProposeDelta = 500 * time.Millisecond
	c.TimeoutPrevote = 500 * time.Millisecond
	c.TimeoutPrecommit = 500 * time.Millisecond
	c.PeerGossipSleepDuration = 20 * time.Millisecond
	c.PeerQueryMaj23SleepDuration = time.Second
	cfg.StateSync.DiscoveryTime = 5 * time.Second // the least that CometBFT allows
	cfg.P2P.FlushThrottleTimeout = 10 * time.Millisecond
}

// files are the configuration of a node as it is read from its home.
type files struct {
	comet  *cmtcfg.Config
	server serverconfig.Config
	viper  *viper.Viper
}

func readFiles(home string) (*files, error) {
	v := viper.New()
	v.Set(flags.FlagHome, home)
	v.SetConfigFile(filepath.Join(home, "config", "config.toml"))
	if err := v.ReadInConfig(); err != nil {
		return nil, fmt.Errorf("network: read configuration: %w", err)
	}
	comet := defaultComet(home)
	if err := v.Unmarshal(comet); err != nil {
		return nil, fmt.Errorf("network: config.toml: %w", err)
	}
	comet.SetRoot(home)
	if err := comet.ValidateBasic(); err != nil {
		return nil, fmt.Errorf("network: config.toml: %w", err)
	}
	v.SetConfigFile(filepath.Join(home, "config", "app.toml"))
	if err := v.MergeInConfig(); err != nil {
		return nil, fmt.Errorf("network: read configuration: %w", err)
	}
	server, err := serverconfig.GetConfig(v)
	if err != nil {
		return nil, fmt.Errorf("network: app.toml: %w", err)
	}
	if err := server.ValidateBasic(); err != nil {
		return nil, fmt.Errorf("network: app.toml: %w", err)
	}
	return &files{comet: comet, server: server, viper: v}, nil
}
