package network

import (
	"fmt"
	"slices"
	"sync"

	"github.com/cometbft/cometbft/mempool"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	protomem "github.com/cometbft/cometbft/proto/tendermint/mempool"
)

const (
	// relayBytes is what may wait of each peer: 5,000 commitments, half of what a mempool holds, or
	// four transactions of the largest size. With the default 50 peers that is 100 MiB at most.
	relayBytes = 2 << 20
	// relayOverhead is what a waiting message takes beside its transactions, in bytes.
	relayOverhead = 128
)

// relay takes transactions from peers and has them checked one after another, beside the goroutines
// that read from the peers. CometBFT's own reactor checks a transaction before it reads what the peer
// sent after it, so that the votes and the parts of a block wait for as long as it takes to check all
// transactions that came before them on their connection: seconds, in which the proposal comes too
// late and the round fails.
//
// Peers take turns, so that none of them can keep out what another sends. What a peer sends beyond
// relayBytes is dropped, as CometBFT drops what comes when the mempool is full. Transactions of one
// peer keep their order. Methods may be called from any goroutine.
type relay struct {
	*mempool.Reactor

	mu     sync.Mutex
	work   sync.Cond // something waits, or it is over
	queues map[p2p.ID]*relayQueue
	turns  []*relayQueue // those with something waiting, the next one first
	over   bool
	done   chan struct{} // closed when nothing is checked any more; nil before the start
}

// relayQueue is what waits of one peer.
type relayQueue struct {
	waiting []p2p.Envelope
	bytes   int
}

// newRelay puts a relay before a mempool's reactor.
func newRelay(inner *mempool.Reactor) *relay {
	r := &relay{Reactor: inner, queues: make(map[p2p.ID]*relayQueue)}
	r.work.L = &r.mu
	return r
}

// withRelay replaces the node's mempool reactor by a relay to it.
func withRelay(n *node.Node) {
	const name = "MEMPOOL"
	reactor, _ := n.Switch().Reactor(name)
	inner, ok := reactor.(*mempool.Reactor)
	if !ok {
		panic(fmt.Sprintf("network: the mempool's reactor is %T", reactor)) // another version of CometBFT
	}
	node.CustomReactors(map[string]p2p.Reactor{name: newRelay(inner)})(n)
}

// Start begins checking.
func (r *relay) Start() error {
	if err := r.Reactor.Start(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = make(chan struct{})
	go r.check(r.done)
	return nil
}

// Stop ends checking; it waits for the transaction that is being checked and drops those that wait.
func (r *relay) Stop() error {
	err := r.Reactor.Stop()
	r.mu.Lock()
	r.over = true
	clear(r.queues)
	r.turns = nil
	r.work.Broadcast()
	done := r.done
	r.mu.Unlock()
	if done != nil {
		<-done
	}
	return err
}

// Receive takes a message of a peer and returns at once.
func (r *relay) Receive(e p2p.Envelope) {
	txs, ok := e.Message.(*protomem.Txs)
	if !ok || len(txs.Txs) == 0 || e.Src == nil || r.WaitSync() {
		r.Reactor.Receive(e) // which knows what to do, and checks nothing
		return
	}
	size := relaySize(txs)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	q := r.queues[e.Src.ID()]
	if q == nil {
		q = new(relayQueue)
		r.queues[e.Src.ID()] = q
	}
	if len(q.waiting) > 0 && q.bytes+size > relayBytes {
		r.Logger.Debug("a peer sends faster than its transactions are checked", "peer", e.Src.ID(), "waiting", len(q.waiting))
		return
	}
	if len(q.waiting) == 0 {
		r.turns = append(r.turns, q)
		r.work.Signal()
	}
	q.waiting, q.bytes = append(q.waiting, e), q.bytes+size
}

func relaySize(txs *protomem.Txs) int {
	size := relayOverhead
	for _, tx := range txs.Txs {
		size += len(tx)
	}
	return size
}

// RemovePeer forgets what waits of a peer.
func (r *relay) RemovePeer(peer p2p.Peer, reason any) {
	r.mu.Lock()
	if q := r.queues[peer.ID()]; q != nil {
		delete(r.queues, peer.ID())
		r.turns = slices.DeleteFunc(r.turns, func(x *relayQueue) bool { return x == q })
		q.waiting, q.bytes = nil, 0
	}
	r.mu.Unlock()
	r.Reactor.RemovePeer(peer, reason)
}

// check has what waits checked until the end.
func (r *relay) check(done chan<- struct{}) {
	defer close(done)
	for {
		e, ok := r.next()
		if !ok {
			return
		}
		r.Reactor.Receive(e)
	}
}

// next waits for a message of the peer whose turn it is.
func (r *relay) next() (p2p.Envelope, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.turns) == 0 && !r.over {
		r.work.Wait()
	}
	if r.over {
		return p2p.Envelope{}, false
	}
	q := r.turns[0]
	r.turns = r.turns[1:]
	e := q.waiting[0]
	q.waiting[0] = p2p.Envelope{}
	q.waiting = q.waiting[1:]
	if txs, ok := e.Message.(*protomem.Txs); ok {
		q.bytes -= relaySize(txs)
	}
	if len(q.waiting) > 0 {
		r.turns = append(r.turns, q)
	}
	return e, true
}
