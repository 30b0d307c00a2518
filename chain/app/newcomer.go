package app

import (
	"bytes"

	"google.golang.org/protobuf/types/known/anypb"

	errorsmod "cosmossdk.io/errors"

	cdctypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	"github.com/cosmos/cosmos-sdk/x/auth/ante"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"
	txsigning "github.com/cosmos/cosmos-sdk/x/tx/signing"

	powertypes "github.com/assaynet/assay/chain/power/types"
)

// signatures verifies the signatures of a transaction and increments sequences. A newcomer,
// whose account does not exist, signs its first MsgRegister with account number 0 and
// sequence 0, because nobody can know the number that the chain will give it; the account is
// created here. The transaction cannot be replayed: from then on the account exists.
type signatures struct {
	accounts authkeeper.AccountKeeper
	modes    *txsigning.HandlerMap
	known    sdk.AnteHandler
}

func newSignatures(accounts authkeeper.AccountKeeper, modes *txsigning.HandlerMap, known *verified) signatures {
	return signatures{
		accounts: accounts,
		modes:    modes,
		known: sdk.ChainAnteDecorators(
			ante.NewSetPubKeyDecorator(accounts),
			ante.NewValidateSigCountDecorator(accounts),
			ante.NewSigGasConsumeDecorator(accounts, ante.DefaultSigVerificationGasConsumer),
			verifyDecorator{ante.NewSigVerificationDecorator(accounts, modes), accounts, known},
			ante.NewIncrementSequenceDecorator(accounts),
		),
	}
}

func (d signatures) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool, next sdk.AnteHandler) (sdk.Context, error) {
	if isLane(ctx) {
		sender, _, err := soleSigner(tx)
		if err != nil {
			return ctx, err
		}
		if !d.accounts.HasAccount(ctx, sender) {
			if err := d.admit(ctx, tx, sender, simulate); err != nil {
				return ctx, err
			}
			return next(ctx, tx, simulate)
		}
	}
	ctx, err := d.known(ctx, tx, simulate)
	if err != nil {
		return ctx, err
	}
	return next(ctx, tx, simulate)
}

// admit verifies a newcomer's registration and creates its account.
func (d signatures) admit(ctx sdk.Context, tx sdk.Tx, sender sdk.AccAddress, simulate bool) error {
	msgs := tx.GetMsgs()
	if len(msgs) != 1 {
		return powertypes.ErrNewcomerFormat.Wrapf("%d messages from %s, which has no account: want one MsgRegister", len(msgs), sender)
	}
	if _, ok := msgs[0].(*powertypes.MsgRegister); !ok {
		return powertypes.ErrNewcomerFormat.Wrapf("%s from %s, which has no account: want MsgRegister", sdk.MsgTypeURL(msgs[0]), sender)
	}
	signed, ok := tx.(authsigning.SigVerifiableTx)
	if !ok {
		return errorsmod.Wrap(sdkerrors.ErrTxDecode, "transaction cannot be verified")
	}
	sigs, err := signed.GetSignaturesV2()
	if err != nil {
		return err
	}
	key, ok := sigs[0].PubKey.(*secp256k1.PubKey)
	if !ok {
		return errorsmod.Wrapf(sdkerrors.ErrInvalidPubKey, "key of a newcomer is %T, want secp256k1", sigs[0].PubKey)
	}
	if !bytes.Equal(key.Address(), sender) {
		return errorsmod.Wrapf(sdkerrors.ErrInvalidPubKey, "key has address %s, want %s", sdk.AccAddress(key.Address()), sender)
	}
	if sigs[0].Sequence != 0 {
		return errorsmod.Wrapf(sdkerrors.ErrWrongSequence, "sequence of a newcomer is %d, want 0", sigs[0].Sequence)
	}
	if err := ante.DefaultSigVerificationGasConsumer(ctx.GasMeter(), sigs[0], d.accounts.GetParams(ctx)); err != nil {
		return err
	}
	if !simulate && !ctx.IsReCheckTx() && ctx.IsSigverifyTx() {
		if err := d.verify(ctx, tx, sender, key, sigs[0]); err != nil {
			return err
		}
	}
	account := d.accounts.NewAccountWithAddress(ctx, sender)
	if err := account.SetPubKey(key); err != nil {
		return err
	}
	if err := account.SetSequence(1); err != nil {
		return err
	}
	d.accounts.SetAccount(ctx, account)
	return nil
}

func (d signatures) verify(ctx sdk.Context, tx sdk.Tx, sender sdk.AccAddress, key *secp256k1.PubKey, sig signing.SignatureV2) error {
	packed, err := cdctypes.NewAnyWithValue(key)
	if err != nil {
		return err
	}
	adaptable, ok := tx.(authsigning.V2AdaptableTx)
	if !ok {
		return errorsmod.Wrap(sdkerrors.ErrTxDecode, "transaction cannot be verified")
	}
	data := txsigning.SignerData{
		Address: sender.String(),
		ChainID: ctx.ChainID(),
		PubKey:  &anypb.Any{TypeUrl: packed.TypeUrl, Value: packed.Value},
	}
	err = authsigning.VerifySignature(ctx, key, data, sig.Data, d.modes, adaptable.GetSigningTxData())
	if err != nil {
		return errorsmod.Wrapf(sdkerrors.ErrUnauthorized,
			"signature of a newcomer (account number 0, sequence 0, chain %s): %v", ctx.ChainID(), err)
	}
	return nil
}
