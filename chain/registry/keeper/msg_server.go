package keeper

import (
	"context"

	"github.com/assaynet/assay/chain/registry/types"
)

type msgServer struct{ k Keeper }

// NewMsgServer serves the module's messages.
func NewMsgServer(k Keeper) types.MsgServer { return msgServer{k} }

func (s msgServer) StoreBegin(ctx context.Context, msg *types.MsgStoreBegin) (*types.MsgStoreBeginResponse, error) {
	if err := s.k.Begin(ctx, msg); err != nil {
		return nil, err
	}
	return &types.MsgStoreBeginResponse{}, nil
}

func (s msgServer) StoreChunk(ctx context.Context, msg *types.MsgStoreChunk) (*types.MsgStoreChunkResponse, error) {
	complete, err := s.k.Chunk(ctx, msg)
	if err != nil {
		return nil, err
	}
	return &types.MsgStoreChunkResponse{Complete: complete}, nil
}

func (s msgServer) StoreRemove(ctx context.Context, msg *types.MsgStoreRemove) (*types.MsgStoreRemoveResponse, error) {
	if err := s.k.Remove(ctx, msg); err != nil {
		return nil, err
	}
	return &types.MsgStoreRemoveResponse{}, nil
}

func (s msgServer) Activate(ctx context.Context, msg *types.MsgActivate) (*types.MsgActivateResponse, error) {
	from, err := s.k.Activate(ctx, msg)
	if err != nil {
		return nil, err
	}
	return &types.MsgActivateResponse{FromEpoch: from}, nil
}

func (s msgServer) UpdateParams(ctx context.Context, msg *types.MsgUpdateParams) (*types.MsgUpdateParamsResponse, error) {
	if msg.Authority != s.k.authority {
		return nil, types.ErrAuthority.Wrapf("%s, want %s", msg.Authority, s.k.authority)
	}
	if err := msg.Params.Validate(); err != nil {
		return nil, err
	}
	if err := s.k.params.Set(ctx, msg.Params); err != nil {
		return nil, err
	}
	return &types.MsgUpdateParamsResponse{}, nil
}
