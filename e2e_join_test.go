package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/network"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

// testLateNode: a node that has nothing but the genesis file takes all blocks from others, those in
// which a report was decided too: it re-executes the unit that was accused, as every node did then,
// and comes to the state of all others.
func testLateNode(ctx context.Context, t *testing.T, n *testNet) {
	q := audittypes.NewQueryClient(n.link.c.Conn())
	n.until(ctx, t, "a decided report", func(e sprinttypes.Epoch) bool {
		if e.Number > 1 {
			t.Fatal("epoch 1 ended without a decided report")
		}
		r, err := q.Reports(ctx, &audittypes.QueryReportsRequest{Epoch: 1})
		must(t, err)
		return len(r.Reports) > 0 && r.Reports[0].Status == audittypes.REPORT_REFUTED
	})
	home := filepath.Join(n.layout.Dir, "late")
	_, err := network.LoadKeys(home, n.nodes[0].node.App().Encoding().Codec)
	must(t, err)
	s := network.Settings{Moniker: "late", ChainID: n.layout.ChainID, BlockTime: n.spec.BlockTime, Private: true,
		Addresses: network.Addresses{P2P: freePort(t), RPC: freePort(t)}}
	for _, ln := range n.nodes[:testerNode] {
		s.Peers = append(s.Peers, string(ln.node.Comet().NodeInfo().ID())+"@"+ln.member.Addresses.P2P)
	}
	must(t, network.WriteConfig(home, s))
	genesis, err := os.ReadFile(filepath.Join(n.nodes[0].member.Home, "config", "genesis.json"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(home, "config", "genesis.json"), genesis, 0o600))

	late, err := network.Start(home, network.Options{Deps: n.deps})
	must(t, err)
	t.Cleanup(func() {
		if err := late.Stop(); err != nil {
			t.Errorf("stop the late node: %v", err)
		}
	})
	must(t, late.WaitHeight(ctx, n.nodes[0].node.Height()+2))
	n.sameState(ctx, t, late)
	if base := late.Comet().BlockStore().Base(); base != 1 {
		t.Errorf("the late node holds blocks from %d on", base)
	}
}
