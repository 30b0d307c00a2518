package app

import (
	"github.com/cosmos/gogoproto/proto"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/address"
	cdctypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/std"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
	txsigning "github.com/cosmos/cosmos-sdk/x/tx/signing"

	"github.com/assaynet/assay/chain/params"
)

// Encoding holds the codecs, which clients need as much as nodes.
type Encoding struct {
	Registry cdctypes.InterfaceRegistry
	Codec    codec.Codec
	Tx       client.TxConfig
	Amino    *codec.LegacyAmino
}

// newEncoding knows only the types of the SDK's core; the modules add theirs.
func newEncoding() Encoding {
	params.Configure()
	registry, err := cdctypes.NewInterfaceRegistryWithOptions(cdctypes.InterfaceRegistryOptions{
		ProtoFiles: proto.HybridResolver,
		SigningOptions: txsigning.Options{
			AddressCodec:          address.NewBech32Codec(params.Bech32Prefix),
			ValidatorAddressCodec: address.NewBech32Codec(params.Bech32Prefix + "valoper"),
		},
	})
	if err != nil {
		panic(err) // the linked proto files contradict each other
	}
	cdc := codec.NewProtoCodec(registry)
	enc := Encoding{
		Registry: registry,
		Codec:    cdc,
		Tx:       authtx.NewTxConfig(cdc, authtx.DefaultSignModes),
		Amino:    codec.NewLegacyAmino(),
	}
	std.RegisterLegacyAminoCodec(enc.Amino)
	std.RegisterInterfaces(enc.Registry)
	return enc
}
