package app

import (
	"errors"

	abci "github.com/cometbft/cometbft/abci/types"
	cmttypes "github.com/cometbft/cometbft/types"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/mempool"
)

// budget is what a block may hold of each kind, in bytes and gas. The lane's part is kept
// free of fee-paying transactions. Of gas the lane may use besides what they leave of theirs, so that
// the commitments of an epoch pass at the whole block's rate while nobody pays: a proposer gives each
// kind its own part first, so neither starves the other.
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

// add counts a transaction if it fits and says whether it did. Payments keep to their part. So does
// the lane unless it may have the rest, which is what payments leave of theirs.
func (u *usage) add(b budget, lane, rest bool, size, gas uint64) bool {
	bytes, bytesMax, used, gasMax := &u.otherBytes, b.otherBytes, &u.otherGas, b.otherGas
	if lane {
		bytes, bytesMax, used, gasMax = &u.laneBytes, b.laneBytes, &u.laneGas, b.laneGas
	}
	if size > bytesMax-*bytes {
		return false
	}
	if b.laneGas > 0 { // or no gas is limited
		if (!lane || !rest) && gas > gasMax-min(*used, gasMax) {
			return false
		}
		if gas > b.laneGas+b.otherGas-u.laneGas-u.otherGas {
			return false
		}
	}
	*bytes += size
	*used += gas
	return true
}

// smallest is the size of the smallest transaction that is worth looking for room for.
const smallest = 100

// full says whether a kind's own part has room for nothing more.
func (u usage) full(b budget, lane bool) bool {
	if lane {
		return u.laneBytes+smallest > b.laneBytes || b.laneGas > 0 && u.laneGas+txGas > b.laneGas
	}
	return u.otherBytes+smallest > b.otherBytes || b.laneGas > 0 && u.otherGas+txGas > b.otherGas
}

// proposal is a block in the making.
type proposal struct {
	app    *App
	limits budget
	used   usage
	bytes  uint64 // of all transactions
	most   uint64 // of bytes

	txs     [][]byte
	invalid []sdk.Tx
}

// take puts a transaction into the block and says whether there was room; what fails its check is
// remembered as invalid.
func (p *proposal) take(w mempool.PooledTx, rest bool) (room bool) {
	raw, err := p.app.enc.Tx.TxEncoder()(w.Tx)
	if err != nil {
		p.invalid = append(p.invalid, w.Tx)
		return true
	}
	size, after := protoSize(raw), p.used
	if p.bytes+size > p.most || !after.add(p.limits, inLane(w.Tx), rest, size, gasOf(w.Tx, w.GasWanted)) {
		return false
	}
	if _, err := p.app.PrepareProposalVerifyTx(w.Tx); err != nil {
		p.invalid = append(p.invalid, w.Tx)
		return true
	}
	p.used, p.bytes, p.txs = after, p.bytes+size, append(p.txs, raw)
	return true
}

// prepareProposal fills a block with what waits, the lane first, each kind up to its part; then the lane
// gets what is left. What does not fit is passed over before it is checked, and with it what its sender
// has waiting after it. What fails its check leaves the mempool. Where the limits cannot be read the
// block is empty, which is better than none. Where nobody pays it looks at two blocks' worth of
// transactions at most, however many wait.
func (app *App) prepareProposal(ctx sdk.Context, req *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	limits, err := app.newBudget(ctx)
	if err != nil {
		app.Logger().Error("no proposal limits", "err", err)
		return &abci.ResponsePrepareProposal{}, nil
	}
	p := proposal{app: app, limits: limits, most: uint64(max(req.MaxTxBytes, 0))}
	var left []mempool.PooledTx // of the lane, in order
	leftGas, paying := uint64(0), app.pool.paying()
	// Senders of whom something was passed over, and those of them who wait for a payment: looked up only.
	passed, blocked := make(map[string]bool), make(map[string]bool)
	mempool.SelectBy(ctx, app.pool, req.Txs, func(w mempool.PooledTx) bool {
		sender, _, sole := soleSequence(w.Tx)
		lane := inLane(w.Tx)
		if sole && passed[sender] || p.used.full(limits, lane) || !p.take(w, false) {
			passed[sender] = passed[sender] || sole
			switch {
			case !lane:
				blocked[sender] = sole
			case !blocked[sender]:
				left, leftGas = append(left, w), leftGas+gasOf(w.Tx, w.GasWanted)
			}
		}
		return !p.used.full(limits, true) || !p.used.full(limits, false) && (paying || leftGas <= limits.laneGas+limits.otherGas)
	})
	clear(passed)
	for _, w := range left {
		sender, _, sole := soleSequence(w.Tx)
		if p.used.laneGas+p.used.otherGas+txGas > limits.laneGas+limits.otherGas {
			break
		}
		if sole && passed[sender] || !p.take(w, true) {
			passed[sender] = passed[sender] || sole
		}
	}
	for _, tx := range p.invalid {
		if err := app.pool.Remove(tx); err != nil && !errors.Is(err, mempool.ErrTxNotFound) {
			return nil, err
		}
	}
	return &abci.ResponsePrepareProposal{Txs: p.txs}, nil
}

// processProposal accepts a block whose transactions all pass the ante handler and keep to their
// parts; the lane may have what the others leave.
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
		if lane := inLane(tx); !used.add(limits, lane, true, protoSize(raw), gasOf(tx, gas)) {
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
