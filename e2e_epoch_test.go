package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"cosmossdk.io/math"

	"github.com/assaynet/assay/chain/network"
	powertypes "github.com/assaynet/assay/chain/power/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/runtime/miner"
	"github.com/assaynet/assay/sdk/client"
)

// settled waits for an epoch's account and checks that the claims are those named, that every valid
// one got exactly its proportion of the whole, and that the sum is the emission.
func (n *testNet) settled(ctx context.Context, t *testing.T, epoch uint64, want map[string]sprinttypes.ClaimStatus) map[string]sprinttypes.Line {
	t.Helper()
	q := sprinttypes.NewQueryClient(n.link.c.Conn())
	var s *sprinttypes.QuerySettlementResponse
	n.until(ctx, t, fmt.Sprintf("the settlement of epoch %d", epoch), func(sprinttypes.Epoch) bool {
		r, err := q.Settlement(ctx, &sprinttypes.QuerySettlementRequest{Epoch: epoch})
		s = r
		return err == nil && r.Settlement.Height > 0
	})
	a := s.Settlement
	absent := map[string]bool{}
	for _, v := range a.Auditors {
		absent[v.Validator] = v.Weight == 0
	}
	p := e2eSprint()
	pot, paid := a.Emission.Add(a.Released), math.ZeroInt()
	lines := map[string]sprinttypes.Line{}
	for _, l := range s.Lines {
		lines[l.Miner] = l
		paid = paid.Add(l.Amount)
		if l.Status != want[l.Miner] {
			t.Errorf("epoch %d: the claim of %s is %s, want %s", epoch, l.Miner, l.Status, want[l.Miner])
		}
		due := math.ZeroInt()
		if l.Status == sprinttypes.CLAIM_PAID {
			// The proportion is of all units, those of void claims too: nobody gains by another's fall.
			due = pot.Mul(math.NewIntFromUint64(l.Units)).Quo(math.NewIntFromUint64(a.Units))
			if absent[l.Miner] {
				due = due.Sub(due.MulRaw(int64(p.AbsenceBps)).QuoRaw(10_000))
			}
			due = due.Sub(math.NewIntFromUint64(p.ClaimFee))
		}
		if !l.Amount.Equal(due) {
			t.Errorf("epoch %d: %s has %s ngnk for %d of %d units, want %s", epoch, l.Miner, l.Amount, l.Units, a.Units, due)
		}
	}
	if len(lines) != len(want) {
		t.Errorf("epoch %d has %d claims, want %d", epoch, len(lines), len(want))
	}
	if !paid.Equal(a.Paid) || !paid.Add(a.AuditPaid).Add(a.InclusionPaid).Add(a.Burned).Add(a.Reserved).Equal(pot) {
		t.Errorf("epoch %d: paid %s (rows %s), auditors %s, proposers %s, reserve %s: not %s", epoch, a.Paid, paid, a.AuditPaid, a.InclusionPaid, a.Reserved, pot)
	}
	return lines
}

// testNewcomers: whoever has neither coins nor an account registers and mines in the next epoch; one
// that vanishes costs itself alone; one that is only slow to serve answers on chain and is paid.
func testNewcomers(ctx context.Context, t *testing.T, n *testNet) {
	plain, slow, vanishing := n.newcomer(t, "plain"), n.newcomer(t, "slow"), n.newcomer(t, "vanishing")
	for _, c := range []*newcomer{plain, slow, vanishing} {
		if number, sequence := c.numbers(ctx, t); number != 0 || sequence != 0 || !c.balance(ctx, t).IsZero() {
			t.Fatalf("%s is no newcomer", c.address)
		}
	}
	n.register(ctx, t, plain, "http://"+plain.listen)
	n.register(ctx, t, slow, "http://"+freePort(t)) // nobody listens there: it is never in time
	n.register(ctx, t, vanishing, "http://"+vanishing.listen)
	r, err := powertypes.NewQueryClient(n.link.c.Conn()).Miner(ctx, &powertypes.QueryMinerRequest{Operator: plain.address})
	must(t, err)
	if r.Miner.RegisteredEpoch != 1 || r.Weight != 0 {
		t.Fatalf("registered in epoch %d with weight %d, want 1 and none", r.Miner.RegisteredEpoch, r.Weight)
	}

	n.phase(ctx, t, 1, sprinttypes.PHASE_AUDIT)
	var answered sync.Map
	committed := make(chan uint64, 1)
	n.mine(ctx, t, plain, nil)
	n.mine(ctx, t, slow, func(e miner.Event) {
		if e.Kind == miner.EventAnswered {
			answered.Store(e.Number, e.Units)
		}
	})
	n.mine(ctx, t, vanishing, func(e miner.Event) {
		if e.Kind == miner.EventCommitted {
			select {
			case committed <- e.Units:
			default: // only the first counts
			}
		}
	})
	var claimed uint64
	select {
	case claimed = <-committed:
	case <-ctx.Done():
		t.Fatal("a newcomer did not commit")
	}
	vanishing.leave(t)
	e := n.phase(ctx, t, 2, sprinttypes.PHASE_COMPUTE)

	lines := n.settled(ctx, t, 2, map[string]sprinttypes.ClaimStatus{
		n.nodes[0].member.Operator: sprinttypes.CLAIM_PAID,
		n.nodes[1].member.Operator: sprinttypes.CLAIM_PAID,
		n.nodes[2].member.Operator: sprinttypes.CLAIM_PAID,
		plain.address:              sprinttypes.CLAIM_PAID,
		slow.address:               sprinttypes.CLAIM_PAID,
		vanishing.address:          sprinttypes.CLAIM_VOID_UNANSWERED,
	})
	if got := lines[vanishing.address].Units; got != claimed {
		t.Errorf("the vanished miner has %d units, it committed %d before it left at epoch %d", got, claimed, e.Number)
	}
	if got, want := plain.balance(ctx, t), lines[plain.address].Amount; !got.Equal(want) || !got.IsPositive() {
		t.Errorf("the newcomer has %s ngnk, it was to be paid %s", got, want)
	}
	// It has no power, so a validator proposed the block that took its claim.
	if includer := lines[plain.address].Includer; !slices.ContainsFunc(n.nodes, func(x *localNode) bool { return x.member.Operator == includer }) {
		t.Errorf("the newcomer's claim was included by %q", includer)
	}
	n.mu.Lock()
	for _, c := range []*newcomer{slow, vanishing} {
		if n.demanded[string(c.addr)] == 0 {
			t.Errorf("nothing was demanded of %s, which served nothing", c.address)
		}
	}
	if got := n.demanded[string(plain.addr)]; got != 0 {
		t.Errorf("%d units were demanded of a miner that serves", got)
	}
	n.mu.Unlock()
	if n := lenOf(&answered); n == 0 {
		t.Error("the slow miner answered no demand")
	}
	// What it earned is money like any other.
	plain.accepted(ctx, t, attempt{name: "pay", msgs: msgs(banktypes.NewMsgSend(plain.addr, slow.addr, gnkCoins(1)))})
}

