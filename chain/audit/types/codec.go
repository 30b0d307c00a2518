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
	legacy.RegisterAminoMsg(cdc, &MsgVerdict{}, "assay/x/audit/MsgVerdict")
	legacy.RegisterAminoMsg(cdc, &MsgReport{}, "assay/x/audit/MsgReport")
	legacy.RegisterAminoMsg(cdc, &MsgDemand{}, "assay/x/audit/MsgDemand")
	legacy.RegisterAminoMsg(cdc, &MsgAnswer{}, "assay/x/audit/MsgAnswer")
	legacy.RegisterAminoMsg(cdc, &MsgChallenge{}, "assay/x/audit/MsgChallenge")
	legacy.RegisterAminoMsg(cdc, &MsgOpenKeyed{}, "assay/x/audit/MsgOpenKeyed")
	legacy.RegisterAminoMsg(cdc, &MsgReportKeyed{}, "assay/x/audit/MsgReportKeyed")
	legacy.RegisterAminoMsg(cdc, &MsgUpdateParams{}, "assay/x/audit/MsgUpdateParams")
	cdc.RegisterConcrete(&Params{}, "assay/x/audit/Params", nil)
}

// RegisterInterfaces registers the messages.
func RegisterInterfaces(registry codectypes.InterfaceRegistry) {
	registry.RegisterImplementations((*sdk.Msg)(nil),
		&MsgVerdict{}, &MsgReport{}, &MsgDemand{}, &MsgAnswer{},
		&MsgChallenge{}, &MsgOpenKeyed{}, &MsgReportKeyed{}, &MsgUpdateParams{})
	msgservice.RegisterMsgServiceDesc(registry, &_Msg_serviceDesc)
}
