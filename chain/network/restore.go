package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/store"
)

// A snapshot is restored store by store, and only then CometBFT writes down where its chain begins. A
// node that is killed in between has stores of which some are full, and the SDK imports into empty ones
// only: it would never start again. So a file says that a home's state is being restored, from before
// that begins; if the node starts and CometBFT's chain has not begun, what is there is taken away and the
// node starts afresh. Keys, votes and what the node saw stay.

// restoringPath is the file whose presence says that a home began with a snapshot.
func restoringPath(home string) string { return filepath.Join(home, "data", "restoring") }

// beginRestore writes the file.
func beginRestore(home string) error {
	f, err := os.Create(restoringPath(home))
	if err != nil {
		return fmt.Errorf("network: begin with a snapshot: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close(), syncDir(filepath.Dir(f.Name()))); err != nil {
		return fmt.Errorf("network: begin with a snapshot: %w", err)
	}
	return nil
}

// discardRestore removes what a restoration left that did not come to its end. It says whether there was
// one. No database may be open. A state that CometBFT has a chain for is never touched.
func discardRestore(home string, conf *cmtcfg.Config) (bool, error) {
	if _, err := os.Stat(restoringPath(home)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("network: %w", err)
	}
	began, err := chainBegan(conf)
	if err != nil {
		return false, err
	}
	data := filepath.Join(home, "data")
	if !began {
		for _, name := range []string{"application", "state", "blockstore"} {
			if err := os.RemoveAll(filepath.Join(data, name+".db")); err != nil {
				return false, fmt.Errorf("network: discard a snapshot that was not restored: %w", err)
			}
		}
	}
	// Not before the others are gone for good.
	if err := errors.Join(syncDir(data), os.Remove(restoringPath(home))); err != nil {
		return false, fmt.Errorf("network: discard a snapshot that was not restored: %w", err)
	}
	return !began, nil
}

// chainBegan says whether CometBFT has a state and the commit of its height, or a block.
func chainBegan(conf *cmtcfg.Config) (_ bool, err error) {
	states, err := cmtcfg.DefaultDBProvider(&cmtcfg.DBContext{ID: "state", Config: conf})
	if err != nil {
		return false, fmt.Errorf("network: open the consensus state: %w", err)
	}
	defer func() { err = errors.Join(err, states.Close()) }()
	s, err := state.NewStore(states, state.StoreOptions{}).Load()
	if err != nil {
		return false, fmt.Errorf("network: read the consensus state: %w", err)
	}
	if s.LastBlockHeight == 0 {
		return false, nil
	}
	blocks, err := cmtcfg.DefaultDBProvider(&cmtcfg.DBContext{ID: "blockstore", Config: conf})
	if err != nil {
		return false, fmt.Errorf("network: open the blocks: %w", err)
	}
	defer func() { err = errors.Join(err, blocks.Close()) }()
	b := store.NewBlockStore(blocks)
	return b.Height() > 0 || b.LoadSeenCommit(s.LastBlockHeight) != nil, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
