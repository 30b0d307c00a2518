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

// newAnteHandler returns the checks before a transaction runs, cheapest first.
func newAnteHandler(app *App) sdk.AnteHandler {
	return sdk.ChainAnteDecorators(
		ante.NewSetUpContextDecorator(),
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
