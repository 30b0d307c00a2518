package keeper

import (
	"context"

	"github.com/assaynet/assay/chain/power/types"
)

type msgServer struct{ k Keeper }

// NewMsgServer serves the module's messages.
func NewMsgServer(k Keeper) types.MsgServer { return msgServer{k} }

func (s msgServer) Register(ctx context.Context, msg *types.MsgRegister) (*types.MsgRegisterResponse, error) {
	from, err := s.k.Register(ctx, msg)
	if err != nil {
		return nil, err
	}
	return &types.MsgRegisterResponse{VrfFromEpoch: from}, nil
}

func (s msgServer) UpdateParams(ctx context.Context, msg *types.MsgUpdateParams) (*types.MsgUpdateParamsResponse, error) {
	if msg.Authority != s.k.authority {
		return nil, types.ErrAuthority.Wrapf("%s, want %s", msg.Authority, s.k.authority)
	}
	if err := msg.Params.Validate(); err != nil {
		return nil, err
	}
	return &types.MsgUpdateParamsResponse{}, s.k.params.Set(ctx, msg.Params)
}
