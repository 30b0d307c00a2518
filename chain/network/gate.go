package network

import (
	"context"
	"fmt"
	"sync"
	"time"

	abcicli "github.com/cometbft/cometbft/abci/client"
	abci "github.com/cometbft/cometbft/abci/types"
	cmtsync "github.com/cometbft/cometbft/libs/sync"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/proxy"
	cmttypes "github.com/cometbft/cometbft/types"
)

// gateMost is the longest that a round of consensus keeps first checks back: where rounds fail, or
// blocks take longer than that, checks go on beside them.
const gateMost = time.Second

// gate keeps first checks of transactions back while the node works on a block: from the beginning of
// its round until it was executed. Whoever waits for a check can wait; the block of the whole network
// waits for the slowest third. So a node takes in what its blocks leave it time for, and a flood makes
// the mempool full, not the blocks late. Checks after a block are not kept back, since the next proposal
// needs them. It is safe for concurrent use.
type gate struct {
	most time.Duration // that it is shut at a time

	mu     sync.Mutex
	height int64         // of the last block that was executed
	shut   chan struct{} // closed when the gate opens; nil while it is open
	timer  *time.Timer
}

// close shuts the gate for a bounded time, because a round began at a height. A block that was
// executed already has no rounds.
func (g *gate) close(height int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if height <= g.height {
		return
	}
	if g.shut == nil {
		g.shut = make(chan struct{})
	} else {
		g.timer.Stop()
	}
	shut := g.shut
	g.timer = time.AfterFunc(g.most, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.shut == shut {
			g.release()
		}
	})
}

// open lets through who waits, because the block of a height was executed.
func (g *gate) open(height int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.height = height
	if g.shut != nil {
		g.timer.Stop()
		g.release()
	}
}

// follow shuts the gate at the beginning of each round until the context or the node ends.
func (g *gate) follow(ctx context.Context, n *node.Node) error {
	for {
		rounds, err := n.EventBus().Subscribe(ctx, "assay-gate", cmttypes.EventQueryNewRound, 16)
		if err != nil {
			return fmt.Errorf("network: follow rounds: %w", err)
		}
		for again := false; !again; {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-n.Quit():
				return nil
			case <-rounds.Canceled(): // more of them came than fit
				again = true
			case m := <-rounds.Out():
				if r, ok := m.Data().(cmttypes.EventDataNewRound); ok {
					g.close(r.Height)
				}
			}
		}
	}
}

func (g *gate) release() {
	close(g.shut)
	g.shut = nil
}

// wait returns when the gate is open or was opened meanwhile.
func (g *gate) wait() {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut != nil {
		<-shut
	}
}

// gatedClients connects CometBFT with the application as CometBFT's own local clients do, one call at a
// time, and with a gate before first checks. The gate opens before CometBFT locks its mempool for the
// commit, because who waits at it holds that lock's other side.
type gatedClients struct {
	mtx  cmtsync.Mutex
	gate gate
	app  abci.Application
}

var _ proxy.ClientCreator = (*gatedClients)(nil)

func newGatedClients(app abci.Application) *gatedClients {
	return &gatedClients{app: app, gate: gate{most: gateMost}}
}

func (c *gatedClients) NewABCIClient() (abcicli.Client, error) {
	return gatedClient{abcicli.NewLocalClient(&c.mtx, c.app), &c.gate}, nil
}

type gatedClient struct {
	abcicli.Client
	gate *gate
}

func (c gatedClient) CheckTxAsync(ctx context.Context, req *abci.RequestCheckTx) (*abcicli.ReqRes, error) {
	if req.Type == abci.CheckTxType_New {
		c.gate.wait()
	}
	return c.Client.CheckTxAsync(ctx, req)
}

func (c gatedClient) FinalizeBlock(ctx context.Context, req *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	defer c.gate.open(req.Height)
	return c.Client.FinalizeBlock(ctx, req)
}
