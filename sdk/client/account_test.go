package client

import (
	"strings"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// A node whose mempool refuses a transaction answers with a code and no text.
func TestRefusalSaysWhy(t *testing.T) {
	for _, c := range []struct {
		r    sdk.TxResponse
		want string
	}{
		{sdk.TxResponse{Codespace: "sdk", Code: 19}, "tx already in mempool"},
		{sdk.TxResponse{Codespace: "sdk", Code: 20}, "mempool is full"},
		{sdk.TxResponse{Codespace: "sprint", Code: 4, RawLog: "claims are not accepted now"}, "claims are not accepted now"},
		{sdk.TxResponse{Codespace: "unheard", Code: 4}, "refused"},
	} {
		if got := refused(&c.r).Error(); !strings.Contains(got, c.want) {
			t.Errorf("%s %d: %q does not say %q", c.r.Codespace, c.r.Code, got, c.want)
		}
	}
}
