package app

import (
	"context"
	"math"

	errorsmod "cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"

	powerkeeper "github.com/assaynet/assay/chain/power/keeper"
	powertypes "github.com/assaynet/assay/chain/power/types"
)

// laneMessages are the messages that pay no fee when a transaction has no other.
var laneMessages = map[string]bool{
	"/assay.power.v1.MsgRegister":    true,
	"/assay.sprint.v1.MsgCommitWork": true,
	"/assay.audit.v1.MsgVerdict":     true,
	"/assay.audit.v1.MsgReport":      true,
	"/assay.audit.v1.MsgAnswer":      true,
	"/assay.audit.v1.MsgDemand":      true, // its deposit bounds it
	"/assay.audit.v1.MsgChallenge":   true,
	"/assay.audit.v1.MsgOpenKeyed":   true,
	"/assay.audit.v1.MsgReportKeyed": true,
	// A miner without coins earns its first ones by these.
	"/assay.work.v1.MsgCommitReceipts": true,
	"/assay.work.v1.MsgSettle":         true,
}

// lanePriority puts the lane before every fee-paying transaction of the mempool.
const lanePriority = math.MaxInt64

// inLane says whether the transaction travels in the fee-free lane: it offers no fee and has
// only lane messages.
func inLane(tx sdk.Tx) bool {
	fee, ok := tx.(sdk.FeeTx)
	if !ok || !fee.GetFee().IsZero() {
		return false
	}
	msgs := tx.GetMsgs()
	for _, m := range msgs {
		if !laneMessages[sdk.MsgTypeURL(m)] {
			return false
		}
	}
	return len(msgs) > 0
}

type laneKey struct{}

// laneDecorator recognises the lane and applies the checks that need no signature: sizes,
// count and, for a sender without power, the hash stamp.
type laneDecorator struct{ power powerkeeper.Keeper }

func (d laneDecorator) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool, next sdk.AnteHandler) (sdk.Context, error) {
	if ctx.BlockHeight() == 0 || !inLane(tx) {
		return next(ctx, tx, simulate)
	}
	params, err := d.power.Params(ctx)
	if err != nil {
		return ctx, err
	}
	lane := params.Lane
	gas, ok := tx.(sdk.FeeTx)
	if !ok {
		return ctx, errorsmod.Wrap(sdkerrors.ErrTxDecode, "transaction has no gas limit")
	}
	switch size := uint64(len(ctx.TxBytes())); {
	case size > lane.TxBytes:
		return ctx, powertypes.ErrLaneLimit.Wrapf("%d bytes, at most %d", size, lane.TxBytes)
	case gas.GetGas() > lane.TxGas:
		return ctx, powertypes.ErrLaneLimit.Wrapf("gas limit %d, at most %d", gas.GetGas(), lane.TxGas)
	case len(tx.GetMsgs()) > int(lane.TxMessages):
		return ctx, powertypes.ErrLaneLimit.Wrapf("%d messages, at most %d", len(tx.GetMsgs()), lane.TxMessages)
	}
	sender, sequence, err := soleSigner(tx)
	if err != nil {
		return ctx, err
	}
	if !simulate && !ctx.IsReCheckTx() {
		if err := d.checkStamp(ctx, tx, lane, sender, sequence); err != nil {
			return ctx, err
		}
	}
	return next(ctx.WithValue(laneKey{}, true).WithPriority(lanePriority), tx, simulate)
}

// checkStamp asks a sender without power for a hash stamp.
func (d laneDecorator) checkStamp(ctx sdk.Context, tx sdk.Tx, lane powertypes.Lane, sender sdk.AccAddress, sequence uint64) error {
	weight, err := d.power.Weight(ctx, sender)
	if err != nil || weight > 0 {
		return err
	}
	memo, ok := tx.(sdk.TxWithMemo)
	if !ok {
		return errorsmod.Wrap(sdkerrors.ErrTxDecode, "transaction has no memo")
	}
	stamp, err := powertypes.NewStamp(ctx.ChainID(), sender, sequence, tx.GetMsgs())
	if err != nil {
		return err
	}
	return stamp.Check(memo.GetMemo(), lane.StampBits)
}

// quotaDecorator counts lane transactions of a sender. It runs after the signature is
// verified, so that nobody uses up another's quota.
type quotaDecorator struct{ power powerkeeper.Keeper }

func (d quotaDecorator) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool, next sdk.AnteHandler) (sdk.Context, error) {
	if isLane(ctx) && !simulate {
		sender, _, err := soleSigner(tx)
		if err != nil {
			return ctx, err
		}
		use := d.power.UseLane
		if onlyAnswers(tx) {
			use = d.power.UseAnswer
		}
		if err := use(ctx, sender); err != nil {
			return ctx, err
		}
	}
	return next(ctx, tx, simulate)
}

// onlyAnswers says whether a transaction does nothing but answer demands.
func onlyAnswers(tx sdk.Tx) bool {
	for _, m := range tx.GetMsgs() {
		if sdk.MsgTypeURL(m) != "/assay.audit.v1.MsgAnswer" {
			return false
		}
	}
	return true
}

// unlessLane skips a decorator for the lane: the one that takes the fee.
type unlessLane struct{ sdk.AnteDecorator }

func (d unlessLane) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool, next sdk.AnteHandler) (sdk.Context, error) {
	if isLane(ctx) {
		return next(ctx, tx, simulate)
	}
	return d.AnteDecorator.AnteHandle(ctx, tx, simulate, next)
}

func isLane(ctx context.Context) bool {
	lane, _ := ctx.Value(laneKey{}).(bool)
	return lane
}

// soleSigner returns the only signer of a transaction and the sequence it signed for.
func soleSigner(tx sdk.Tx) (sdk.AccAddress, uint64, error) {
	signed, ok := tx.(authsigning.SigVerifiableTx)
	if !ok {
		return nil, 0, errorsmod.Wrap(sdkerrors.ErrTxDecode, "transaction cannot be verified")
	}
	signers, err := signed.GetSigners()
	if err != nil {
		return nil, 0, err
	}
	sigs, err := signed.GetSignaturesV2()
	if err != nil {
		return nil, 0, err
	}
	if len(signers) != 1 || len(sigs) != 1 {
		return nil, 0, powertypes.ErrLaneLimit.Wrapf("%d signers and %d signatures, want one", len(signers), len(sigs))
	}
	return signers[0], sigs[0].Sequence, nil
}
