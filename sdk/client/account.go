package client

import (
	"context"
	"errors"
	"fmt"
	"sync"

	errorsmod "cosmossdk.io/errors"

	"github.com/cosmos/cosmos-sdk/client/tx"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	txtypes "github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/assaynet/assay/chain/params"
	powertypes "github.com/assaynet/assay/chain/power/types"
)

// Account signs and sends transactions of one key. Transactions of one account
// are sent one after the other, each included before the next is signed, so
// that sequence numbers never race. It is safe for concurrent use.
type Account struct {
	c    *Client
	key  cryptotypes.PrivKey
	addr sdk.AccAddress

	mu sync.Mutex
}

// Account returns the account of a private key on this client.
func (c *Client) Account(key cryptotypes.PrivKey) *Account {
	return &Account{c: c, key: key, addr: sdk.AccAddress(key.PubKey().Address())}
}

// Address is the account's bech32 address.
func (a *Account) Address() string {
	s, err := sdk.Bech32ifyAddressBytes(params.Bech32Prefix, a.addr)
	if err != nil {
		panic(err) // the prefix is a constant and the length that of a key hash
	}
	return s
}

// Bytes are the address bytes.
func (a *Account) Bytes() []byte { return a.addr.Bytes() }

// Key signs for the account.
func (a *Account) Key() cryptotypes.PrivKey { return a.key }

// SendOptions of a transaction.
type SendOptions struct {
	// Gas is the gas limit. Default DefaultGas of the messages.
	Gas uint64
	// Fee in ngnk; zero pays what the chain asks for the gas limit.
	Fee int64
	// Lane sends without a fee: only for the messages of the fee-free lane.
	// A sender without power puts the hash stamp on it that the chain asks for.
	Lane bool
}

// gasPerFee is the gas that one ngnk of fee buys: chain/app's minimum gas
// price of 0.001 ngnk.
const gasPerFee = 1000

// TxError is a transaction that the chain refused. Code and Codespace are
// stable; Log is for people.
type TxError struct {
	Codespace string
	Code      uint32
	Log       string
	Hash      string
	Height    int64 // 0 when it was refused before a block
}

func (e *TxError) Error() string {
	return fmt.Sprintf("transaction refused (%s %d): %s", e.Codespace, e.Code, e.Log)
}

// Send signs the messages as one transaction, broadcasts it and waits until a
// block holds it. A refusal is a *TxError.
func (a *Account) Send(ctx context.Context, opt SendOptions, msgs ...sdk.Msg) (*sdk.TxResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.once(ctx, opt, 0, msgs)
	var refused *TxError
	if opt.Lane && errors.As(err, &refused) && refused.Codespace == powertypes.ModuleName && refused.Code == powertypes.ErrStamp.ABCICode() {
		p, qerr := powertypes.NewQueryClient(a.c.conn).Params(ctx, &powertypes.QueryParamsRequest{})
		if qerr != nil {
			return nil, errors.Join(err, fmt.Errorf("client: size of the stamp: %w", qerr))
		}
		return a.once(ctx, opt, p.Params.Lane.StampBits, msgs)
	}
	return r, err
}

func (a *Account) once(ctx context.Context, opt SendOptions, stampBits uint32, msgs []sdk.Msg) (*sdk.TxResponse, error) {
	raw, err := a.sign(ctx, opt, stampBits, msgs)
	if err != nil {
		return nil, err
	}
	return a.c.broadcast(ctx, raw)
}

// numbers returns account number and sequence, zeros for an account that does
// not exist yet.
func (a *Account) numbers(ctx context.Context) (number, sequence uint64, err error) {
	r, err := authtypes.NewQueryClient(a.c.conn).AccountInfo(ctx, &authtypes.QueryAccountInfoRequest{Address: a.Address()})
	if status.Code(err) == codes.NotFound {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("client: account %s: %w", a.Address(), err)
	}
	return r.Info.AccountNumber, r.Info.Sequence, nil
}

