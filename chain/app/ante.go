package app

import (
	"math"

	errorsmod "cosmossdk.io/errors"
	sdkmath "cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/x/auth/ante"

	"github.com/assaynet/assay/chain/params"
)

// gasPerFee is the gas that one base unit of the fee buys, at every node: blocks cannot be
// filled for nothing, whatever a proposer asks for. A node may ask for more.
const gasPerFee = 1_000

// txGas is charged for every transaction, beside what the SDK asks for its bytes, for what it reads and
// for what it writes. Those prices know nothing of what costs most: that each node decodes, verifies and
// runs it in the mempool, in the proposal and in the block, hashes what it changed, indexes and keeps it.
// All that takes about 1.7 ms of a processor for a payment or a commitment alike, which use 80,000 and
// 70,000 gas by themselves; with this much more a millisecond is about 200,000 gas (docs/bench/scale.md).
// sdk/client and chain/cli know it.
const txGas = 300_000

// txGasDecorator charges txGas.
type txGasDecorator struct{}

func (txGasDecorator) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool, next sdk.AnteHandler) (sdk.Context, error) {
	if ctx.BlockHeight() > 0 {
		ctx.GasMeter().ConsumeGas(txGas, "transaction")
	}
	return next(ctx, tx, simulate)
}

// newAnteHandler returns the checks before a transaction runs, cheapest first.
func newAnteHandler(app *App) sdk.AnteHandler {
	return sdk.ChainAnteDecorators(
		ante.NewSetUpContextDecorator(),
		txGasDecorator{},
		laneDecorator{power: app.Power},
		ante.NewExtensionOptionsDecorator(nil),
		ante.NewValidateBasicDecorator(),
		ante.NewTxTimeoutHeightDecorator(),
		ante.NewValidateMemoDecorator(app.Accounts),
		ante.NewConsumeGasForTxSizeDecorator(app.Accounts),
		unlessLane{ante.NewDeductFeeDecorator(app.Accounts, app.Bank, app.FeeGrant, checkFee)},
		newSignatures(app.Accounts, app.enc.Tx.SignModeHandler(), new(verified)),
		quotaDecorator{power: app.Power},
		witnessDecorator{sprint: app.Sprint, witness: app.witness},
	)
}

// checkFee asks for the protocol's smallest fee always and for the node's own in its
// mempool. The priority is the fee for each gasPerFee of gas.
func checkFee(ctx sdk.Context, tx sdk.Tx) (sdk.Coins, int64, error) {
	feeTx, ok := tx.(sdk.FeeTx)
	if !ok {
		return nil, 0, errorsmod.Wrap(sdkerrors.ErrTxDecode, "transaction has no fee")
	}
	fee, gas := feeTx.GetFee(), feeTx.GetGas()
	if ctx.BlockHeight() == 0 {
		return fee, 0, nil
	}
	for _, coin := range fee {
		if coin.Denom != params.BaseDenom {
			return nil, 0, errorsmod.Wrapf(sdkerrors.ErrInsufficientFee, "fee in %s, want %s", coin.Denom, params.BaseDenom)
		}
	}
	paid := fee.AmountOf(params.BaseDenom)
	least := sdkmath.NewIntFromUint64(gas/gasPerFee + 1)
	if paid.LT(least) {
		return nil, 0, errorsmod.Wrapf(sdkerrors.ErrInsufficientFee, "fee %s%s for a gas limit of %d, want at least %s%s",
			paid, params.BaseDenom, gas, least, params.BaseDenom)
	}
	if ctx.IsCheckTx() {
		for _, price := range ctx.MinGasPrices() {
			want := price.Amount.MulInt(sdkmath.NewIntFromUint64(gas)).Ceil().RoundInt()
			if fee.AmountOf(price.Denom).LT(want) {
				return nil, 0, errorsmod.Wrapf(sdkerrors.ErrInsufficientFee, "fee %s, this node wants %s%s", fee, want, price.Denom)
			}
		}
	}
	priority := paid.Quo(least)
	if !priority.IsInt64() || priority.Int64() >= lanePriority {
		return fee, math.MaxInt64 - 1, nil
	}
	return fee, priority.Int64(), nil
}
