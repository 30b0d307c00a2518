package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/network"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/runtime/miner"
	"github.com/assaynet/assay/verifier/auditor"
	"github.com/assaynet/assay/verifier/recheck"
)

// Roles of the network's four validators. The first three mine and audit honestly. The last has no
// services: the tests act for it, and its node runs in a process of its own until it is killed.
const testerNode = 3

// Accounts with coins, one for each test that pays fees, so that sequences never race.
const (
	uploaderAccount = "uploader"
	payerAccount    = "payer"
	proposerAccount = "proposer"
	voterAccount    = "voter"
	seatlessAccount = "seatless"
	accuserAccount  = "accuser"
	answererAccount = "answerer"
	replayerAccount = "replayer"
)

const minUnits = 16 // fold and smallest claim of the test network

// testNet is the network that all end-to-end tests share.
type testNet struct {
	*localnet
	link   *link         // reads through node 0; owned by nobody
	keys   *network.Keys // of the tester
	tester *sender
	child  *exec.Cmd // the tester's node

	mu       sync.Mutex
	demanded map[string]int // units demanded of a claimant, by address bytes
	failures []string
}

func e2eSprint() sprinttypes.Params {
	p := sprinttypes.DefaultParams()
	p.ComputeBlocks, p.CommitBlocks, p.AuditBlocks, p.EpochBlocks = 20, 24, 20, 48
	p.Fold, p.MinClaimUnits, p.MaxClaimUnits = minUnits, minUnits, 1<<14
	p.SampleMin, p.SampleMax = 20, 20 // at most seven a validator: one demand asks for all
	p.VestingEpochs = 0               // paid out with the settlement
	return p
}

// startTestNet starts nodes, miners and auditors; everything ends with the test.
func startTestNet(ctx context.Context, t *testing.T) *testNet {
	t.Helper()
	n := &testNet{demanded: map[string]int{}}
	spec := localSpec{
		Dir: t.TempDir(), BlockTime: 250 * time.Millisecond, Sprint: e2eSprint(), Voting: time.Minute,
		Worker: func(int) miner.Worker { return n.worker() },
		Mining: func(i int, e miner.Event) { n.note(fmt.Sprintf("miner of node %d", i), e.Err) },
		Audit:  n.audited,
	}
	var accounts []network.Account
	for _, name := range []string{uploaderAccount, payerAccount, proposerAccount, voterAccount, seatlessAccount,
		accuserAccount, answererAccount, replayerAccount} {
		accounts = append(accounts, network.Account{Name: name, Coins: gnkCoins(10_000)})
	}
	layout, err := network.Create(network.Spec{
		Dir: spec.Dir, ChainID: "assay-test-1", Nodes: 4, BlockTime: spec.BlockTime, Balance: gnkCoins(10), Accounts: accounts,
		Edit: func(g *network.Genesis) error {
			return errors.Join(spec.genesis(g), network.Edit(g, audittypes.ModuleName, func(s *audittypes.GenesisState) error {
				s.Params.AnswerBlocks = 8
				return nil
			}))
		},
	})
	must(t, err)
	n.localnet, err = openLocalnet(spec, layout)
	must(t, err)
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close the network: %v", err)
		}
	})
	n.warm(ctx, t)
	n.startChild(t)
	for i := range n.nodes[:testerNode] {
		must(t, n.startNode(i))
	}
	for i := range n.nodes[:testerNode] {
		must(t, n.nodes[i].node.WaitHeight(ctx, 1))
		must(t, n.startWork(ctx, i))
	}
	n.link = n.nodes[0].part.link
	n.keys, err = network.LoadKeys(n.nodes[testerNode].member.Home, n.nodes[0].node.App().Encoding().Codec)
	must(t, err)
	key, err := namedKey(n.keys.Keyring, network.OperatorKey)
	must(t, err)
	n.tester = newSender(t, n.link.c, n.nodes[0].node.Client().Client, key)
	return n
}

// warm compiles the work before the first block, so that a cold cache does not eat the sprint.
func (n *testNet) warm(ctx context.Context, t *testing.T) {
	t.Helper()
	entry, err := catalog.Get(catalog.TransformerPow)
	must(t, err)
	m := entry.Manifest
	_, err = n.engine.checker.Unit(ctx, recheck.Work{
		ModuleHash: m.Hash, Wasm: entry.Wasm, Params: m.Params, Identity: make([]byte, 20),
		TensorBytes: m.TensorBytes, GasSetup: m.GasSetup, GasUnit: m.GasUnit,
	}, 1)
	must(t, err)
}

// worker is an honest miner's, slow enough to leave the machine to the chain.
func (n *testNet) worker() miner.Worker {
	return paced{miner.SandboxWorker{Runtime: n.engine.rt, Device: n.engine.native}, 200}
}

