package app

import (
	"bytes"

	sdk "github.com/cosmos/cosmos-sdk/types"

	audittypes "github.com/assaynet/assay/chain/audit/types"
)

// proofMessages returns the messages of a block that carry a VRF proof all validators of a round
// give of one input: they are verified together. Transactions without such a message are not
// decoded.
func (app *App) proofMessages(txs [][]byte) []sdk.Msg {
	var out []sdk.Msg
	for _, raw := range txs {
		if !bytes.Contains(raw, verdictURL) && !bytes.Contains(raw, challengeURL) {
			continue
		}
		tx, err := app.enc.Tx.TxDecoder()(raw)
		if err != nil {
			continue // refused when its turn comes
		}
		for _, m := range tx.GetMsgs() {
			switch m.(type) {
			case *audittypes.MsgVerdict, *audittypes.MsgChallenge:
				out = append(out, m)
			}
		}
	}
	return out
}

var (
	verdictURL   = []byte(sdk.MsgTypeURL(&audittypes.MsgVerdict{}))
	challengeURL = []byte(sdk.MsgTypeURL(&audittypes.MsgChallenge{}))
)
