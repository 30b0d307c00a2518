package client

import (
	"github.com/cosmos/gogoproto/proto"

	sdk "github.com/cosmos/cosmos-sdk/types"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	powertypes "github.com/assaynet/assay/chain/power/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

// Gas limits by default. Every transaction is charged 300,000 and a VRF proof
// 400,000 (chain/app, chain/audit, chain/power); the rest is for the SDK's prices
// of bytes and of what is read and written, with room. What is asked for and
// not used still takes a block's room, so a commitment, the message that comes
// most often, asks for little more than it needs.
const (
	baseGas   = 600_000
	commitGas = 400_000
	proofGas  = 400_000
	byteGas   = 20
)

// DefaultGas is a limit of gas that suffices for the messages in one
// transaction, unless their execution costs more than is usual.
func DefaultGas(msgs ...sdk.Msg) uint64 {
	gas := uint64(baseGas)
	if len(msgs) == 1 {
		if _, ok := msgs[0].(*sprinttypes.MsgCommitWork); ok {
			gas = commitGas
		}
	}
	for _, m := range msgs {
		gas += byteGas * uint64(proto.Size(m))
		switch m.(type) {
		case *powertypes.MsgRegister, *audittypes.MsgVerdict, *audittypes.MsgChallenge, *audittypes.MsgDemand, *audittypes.MsgReport:
			gas += proofGas
		}
	}
	return gas
}
