package types

import (
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/legacy"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
)

// RegisterLegacyAminoCodec names the messages for hardware wallets.
func RegisterLegacyAminoCodec(cdc *codec.LegacyAmino) {
	legacy.RegisterAminoMsg(cdc, &MsgOpenChannel{}, "assay/x/work/MsgOpenChannel")
	legacy.RegisterAminoMsg(cdc, &MsgSettle{}, "assay/x/work/MsgSettle")
	legacy.RegisterAminoMsg(cdc, &MsgCloseChannel{}, "assay/x/work/MsgCloseChannel")
	legacy.RegisterAminoMsg(cdc, &MsgCommitReceipts{}, "assay/x/work/MsgCommitReceipts")
	legacy.RegisterAminoMsg(cdc, &MsgUpdateParams{}, "assay/x/work/MsgUpdateParams")
	cdc.RegisterConcrete(&Params{}, "assay/x/work/Params", nil)
}

// RegisterInterfaces registers the messages.
func RegisterInterfaces(registry codectypes.InterfaceRegistry) {
	registry.RegisterImplementations((*sdk.Msg)(nil),
		&MsgOpenChannel{}, &MsgSettle{}, &MsgCloseChannel{}, &MsgCommitReceipts{}, &MsgUpdateParams{})
	msgservice.RegisterMsgServiceDesc(registry, &_Msg_serviceDesc)
}
