package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
	snapshottypes "github.com/cosmos/cosmos-sdk/store/v2/snapshots/types"
	grpctypes "github.com/cosmos/cosmos-sdk/types/grpc"
	"google.golang.org/grpc/metadata"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/network"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/runtime/miner"
	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/recheck"
)

const (
	// syncTester is the validator that has no services and is stopped to halt the chain: it has half
	// of the power.
	syncTester = 1
	// syncDelay is the report delay: far more blocks than pass while a node stops.
	syncDelay     = 40
	snapshotEvery = 5
	falseUnit     = 5 // the one unit of the tester's claim that is wrong
	trueUnit      = 6
)

// TestStateSync: a node that begins with a snapshot in which reports wait comes to the same decisions
// as all others, by its own re-execution; one that begins after them shows them too. Both are nodes
// as a verifier would run them: processes of their own with empty caches, by the commands.
func TestStateSync(t *testing.T) {
	if testing.Short() {
		t.Skip("nodes that look for snapshots take half a minute")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	n := startSyncNet(ctx, t)
	reported, due := n.accuseItself(ctx, t)

	// A snapshot of the waiting reports that light clients can verify.
	n.until(ctx, t, "a snapshot that holds the reports", func(sprinttypes.Epoch) bool {
		all, err := n.nodes[0].node.App().SnapshotManager().List()
		must(t, err)
		return slices.ContainsFunc(all, func(s *snapshottypes.Snapshot) bool {
			return int64(s.Height) >= reported && int64(s.Height) <= n.nodes[0].node.Height()-2
		})
	})
	// Now the chain halts, for as long as the new node needs.
	must(t, n.nodes[syncTester].stopNode())
	if h := n.nodes[0].node.Height(); h+2 >= due {
		t.Fatalf("the chain halted at height %d, the reports are due at %d", h, due)
	}
	began := time.Now()
	note := func(what string) {
		t.Logf("%5.1f s: %s, height %d", time.Since(began).Seconds(), what, n.nodes[0].node.Height())
	}
	note("halted")
	trusted := n.nodes[0].node.Comet().BlockStore().LoadBlockMeta(2)
	early := n.join(ctx, t, "early", []string{"--sync-rpc", n.rpc(0), "--sync-height", "2", "--sync-hash", trusted.BlockID.Hash.String()}, nil)
	early.wait(ctx, t, reported)
	for _, r := range early.reports(ctx, t, 0) {
		if r.Status != audittypes.REPORT_QUEUED {
			t.Fatalf("the new node has a report that is %s before it is due", r.Status)
		}
	}
	early.beganAfter(ctx, t, reported)
	note("early joined")
	if h := n.nodes[0].node.Height(); h >= due {
		t.Fatalf("the chain went on to height %d, the reports were due at %d", h, due)
	}

	must(t, n.startNode(syncTester))
	must(t, n.nodes[0].node.WaitHeight(ctx, due+2))
	note("decided")
	at := n.nodes[0].node.Height()
	early.wait(ctx, t, at+2)
	early.agrees(ctx, t, n, at)
	note("early agrees")

	late := n.join(ctx, t, "late", nil, []string{"--sync-rpc", n.rpc(0) + "," + n.rpc(1)})
	late.wait(ctx, t, due)
	late.beganAfter(ctx, t, due)
	note("late joined")
	at = n.nodes[0].node.Height() + 2
	for _, j := range []*joiner{early, late} {
		j.wait(ctx, t, at+2)
		j.agrees(ctx, t, n, at)
	}
}

// startSyncNet starts two nodes, of which one mines and audits.
func startSyncNet(ctx context.Context, t *testing.T) *testNet {
	t.Helper()
	n := &testNet{demanded: map[string]int{}}
	spec := localSpec{
		Dir: t.TempDir(), BlockTime: 200 * time.Millisecond, Sprint: e2eSprint(), Voting: time.Minute,
		Worker: func(int) miner.Worker { return n.worker() },
		Mining: func(i int, e miner.Event) { n.note(fmt.Sprintf("miner of node %d", i), e.Err) },
		Audit:  n.audited,
	}
	layout, err := network.Create(network.Spec{
		Dir: spec.Dir, ChainID: "assay-sync-1", Nodes: 2, BlockTime: spec.BlockTime, Balance: gnkCoins(10),
		SnapshotBlocks: snapshotEvery, SnapshotKeep: 20,
		Edit: func(g *network.Genesis) error {
			return errors.Join(spec.genesis(g), network.Edit(g, audittypes.ModuleName, func(s *audittypes.GenesisState) error {
				s.Params.ReportDelay = syncDelay
				return nil
			}))
		},
	})
	must(t, err)
	n.localnet, err = openLocalnet(spec, layout)
	must(t, err)
	t.Cleanup(func() {
		for i, ln := range n.nodes {
			if t.Failed() && ln.node != nil {
				t.Logf("node %d is at height %d: %s", i, ln.node.Height(), ln.node.Comet().ConsensusReactor().String())
			}
		}
		if err := n.Close(); err != nil {
			t.Errorf("close the network: %v", err)
		}
		if t.Failed() {
			t.Log(strings.Join(n.failures, "\n"))
		}
	})
	n.warm(ctx, t)
	for i := range n.nodes {
		must(t, n.startNode(i))
	}
	for i := range n.nodes[:syncTester] {
		must(t, n.nodes[i].node.WaitHeight(ctx, 1))
		must(t, n.startWork(ctx, i))
	}
	n.link = n.nodes[0].part.link
	n.keys, err = network.LoadKeys(n.nodes[syncTester].member.Home, n.nodes[0].node.App().Encoding().Codec)
	must(t, err)
	key, err := namedKey(n.keys.Keyring, network.OperatorKey)
	must(t, err)
	n.tester = newSender(t, n.link.c, n.nodes[0].node.Client().Client, key)
	return n
}

// accuseItself lets the tester claim a fold of units, one of which is wrong, and report two: that one
// and a right one. So nobody else's luck decides what is reported, and the second decision needs the
// very digest. It returns the height of the later report and that at which both are decided.
func (n *testNet) accuseItself(ctx context.Context, t *testing.T) (reported, due int64) {
	t.Helper()
	s := n.tester
	e := n.phase(ctx, t, 1, sprinttypes.PHASE_COMPUTE)
	wasm, err := n.link.Module(ctx, [32]byte(e.Work.ModuleHash))
	must(t, err)
	session, err := n.worker().Open(ctx, recheck.Work{
		ModuleHash: [32]byte(e.Work.ModuleHash), Wasm: wasm, Params: e.Work.Params, Seed: [32]byte(e.Seed), Identity: s.addr,
		TensorBytes: e.Work.TensorBytes, MemoryPages: e.Work.MemoryPages, GasSetup: e.Work.GasSetup, GasUnit: e.Work.GasUnit,
	})
	must(t, err)
	indexes := make([]uint64, minUnits)
	for i := range indexes {
		indexes[i] = uint64(i)
	}
	units, err := session.Units(ctx, indexes)
	must(t, errors.Join(err, session.Close()))
	units[falseUnit][0] ^= 1
	tree, err := commit.NewBuilder(minUnits)
	must(t, err)
	_, err = tree.AddFold(units)
	must(t, err)
	root := tree.Root()
	s.accepted(ctx, t, attempt{name: "claim", lane: true, msgs: msgs(&sprinttypes.MsgCommitWork{Miner: s.address, Epoch: 1, Root: root[:], Count: minUnits})})

	n.phase(ctx, t, 1, sprinttypes.PHASE_AUDIT)
	path, err := tree.InclusionProof(0, minUnits)
	must(t, err)
	var reports []attempt
	for _, x := range []uint64{falseUnit, trueUnit} {
		o := commit.Opening{Index: x, Digests: units, Proof: path}
		raw, err := o.MarshalBinary()
		must(t, err)
		reports = append(reports, attempt{name: fmt.Sprintf("report of unit %d", x), lane: true,
			msgs: msgs(&audittypes.MsgReport{Reporter: s.address, Epoch: 1, Claimant: s.address, Index: x, Opening: raw})})
	}
	for _, r := range s.accepted(ctx, t, reports...) {
		reported = max(reported, r.Height)
	}
	return reported, reported + syncDelay + int64(len(reports)) - 1 // one a block
}

// rpc is where a node shows headers.
func (n *testNet) rpc(node int) string { return "tcp://" + n.nodes[node].member.Addresses.RPC }

// joiner is a new node, in a process of its own.
type joiner struct {
	name string
	c    *client.Client
	rpc  *rpchttp.HTTP
	done <-chan struct{} // closed when the process has ended
}

// join runs the commands by which a node joins, with flags for init and for start.
func (n *testNet) join(ctx context.Context, t *testing.T, name string, init, start []string) *joiner {
	t.Helper()
	home := filepath.Join(n.layout.Dir, name)
	at := network.Addresses{P2P: freePort(t), RPC: freePort(t), GRPC: freePort(t)}
	var peers []string
	for _, ln := range n.nodes {
		if ln.node == nil {
			continue // stopped
		}
		peers = append(peers, string(ln.node.Comet().NodeInfo().ID())+"@"+ln.member.Addresses.P2P)
	}
	_, stderr, err := assay(ctx, append([]string{"init", name, "--home", home, "--genesis", filepath.Join(n.nodes[0].member.Home, "config", "genesis.json"),
		"--peers", strings.Join(peers, ","), "--private", "--block-time", n.spec.BlockTime.String(),
		"--p2p", at.P2P, "--rpc", at.RPC, "--grpc", at.GRPC, "--rest", ""}, init...)...)
	if err != nil {
		t.Fatalf("assay init: %v\n%s", err, stderr)
	}
	cmd := exec.Command("assay", append([]string{"start", "--home", home, "--log_level", "info"}, start...)...)
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+t.TempDir()) // it has nothing but what the chain gives it
	cmd.SysProcAttr = dieWithParent()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // whoever waits for the node says that it ended
	}()
	j := &joiner{name: name, done: done}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		if t.Failed() {
			t.Logf("node %s said:\n%s", name, &out)
		}
	})
	j.c, err = client.Dial(ctx, client.Config{GRPC: at.GRPC, ChainID: n.layout.ChainID})
	must(t, err)
	t.Cleanup(func() { _ = j.c.Close() })
	j.rpc, err = rpchttp.New("tcp://"+at.RPC, "/websocket")
	must(t, err)
	return j
}

