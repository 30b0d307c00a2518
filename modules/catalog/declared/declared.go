// Package declared is what the shipped modules' manifests say apart from hash
// and size: ceilings of gas and memory, for the parameters of test networks.
// The catalog's tests measure that the figures hold and are not far off.
package declared

import (
	"encoding/binary"

	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/modules/transformerpow/shape"
	"github.com/assaynet/assay/runtime/abi"
)

// HashPowRounds of test networks: a unit costs about as much as one of
// transformerpow.
const HashPowRounds = 8

// Modules in alphabetical order, without hash and size.
func Modules() []manifest.Module {
	return []manifest.Module{
		{
			Name: "hashpow", Version: "1", ABI: abi.Version, Kind: manifest.KindPow, MemoryPages: 256,
			TensorBytes: 0, GasSetup: 1 << 20, GasUnit: 1 << 24,
			Params: binary.LittleEndian.AppendUint32(nil, HashPowRounds),
		},
		{
			Name: "llama", Version: "1", ABI: abi.Version, Kind: manifest.KindInference, MemoryPages: 256,
			TensorBytes: 16 << 20, GasSetup: 1 << 25, GasUnit: 1 << 22, Params: []byte{},
		},
		{
			Name: "transformerpow", Version: "1", ABI: abi.Version, Kind: manifest.KindPow, MemoryPages: 256,
			TensorBytes: shape.Test.TensorBytes(shape.Test.Pass()), GasSetup: 1 << 24, GasUnit: 5 << 20,
			Params: shape.Test.Encode(),
		},
	}
}
