package network_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/store/v2/snapshots"
	snapshottypes "github.com/cosmos/cosmos-sdk/store/v2/snapshots/types"
	protoio "github.com/cosmos/gogoproto/io"
	"github.com/cosmos/gogoproto/proto"

	"cosmossdk.io/log/v2"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/network"
)

// stateSync lets a node join from a snapshot and a trusted header: it never sees the first blocks,
// and comes to the state of the others. It stays as tn.joiner.
func stateSync(ctx context.Context, t *testing.T, tn *testNetwork) {
	// Commands have run before: the snapshot holds their transactions' effects.
	tn.wait(ctx, t, max(12, tn.nodes[0].Height()))
	trusted := tn.nodes[0].Comet().BlockStore().LoadBlockMeta(2)
	home := filepath.Join(tn.layout.Dir, "joiner")
	if _, err := network.LoadKeys(home, tn.nodes[0].App().Encoding().Codec); err != nil {
		t.Fatal(err)
	}
	s := network.Settings{Moniker: "joiner", ChainID: chainID, BlockTime: 150 * time.Millisecond, Private: true,
		Addresses: network.Addresses{P2P: freePort(t), RPC: freePort(t)},
		StateSync: &network.StateSync{Height: 2, Hash: trusted.BlockID.Hash}}
	for i, m := range tn.layout.Members {
		s.Peers = append(s.Peers, fmt.Sprintf("%s@%s", tn.nodes[i].Comet().NodeInfo().ID(), m.Addresses.P2P))
		s.StateSync.RPC = append(s.StateSync.RPC, "tcp://"+m.Addresses.RPC)
	}
	if err := network.WriteConfig(home, s); err != nil {
		t.Fatal(err)
	}
	genesis, err := os.ReadFile(filepath.Join(tn.layout.Members[0].Home, "config", "genesis.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "config", "genesis.json"), genesis, 0o600); err != nil {
		t.Fatal(err)
	}
	// It was killed amid an earlier attempt.
	leaveHalfRestored(t, tn.nodes[0], home)
	joiner, err := network.Start(home, network.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tn.joiner = joiner
	// The first height that it reaches is its snapshot's, of which it has no block.
	if err := joiner.WaitHeight(ctx, 10); err != nil {
		t.Fatal(err)
	}
	target := max(joiner.Height(), tn.nodes[0].Height()) + 5
	if err := joiner.WaitHeight(ctx, target); err != nil {
		t.Fatal(err)
	}
	tn.wait(ctx, t, target)
	if _, err := os.Stat(filepath.Join(home, "data", "restoring")); err != nil {
		t.Errorf("a node that begins with a snapshot does not say so: %v", err)
	}
	if base := joiner.Comet().BlockStore().Base(); base < 10 {
		t.Errorf("the joiner holds blocks from %d on: it did not begin with a snapshot", base)
	}
	got, want := joiner.Comet().BlockStore().LoadBlockMeta(target), tn.nodes[0].Comet().BlockStore().LoadBlockMeta(target)
	if got == nil || want == nil || !bytes.Equal(got.BlockID.Hash, want.BlockID.Hash) {
		t.Errorf("block %d is %v at the joiner, %v at node 0", target, got, want)
	}
}

// leaveHalfRestored leaves a home as a node does that is killed while it restores a snapshot: some of its
// stores hold the snapshot's version, and nothing says of which height the state is.
func leaveHalfRestored(t *testing.T, from *network.Node, home string) {
	t.Helper()
	all, err := from.App().SnapshotManager().List()
	if err != nil || len(all) == 0 {
		t.Fatal("no snapshot", err)
	}
	s := all[0]
	chunks := make(chan io.ReadCloser, s.Chunks)
	for i := range s.Chunks {
		c, err := from.App().SnapshotManager().LoadChunk(s.Height, s.Format, i)
		if err != nil {
			t.Fatal(err)
		}
		chunks <- io.NopCloser(bytes.NewReader(c))
	}
	close(chunks)
	stream, err := snapshots.NewStreamReader(chunks)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if err := os.MkdirAll(filepath.Join(home, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := network.OpenState(home)
	if err != nil {
		t.Fatal(err)
	}
	half, err := app.New(app.Config{Logger: log.NewNopLogger(), DB: db})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := half.CommitMultiStore().Restore(s.Height, s.Format, &killed{Reader: stream, after: 6}); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	if err := half.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "data", "restoring"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

var errKilled = errors.New("killed")

// killed reads a snapshot up to the beginning of one of its stores.
type killed struct {
	protoio.Reader
	after int
}

func (k *killed) ReadMsg(m proto.Message) error {
	if err := k.Reader.ReadMsg(m); err != nil {
		return err
	}
	if item, ok := m.(*snapshottypes.SnapshotItem); ok && item.GetStore() != nil {
		if k.after--; k.after < 0 {
			return errKilled
		}
	}
	return nil
}

func freePort(t *testing.T) string {
	t.Helper()
	address, err := network.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}