// wait returns once the node has committed a height.
func (j *joiner) wait(ctx context.Context, t *testing.T, height int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-j.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	if _, err := j.c.WaitHeight(ctx, height); err != nil {
		t.Fatalf("node %s did not come to height %d: %v", j.name, height, err)
	}
}

// beganAfter checks that the node never had the block of a height.
func (j *joiner) beganAfter(ctx context.Context, t *testing.T, height int64) {
	t.Helper()
	s, err := j.rpc.Status(ctx)
	must(t, err)
	if s.SyncInfo.EarliestBlockHeight <= height {
		t.Fatalf("node %s holds blocks from %d on: it did not begin with a snapshot after %d", j.name, s.SyncInfo.EarliestBlockHeight, height)
	}
}

// reports are those of epoch 1 as of a height, 0 for the newest.
func (j *joiner) reports(ctx context.Context, t *testing.T, height int64) []audittypes.Report {
	t.Helper()
	return reportsAt(ctx, t, j.c, height)
}

func reportsAt(ctx context.Context, t *testing.T, c *client.Client, height int64) []audittypes.Report {
	t.Helper()
	ctx = metadata.AppendToOutgoingContext(ctx, grpctypes.GRPCBlockHeightHeader, strconv.FormatInt(height, 10))
	r, err := audittypes.NewQueryClient(c.Conn()).Reports(ctx, &audittypes.QueryReportsRequest{Epoch: 1})
	must(t, err)
	if len(r.Reports) != 2 {
		t.Fatalf("%d reports at height %d, want 2", len(r.Reports), height)
	}
	return r.Reports
}

