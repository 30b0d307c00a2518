package types

import (
	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/params"
)

// Limits of the parameters: what a governance proposal may choose.
const (
	// MaxChunkBytes keeps a transaction with a chunk below half a MiB.
	MaxChunkBytes = 256 << 10
	// MaxBlobBytes bounds the memory that verifying a blob takes.
	MaxBlobBytes = 256 << 20
	// MaxMemoryPages is all that a Wasm memory can have, 4 GiB.
	MaxMemoryPages = 1 << 16
	// MaxParamsBytes bounds what is handed to a module.
	MaxParamsBytes = 4 << 10
	// MaxSlotBytes bounds the name of a slot.
	MaxSlotBytes = 48
	// MaxSlots bounds the activations: each is looked at when an epoch begins.
	MaxSlots = 64
	// MaxPage is the most chunks in an answer to a query: 2 MiB of them.
	MaxPage = 8
)

// DefaultParams allow a Go guest of 3 MiB and a small model on chain: what the part of a block for those
// who pay can admit (CompleteGas). Larger ones need a larger max_gas too.
func DefaultParams() Params {
	return Params{
		ChunkBytes:     MaxChunkBytes,
		MaxModuleBytes: 3 << 20,
		MaxModelBytes:  32 << 20,
		// A tenth of a coin for each KiB: a module of 1 MiB binds about a hundred coins.
		DepositPerKib:  sdk.NewCoin(params.BaseDenom, math.NewInt(100_000_000)),
		UploadEpochs:   7,
		MaxOpenUploads: 4,
		// Two hundred billion gas is about a minute of one core on the reference device.
		MaxGas:         200_000_000_000,
		MaxTensorBytes: 16 << 30,
	}
}

// Validate checks every bound.
func (p Params) Validate() error {
	switch {
	case p.ChunkBytes < 1<<10 || p.ChunkBytes > MaxChunkBytes:
		return ErrParams.Wrapf("chunk_bytes is %d, want 1024 to %d", p.ChunkBytes, MaxChunkBytes)
	case p.MaxModuleBytes < 1 || p.MaxModuleBytes > MaxBlobBytes:
		return ErrParams.Wrapf("max_module_bytes is %d, want 1 to %d", p.MaxModuleBytes, MaxBlobBytes)
	case p.MaxModelBytes < 1 || p.MaxModelBytes > MaxBlobBytes:
		return ErrParams.Wrapf("max_model_bytes is %d, want 1 to %d", p.MaxModelBytes, MaxBlobBytes)
	case p.UploadEpochs < 1:
		return ErrParams.Wrap("upload_epochs is 0, want at least 1")
	case p.MaxOpenUploads < 1 || p.MaxOpenUploads > 64:
		return ErrParams.Wrapf("max_open_uploads is %d, want 1 to 64", p.MaxOpenUploads)
	case p.MaxGas < 1:
		return ErrParams.Wrapf("max_gas is %d, want at least 1", p.MaxGas)
	case p.MaxTensorBytes < 0:
		return ErrParams.Wrapf("max_tensor_bytes is %d, want at least 0", p.MaxTensorBytes)
	}
	if err := p.DepositPerKib.Validate(); err != nil {
		return ErrParams.Wrapf("deposit_per_kib: %v", err)
	}
	return nil
}

// MaxSize is the limit of the unpacked size of a kind, or ErrKind.
func (p Params) MaxSize(kind string) (uint64, error) {
	switch kind {
	case KindModule:
		return p.MaxModuleBytes, nil
	case KindModel:
		return p.MaxModelBytes, nil
	}
	return 0, ErrKind.Wrapf("%q, want %q or %q", kind, KindModule, KindModel)
}
