package app

import (
	"context"
	"sync"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/mempool"
)

// Room in the mempool for each kind. Together they stay below the limit of CometBFT's own
// mempool, so that a flood of one kind leaves room for the other.
const (
	// LanePool is the most fee-free transactions that wait at a node.
	LanePool = 4_000
	// FeePool is the most fee-paying transactions that wait at a node.
	FeePool = 4_000
	// CometPool is the size that CometBFT's mempool must have.
	CometPool = LanePool + FeePool + 2_000
)

// pool is the SDK's priority mempool with separate room for the lane. It is safe for
// concurrent use.
type pool struct {
	*mempool.PriorityNonceMempool[int64]

	mu          sync.Mutex
	lane, other int
}

func newPool() *pool {
	return &pool{PriorityNonceMempool: mempool.NewPriorityMempool(mempool.DefaultPriorityNonceMempoolConfig())}
}

var _ mempool.ExtMempool = (*pool)(nil)

func (p *pool) counter(tx sdk.Tx) (count *int, most int) {
	if inLane(tx) {
		return &p.lane, LanePool
	}
	return &p.other, FeePool
}

// Insert returns mempool.ErrMempoolTxMaxCapacity when the kind's room is full.
func (p *pool) Insert(ctx context.Context, tx sdk.Tx, opt mempool.InsertOption) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	count, most := p.counter(tx)
	if *count >= most {
		return mempool.ErrMempoolTxMaxCapacity
	}
	before := p.PriorityNonceMempool.CountTx()
	if err := p.PriorityNonceMempool.Insert(ctx, tx, opt); err != nil {
		return err
	}
	*count += p.PriorityNonceMempool.CountTx() - before
	return nil
}

// Remove takes a transaction out.
func (p *pool) Remove(tx sdk.Tx) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.uncount(tx, p.PriorityNonceMempool.Remove(tx))
}

// RemoveWithReason takes a transaction out.
func (p *pool) RemoveWithReason(ctx context.Context, tx sdk.Tx, reason mempool.RemoveReason) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.uncount(tx, p.PriorityNonceMempool.RemoveWithReason(ctx, tx, reason))
}

// uncount lowers the count of a transaction's kind unless its removal failed. A replaced
// transaction of the other kind can leave the counts one off, which only moves the limit.
func (p *pool) uncount(tx sdk.Tx, err error) error {
	if err == nil {
		count, _ := p.counter(tx)
		*count = max(*count-1, 0)
	}
	return err
}
