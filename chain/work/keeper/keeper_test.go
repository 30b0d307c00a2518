package keeper_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/cosmos/cosmos-sdk/runtime"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/internal/chaintest"
	"github.com/assaynet/assay/chain/work/keeper"
	"github.com/assaynet/assay/chain/work/types"
	"github.com/assaynet/assay/verifier/commit"
)

// calendar tells the epoch.
type calendar struct{ number uint64 }

func (c *calendar) Number(context.Context) (uint64, error) { return c.number, nil }

type world struct {
	*chaintest.Chain
	tb     testing.TB
	k      keeper.Keeper
	msgs   types.MsgServer
	roster *chaintest.Roster
	epochs *calendar
	secret *secp256k1.PrivKey
	client sdk.AccAddress
	miner  sdk.AccAddress
}

const funds = 10_000_000_000

func newWorld(tb testing.TB) *world {
	tb.Helper()
	c := chaintest.New(tb, map[string][]string{types.ModuleName: nil}, types.StoreKey)
	w := &world{Chain: c, tb: tb, roster: chaintest.NewRoster(), epochs: &calendar{number: 5},
		secret: secp256k1.GenPrivKeyFromSecret([]byte("client")), miner: chaintest.Address(1)}
	w.client = sdk.AccAddress(w.secret.PubKey().Address())
	w.k = keeper.NewKeeper(keeper.Config{
		Codec: c.Codec, Store: runtime.NewKVStoreService(c.Store(types.StoreKey)), Addresses: c.Addresses,
		Accounts: c.Accounts, Bank: c.Bank, Epochs: w.epochs, Miners: w.roster, Authority: chaintest.Authority,
	})
	w.msgs = keeper.NewMsgServer(w.k)
	w.roster.Register(w.miner)
	w.Fund(tb, w.client, funds)
	account := c.Accounts.GetAccount(c.Ctx, w.client)
	if err := account.SetPubKey(w.secret.PubKey()); err != nil {
		tb.Fatal(err)
	}
	c.Accounts.SetAccount(c.Ctx, account)
	g := types.DefaultGenesis()
	g.Params.CloseBlocks, g.Params.MaxChannels, g.Params.RetainEpochs = 3, 2, 2
	if err := w.k.InitGenesis(c.Ctx, *g); err != nil {
		tb.Fatal(err)
	}
	return w
}

func (w *world) next() {
	w.tb.Helper()
	w.Next(w.tb, func(ctx sdk.Context) error { return w.k.EndBlock(ctx) })
	if err := w.k.CheckInvariants(w.Ctx); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) open(amount uint64) (id uint64, err error) {
	err = w.Try(func(ctx sdk.Context) error {
		r, err := w.msgs.OpenChannel(ctx, &types.MsgOpenChannel{Client: w.Bech32(w.client), Miner: w.Bech32(w.miner), Amount: amount})
		if err == nil {
			id = r.Channel
		}
		return err
	})
	return id, err
}

func (w *world) mustOpen(amount uint64) uint64 {
	w.tb.Helper()
	id, err := w.open(amount)
	if err != nil {
		w.tb.Fatal(err)
	}
	return id
}

func (w *world) voucher(channel, epoch, amount uint64) *types.MsgSettle {
	w.tb.Helper()
	v := commit.Voucher{ChainID: chaintest.ChainID, Channel: channel, Miner: w.miner, Epoch: epoch, Amount: amount}
	signature, err := w.secret.Sign(v.Bytes())
	if err != nil {
		w.tb.Fatal(err)
	}
	return &types.MsgSettle{Miner: w.Bech32(w.miner), Channel: channel, Epoch: epoch, Amount: amount, Signature: signature}
}

func (w *world) settle(m *types.MsgSettle) error {
	return w.Try(func(ctx sdk.Context) error {
		_, err := w.msgs.Settle(ctx, m)
		return err
	})
}

func (w *world) receipts(epoch uint64) error {
	return w.Try(func(ctx sdk.Context) error {
		_, err := w.msgs.CommitReceipts(ctx, &types.MsgCommitReceipts{
			Miner: w.Bech32(w.miner), Epoch: epoch, Root: bytes.Repeat([]byte{3}, 32), Count: 7})
		return err
	})
}

func (w *world) close(sender sdk.AccAddress, channel uint64) error {
	return w.Try(func(ctx sdk.Context) error {
		_, err := w.msgs.CloseChannel(ctx, &types.MsgCloseChannel{Sender: w.Bech32(sender), Channel: channel})
		return err
	})
}

