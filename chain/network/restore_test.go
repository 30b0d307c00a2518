package network

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/store"
	cmttypes "github.com/cometbft/cometbft/types"
)

// A node can be killed after each thing that a snapshot writes: the application's stores, CometBFT's state, the
// commit of its height. Only with the last has its chain begun; before, all of it is taken away at the next
// start, and nothing else of the home.
func TestRestorationIsKeptOnlyWhole(t *testing.T) {
	const height = 40
	for _, c := range []struct {
		name                        string
		says, stores, state, commit bool // is there when the node is killed
		discards                    bool
	}{
		{name: "nothing was restored", says: true, discards: true},
		{name: "the stores are whole", says: true, stores: true, discards: true},
		{name: "and the state of the chain", says: true, stores: true, state: true, discards: true},
		{name: "and its commit", says: true, stores: true, state: true, commit: true},
		{name: "a node that began with the first block", stores: true, state: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			home := t.TempDir()
			data := filepath.Join(home, "data")
			conf := cmtcfg.TestConfig().SetRoot(home)
			conf.DBBackend = "goleveldb"
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(os.MkdirAll(filepath.Join(data, "latewitness"), 0o700))
			if c.says {
				must(beginRestore(home))
			}
			if c.stores {
				must(os.MkdirAll(filepath.Join(data, "application.db"), 0o700))
				must(os.WriteFile(filepath.Join(data, "application.db", "MANIFEST"), []byte("whole"), 0o600))
			}
			if c.state {
				writeState(t, conf, height, c.commit)
			}
			gone, err := discardRestore(home, conf)
			if err != nil || gone != c.discards {
				t.Fatalf("discarded: %v, %v; want %v", gone, err, c.discards)
			}
			for name, want := range map[string]bool{"application.db": c.stores && !c.discards, "restoring": false, "latewitness": true} {
				if _, err := os.Stat(filepath.Join(data, name)); (err == nil) != want {
					t.Errorf("%s is there: %v, want %v", name, err == nil, want)
				}
			}
			if began, err := chainBegan(conf); err != nil || began != c.commit {
				t.Errorf("afterwards a chain has begun: %v, %v", began, err)
			}
			if again, err := discardRestore(home, conf); err != nil || again {
				t.Errorf("a second start discards: %v, %v", again, err)
			}
		})
	}
}

// writeState writes what CometBFT does when a snapshot is restored.
func writeState(t *testing.T, conf *cmtcfg.Config, height int64, commit bool) {
	t.Helper()
	key := ed25519.GenPrivKeyFromSecret([]byte("validator")).PubKey()
	s, err := state.MakeGenesisState(&cmttypes.GenesisDoc{ChainID: "restored", GenesisTime: time.Unix(1, 0),
		Validators: []cmttypes.GenesisValidator{{PubKey: key, Power: 10}}})
	if err != nil {
		t.Fatal(err)
	}
	s.LastBlockHeight, s.LastValidators = height, s.Validators
	states, err := cmtcfg.DefaultDBProvider(&cmtcfg.DBContext{ID: "state", Config: conf})
	if err != nil {
		t.Fatal(err)
	}
	defer states.Close()
	if err := state.NewStore(states, state.StoreOptions{}).Bootstrap(s); err != nil {
		t.Fatal(err)
	}
	if !commit {
		return
	}
	blocks, err := cmtcfg.DefaultDBProvider(&cmtcfg.DBContext{ID: "blockstore", Config: conf})
	if err != nil {
		t.Fatal(err)
	}
	defer blocks.Close()
	if err := store.NewBlockStore(blocks).SaveSeenCommit(height, &cmttypes.Commit{Height: height,
		BlockID:    cmttypes.BlockID{Hash: make([]byte, 32), PartSetHeader: cmttypes.PartSetHeader{Total: 1, Hash: make([]byte, 32)}},
		Signatures: []cmttypes.CommitSig{cmttypes.NewCommitSigAbsent()}}); err != nil {
		t.Fatal(err)
	}
}
