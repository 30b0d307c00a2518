package network_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/assaynet/assay/chain/network"
)

// trust finds out what a joining node trusts, and refuses nodes that are of no use, or lie.
func trust(ctx context.Context, t *testing.T, tn *testNetwork) {
	rpc := make([]string, len(tn.nodes))
	for i, m := range tn.layout.Members {
		rpc[i] = "tcp://" + m.Addresses.RPC
	}
	y, err := network.Trust(ctx, chainID, rpc)
	if err != nil {
		t.Fatal(err)
	}
	meta := tn.nodes[0].Comet().BlockStore().LoadBlockMeta(y.Height)
	if meta == nil || !bytes.Equal(meta.BlockID.Hash, y.Hash) || len(y.RPC) != len(rpc) {
		t.Fatalf("trusts header %d, %X, of %v", y.Height, y.Hash, y.RPC)
	}
	liar := lyingNode(t, tn.layout.Members[1].Addresses.RPC)
	for name, c := range map[string]struct {
		chain string
		rpc   []string
		says  string
	}{
		"no node":       {chainID, nil, "0 nodes are named"},
		"too many":      {chainID, make([]string, network.MaxTrusted+1), "17 nodes are named, want 1 to 16"},
		"no address":    {chainID, []string{"tcp://%"}, "tcp://%"},
		"nobody":        {chainID, []string{rpc[0], "tcp://" + freePort(t)}, "connection refused"},
		"another chain": {"other-1", rpc, `follows chain "` + chainID + `", not "other-1"`},
		"a liar":        {chainID, []string{rpc[0], liar}, "one of them follows another chain"},
	} {
		got, err := network.Trust(ctx, c.chain, c.rpc)
		if !errors.Is(err, network.ErrTrust) || !strings.Contains(err.Error(), c.says) || got != nil {
			t.Errorf("%s: %v, %v; want an error that says %q", name, got, err, c.says)
		}
	}
}

// lyingNode shows what a node shows, but for the state in its headers.
func lyingNode(t *testing.T, rpc string) string {
	state := regexp.MustCompile(`"app_hash": ?"[0-9A-F]{2}`)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, err := http.Post("http://"+rpc, r.Header.Get("Content-Type"), r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		defer asked.Body.Close()
		said, err := io.ReadAll(asked.Body)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(state.ReplaceAllFunc(said, func(b []byte) []byte {
			last := byte('0')
			if b[len(b)-1] == last {
				last = '1'
			}
			b[len(b)-1] = last
			return b
		}))
	}))
	t.Cleanup(srv.Close)
	return "tcp://" + strings.TrimPrefix(srv.URL, "http://")
}
