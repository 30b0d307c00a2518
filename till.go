package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	worktypes "github.com/assaynet/assay/chain/work/types"
	"github.com/assaynet/assay/runtime/till"
	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/verifier/commit"
)

// newTill takes payment for a participant at price ngnk for each byte of a
// prompt and each token of an answer.
func newTill(ctx context.Context, l *link, home string, price int64) (*till.Till, error) {
	if price < 0 {
		return nil, fmt.Errorf("a price of %d ngnk; 0 serves for free", price)
	}
	return till.New(ctx, till.Config{
		Chain: tillLink{l}, Dir: filepath.Join(home, "till"), ChainID: l.c.ChainID(), Miner: l.acct.Bytes(),
		PromptByte: uint64(price), Token: uint64(price),
	})
}

// tillLink is the till's view of the chain.
type tillLink struct{ *link }

var _ till.Chain = tillLink{}

func (l tillLink) State(ctx context.Context) (till.State, error) {
	r, err := l.epoch(ctx)
	if err != nil {
		return till.State{}, err
	}
	p, err := worktypes.NewQueryClient(l.c.Conn()).Params(ctx, &worktypes.QueryParamsRequest{})
	if err != nil {
		return till.State{}, fmt.Errorf("ask for the parameters of channels: %w", err)
	}
	return till.State{Height: r.Height, Epoch: r.Epoch.Number, EpochStart: r.Epoch.StartHeight, EpochEnd: r.Epoch.NextStart,
		CloseBlocks: int64(p.Params.CloseBlocks)}, nil
}

func (l tillLink) Channel(ctx context.Context, id uint64) (till.Channel, error) {
	c, err := l.c.Channel(ctx, id)
	if notFound(err) {
		return till.Channel{}, till.ErrNoChannel
	}
	if err != nil {
		return till.Channel{}, err
	}
	miner, err := addressBytes(c.Miner)
	if err != nil {
		return till.Channel{}, err
	}
	key, err := l.accountKey(ctx, c.Client)
	if err != nil {
		return till.Channel{}, err
	}
	return till.Channel{Miner: miner, Escrow: c.Escrow, Settled: c.Settled, Closes: c.Closes, Verify: key.VerifySignature}, nil
}

// accountKey is the key that an account has signed transactions with.
func (l tillLink) accountKey(ctx context.Context, address string) (*secp256k1.PubKey, error) {
	r, err := authtypes.NewQueryClient(l.c.Conn()).AccountInfo(ctx, &authtypes.QueryAccountInfoRequest{Address: address})
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", address, err)
	}
	var key secp256k1.PubKey
	if r.Info.PubKey == nil || r.Info.PubKey.TypeUrl != "/cosmos.crypto.secp256k1.PubKey" {
		return nil, fmt.Errorf("key of %s: not a secp256k1 key", address)
	}
	if err := key.Unmarshal(r.Info.PubKey.Value); err != nil {
		return nil, fmt.Errorf("key of %s: %w", address, err)
	}
	return &key, nil
}

func (l tillLink) CommitReceipts(ctx context.Context, epoch uint64, root commit.Root, count uint64) error {
	err := l.pay(ctx, &worktypes.MsgCommitReceipts{Miner: l.acct.Address(), Epoch: epoch, Root: root[:], Count: count})
	if errors.Is(err, worktypes.ErrDuplicateReceipts) {
		return nil
	}
	return err
}

func (l tillLink) Settle(ctx context.Context, v commit.Voucher, signature []byte) error {
	return l.pay(ctx, &worktypes.MsgSettle{Miner: l.acct.Address(), Channel: v.Channel, Epoch: v.Epoch, Amount: v.Amount, Signature: signature})
}

// pay sends a message for the usual fee. What the work module says no to is
// refused for good; anything else, as a fee that the miner cannot pay yet, is
// worth another try.
func (l tillLink) pay(ctx context.Context, msg sdk.Msg) error {
	_, err := l.acct.Send(ctx, client.SendOptions{}, msg)
	var tx *client.TxError
	if !errors.As(err, &tx) || tx.Codespace != worktypes.ModuleName {
		return err
	}
	if tx.Code == worktypes.ErrDuplicateReceipts.ABCICode() {
		return fmt.Errorf("%w: %w", worktypes.ErrDuplicateReceipts, err)
	}
	return fmt.Errorf("%w: %w", till.ErrRefused, err)
}
