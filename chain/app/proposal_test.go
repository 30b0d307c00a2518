package app

import (
	"math/rand/v2"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/params"
	powertypes "github.com/assaynet/assay/chain/power/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	worktypes "github.com/assaynet/assay/chain/work/types"
)

// TestUsage fills blocks at random: neither kind passes its part, and none but
// the lane takes what the other leaves.
func TestUsage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		b := budget{
			laneBytes: 1 + rng.Uint64N(5_000), otherBytes: 1 + rng.Uint64N(5_000),
			laneGas: rng.Uint64N(5_000), otherGas: rng.Uint64N(5_000),
		}
		if b.laneGas == 0 || b.otherGas == 0 {
			b.laneGas, b.otherGas = 0, 0 // both are limited or none
		}
		rest := rng.IntN(2) == 0
		var u usage
		for range 200 {
			lane, size, gas := rng.IntN(2) == 0, rng.Uint64N(500), rng.Uint64N(500)
			before := u
			added := u.add(b, lane, rest, size, gas)
			if !added && u != before {
				t.Fatal("a refused transaction was counted")
			}
			if lane && (u.otherBytes != before.otherBytes || u.otherGas != before.otherGas) ||
				!lane && (u.laneBytes != before.laneBytes || u.laneGas != before.laneGas) {
				t.Fatal("counted for the other kind")
			}
			laneGas := b.laneGas
			if rest {
				laneGas += b.otherGas - min(b.otherGas, u.otherGas)
			}
			if u.laneBytes > b.laneBytes || u.otherBytes > b.otherBytes ||
				b.laneGas > 0 && u.laneGas > laneGas || b.otherGas > 0 && u.otherGas > b.otherGas {
				t.Fatalf("%+v exceeds %+v", u, b)
			}
		}
	}
	// Sizes near 2^64 must not wrap.
	u := usage{laneBytes: 10}
	if u.add(budget{laneBytes: 20}, true, true, ^uint64(0)-5, 1) {
		t.Fatal("a size wrapped around")
	}
}

// TestInLane checks what travels without a fee.
func TestInLane(t *testing.T) {
	params.Configure()
	enc := newEncoding()
	fee := sdk.NewCoins(sdk.NewInt64Coin(params.BaseDenom, 1))
	register, verdict, send := &powertypes.MsgRegister{}, &audittypes.MsgVerdict{}, &banktypes.MsgSend{}
	for name, c := range map[string]struct {
		msgs []sdk.Msg
		fee  sdk.Coins
		want bool
	}{
		"registration":        {[]sdk.Msg{register}, nil, true},
		"claim":               {[]sdk.Msg{&sprinttypes.MsgCommitWork{}}, nil, true},
		"several":             {[]sdk.Msg{verdict, &audittypes.MsgReport{}, &audittypes.MsgAnswer{}}, nil, true},
		"paid registration":   {[]sdk.Msg{register}, fee, false},
		"free transfer":       {[]sdk.Msg{send}, nil, false},
		"transfer in tow":     {[]sdk.Msg{verdict, send}, nil, false},
		"without a message":   {nil, nil, false},
		"cashing in":          {[]sdk.Msg{&worktypes.MsgCommitReceipts{}, &worktypes.MsgSettle{}}, nil, true},
		"free channel":        {[]sdk.Msg{&worktypes.MsgOpenChannel{}}, nil, false},
		"parameters of power": {[]sdk.Msg{&powertypes.MsgUpdateParams{}}, nil, false},
	} {
		builder := enc.Tx.NewTxBuilder()
		if err := builder.SetMsgs(c.msgs...); err != nil {
			t.Fatal(err)
		}
		builder.SetFeeAmount(c.fee)
		if got := inLane(builder.GetTx()); got != c.want {
			t.Errorf("%s: in the lane is %v, want %v", name, got, c.want)
		}
	}
}

// TestLaneMessagesExist guards against a message that was renamed: its lane would be lost.
func TestLaneMessagesExist(t *testing.T) {
	known := make(map[string]bool)
	for _, m := range []sdk.Msg{
		&powertypes.MsgRegister{}, &sprinttypes.MsgCommitWork{}, &audittypes.MsgVerdict{},
		&audittypes.MsgReport{}, &audittypes.MsgAnswer{}, &audittypes.MsgDemand{},
		&audittypes.MsgChallenge{}, &audittypes.MsgOpenKeyed{}, &audittypes.MsgReportKeyed{},
		&worktypes.MsgCommitReceipts{}, &worktypes.MsgSettle{},
	} {
		known[sdk.MsgTypeURL(m)] = true
	}
	for url := range laneMessages {
		if !known[url] {
			t.Errorf("%s is no message", url)
		}
	}
	if len(known) != len(laneMessages) {
		t.Errorf("%d lane messages, want %d", len(laneMessages), len(known))
	}
}