func TestVouchersAreCumulative(t *testing.T) {
	w := newWorld(t)
	id := w.mustOpen(1_000_000_000)
	if err := w.settle(w.voucher(id, 5, 100)); !errors.Is(err, types.ErrNoReceipts) {
		t.Errorf("before the receipts: %v", err)
	}
	if err := w.receipts(5); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		amount uint64
		want   error
	}{
		{300, nil}, {300, types.ErrNothingToSettle}, {200, types.ErrNothingToSettle}, {500, nil},
		{1_000_000_001, types.ErrVoucherTooLarge}, {1_000_000_000, nil},
	} {
		if err := w.settle(w.voucher(id, 5, c.amount)); !errors.Is(err, c.want) {
			t.Errorf("%d: %v, want %v", c.amount, err, c.want)
		}
		w.next()
	}
	if !w.Balance(w.miner).Equal(math.NewInt(1_000_000_000)) || !w.Balance(w.k.Account()).IsZero() {
		t.Errorf("the miner has %s, the module %s", w.Balance(w.miner), w.Balance(w.k.Account()))
	}
}

func TestRefusedVouchers(t *testing.T) {
	w := newWorld(t)
	id := w.mustOpen(1_000_000)
	other := w.mustOpen(1_000_000)
	w.roster.Register(chaintest.Address(2))
	if err := w.receipts(5); err != nil {
		t.Fatal(err)
	}
	if err := w.receipts(4); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*types.MsgSettle)
		want   error
	}{
		"another amount":  {func(m *types.MsgSettle) { m.Amount++ }, types.ErrInvalidSignature},
		"another channel": {func(m *types.MsgSettle) { m.Channel = other }, types.ErrInvalidSignature},
		"another epoch":   {func(m *types.MsgSettle) { m.Epoch = 4 }, types.ErrInvalidSignature},
		"no channel":      {func(m *types.MsgSettle) { m.Channel = 99 }, types.ErrNoChannel},
		"another miner":   {func(m *types.MsgSettle) { m.Miner = w.Bech32(chaintest.Address(2)) }, types.ErrNotParty},
		"no signature":    {func(m *types.MsgSettle) { m.Signature = nil }, types.ErrInvalidSignature},
		"flipped":         {func(m *types.MsgSettle) { m.Signature[9] ^= 1 }, types.ErrInvalidSignature},
		"not an address":  {func(m *types.MsgSettle) { m.Miner = "" }, types.ErrInvalidAddress},
	} {
		m := w.voucher(id, 5, 100)
		c.change(m)
		if err := w.settle(m); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	v := commit.Voucher{ChainID: "another-chain", Channel: id, Miner: w.miner, Epoch: 5, Amount: 100}
	m := w.voucher(id, 5, 100)
	m.Signature, _ = w.secret.Sign(v.Bytes())
	if err := w.settle(m); !errors.Is(err, types.ErrInvalidSignature) {
		t.Errorf("of another chain: %v", err)
	}
	if !w.Balance(w.miner).IsZero() {
		t.Error("a refused voucher paid")
	}
}

func TestClosing(t *testing.T) {
	w := newWorld(t)
	id := w.mustOpen(1_000_000)
	if err := w.receipts(5); err != nil {
		t.Fatal(err)
	}
	if err := w.close(chaintest.Address(7), id); !errors.Is(err, types.ErrNotParty) {
		t.Errorf("a stranger closes: %v", err)
	}
	if err := w.close(w.client, id); err != nil {
		t.Fatal(err)
	}
	if err := w.close(w.client, id); !errors.Is(err, types.ErrAlreadyClosing) {
		t.Errorf("twice: %v", err)
	}
	for range 3 {
		w.next()
	}
	if err := w.settle(w.voucher(id, 5, 400)); err != nil { // the last block
		t.Fatal(err)
	}
	w.next()
	if err := w.settle(w.voucher(id, 5, 500)); !errors.Is(err, types.ErrNoChannel) {
		t.Errorf("too late: %v", err)
	}
	if !w.Balance(w.client).Equal(math.NewInt(funds-400)) || !w.Balance(w.miner).Equal(math.NewInt(400)) {
		t.Errorf("client %s, miner %s", w.Balance(w.client), w.Balance(w.miner))
	}

	id = w.mustOpen(1_000_000)
	if err := w.close(w.miner, id); err != nil {
		t.Fatal(err)
	}
	if !w.Balance(w.client).Equal(math.NewInt(funds - 400)) {
		t.Error("the miner's close does not refund at once")
	}
}

