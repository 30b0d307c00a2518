package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	dbm "github.com/cosmos/cosmos-db"

	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/app"
)

// Spec describes a private network on one host.
type Spec struct {
	// Dir gets one home folder a node, node0 and so on, and the keyring of Accounts.
	Dir     string
	ChainID string
	// Nodes is the number of nodes, 1 to 32. Every node is a validator with equal power.
	Nodes int
	// BlockTime is the pause after a commit.
	BlockTime time.Duration
	// BasePort is the first of ten ports for each node, in the order of Addresses; 0 takes
	// free ones, which another process may take before the node starts.
	BasePort int
	// SnapshotBlocks and SnapshotKeep are those of Settings.
	SnapshotBlocks uint64
	SnapshotKeep   uint32
	// Balance is what each operator has at genesis; empty for none.
	Balance sdk.Coins
	// Accounts are further keys, by name, and their coins.
	Accounts []Account
	// Edit changes the genesis before it is written; nil changes nothing.
	Edit func(*Genesis) error
	// Endpoint makes the URL under which a node's Serve address is registered; nil means
	// http://Serve.
	Endpoint func(serve string) string
}

// Account is a key with coins at genesis.
type Account struct {
	Name  string
	Coins sdk.Coins
}

// Member is a node of a network.
type Member struct {
	Moniker   string    `json:"moniker"`
	Home      string    `json:"home"`
	Operator  string    `json:"operator"`
	Addresses Addresses `json:"addresses"`
}

// Layout is what was created.
type Layout struct {
	Dir      string            `json:"dir"`
	ChainID  string            `json:"chain_id"`
	Members  []Member          `json:"members"`
	Accounts map[string]string `json:"accounts"` // name to address
}

const maxNodes = 32

// Scratch returns an application over memory: for codecs, default genesis and commands.
func Scratch() (*app.App, error) {
	return app.New(app.Config{Logger: log.NewNopLogger(), DB: dbm.NewMemDB(), Home: os.TempDir()})
}

// Create makes the keys, genesis and configuration of a network. The folder may exist; homes
// that already have a genesis are refused.
func Create(spec Spec) (*Layout, error) {
	if spec.Nodes < 1 || spec.Nodes > maxNodes {
		return nil, fmt.Errorf("network: %d nodes, want 1 to %d", spec.Nodes, maxNodes)
	}
	if spec.ChainID == "" || spec.Dir == "" {
		return nil, errors.New("network: no chain id or folder")
	}
	scratch, err := Scratch()
	if err != nil {
		return nil, err
	}
	defer scratch.Close()
	genesis, err := NewGenesis(spec.ChainID, time.Now().UTC().Truncate(time.Millisecond), scratch)
	if err != nil {
		return nil, err
	}
	addresses, err := ports(spec.Nodes, spec.BasePort)
	if err != nil {
		return nil, err
	}
	layout := &Layout{Dir: spec.Dir, ChainID: spec.ChainID, Accounts: map[string]string{}}
	keys := make([]*Keys, spec.Nodes)
	peers := make([]string, spec.Nodes)
	for i := range keys {
		home := filepath.Join(spec.Dir, fmt.Sprintf("node%d", i))
		if Exists(home) {
			return nil, fmt.Errorf("network: %s is initialised already", home)
		}
		if keys[i], err = LoadKeys(home, scratch.Encoding().Codec); err != nil {
			return nil, err
		}
		peers[i] = fmt.Sprintf("%s@%s", keys[i].Node.ID(), addresses[i].P2P)
		layout.Members = append(layout.Members, Member{
			Moniker: fmt.Sprintf("node%d", i), Home: home, Operator: keys[i].Operator.String(), Addresses: addresses[i],
		})
		if err := genesis.AddAccount(keys[i].Operator, spec.Balance); err != nil {
			return nil, err
		}
		endpoint := "http://" + addresses[i].Serve
		if spec.Endpoint != nil {
			endpoint = spec.Endpoint(addresses[i].Serve)
		}
		if err := genesis.AddMiner(keys[i], endpoint, 1); err != nil {
			return nil, err
		}
	}
	if err := addAccounts(layout, spec, genesis, scratch); err != nil {
		return nil, err
	}
	if spec.Edit != nil {
		if err := spec.Edit(genesis); err != nil {
			return nil, fmt.Errorf("network: edit genesis: %w", err)
		}
	}
	for i, m := range layout.Members {
		others := append(append([]string(nil), peers[:i]...), peers[i+1:]...)
		if err := WriteConfig(m.Home, Settings{
			Moniker: m.Moniker, ChainID: spec.ChainID, Addresses: m.Addresses, Peers: others, BlockTime: spec.BlockTime, Private: true,
			SnapshotBlocks: spec.SnapshotBlocks, SnapshotKeep: spec.SnapshotKeep,
		}); err != nil {
			return nil, err
		}
		if err := genesis.Save(filepath.Join(m.Home, "config", "genesis.json")); err != nil {
			return nil, err
		}
	}
	return layout, layout.save()
}

func addAccounts(layout *Layout, spec Spec, genesis *Genesis, scratch *app.App) error {
	if len(spec.Accounts) == 0 {
		return nil
	}
	kr, err := OpenKeyring(spec.Dir, keyring.BackendTest, scratch.Encoding().Codec)
	if err != nil {
		return err
	}
	for _, a := range spec.Accounts {
		address, err := namedKey(kr, a.Name)
		if err != nil {
			return err
		}
		if err := genesis.AddAccount(address, a.Coins); err != nil {
			return err
		}
		layout.Accounts[a.Name] = address.String()
	}
	return nil
}

const layoutFile = "network.json"

func (l *Layout) save() error {
	raw, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return fmt.Errorf("network: layout: %w", err)
	}
	if err := os.WriteFile(filepath.Join(l.Dir, layoutFile), append(raw, '\n'), 0o600); err != nil {
		return fmt.Errorf("network: layout: %w", err)
	}
	return nil
}

// LoadLayout reads what Create wrote to a folder.
func LoadLayout(dir string) (*Layout, error) {
	raw, err := os.ReadFile(filepath.Join(dir, layoutFile))
	if err != nil {
		return nil, fmt.Errorf("network: layout: %w", err)
	}
	var l Layout
	if err := json.Unmarshal(raw, &l); err != nil {
		return nil, fmt.Errorf("network: layout %s: %w", dir, err)
	}
	return &l, nil
}

// ports chooses the addresses of n nodes on the loopback interface.
func ports(n, base int) ([]Addresses, error) {
	out := make([]Addresses, n)
	for i := range out {
		fields := []*string{&out[i].P2P, &out[i].RPC, &out[i].GRPC, &out[i].REST, &out[i].Serve}
		for j, field := range fields {
			if base > 0 {
				*field = fmt.Sprintf("127.0.0.1:%d", base+10*i+j)
				continue
			}
			var err error
			if *field, err = FreeAddress(); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}