// agrees checks that the node decided, or shows, what the others did, and computes the same state.
func (j *joiner) agrees(ctx context.Context, t *testing.T, n *testNet, height int64) {
	t.Helper()
	got, want := j.reports(ctx, t, height), reportsAt(ctx, t, n.link.c, height)
	for _, r := range got {
		status := audittypes.REPORT_PROVEN
		if r.Index == trueUnit {
			status = audittypes.REPORT_REFUTED
		}
		if r.Status != status {
			t.Errorf("node %s shows the report of unit %d as %s, want %s", j.name, r.Index, r.Status, status)
		}
	}
	if a, b := fmt.Sprint(got), fmt.Sprint(want); a != b {
		t.Errorf("node %s shows other reports:\n%s\nthan node 0:\n%s", j.name, a, b)
	}
	info, err := j.rpc.ABCIInfo(ctx)
	must(t, err)
	at := info.Response.LastBlockHeight + 1 // the next header holds the hash
	must(t, n.nodes[0].node.WaitHeight(ctx, at))
	header := n.nodes[0].node.Comet().BlockStore().LoadBlockMeta(at).Header
	if !bytes.Equal(info.Response.LastBlockAppHash, header.AppHash) {
		t.Errorf("after height %d node %s has app hash %X, the network %X", at-1, j.name, info.Response.LastBlockAppHash, header.AppHash)
	}
}
