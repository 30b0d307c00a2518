package app

import (
	"errors"
	"strings"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	registrytypes "github.com/assaynet/assay/chain/registry/types"
)

// brittle refuses what it can judge and panics where its host fails.
type brittle struct{ fails bool }

func (b brittle) AdmitBlob(string, []byte) error {
	if b.fails {
		panic("out of memory")
	}
	return errors.New("no module")
}

func (b brittle) AdmitActivation(registrytypes.Activation, []byte, []byte) error {
	return b.AdmitBlob("", nil)
}

// TestHostFailureHalts: a panic that governance recovers still ends the block, and an ordinary
// refusal does not.
func TestHostFailureHalts(t *testing.T) {
	for _, fails := range []bool{false, true} {
		h := &halter{Admitter: brittle{fails}}
		block := h.guard(func(sdk.Context) (sdk.EndBlock, error) {
			defer func() { _ = recover() }() // as x/gov does around each message
			return sdk.EndBlock{}, h.AdmitActivation(registrytypes.Activation{}, nil, nil)
		})
		halted := func() (r any) {
			defer func() { r = recover() }()
			_, _ = block(sdk.Context{})
			return nil
		}()
		if why, _ := halted.(string); fails != strings.Contains(why, "out of memory") {
			t.Errorf("host fails %t: halted with %v", fails, halted)
		}
	}
}
