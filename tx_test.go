package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestTxWaitsForItsBlock sends transactions one right after the other, as
// scripts do, and one that is refused.
func TestTxWaitsForItsBlock(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a node")
	}
	home, rpc := filepath.Join(t.TempDir(), "node"), freePort(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	program(t, "init", "me", "--home", home, "--chain-id", "tx-1", "--preset", "development", "--private",
		"--p2p", freePort(t), "--rpc", rpc, "--rest", freePort(t), "--grpc", freePort(t)).ends(0)
	n := program(t, "start", "--home", home)
	n.stderr.wait("finalized block")

	tx := func(args ...string) *running {
		return program(t, append(append([]string{"tx"}, args...), "--home", home, "--node", "tcp://"+rpc, "--output", "json", "--chain-id", "tx-1")...)
	}
	for _, endpoint := range []string{"http://192.0.2.1:1", "http://192.0.2.1:2"} {
		r := tx("power", "register", "--endpoint", endpoint)
		r.ends(0)
		var got struct {
			Height string
			Code   int
			TxHash string
		}
		must(t, json.Unmarshal([]byte(r.stdout.text()), &got))
		if got.Height == "0" || got.Height == "" || got.Code != 0 {
			t.Errorf("answered before a block: %+v", got)
		}
	}
	r := tx("gov", "vote", "99", "yes", "--from", "operator", "--keyring-backend", "test", "--gas", "600000", "--fees", "1000ngnk", "--yes")
	r.ends(1)
	r.stderr.wait("transaction refused (code 5 of sdk)")
	if !json.Valid([]byte(r.stdout.text())) {
		t.Errorf("no JSON on stdout: %q", r.stdout.text())
	}
	n.signal(syscall.SIGINT)
	n.ends(0)
	if strings.Contains(n.stderr.text(), "\x1b") {
		t.Error("a log that is no terminal has colours")
	}
}