func (a *Account) sign(ctx context.Context, opt SendOptions, stampBits uint32, msgs []sdk.Msg) ([]byte, error) {
	number, sequence, err := a.numbers(ctx)
	if err != nil {
		return nil, err
	}
	b := a.c.enc.Tx.NewTxBuilder()
	if err := b.SetMsgs(msgs...); err != nil {
		return nil, fmt.Errorf("client: messages: %w", err)
	}
	if opt.Gas == 0 {
		opt.Gas = DefaultGas(msgs...)
	}
	b.SetGasLimit(opt.Gas)
	if opt.Fee == 0 && !opt.Lane {
		opt.Fee = int64(opt.Gas/gasPerFee) + 1
	}
	if opt.Fee > 0 {
		b.SetFeeAmount(sdk.NewCoins(sdk.NewInt64Coin(params.BaseDenom, opt.Fee)))
	}
	if stampBits > 0 {
		stamp, err := powertypes.NewStamp(a.c.cfg.ChainID, a.addr, sequence, msgs)
		if err != nil {
			return nil, fmt.Errorf("client: stamp: %w", err)
		}
		b.SetMemo(stamp.Mint(stampBits))
	}
	// The signer info is part of what is signed: set it, then sign over it.
	mode := signing.SignMode_SIGN_MODE_DIRECT
	err = b.SetSignatures(signing.SignatureV2{
		PubKey: a.key.PubKey(), Sequence: sequence,
		Data: &signing.SingleSignatureData{SignMode: mode},
	})
	if err != nil {
		return nil, fmt.Errorf("client: signer: %w", err)
	}
	sig, err := tx.SignWithPrivKey(ctx, mode, authsigning.SignerData{
		Address: a.Address(), ChainID: a.c.cfg.ChainID,
		AccountNumber: number, Sequence: sequence, PubKey: a.key.PubKey(),
	}, b, a.key, a.c.enc.Tx, sequence)
	if err != nil {
		return nil, fmt.Errorf("client: sign: %w", err)
	}
	if err := b.SetSignatures(sig); err != nil {
		return nil, fmt.Errorf("client: signature: %w", err)
	}
	return a.c.enc.Tx.TxEncoder()(b.GetTx())
}

// broadcast hands a signed transaction to the node and waits for a block.
func (c *Client) broadcast(ctx context.Context, raw []byte) (*sdk.TxResponse, error) {
	svc := txtypes.NewServiceClient(c.conn)
	r, err := svc.BroadcastTx(ctx, &txtypes.BroadcastTxRequest{TxBytes: raw, Mode: txtypes.BroadcastMode_BROADCAST_MODE_SYNC})
	if err != nil {
		return nil, fmt.Errorf("client: broadcast: %w", err)
	}
	if r.TxResponse.Code != 0 {
		return nil, refused(r.TxResponse)
	}
	for {
		got, err := svc.GetTx(ctx, &txtypes.GetTxRequest{Hash: r.TxResponse.TxHash})
		if err == nil {
			if got.TxResponse.Code != 0 {
				return nil, refused(got.TxResponse)
			}
			return got.TxResponse, nil
		}
		if status.Code(err) != codes.NotFound {
			return nil, fmt.Errorf("client: look up transaction %s: %w", r.TxResponse.TxHash, err)
		}
		if err := c.pause(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("client: transaction %s was not included", r.TxResponse.TxHash), err)
		}
	}
}

func refused(r *sdk.TxResponse) error {
	e := &TxError{Codespace: r.Codespace, Code: r.Code, Log: r.RawLog, Hash: r.TxHash, Height: r.Height}
	if e.Log == "" { // nodes leave it out for what their mempool refuses
		e.Log = errorsmod.ABCIError(r.Codespace, r.Code, "refused").Error()
	}
	return e
}

// Transient reports whether sending the same messages again may help: the
// refusal was about the transaction (a sequence that raced, a full mempool),
// not about its messages.
func (e *TxError) Transient() bool {
	if e.Codespace != sdkerrors.RootCodespace {
		return false
	}
	switch e.Code {
	case sdkerrors.ErrWrongSequence.ABCICode(), sdkerrors.ErrMempoolIsFull.ABCICode(), sdkerrors.ErrTxInMempoolCache.ABCICode():
		return true
	}
	return false
}
