package app

import (
	"cmp"
	"crypto/sha256"
	"slices"

	abci "github.com/cometbft/cometbft/abci/types"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
)

// After each block CometBFT has every waiting transaction checked again. A lane transaction passes
// that check unless its sender had another one in the block, or the lane's parameters changed: it pays
// nothing, and its signature, sequence and quota are its sender's own business. So it passes without
// being run, at the cost of a hash and a look-up, where a flood of them took longer than a block.
// What is skipped is made up for when the sender sends again, and a proposal checks all that it
// takes. This is the node's own business and no part of consensus.

// beginBlock forgets who sent the transactions of the block before.
func (p *pool) beginBlock() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.touched)
}

// committed says that the check state is that of a new block, without what waits.
func (p *pool) committed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocks++
}

// untouched says whether the transaction waits and nothing that its check reads has changed.
func (p *pool) untouched(raw []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, ok := p.waiting[sha256.Sum256(raw)]
	return ok && !p.touched[w.sender]
}

// pending returns what a sender has waiting below a sequence and the check state lacks, by sequence,
// and counts it as applied, and the one of that sequence too.
func (p *pool) pending(sender string, below uint64) []*laneTx {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*laneTx
	for _, w := range p.senders[sender] {
		if w.applied == p.blocks || w.sequence > below {
			continue
		}
		w.applied = p.blocks
		if w.sequence < below {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b *laneTx) int { return cmp.Compare(a.sequence, b.sequence) })
	return out
}

// checkTx checks a transaction for the mempool, for the first time or again.
func (app *App) checkTx(run sdk.RunTx, req *abci.RequestCheckTx) (*abci.ResponseCheckTx, error) {
	if req.Type == abci.CheckTxType_Recheck && app.pool.untouched(req.Tx) {
		return &abci.ResponseCheckTx{}, nil
	}
	tx, err := app.enc.Tx.TxDecoder()(req.Tx)
	if err != nil {
		return sdkerrors.ResponseCheckTxWithEvents(err, 0, 0, nil, false), nil
	}
	// The check state must hold what the sender has waiting, in the order of sequences.
	if sender, sequence, ok := soleSequence(tx); ok {
		for _, w := range app.pool.pending(sender, sequence) {
			// One that fails is taken out of the pool; the check below says what that means.
			_, _, _, _ = app.RunTx(sdk.ExecModeReCheck, w.raw, w.tx, -1, nil, nil)
		}
	}
	gas, result, events, err := run(req.Tx, tx)
	if err != nil {
		return sdkerrors.ResponseCheckTxWithEvents(err, gas.GasWanted, gas.GasUsed, events, false), nil
	}
	return &abci.ResponseCheckTx{
		GasWanted: int64(gas.GasWanted), GasUsed: int64(gas.GasUsed), Log: result.Log, Data: result.Data, Events: result.Events,
	}, nil
}
