package app

import (
	"context"
	"crypto/sha256"
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

// pool is the SDK's priority mempool with separate room for the lane. Of lane transactions it also
// knows what their next check after a block depends on, so that this check costs a look-up: see
// recheck.go. It is safe for concurrent use.
type pool struct {
	*mempool.PriorityNonceMempool[int64]

	mu          sync.Mutex
	lane, other int
	waiting     map[[32]byte]*laneTx          // by the hash of the transaction
	senders     map[string]map[uint64]*laneTx // the same by sender and sequence
	touched     map[string]bool               // senders of the last block's transactions
	blocks      uint64                        // committed since the node began
}

// laneTx is a waiting lane transaction.
type laneTx struct {
	hash     [32]byte
	tx       sdk.Tx
	raw      []byte
	sender   string
	sequence uint64
	// applied is the value of blocks at which the check state last held what the transaction does to
	// its sender's sequence and quota.
	applied uint64
}

func newPool() *pool {
	return &pool{
		PriorityNonceMempool: mempool.NewPriorityMempool(mempool.DefaultPriorityNonceMempoolConfig()),
		waiting:              make(map[[32]byte]*laneTx), senders: make(map[string]map[uint64]*laneTx),
		touched: make(map[string]bool),
	}
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
	added := p.PriorityNonceMempool.CountTx() - before
	if added == 0 && p.replacesLane(tx) {
		p.lane--
		added = 1
	}
	*count += added
	p.track(ctx, tx)
	return nil
}

// replacesLane says whether a transaction takes the place of one of the lane. Only those can be replaced:
// their sequence is not in the check state once a block has passed, see recheck.go.
func (p *pool) replacesLane(tx sdk.Tx) bool {
	sender, sequence, ok := soleSequence(tx)
	return ok && p.senders[sender][sequence] != nil
}

// paying says whether transactions outside the lane wait.
func (p *pool) paying() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.other > 0
}

// track remembers a lane transaction that its check can be skipped for: with one signer, a sequence, and
// no height at which it becomes void.
func (p *pool) track(ctx context.Context, tx sdk.Tx) {
	sender, sequence, ok := soleSequence(tx)
	if !ok {
		return
	}
	p.untrack(sender, sequence) // the one that this replaces
	at, ok := ctx.(sdk.Context)
	if timeout, has := tx.(sdk.TxWithTimeoutHeight); !ok || !inLane(tx) || has && timeout.GetTimeoutHeight() != 0 {
		return
	}
	raw := at.TxBytes()
	w := &laneTx{hash: sha256.Sum256(raw), tx: tx, raw: raw, sender: sender, sequence: sequence, applied: p.blocks}
	p.waiting[w.hash] = w
	if p.senders[sender] == nil {
		p.senders[sender] = make(map[uint64]*laneTx)
	}
	p.senders[sender][sequence] = w
}

func (p *pool) untrack(sender string, sequence uint64) {
	w, ok := p.senders[sender][sequence]
	if !ok {
		return
	}
	delete(p.waiting, w.hash)
	delete(p.senders[sender], sequence)
	if len(p.senders[sender]) == 0 {
		delete(p.senders, sender)
	}
}

// soleSequence returns the only signer of an ordered transaction and its sequence.
func soleSequence(tx sdk.Tx) (sender string, sequence uint64, ok bool) {
	if u, is := tx.(sdk.TxWithUnordered); is && u.GetUnordered() {
		return "", 0, false
	}
	addr, sequence, err := soleSigner(tx)
	return string(addr), sequence, err == nil
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
	if sender, _, ok := soleSequence(tx); ok && reason.Caller == mempool.CallerRunTxFinalize {
		p.touched[sender] = true
	}
	return p.uncount(tx, p.PriorityNonceMempool.RemoveWithReason(ctx, tx, reason))
}

// uncount lowers the count of a transaction's kind unless its removal failed.
func (p *pool) uncount(tx sdk.Tx, err error) error {
	if err == nil {
		count, _ := p.counter(tx)
		*count = max(*count-1, 0)
	}
	if sender, sequence, ok := soleSequence(tx); ok {
		p.untrack(sender, sequence)
	}
	return err
}
