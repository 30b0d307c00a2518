package app

import (
	"context"
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

// Under a flood of either kind a proposal still holds the other, each in its own part of the block,
// whichever the mempool offers first; and every such proposal is accepted.
func TestFloodsDoNotStarveEachOther(t *testing.T) {
	params.Configure()
	enc := newEncoding()
	laneTxs, laneRaws := flood(t, enc, true, 600)
	feeTxs, feeRaws := flood(t, enc, false, 3_000)
	byRaw := map[string]sdk.Tx{}
	for i, raw := range laneRaws {
		byRaw[string(raw)] = laneTxs[i]
	}
	for i, raw := range feeRaws {
		byRaw[string(raw)] = feeTxs[i]
	}
	limits := budget{laneBytes: 256 << 10, otherBytes: 256 << 10, laneGas: 100_000_000, otherGas: 100_000_000}
	for name, c := range map[string]struct {
		lanes, fees int
		feesFirst   bool
	}{
		"flooded by both":          {600, 3_000, false},
		"flooded by both, reverse": {600, 3_000, true},
		"fees against one verdict": {1, 3_000, true},
		"lane against one payment": {600, 1, false},
	} {
		s := &selector{ready: true, limits: limits}
		offer := func(txs []sdk.Tx, raws [][]byte) {
			for i, tx := range txs {
				if s.SelectTxForProposal(context.Background(), 1<<20, 0, tx, raws[i], 0) {
					return
				}
			}
		}
		if c.feesFirst {
			offer(feeTxs[:c.fees], feeRaws)
			offer(laneTxs[:c.lanes], laneRaws)
		} else {
			offer(laneTxs[:c.lanes], laneRaws)
			offer(feeTxs[:c.fees], feeRaws)
		}
		var used usage // as a validator counts them
		lanes, fees := 0, 0
		for _, raw := range s.SelectedTxs(context.Background()) {
			tx := byRaw[string(raw)]
			if !used.add(limits, inLane(tx), protoSize(raw), gasOf(tx, 0)) {
				t.Fatalf("%s: the proposal would be rejected", name)
			}
			if inLane(tx) {
				lanes++
			} else {
				fees++
			}
		}
		full := func(n, offered int, bytes, most, gas, mostGas, size uint64) bool {
			return n == offered || bytes+size > most || gas+200_000 > mostGas
		}
		if !full(lanes, c.lanes, used.laneBytes, limits.laneBytes, used.laneGas, limits.laneGas, protoSize(laneRaws[0])) ||
			!full(fees, c.fees, used.otherBytes, limits.otherBytes, used.otherGas, limits.otherGas, protoSize(feeRaws[0])+8) {
			t.Errorf("%s: %d of the lane and %d that pay, used %+v of %+v", name, lanes, fees, used, limits)
		}
	}
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
