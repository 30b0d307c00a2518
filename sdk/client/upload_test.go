package client

import (
	"errors"
	"testing"

	registrytypes "github.com/assaynet/assay/chain/registry/types"
)

// What a block has no gas for is refused to the unit.
func TestGasOfTheLastChunk(t *testing.T) {
	const size, chunk = 1 << 20, 1000
	need := registrytypes.ChunkGas(chunk) + registrytypes.CompleteGas(KindModule, size)
	if gas, err := lastGas(KindModule, size, chunk, need); gas != need || err != nil {
		t.Errorf("just enough: %d, %v; want %d", gas, err, need)
	}
	var large *TooLargeError
	if _, err := lastGas(KindModule, size, chunk, need-1); !errors.As(err, &large) || *large != (TooLargeError{KindModule, size, "gas", need, need - 1}) {
		t.Errorf("one short: %v", err)
	}
	if model, err := lastGas(KindModel, size, chunk, need-1); err != nil || model >= need {
		t.Errorf("a model, which costs less: %d, %v", model, err)
	}
}
