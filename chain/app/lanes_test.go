package app

import (
	"math/rand/v2"
	"slices"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/assaynet/assay/chain/params"
)

// Under floods of both kinds every block of a running application holds both, each up to its part, and
// the lane what payments leave of theirs; validators accept it, and reject one that gives payments the
// lane's part or holds more than both parts. In the end everything was taken.
func TestFloodsDoNotStarveEachOther(t *testing.T) {
	const each, part = 60, 10 // transactions of nodeGas for each kind
	for name, c := range map[string]struct{ lanes, fees int }{
		"both": {each, each}, "fees against one of the lane": {1, each}, "lane against one payment": {each, 1},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, 2*each, 2*part*nodeGas, nil)
			var lanes, fees [][]byte
			for i := range c.lanes {
				lanes = append(lanes, n.lane(i, 0))
			}
			for i := range c.fees {
				fees = append(fees, n.payment(each+i, 0))
			}
			for i := range max(len(lanes), len(fees)) { // the fees come first
				if i < len(fees) {
					n.must(n.send(fees[i]))
				}
				if i < len(lanes) {
					n.must(n.send(lanes[i]))
				}
			}
			if c.lanes > 2*part && (!n.accepts(lanes[:2*part]) || n.accepts(lanes[:2*part+1])) {
				t.Error("the lane cannot have what payments leave, or has more than a block")
			}
			if c.fees > part && n.accepts(fees[:part+1]) {
				t.Error("payments may take the lane's part of a block")
			}
			if c.lanes > part && c.fees >= part {
				both := slices.Concat(lanes[:part], fees[:part])
				if !n.accepts(both) || n.accepts(append(slices.Clone(both), lanes[part])) || n.accepts(append(slices.Clone(lanes[:part+1]), fees[:part]...)) {
					t.Error("a full block is rejected, or the lane has more than payments leave")
				}
			}
			for lane, other := c.lanes, c.fees; lane+other > 0; {
				txs := n.propose()
				l, o := n.kinds(txs)
				if o != min(other, part) || l != min(lane, 2*part-o) {
					t.Fatalf("a block holds %d of the lane and %d others, %d and %d wait", l, o, lane, other)
				}
				n.block(txs)
				lane, other = lane-l, other-o
				if len(n.waiting) != lane+other {
					t.Fatalf("%d wait after the block, want %d", len(n.waiting), lane+other)
				}
			}
			if n.app.pool.CountTx() != 0 || len(n.app.pool.waiting)+len(n.app.pool.senders) != 0 || n.app.pool.lane+n.app.pool.other != 0 {
				t.Errorf("the pool is not empty: %d, %d, %d", n.app.pool.CountTx(), n.app.pool.lane, n.app.pool.other)
			}
		})
	}
}

// Whatever mix of transactions waits, is taken in any part or is overtaken by others: what is left
// after the check that skips most of them is what can still be taken, and senders go on where they are.
func TestSkippedChecksChangeNothing(t *testing.T) {
	const accounts = 12
	for seed := range uint64(3) {
		n := newNode(t, accounts, 1000*nodeGas, nil)
		random := rand.New(rand.NewPCG(seed, 1))
		next := make([]uint64, accounts)  // sequence of the next transaction
		chain := make([]uint64, accounts) // sequence on chain
		for range 40 {
			for range random.IntN(12) {
				i := random.IntN(accounts)
				raw := n.lane(i, next[i])
				if random.IntN(4) == 0 {
					raw = n.payment(i, next[i])
				}
				if err := n.send(raw); err != nil {
					t.Fatalf("seed %d, height %d: transaction %d of account %d: %v", seed, n.height, next[i], i, err)
				}
				next[i]++
				if n.send(n.lane(i, next[i]+1)) == nil {
					t.Fatalf("seed %d: a gap in the sequences is accepted", seed)
				}
			}
			txs := n.propose()
			if len(txs) != len(n.waiting) {
				t.Fatalf("seed %d, height %d: a block takes %d of %d", seed, n.height, len(txs), len(n.waiting))
			}
			txs = txs[:random.IntN(len(txs)+1)]
			// Sometimes an account signs something else at another node, which overtakes what waits here.
			overtaken := random.IntN(3 * accounts)
			if overtaken < accounts {
				other := n.tx(overtaken, chain[overtaken], banktypes.NewMsgSend(n.addr(overtaken), n.addr(0),
					sdk.NewCoins(sdk.NewInt64Coin(params.BaseDenom, 7))))
				txs = append([][]byte{other}, dropOf(n, txs, overtaken)...)
			}
			touched := make(map[int]bool)
			for _, raw := range txs {
				touched[n.senderOf(raw)] = true
			}
			before := n.waiting
			n.block(txs) // commitments fail where there is no work, which costs their sequence all the same
			for _, raw := range before {
				tx, err := n.app.enc.Tx.TxDecoder()(raw)
				n.must(err)
				if skipped, want := n.app.pool.untouched(raw), inLane(tx) && !touched[n.senderOf(raw)]; skipped != want {
					t.Fatalf("seed %d, height %d: the check of a transaction of account %d is skipped: %v", seed, n.height, n.senderOf(raw), skipped)
				}
			}
			at, err := n.app.CreateQueryContext(n.height, false)
			n.must(err)
			waits := make([]uint64, accounts)
			for _, raw := range n.waiting {
				waits[n.senderOf(raw)]++
			}
			for i := range accounts {
				chain[i] = n.app.Accounts.GetAccount(at, n.addr(i)).GetSequence()
				next[i] = chain[i] + waits[i]
			}
			if got := n.app.pool.CountTx(); got != len(n.waiting) {
				t.Fatalf("seed %d, height %d: %d in the pool, %d wait", seed, n.height, got, len(n.waiting))
			}
		}
	}
}

func (n *node) senderOf(raw []byte) int {
	n.t.Helper()
	tx, err := n.app.enc.Tx.TxDecoder()(raw)
	n.must(err)
	sender, _, _ := soleSequence(tx)
	for i := range n.keys {
		if string(n.addr(i)) == sender {
			return i
		}
	}
	n.t.Fatal("unknown sender")
	return -1
}

// dropOf leaves out the transactions of an account.
func dropOf(n *node, txs [][]byte, account int) (out [][]byte) {
	for _, raw := range txs {
		if n.senderOf(raw) != account {
			out = append(out, raw)
		}
	}
	return out
}

// Once a block has passed, a payment may take the place of a lane transaction of the same sequence. The
// room of both kinds is counted right then: a place that is lost each time would add up to a full lane.
func TestReplacedTransactionLeavesItsRoom(t *testing.T) {
	n := newNode(t, 1, 1000*nodeGas, nil)
	n.must(n.send(n.lane(0, 0)))
	n.block(nil)
	n.must(n.send(n.payment(0, 0)))
	if n.app.pool.CountTx() != 1 || n.app.pool.lane != 0 || n.app.pool.other != 1 {
		t.Errorf("%d in the pool: %d of the lane and %d others, want 0 and 1", n.app.pool.CountTx(), n.app.pool.lane, n.app.pool.other)
	}
	n.block(n.propose())
	if n.app.pool.CountTx() != 0 || n.app.pool.lane != 0 || n.app.pool.other != 0 {
		t.Errorf("%d in the pool after the block: %d of the lane and %d others", n.app.pool.CountTx(), n.app.pool.lane, n.app.pool.other)
	}
}
