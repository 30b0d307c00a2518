package network

import (
	"context"
	"encoding/binary"
	"slices"
	"strconv"
	"sync"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/mempool"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/p2p/mock"
	protomem "github.com/cometbft/cometbft/proto/tendermint/mempool"
	"github.com/cometbft/cometbft/proxy"
)

// slowApp is an application whose checks wait until they are let through.
type slowApp struct {
	abci.BaseApplication
	begun   chan []byte
	through chan struct{}
}

func (a *slowApp) CheckTx(_ context.Context, req *abci.RequestCheckTx) (*abci.ResponseCheckTx, error) {
	a.begun <- req.Tx
	<-a.through
	return &abci.ResponseCheckTx{}, nil
}

type relayTest struct {
	app   *slowApp
	relay *relay
}

func newRelayTest(t *testing.T) relayTest {
	app := &slowApp{begun: make(chan []byte), through: make(chan struct{})}
	conns := proxy.NewAppConns(proxy.NewLocalClientCreator(app), proxy.NopMetrics())
	if err := conns.Start(); err != nil {
		t.Fatal(err)
	}
	cfg := cmtcfg.DefaultMempoolConfig()
	r := newRelay(mempool.NewReactor(cfg, mempool.NewCListMempool(cfg, conns.Mempool(), 0), false))
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(app.through)
		go func() {
			for range app.begun {
			}
		}()
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
		close(app.begun)
		if err := conns.Stop(); err != nil {
			t.Error(err)
		}
	})
	return relayTest{app, r}
}

func (r relayTest) peer(t *testing.T) *mock.Peer {
	p := mock.NewPeer(nil)
	t.Cleanup(func() { _ = p.Stop() })
	r.relay.InitPeer(p)
	return p
}

func (r relayTest) send(p p2p.Peer, txs ...string) {
	m := new(protomem.Txs)
	for _, tx := range txs {
		m.Txs = append(m.Txs, []byte(tx))
	}
	r.relay.Receive(p2p.Envelope{Src: p, ChannelID: mempool.MempoolChannel, Message: m})
}

// checked lets a number of checks through and returns what was checked.
func (r relayTest) checked(n int) (out []string) {
	for range n {
		out = append(out, string(<-r.app.begun))
		r.app.through <- struct{}{}
	}
	return out
}

// What a peer sends after its transactions, votes and the parts of blocks, is read though no check ends.
func TestReceiveDoesNotWaitForChecks(t *testing.T) {
	r := newRelayTest(t)
	p := r.peer(t)
	r.send(p, "a1", "a2")
	r.send(p, "a3") // CometBFT's own reactor hangs in the line before
	if got := r.checked(3); !slices.Equal(got, []string{"a1", "a2", "a3"}) {
		t.Error(got)
	}
}

func TestPeersTakeTurns(t *testing.T) {
	r := newRelayTest(t)
	p, q := r.peer(t), r.peer(t)
	r.send(p, "p0")
	first := <-r.app.begun
	for i := range 4 {
		r.send(p, "p"+strconv.Itoa(i+1))
	}
	r.send(q, "q1")
	r.send(q, "q2")
	r.app.through <- struct{}{}
	got := append([]string{string(first)}, r.checked(6)...)
	if want := []string{"p0", "p1", "q1", "p2", "q2", "p3", "p4"}; !slices.Equal(got, want) {
		t.Errorf("checked %v, want %v", got, want)
	}
}

// A peer that sends faster than its transactions are checked loses what goes beyond its room, and
// takes nobody else's.
func TestWhatWaitsIsBounded(t *testing.T) {
	r := newRelayTest(t)
	p, q := r.peer(t), r.peer(t)
	r.send(p, "first")
	<-r.app.begun
	big := func(i int) string {
		return string(binary.BigEndian.AppendUint32(make([]byte, 100_000-relayOverhead-4), uint32(i)))
	}
	for i := range 50 {
		r.send(p, big(i))
	}
	const fit = relayBytes / 100_000
	r.relay.mu.Lock()
	if w := r.relay.queues[p.ID()]; len(w.waiting) != fit || w.bytes > relayBytes {
		t.Errorf("%d messages of %d bytes wait, want %d", len(w.waiting), w.bytes, fit)
	}
	r.relay.mu.Unlock()
	r.send(q, "other")
	r.app.through <- struct{}{}
	got := r.checked(fit + 1)
	if got[0] != big(0) || got[1] != "other" || got[fit] != big(fit-1) {
		t.Error("the transactions within the bound were not checked in turn")
	}
	r.send(p, "again")
	if got := r.checked(1); got[0] != "again" {
		t.Error("a peer is not heard again when what waited is checked")
	}
}

func TestPeerThatLeavesIsForgotten(t *testing.T) {
	r := newRelayTest(t)
	p, q := r.peer(t), r.peer(t)
	r.send(p, "p1")
	<-r.app.begun
	r.send(p, "p2")
	r.relay.RemovePeer(p, "gone")
	r.send(q, "q1")
	r.app.through <- struct{}{}
	if got := r.checked(1); got[0] != "q1" {
		t.Errorf("%s is checked, want q1", got[0])
	}
	if n := len(r.relay.queues); n != 1 {
		t.Errorf("%d peers are remembered, want 1", n)
	}
}

// Messages from many peers, some of whom leave, while the node stops.
func TestRelayStopsAmidMessages(t *testing.T) {
	r := newRelayTest(t)
	var sent sync.WaitGroup
	for i := range 8 {
		p := r.peer(t)
		sent.Go(func() {
			for j := range 100 {
				r.send(p, strconv.Itoa(i)+"-"+strconv.Itoa(j))
				if j == 50 && i%2 == 0 {
					r.relay.RemovePeer(p, "gone")
				}
			}
		})
	}
	r.checked(5)
	sent.Wait()
} // and stops, with a check that has begun
