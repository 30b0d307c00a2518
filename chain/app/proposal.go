package app

import (
	"context"

	abci "github.com/cometbft/cometbft/abci/types"
	cmttypes "github.com/cometbft/cometbft/types"

	"github.com/cosmos/cosmos-sdk/baseapp"
	sdk "github.com/cosmos/cosmos-sdk/types"
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

// selector fills a proposal; the mempool offers the lane first. It is used by one proposal
// at a time.
type selector struct {
	app    *App
	ready  bool
	limits budget
	used   usage
	txs    [][]byte
}

var _ baseapp.TxSelector = (*selector)(nil)

func (s *selector) SelectedTxs(context.Context) [][]byte { return append([][]byte(nil), s.txs...) }

func (s *selector) Clear() { *s = selector{app: s.app} }

// SelectTxForProposal adds a transaction that fits. It stops the selection when neither kind
// has room for the smallest transaction, or when the block's limits cannot be read: an empty
// block is better than none.
func (s *selector) SelectTxForProposal(ctx context.Context, maxTxBytes, _ uint64, tx sdk.Tx, raw []byte, gasWanted uint64) bool {
	if !s.ready {
		limits, err := s.app.newBudget(sdk.UnwrapSDKContext(ctx))
		if err != nil {
			s.app.Logger().Error("no proposal limits", "err", err)
			return true
		}
		s.limits, s.ready = limits, true
	}
	size := protoSize(raw)
	if s.used.laneBytes+s.used.otherBytes+size > maxTxBytes {
		return false
	}
	if s.used.add(s.limits, inLane(tx), size, gasOf(tx, gasWanted)) {
		s.txs = append(s.txs, raw)
	}
	const smallest = 100
	return s.used.laneBytes+smallest > s.limits.laneBytes && s.used.otherBytes+smallest > s.limits.otherBytes
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
