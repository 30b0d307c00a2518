package network_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaynet/assay/chain/network"
)

// A node that cannot write what it signed stops its consensus and says so; when it can write again, it
// starts where it was.
func TestHalted(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	layout, err := network.Create(network.Spec{Dir: t.TempDir(), ChainID: chainID, Nodes: 1, BlockTime: 50 * time.Millisecond, Balance: coins(1e12)})
	if err != nil {
		t.Fatal(err)
	}
	home := layout.Members[0].Home
	start := func() *network.Node {
		t.Helper()
		n, err := network.Start(home, network.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := start()
	if err := n.WaitHeight(ctx, 2); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(home, "data")
	if err := os.Rename(data, data+"-away"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-n.Halted():
	case <-ctx.Done():
		t.Fatal("the node goes on, or hangs, without a place for its signatures")
	}
	height := n.Height()
	if err := n.WaitHeight(ctx, height+1); !errors.Is(err, network.ErrHalted) || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("waiting for a node that halted: %v, want ErrHalted and the reason", err)
	}
	if err := n.Stop(); err != nil {
		t.Log(err) // its databases are not where they were
	}
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(data+"-away", data); err != nil {
		t.Fatal(err)
	}
	n = start()
	if err := n.WaitHeight(ctx, height+2); err != nil {
		t.Error(err)
	}
	if err := n.Stop(); err != nil {
		t.Error(err)
	}
	select {
	case <-n.Halted():
	case <-ctx.Done():
		t.Error("stopping a node does not end its consensus")
	}
}
