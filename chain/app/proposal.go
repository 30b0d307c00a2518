package app

import (
	"errors"

	abci "github.com/cometbft/cometbft/abci/types"
	cmttypes "github.com/cometbft/cometbft/types"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/mempool"
)

// budget is what a block may hold of each kind, in bytes and gas. The lane's part is kept
// free of fee-paying transactions, and the lane cannot grow beyond it, so neither starves
// the other.
type budget struct {
	laneBytes, otherBytes uint64
	laneGas, otherGas     uint64 // 0 means without limit
}

// newBudget splits the block's limits. Without a limit of the block on bytes CometBFT's own
// applies.
func (app *App) newBudget(ctx sdk.Context) (budget, error) {
	params, err := app.Power.Params(ctx)
	if err != nil {
		return budget{}, err
	}
	maxBytes, maxGas := uint64(cmttypes.MaxBlockSizeBytes), uint64(0)
	if block := ctx.ConsensusParams().Block; block != nil {
		if block.MaxBytes > 0 {
			maxBytes = uint64(block.MaxBytes)
		}
		if block.MaxGas > 0 {
			maxGas = uint64(block.MaxGas)
		}
	}
	b := budget{laneBytes: min(params.Lane.BlockBytes, maxBytes/2)}
	b.otherBytes = maxBytes - b.laneBytes
	if maxGas > 0 {
		b.laneGas = max(maxGas/2, 1)
		b.otherGas = max(maxGas-b.laneGas, 1)
	}
	return b, nil
}

// usage counts what a block holds.
type usage struct{ laneBytes, otherBytes, laneGas, otherGas uint64 }

// add counts a transaction if it fits and says whether it did.
func (u *usage) add(b budget, lane bool, size, gas uint64) bool {
	bytes, bytesMax, used, gasMax := &u.otherBytes, b.otherBytes, &u.otherGas, b.otherGas
	if lane {
		bytes, bytesMax, used, gasMax = &u.laneBytes, b.laneBytes, &u.laneGas, b.laneGas
	}
	if size > bytesMax-*bytes {
		return false
	}
	if gasMax > 0 && gas > gasMax-*used {
		return false
	}
	*bytes += size
	*used += gas
	return true
}

// smallest is the size of the smallest transaction that is worth looking for room for.
const smallest = 100

// full says whether neither kind has room for anything.
func (u usage) full(b budget) bool {
	return u.laneBytes+smallest > b.laneBytes && u.otherBytes+smallest > b.otherBytes
}

// prepareProposal fills a block with what waits, the lane first. What does not fit is passed over
// before it is checked, and with it what its sender has waiting after it. What fails its check leaves
// the mempool. Where the limits cannot be read the block is empty, which is better than none.
func (app *App) prepareProposal(ctx sdk.Context, req *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	limits, err := app.newBudget(ctx)
	if err != nil {
		app.Logger().Error("no proposal limits", "err", err)
		return &abci.ResponsePrepareProposal{}, nil
	}
	var (
		used    usage
		total   uint64
		txs     [][]byte
		invalid []sdk.Tx
		passed  = make(map[string]bool) // senders; looked up only
		encode  = app.enc.Tx.TxEncoder()
	)
	mempool.SelectBy(ctx, app.pool, req.Txs, func(waiting mempool.PooledTx) bool {
		tx := waiting.Tx
		raw, err := encode(tx)
		if err != nil {
			invalid = append(invalid, tx)
			return true
		}
		sender, _, sole := soleSequence(tx)
		if sole && passed[sender] {
			return true
		}
		size, after := protoSize(raw), used
		if total+size > uint64(max(req.MaxTxBytes, 0)) || !after.add(limits, inLane(tx), size, gasOf(tx, waiting.GasWanted)) {
			passed[sender] = sole
			return !used.full(limits)
		}
		if _, err := app.PrepareProposalVerifyTx(tx); err != nil {
			invalid = append(invalid, tx)
			return true
		}
		used, total, txs = after, total+size, append(txs, raw)
		return true
	})
	for _, tx := range invalid {
		if err := app.pool.Remove(tx); err != nil && !errors.Is(err, mempool.ErrTxNotFound) {
			return nil, err
		}
	}
	return &abci.ResponsePrepareProposal{Txs: txs}, nil
}

// processProposal accepts a block whose transactions all pass the ante handler and whose
// lane and other transactions keep to their parts.
func (app *App) processProposal(ctx sdk.Context, req *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
	reject := func(why string, keyvals ...any) (*abci.ResponseProcessProposal, error) {
		app.Logger().Error("proposal rejected", append([]any{"height", req.Height, "why", why}, keyvals...)...)
		return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_REJECT}, nil
	}
	limits, err := app.newBudget(ctx)
	if err != nil {
		return nil, err
	}
	var used usage
	for i, raw := range req.Txs {
		tx, gas, err := app.ProcessProposalVerifyTx(raw)
		if err != nil {
			return reject("transaction refused", "index", i, "err", err)
		}
		if lane := inLane(tx); !used.add(limits, lane, protoSize(raw), gasOf(tx, gas)) {
			return reject("over the limits of the block", "index", i, "lane", lane)
		}
	}
	return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_ACCEPT}, nil
}

// protoSize is a transaction's size within a block.
func protoSize(raw []byte) uint64 {
	return uint64(cmttypes.ComputeProtoSizeForTxs([]cmttypes.Tx{raw}))
}

// gasOf is the gas that a transaction counts for: what the ante handler reported or, where
// that is zero, its declared limit.
func gasOf(tx sdk.Tx, wanted uint64) uint64 {
	if wanted > 0 {
		return wanted
	}
	if t, ok := tx.(sdk.FeeTx); ok {
		return t.GetGas()
	}
	return 0
}
