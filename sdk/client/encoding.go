package client

import (
	"fmt"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	cryptocodec "github.com/cosmos/cosmos-sdk/crypto/codec"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	"github.com/cosmos/cosmos-sdk/x/tx/signing"
	"github.com/cosmos/gogoproto/proto"
	"google.golang.org/grpc/encoding"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/params"
	powertypes "github.com/assaynet/assay/chain/power/types"
	registrytypes "github.com/assaynet/assay/chain/registry/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	worktypes "github.com/assaynet/assay/chain/work/types"
)

// Encoding holds the codecs for all messages that an Assay network knows.
type Encoding struct {
	Registry codectypes.InterfaceRegistry
	Codec    *codec.ProtoCodec
	Tx       client.TxConfig
}

// NewEncoding builds the codecs. It does not touch process-wide settings.
func NewEncoding() (*Encoding, error) {
	options := signing.Options{
		AddressCodec:          address.NewBech32Codec(params.Bech32Prefix),
		ValidatorAddressCodec: address.NewBech32Codec(params.Bech32Prefix + "valoper"),
	}
	registry, err := codectypes.NewInterfaceRegistryWithOptions(codectypes.InterfaceRegistryOptions{
		ProtoFiles:     proto.HybridResolver,
		SigningOptions: options,
	})
	if err != nil {
		return nil, fmt.Errorf("client: message registry: %w", err)
	}
	for _, register := range []func(codectypes.InterfaceRegistry){
		cryptocodec.RegisterInterfaces,
		authtypes.RegisterInterfaces,
		banktypes.RegisterInterfaces,
		govv1.RegisterInterfaces,
		registrytypes.RegisterInterfaces,
		powertypes.RegisterInterfaces,
		sprinttypes.RegisterInterfaces,
		audittypes.RegisterInterfaces,
		worktypes.RegisterInterfaces,
	} {
		register(registry)
	}
	cdc := codec.NewProtoCodec(registry)
	tx, err := authtx.NewTxConfigWithOptions(cdc, authtx.ConfigOptions{
		EnabledSignModes: authtx.DefaultSignModes,
		SigningOptions:   &options,
	})
	if err != nil {
		return nil, fmt.Errorf("client: transaction codec: %w", err)
	}
	return &Encoding{Registry: registry, Codec: cdc, Tx: tx}, nil
}

func (e *Encoding) grpcCodec() encoding.Codec { return e.Codec.GRPCCodec() }
