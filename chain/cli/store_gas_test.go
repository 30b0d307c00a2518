package cli

import (
	"testing"

	"github.com/assaynet/assay/chain/network"
	"github.com/assaynet/assay/chain/registry/types"
)

// Whatever the registry's parameters allow fits a block: a blob whose last chunk does not would bind its
// deposit and never be complete.
func TestLargestBlobsFitABlock(t *testing.T) {
	p := types.DefaultParams()
	for kind, size := range map[string]uint64{types.KindModule: p.MaxModuleBytes, types.KindModel: p.MaxModelBytes} {
		last := types.ChunkGas(int(p.ChunkBytes)) + types.CompleteGas(kind, size)
		t.Logf("a %s of %d bytes takes %d gas with its last chunk", kind, size, last)
		if last > network.BlockGas/2 {
			t.Errorf("%s: %d gas, a block has %d for those who pay", kind, last, network.BlockGas/2)
		}
	}
}
