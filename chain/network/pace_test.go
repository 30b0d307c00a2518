package network

import (
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/sdk/client"
)

// The commit phase of a production network takes the claims of 10,000 miners though payments fill their
// half of every block, and most that a chain may allow, 100,000, in 400 blocks, 40 minutes, if nobody pays.
func TestBlocksHoldTheClaims(t *testing.T) {
	gas := client.DefaultGas(&sprinttypes.MsgCommitWork{Miner: sdk.AccAddress(make([]byte, 20)).String(), Epoch: 1 << 20,
		Root: make([]byte, 32), Count: 1 << 32})
	p := sprinttypes.ProductionParams()
	blocks := uint64(p.CommitBlocks)
	beside, alone := BlockGas/2/gas, BlockGas/gas
	t.Logf("a commitment asks for %d gas: %d a block beside payments, %d without; %d blocks", gas, beside, alone, blocks)
	if held := beside * blocks; held < p.MaxClaims || held < 10_000 {
		t.Errorf("%d blocks hold %d claims beside payments, want %d", blocks, held, p.MaxClaims)
	}
	if most := uint64(400); alone*most < 100_000 {
		t.Errorf("%d blocks hold %d claims without payments, want 100,000", most, alone*most)
	}
}
