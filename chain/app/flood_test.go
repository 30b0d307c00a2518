package app

import (
	"encoding/binary"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/params"
	powertypes "github.com/assaynet/assay/chain/power/types"
	"github.com/assaynet/assay/verifier/commit"
)

// flood is many transactions of one kind, encoded.
func flood(t *testing.T, enc Encoding, lane bool, n int) (txs []sdk.Tx, raws [][]byte) {
	t.Helper()
	for i := range n {
		addr := binary.BigEndian.AppendUint64(make([]byte, 12), uint64(i)+1)
		builder := enc.Tx.NewTxBuilder()
		var msg sdk.Msg = banktypes.NewMsgSend(addr, addr, sdk.NewCoins(sdk.NewInt64Coin(params.BaseDenom, 1)))
		if lane {
			msg = &audittypes.MsgVerdict{Validator: sdk.AccAddress(addr).String(), Epoch: 1, VrfProof: make([]byte, 96),
				Bitmap: commit.NewBitmap(10_000), KeyedRoot: make([]byte, 32)}
		} else {
			builder.SetFeeAmount(sdk.NewCoins(sdk.NewInt64Coin(params.BaseDenom, 1_000_000)))
		}
		if err := builder.SetMsgs(msg); err != nil {
			t.Fatal(err)
		}
		builder.SetGasLimit(200_000)
		tx := builder.GetTx()
		raw, err := enc.Tx.TxEncoder()(tx)
		if err != nil {
			t.Fatal(err)
		}
		txs, raws = append(txs, tx), append(raws, raw)
	}
	return txs, raws
}

// A mempool that is full of one kind still takes the other.
func TestPoolHasRoomForBothKinds(t *testing.T) {
	params.Configure()
	enc := newEncoding()
	verdicts, _ := flood(t, enc, true, 1)
	p := newPool()
	p.lane, p.other = 0, FeePool
	if count, most := p.counter(verdicts[0]); *count >= most {
		t.Error("payments fill the room of the lane")
	}
	payments, _ := flood(t, enc, false, 1)
	p.lane, p.other = LanePool, 0
	if count, most := p.counter(payments[0]); *count >= most {
		t.Error("the lane fills the room of payments")
	}
}

// A verdict over 10,000 claims, and even over the most that an epoch may have, fits the lane.
func TestVerdictOfManyClaimsFitsTheLane(t *testing.T) {
	params.Configure()
	enc := newEncoding()
	_, raws := flood(t, enc, true, 1)
	if n := len(raws[0]); n > 32<<10 || n < 1250 {
		t.Errorf("a verdict over 10,000 claims has %d bytes", n)
	}
	most := audittypes.MsgVerdict{Bitmap: commit.NewBitmap(100_000), VrfProof: make([]byte, 96), KeyedRoot: make([]byte, 32)}
	if n := uint64(most.Size()); n > 32<<10 || n > powertypes.DefaultLane().TxBytes {
		t.Errorf("a verdict over 100,000 claims has %d bytes", n)
	}
}
