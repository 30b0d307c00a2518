package network_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"

	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/assaynet/assay/chain/cli"
	powertypes "github.com/assaynet/assay/chain/power/types"
)

// run executes the chain's commands as a user would and returns what they print.
func run(ctx context.Context, args ...string) (string, error) {
	root := &cobra.Command{Use: "assay", SilenceUsage: true, SilenceErrors: true}
	if err := cli.Add(root, cli.Config{Home: filepath.Join(os.TempDir(), "assay-no-such-home")}); err != nil {
		return "", err
	}
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return out.String(), err
}

// runJSON executes a command and decodes its output.
func runJSON(ctx context.Context, t *testing.T, args ...string) map[string]any {
	t.Helper()
	out, err := run(ctx, args...)
	if err != nil {
		t.Fatalf("assay %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("assay %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return v
}

// at appends the flags that point a command to a node.
func (tn *testNetwork) at(node int, args ...string) []string {
	m := tn.layout.Members[node]
	return append(args, "--home", m.Home, "--node", "tcp://"+m.Addresses.RPC, "--output", "json")
}

// deliver sends a transaction of a node's operator and returns what became of it, once all nodes know.
func (tn *testNetwork) deliver(ctx context.Context, t *testing.T, node int, args ...string) (code uint32, log string) {
	t.Helper()
	args = append(args, "--from", "operator", "--keyring-backend", "test", "--chain-id", chainID, "--yes",
		"--gas", "800000", "--fees", "1000ngnk")
	o := sent(ctx, t, tn.at(node, args...)...)
	if o.Height > 0 {
		tn.wait(ctx, t, o.Height)
	}
	return o.Code, o.Log
}

// outcome is what a block made of a transaction.
type outcome struct {
	Height int64  `json:"height,string"` // 0: no block holds it
	Code   uint32 `json:"code"`
	Log    string `json:"raw_log"`
}

// sent sends a transaction by command, which waits for its block and fails exactly if the chain refuses it.
func sent(ctx context.Context, t *testing.T, args ...string) (v outcome) {
	t.Helper()
	out, err := run(ctx, args...)
	if err != nil && !errors.Is(err, cli.ErrRefused) {
		t.Fatalf("assay %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("assay %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	if refused := err != nil; refused != (v.Code != 0) {
		t.Fatalf("assay %s: code %d, and ends with %v", strings.Join(args, " "), v.Code, err)
	}
	return v
}

// commands drives keys, queries and transactions.
func commands(ctx context.Context, t *testing.T, tn *testNetwork) {
	first, second := tn.layout.Members[0], tn.layout.Members[1]

	out, err := run(ctx, "keys", "list", "--home", first.Home, "--keyring-backend", "test", "--output", "json")
	if err != nil || !strings.Contains(out, first.Operator) {
		t.Fatalf("keys list: %v\n%s", err, out)
	}
	if status := runJSON(ctx, t, tn.at(0, "status")...); status["node_info"].(map[string]any)["network"] != chainID {
		t.Fatalf("status: %v", status)
	}
	miners := runJSON(ctx, t, tn.at(0, "query", "power", "miners")...)["miners"].([]any)
	if len(miners) < 4 {
		t.Fatalf("%d miners, want at least 4", len(miners))
	}
	miner := runJSON(ctx, t, tn.at(0, "query", "power", "miner", first.Operator)...)
	if miner["weight"] != fmt.Sprint(powertypes.ShareScale/4) || miner["power"] != "250000" {
		t.Fatalf("a quarter of the power is %v", miner)
	}
	if v := runJSON(ctx, t, tn.at(0, "query", "registry", "params")...); v["params"] == nil {
		t.Fatalf("registry params: %v", v)
	}
	if code, log := tn.deliver(ctx, t, 0, "tx", "bank", "send", first.Operator, second.Operator, "5ngnk"); code != 0 {
		t.Fatalf("bank send: code %d: %s", code, log)
	}
	balance := runJSON(ctx, t, tn.at(0, "query", "bank", "balance", second.Operator, "ngnk")...)
	if got := balance["balance"].(map[string]any)["amount"]; got != fmt.Sprint(int64(operatorCoins)+5) {
		t.Fatalf("balance after a transfer of 5: %v", got)
	}
	register(ctx, t, tn)
	govern(ctx, t, tn)
}

// register lets a fresh home register by command.
func register(ctx context.Context, t *testing.T, tn *testNetwork) {
	home, node := t.TempDir(), tn.layout.Members[2]
	flags := []string{"--home", home, "--node", "tcp://" + node.Addresses.RPC, "--chain-id", chainID, "--output", "json"}
	if out, err := run(ctx, append([]string{"tx", "power", "register", "--endpoint", "ftp://x"}, flags...)...); err == nil ||
		!strings.Contains(err.Error(), "http or https") {
		t.Fatalf("register with a bad endpoint: %v\n%s", err, out)
	}
	if resp := runJSON(ctx, t, append([]string{"tx", "power", "register", "--endpoint", "http://10.0.0.1:8080"}, flags...)...); resp["code"].(float64) != 0 {
		t.Fatalf("register: %v", resp)
	}
}

// govern changes a parameter by a vote of compute power.
func govern(ctx context.Context, t *testing.T, tn *testNetwork) {
	params := powertypes.DefaultParams()
	params.Lane.StampBits = 10
	params.MissedMax = 4_321
	authority := authtypes.NewModuleAddress(govtypes.ModuleName).String()
	msg, err := tn.nodes[0].Client().Codec.MarshalInterfaceJSON(&powertypes.MsgUpdateParams{Authority: authority, Params: params})
	if err != nil {
		t.Fatal(err)
	}
	propose := func(deposit string) (uint32, string) {
		file := filepath.Join(t.TempDir(), "proposal.json")
		text := fmt.Sprintf(`{"messages": [%s], "deposit": %q, "title": "misses", "summary": "change missed_max"}`, msg, deposit)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return tn.deliver(ctx, t, 0, "tx", "gov", "submit-proposal", file)
	}
	if code, log := propose("1ngnk"); code == 0 {
		t.Fatalf("a proposal with hardly a deposit was accepted: %s", log)
	}
	if code, log := propose("1000000000000ngnk"); code != 0 {
		t.Fatalf("submit proposal: code %d: %s", code, log)
	}
	// The account of the fifth key has coins but no power.
	voter := tn.layout.Accounts["researcher"]
	vote := sent(ctx, t, "tx", "gov", "vote", "1", "yes", "--home", tn.layout.Dir, "--node", "tcp://"+tn.layout.Members[0].Addresses.RPC,
		"--output", "json", "--from", "researcher", "--keyring-backend", "test", "--chain-id", chainID, "--yes", "--gas", "600000", "--fees", "1000ngnk")
	if vote.Code == 0 || !strings.Contains(vote.Log, "no governance weight") {
		t.Fatalf("vote of %s, without weight: %+v", voter, vote)
	}
	for i := range 3 {
		if code, log := tn.deliver(ctx, t, i, "tx", "gov", "vote", "1", "yes"); code != 0 {
			t.Fatalf("vote of node %d: code %d: %s", i, code, log)
		}
	}
	for {
		proposal := runJSON(ctx, t, tn.at(0, "query", "gov", "proposal", "1")...)["proposal"].(map[string]any)
		if s := proposal["status"]; s == "PROPOSAL_STATUS_PASSED" {
			tally := proposal["final_tally_result"].(map[string]any)
			if want := fmt.Sprint(powertypes.ShareScale / 4 * 3); tally["yes_count"] != want {
				t.Fatalf("tally %v, want %s", tally, want)
			}
			break
		} else if s != "PROPOSAL_STATUS_VOTING_PERIOD" {
			t.Fatalf("proposal: %v", proposal)
		}
		if err := tn.nodes[0].WaitHeight(ctx, tn.nodes[0].Height()+1); err != nil {
			t.Fatal(err)
		}
	}
	got := runJSON(ctx, t, tn.at(0, "query", "power", "params")...)["params"].(map[string]any)
	if got["missed_max"] != 4321.0 {
		t.Fatalf("parameters after the proposal passed: %v", got)
	}
}
