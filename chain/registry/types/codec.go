package types

import (
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/legacy"
	cdctypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
)

// RegisterLegacyAminoCodec registers the messages for amino JSON signing.
func RegisterLegacyAminoCodec(cdc *codec.LegacyAmino) {
	legacy.RegisterAminoMsg(cdc, &MsgStoreBegin{}, "assay/x/registry/MsgStoreBegin")
	legacy.RegisterAminoMsg(cdc, &MsgStoreChunk{}, "assay/x/registry/MsgStoreChunk")
	legacy.RegisterAminoMsg(cdc, &MsgStoreRemove{}, "assay/x/registry/MsgStoreRemove")
	legacy.RegisterAminoMsg(cdc, &MsgActivate{}, "assay/x/registry/MsgActivate")
	legacy.RegisterAminoMsg(cdc, &MsgUpdateParams{}, "assay/x/registry/MsgUpdateParams")
}

// RegisterInterfaces registers the messages.
func RegisterInterfaces(registry cdctypes.InterfaceRegistry) {
	registry.RegisterImplementations((*sdk.Msg)(nil),
		&MsgStoreBegin{}, &MsgStoreChunk{}, &MsgStoreRemove{}, &MsgActivate{}, &MsgUpdateParams{})
	msgservice.RegisterMsgServiceDesc(registry, &_Msg_serviceDesc)
}
