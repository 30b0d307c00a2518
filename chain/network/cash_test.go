package network_test

import (
	"context"
	"testing"

	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/assaynet/assay/chain/network"
	"github.com/assaynet/assay/chain/params"
	powertypes "github.com/assaynet/assay/chain/power/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	worktypes "github.com/assaynet/assay/chain/work/types"
	"github.com/assaynet/assay/verifier/commit"
)

// cash lets a miner that never had a coin register, commit its receipts and turn a client's voucher
// into its first coins, without a fee.
func cash(ctx context.Context, t *testing.T, tn *testNetwork) {
	const escrow, amount = 2e6, 1_234_567
	client := tn.nodes[1].Client()
	keys, err := network.LoadKeys(t.TempDir(), client.Codec)
	if err != nil {
		t.Fatal(err)
	}
	balance := func() int64 {
		t.Helper()
		got, err := banktypes.NewQueryClient(client).Balance(ctx,
			&banktypes.QueryBalanceRequest{Address: keys.Operator.String(), Denom: params.BaseDenom})
		if err != nil {
			t.Fatal(err)
		}
		return got.Balance.Amount.Int64()
	}
	must := func(keys *network.Keys, msg sdk.Msg) {
		t.Helper()
		if resp := tn.include(ctx, t, keys, msg); resp.Code != 0 {
			t.Fatalf("%T: code %d of %q: %s", msg, resp.Code, resp.Codespace, resp.RawLog)
		}
	}
	registration, err := keys.Registration(chainID, "http://127.0.0.1:1", false)
	if err != nil {
		t.Fatal(err)
	}
	must(keys, registration)

	// Node 0's operator is the client.
	payer, err := network.LoadKeys(tn.layout.Members[0].Home, client.Codec)
	if err != nil {
		t.Fatal(err)
	}
	open := &worktypes.MsgOpenChannel{Client: payer.Operator.String(), Miner: keys.Operator.String(), Amount: escrow}
	if resp := tn.include(ctx, t, payer, open); resp.Code == 0 {
		t.Fatal("a channel was opened without a fee")
	}
	if code, log := tn.deliver(ctx, t, 0, "tx", "work", "open-channel", keys.Operator.String(), "2000000"); code != 0 {
		t.Fatalf("open a channel: code %d: %s", code, log)
	}
	channels, err := worktypes.NewQueryClient(client).Channels(ctx, &worktypes.QueryChannelsRequest{Client: payer.Operator.String()})
	if err != nil || len(channels.Channels) != 1 {
		t.Fatalf("channels %v, %v", channels, err)
	}
	epoch, err := sprinttypes.NewQueryClient(client).Epoch(ctx, &sprinttypes.QueryEpochRequest{})
	if err != nil {
		t.Fatal(err)
	}
	v := commit.Voucher{ChainID: chainID, Channel: channels.Channels[0].Id, Miner: keys.Operator, Epoch: epoch.Epoch.Number, Amount: amount}
	signature := sign(t, payer.Keyring, v.Bytes())
	settle := &worktypes.MsgSettle{Miner: keys.Operator.String(), Channel: v.Channel, Epoch: v.Epoch, Amount: v.Amount, Signature: signature}
	if resp := tn.include(ctx, t, keys, settle); resp.Code != worktypes.ErrNoReceipts.ABCICode() || resp.Codespace != worktypes.ModuleName {
		t.Fatalf("settled without receipts: code %d of %q: %s", resp.Code, resp.Codespace, resp.RawLog)
	}
	must(keys, &worktypes.MsgCommitReceipts{Miner: settle.Miner, Epoch: v.Epoch, Root: make([]byte, 32), Count: 1})
	if got := balance(); got != 0 {
		t.Fatalf("%d coins before the settlement", got)
	}
	must(keys, settle)
	if got := balance(); got != amount {
		t.Fatalf("%d coins after the settlement, want %d", got, amount)
	}
	if m := tn.miner(ctx, t, 1, keys.Operator); m.LaneUsed == 0 || m.LaneUsed > powertypes.DefaultLane().EpochTxs {
		t.Fatalf("%d transactions counted in the lane", m.LaneUsed)
	}
}

func sign(t *testing.T, kr keyring.Keyring, message []byte) []byte {
	t.Helper()
	signature, _, err := kr.Sign(network.OperatorKey, message, signing.SignMode_SIGN_MODE_DIRECT)
	if err != nil {
		t.Fatal(err)
	}
	return signature
}