func TestRefusedChannels(t *testing.T) {
	w := newWorld(t)
	if _, err := w.open(999_999); !errors.Is(err, types.ErrEscrowTooSmall) {
		t.Errorf("too small: %v", err)
	}
	if _, err := w.open(funds + 1); err == nil {
		t.Error("more than the client has")
	}
	if _, err := w.open(1 << 63); err == nil {
		t.Error("more than exists")
	}
	w.roster.Miners[string(w.miner)] = true
	if _, err := w.open(1_000_000); !errors.Is(err, types.ErrUnknownMiner) {
		t.Errorf("jailed: %v", err)
	}
	w.roster.Miners[string(w.miner)] = false
	a, b := w.mustOpen(1_000_000), w.mustOpen(1_000_000)
	if _, err := w.open(1_000_000); !errors.Is(err, types.ErrTooManyChannels) {
		t.Errorf("third of two: %v", err)
	}
	if err := w.close(w.miner, a); err != nil {
		t.Fatal(err)
	}
	c := w.mustOpen(1_000_000)
	if a == c || b == c {
		t.Error("a channel's number was used again")
	}
	w.miner = w.client
	w.roster.Register(w.client)
	if _, err := w.open(1_000_000); !errors.Is(err, types.ErrSelfChannel) {
		t.Errorf("to oneself: %v", err)
	}
}

func TestReceiptsRoots(t *testing.T) {
	w := newWorld(t)
	for epoch, want := range map[uint64]error{0: types.ErrWrongEpoch, 3: types.ErrWrongEpoch, 6: types.ErrWrongEpoch, 4: nil, 5: nil} {
		if err := w.receipts(epoch); !errors.Is(err, want) {
			t.Errorf("epoch %d: %v, want %v", epoch, err, want)
		}
	}
	if err := w.receipts(5); !errors.Is(err, types.ErrDuplicateReceipts) {
		t.Errorf("twice: %v", err)
	}
	w.epochs.number = 7
	w.next()
	q := keeper.NewQueryServer(w.k)
	for epoch, want := range map[uint64]int{4: 0, 5: 1} {
		r, err := q.Receipts(w.Ctx, &types.QueryReceiptsRequest{Epoch: epoch})
		if err != nil || len(r.Receipts) != want {
			t.Errorf("epoch %d: %d roots, %v", epoch, len(r.Receipts), err)
		}
	}
}

func TestGenesisRoundTrip(t *testing.T) {
	w := newWorld(t)
	id := w.mustOpen(2_000_000)
	w.mustOpen(3_000_000)
	if err := w.receipts(5); err != nil {
		t.Fatal(err)
	}
	if err := w.settle(w.voucher(id, 5, 100)); err != nil {
		t.Fatal(err)
	}
	if err := w.close(w.client, id); err != nil {
		t.Fatal(err)
	}
	out, err := w.k.ExportGenesis(w.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	bz := w.Codec.MustMarshalJSON(out)
	v := newWorld(t)
	var in types.GenesisState
	v.Codec.MustUnmarshalJSON(bz, &in)
	if err := v.k.InitGenesis(v.Ctx, in); !errors.Is(err, types.ErrInvalidGenesis) {
		t.Errorf("escrow that does not exist: %v", err)
	}
	v = newWorld(t)
	v.Fund(t, v.k.Account(), 4_999_900)
	if err := v.k.InitGenesis(v.Ctx, in); err != nil {
		t.Fatal(err)
	}
	again, err := v.k.ExportGenesis(v.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(v.Codec.MustMarshalJSON(again), bz) {
		t.Error("a second export differs")
	}
	if _, err := v.open(1_000_000); !errors.Is(err, types.ErrTooManyChannels) {
		t.Errorf("the count of channels is lost: %v", err)
	}
	for range 5 {
		v.next()
	}
	q := keeper.NewQueryServer(v.k)
	list, err := q.Channels(v.Ctx, &types.QueryChannelsRequest{Client: v.Bech32(v.client)})
	if err != nil || len(list.Channels) != 1 {
		t.Errorf("%d channels after the closing, %v", len(list.Channels), err)
	}
}
