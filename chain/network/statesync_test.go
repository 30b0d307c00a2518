package network_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

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
	if base := joiner.Comet().BlockStore().Base(); base < 10 {
		t.Errorf("the joiner holds blocks from %d on: it did not begin with a snapshot", base)
	}
	got, want := joiner.Comet().BlockStore().LoadBlockMeta(target), tn.nodes[0].Comet().BlockStore().LoadBlockMeta(target)
	if got == nil || want == nil || !bytes.Equal(got.BlockID.Hash, want.BlockID.Hash) {
		t.Errorf("block %d is %v at the joiner, %v at node 0", target, got, want)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