func lenOf(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}

// testKilledNode: a node that is killed at any instant, with no chance to flush, comes back with the
// state of all others. Bytes of an old transaction are no use at it, nor elsewhere.
func testKilledNode(ctx context.Context, t *testing.T, n *testNet) {
	member := n.nodes[testerNode].member
	child, err := client.Dial(ctx, client.Config{GRPC: member.Addresses.GRPC, ChainID: n.layout.ChainID})
	must(t, err)
	defer child.Close()
	s := n.coins(t, replayerAccount)
	number, sequence := s.numbers(ctx, t)
	raw, _ := s.sign(ctx, t, attempt{msgs: msgs(banktypes.NewMsgSend(s.addr, make([]byte, 20), gnkCoins(1)))}, number, sequence)
	sent := broadcast(ctx, t, s.c, raw)
	if sent.Code != 0 {
		t.Fatalf("send coins: %s", sent.RawLog)
	}
	at := included(ctx, t, s.c, sent.TxHash).Height
	// Now it runs, has voted blocks and executed the transaction.
	_, err = child.WaitHeight(ctx, at+3)
	must(t, err)
	n.killChild()
	killed := n.nodes[0].node.Height()
	must(t, n.nodes[0].node.WaitHeight(ctx, killed+4))
	must(t, n.startNode(testerNode))
	back := n.nodes[testerNode].node
	must(t, back.WaitHeight(ctx, n.nodes[0].node.Height()+2))
	n.sameState(ctx, t, back)
	// It goes on with the others, to the same state, and takes transactions once it has caught up.
	for again := back.Height() + 5; back.Height() < again || back.Comet().ConsensusReactor().WaitSync(); {
		must(t, back.WaitHeight(ctx, back.Height()+1))
	}
	n.sameState(ctx, t, back)

	for _, to := range []struct {
		name string
		c    *client.Client
		want attempt
	}{
		{"the node that took it", s.c, attempt{name: "replay", want: sdkerrors.ErrTxInMempoolCache}},
		{"a node that has forgotten it", child, attempt{name: "replay", want: sdkerrors.ErrWrongSequence, says: []string{"expected"}}},
	} {
		t.Run(to.name, func(t *testing.T) {
			before := s.balance(ctx, t)
			checkRefusal(t, to.want, broadcast(ctx, t, to.c, raw))
			if after := s.balance(ctx, t); !after.Equal(before) {
				t.Errorf("a replay changed %s ngnk to %s", before, after)
			}
		})
	}
}

// sameState compares the state that a node computed with what the others agreed on.
func (n *testNet) sameState(ctx context.Context, t *testing.T, node *network.Node) {
	t.Helper()
	info, err := node.App().Info(&abci.RequestInfo{})
	must(t, err)
	// The hash of a block's state is in the header of the next block.
	must(t, n.nodes[0].node.WaitHeight(ctx, info.LastBlockHeight+1))
	header := n.nodes[0].node.Comet().BlockStore().LoadBlockMeta(info.LastBlockHeight + 1)
	if header == nil {
		t.Fatalf("node 0 has no block %d", info.LastBlockHeight+1)
	}
	if !bytes.Equal(info.LastBlockAppHash, header.Header.AppHash) {
		t.Fatalf("after height %d the node has app hash %X, the network %X", info.LastBlockHeight, info.LastBlockAppHash, header.Header.AppHash)
	}
}