// startChild starts the tester's node in a process of its own, as the assay command that TestMain
// puts into the path.
func (n *testNet) startChild(t *testing.T) {
	t.Helper()
	n.child = exec.Command("assay", "start", "--home", n.nodes[testerNode].member.Home, "--log_level", "error")
	n.child.SysProcAttr = dieWithParent()
	var out bytes.Buffer
	n.child.Stderr = &out
	must(t, n.child.Start())
	t.Cleanup(func() {
		n.killChild()
		if t.Failed() {
			t.Logf("the killed node said:\n%s", &out)
		}
	})
}

// killChild ends the tester's node without any warning, if it still runs.
func (n *testNet) killChild() {
	if n.child != nil {
		_ = n.child.Process.Kill()
		_ = n.child.Wait() // it was killed: its status says nothing
		n.child = nil
	}
}

func (n *testNet) audited(i int, e auditor.Event) {
	n.note(fmt.Sprintf("auditor of node %d", i), e.Err)
	if e.Kind == auditor.EventDemanded {
		n.mu.Lock()
		n.demanded[string(e.Claimant)] += e.Units
		n.mu.Unlock()
	}
}

// note keeps errors of the services for the log of a failed test.
func (n *testNet) note(who string, err error) {
	if err == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failures = append(n.failures, fmt.Sprintf("%s: %v", who, err))
}

// coins is a named account with coins.
func (n *testNet) coins(t *testing.T, name string) *sender {
	t.Helper()
	kr, err := network.OpenKeyring(n.layout.Dir, "test", n.nodes[0].node.App().Encoding().Codec)
	must(t, err)
	key, err := namedKey(kr, name)
	must(t, err)
	return newSender(t, n.link.c, n.nodes[0].node.Client().Client, key)
}

// until polls the running epoch, at each new height, until the condition holds.
func (n *testNet) until(ctx context.Context, t *testing.T, what string, cond func(sprinttypes.Epoch) bool) sprinttypes.Epoch {
	t.Helper()
	for h := int64(1); ; {
		now, err := n.link.WaitHeight(ctx, h)
		if err != nil {
			t.Fatalf("waited for %s: %v", what, err)
		}
		if r, err := n.link.epoch(ctx); err == nil && cond(r.Epoch) {
			return r.Epoch
		}
		h = now + 1
	}
}

// phase waits for a phase of an epoch and fails if the epoch has gone past it.
func (n *testNet) phase(ctx context.Context, t *testing.T, epoch uint64, p sprinttypes.Phase) sprinttypes.Epoch {
	t.Helper()
	e := n.until(ctx, t, fmt.Sprintf("%s of epoch %d", p, epoch), func(e sprinttypes.Epoch) bool {
		return e.Number > epoch || e.Number == epoch && e.Phase >= p
	})
	if e.Number != epoch || e.Phase != p {
		t.Fatalf("epoch %d is in %s, this test came too late for %s of epoch %d", e.Number, e.Phase, p, epoch)
	}
	return e
}

// newcomer is a miner without a node and, at first, without an account.
type newcomer struct {
	*sender
	keys   *network.Keys
	home   string
	listen string
	part   *participant
}

// newcomer makes keys and an address to serve at.
func (n *testNet) newcomer(t *testing.T, name string) *newcomer {
	t.Helper()
	home := filepath.Join(n.layout.Dir, name)
	keys, err := network.LoadKeys(home, n.nodes[0].node.App().Encoding().Codec)
	must(t, err)
	key, err := namedKey(keys.Keyring, network.OperatorKey)
	must(t, err)
	return &newcomer{sender: newSender(t, n.link.c, n.nodes[0].node.Client().Client, key), keys: keys, home: home, listen: freePort(t)}
}

func freePort(t *testing.T) string {
	t.Helper()
	address, err := network.FreeAddress()
	must(t, err)
	return address
}

// register sends the first transaction of a newcomer: no coins, no account, a hash stamp.
func (n *testNet) register(ctx context.Context, t *testing.T, c *newcomer, endpoint string) {
	t.Helper()
	msg, err := c.keys.Registration(n.layout.ChainID, endpoint, false)
	must(t, err)
	c.accepted(ctx, t, attempt{name: "register", lane: true, msgs: msgs(msg)})
}

// mine starts the newcomer's miner.
func (n *testNet) mine(ctx context.Context, t *testing.T, c *newcomer, mining func(miner.Event)) {
	t.Helper()
	var err error
	c.part, err = startParticipant(ctx, participantConfig{
		Home: c.home, GRPC: n.nodes[1].member.Addresses.GRPC, Listen: c.listen, Keys: c.keys, Engine: n.engine,
		Models: n.models, Worker: n.worker(), Mining: mining, Commits: 3,
	})
	must(t, err)
	t.Cleanup(func() { c.leave(t) })
}

// leave stops the newcomer's miner.
func (c *newcomer) leave(t *testing.T) {
	if c.part == nil {
		return
	}
	p := c.part
	c.part = nil
	if err := p.Close(); err != nil {
		t.Errorf("stop a miner: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
