package network

import (
	"context"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/mempool"
	"github.com/cometbft/cometbft/proxy"
)

// checkingApp tells what is checked.
type checkingApp struct {
	abci.BaseApplication
	checked chan abci.CheckTxType
}

func (a *checkingApp) CheckTx(_ context.Context, req *abci.RequestCheckTx) (*abci.ResponseCheckTx, error) {
	a.checked <- req.Type
	return &abci.ResponseCheckTx{}, nil
}

type gateTest struct {
	app  *checkingApp
	gate *gate
	conn proxy.AppConns
	pool *mempool.CListMempool
}

func newGateTest(t *testing.T) gateTest {
	app := &checkingApp{checked: make(chan abci.CheckTxType, 100)}
	clients := newGatedClients(app)
	clients.gate.most = time.Hour
	conns := proxy.NewAppConns(clients, proxy.NopMetrics())
	if err := conns.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conns.Stop(); err != nil {
			t.Error(err)
		}
	})
	return gateTest{app, &clients.gate, conns, mempool.NewCListMempool(cmtcfg.DefaultMempoolConfig(), conns.Mempool(), 0)}
}

// check begins a first check and returns when it waits, or has passed the gate.
func (g gateTest) check(t *testing.T, tx string) (done chan error) {
	done = make(chan error, 1)
	go func() { done <- g.pool.CheckTx([]byte(tx), nil, mempool.TxInfo{}) }()
	return done
}

// While a node works on a block it checks nothing new, and then the commit, for which the mempool is
// locked, does not wait for ever for those who wait.
func TestFirstChecksWaitForTheBlock(t *testing.T) {
	g := newGateTest(t)
	if err := <-g.check(t, "before"); err != nil || len(g.app.checked) != 1 {
		t.Fatal("a check waits without a block", err)
	}
	<-g.app.checked
	g.gate.close(1)
	done := g.check(t, "meanwhile")
	// A second check of what waits is needed for the next proposal.
	if _, err := g.conn.Mempool().CheckTxAsync(t.Context(), &abci.RequestCheckTx{Tx: []byte("before"), Type: abci.CheckTxType_Recheck}); err != nil {
		t.Fatal(err)
	}
	if kind := <-g.app.checked; kind != abci.CheckTxType_Recheck {
		t.Fatal("the check of something new did not wait")
	}
	select {
	case <-done:
		t.Fatal("a check ended though the gate is shut")
	default:
	}
	if _, err := g.conn.Consensus().FinalizeBlock(t.Context(), &abci.RequestFinalizeBlock{Height: 1}); err != nil {
		t.Fatal(err)
	}
	g.pool.Lock() // as the commit does
	err := g.pool.FlushAppConn()
	g.pool.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || <-g.app.checked != abci.CheckTxType_New {
		t.Fatal("the check is lost", err)
	}
}

// The news that a round began may come after the block was executed.
func TestGateStaysOpenForPastRounds(t *testing.T) {
	g := newGateTest(t)
	if _, err := g.conn.Consensus().FinalizeBlock(t.Context(), &abci.RequestFinalizeBlock{Height: 7}); err != nil {
		t.Fatal(err)
	}
	g.gate.close(7)
	if g.gate.shut != nil {
		t.Error("the gate is shut for a block that was executed")
	}
	g.gate.close(8)
	if g.gate.shut == nil {
		t.Error("the gate is open in the next block's round")
	}
}

// A block that is never decided keeps nobody back for ever.
func TestGateOpensWithoutABlock(t *testing.T) {
	g := newGateTest(t)
	g.gate.most = time.Millisecond
	g.gate.close(1)
	g.gate.close(1) // the next round
	if err := <-g.check(t, "tx"); err != nil {
		t.Fatal(err)
	}
	g.gate.most = time.Hour
	g.gate.close(1)
	if g.gate.shut == nil {
		t.Error("a later round does not shut the gate")
	}
}
