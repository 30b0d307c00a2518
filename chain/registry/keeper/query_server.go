package keeper

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/assaynet/assay/chain/registry/types"
)

type queryServer struct{ k Keeper }

// NewQueryServer serves the module's queries.
func NewQueryServer(k Keeper) types.QueryServer { return queryServer{k} }

func (s queryServer) Params(ctx context.Context, _ *types.QueryParamsRequest) (*types.QueryParamsResponse, error) {
	params, err := s.k.Params(ctx)
	if err != nil {
		return nil, err
	}
	return &types.QueryParamsResponse{Params: params}, nil
}

func (s queryServer) Blob(ctx context.Context, req *types.QueryBlobRequest) (*types.QueryBlobResponse, error) {
	if err := types.CheckHash(req.Hash); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if req.Limit > types.MaxPage {
		return nil, status.Errorf(codes.InvalidArgument, "limit is %d chunks, at most %d", req.Limit, types.MaxPage)
	}
	blob, err := s.k.Blob(ctx, req.Hash)
	if errors.Is(err, types.ErrNotFound) {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	if err != nil {
		return nil, err
	}
	resp := &types.QueryBlobResponse{Blob: blob}
	id, err := s.k.blobIDs.Get(ctx, req.Hash)
	if err != nil {
		return nil, err
	}
	for i := uint64(req.From); i < min(uint64(req.From)+uint64(req.Limit), uint64(blob.Chunks)); i++ {
		chunk, err := s.k.chunks.Get(ctx, collections.Join(id, uint32(i)))
		if err != nil {
			return nil, err
		}
		resp.Chunks = append(resp.Chunks, chunk)
	}
	return resp, nil
}

func (s queryServer) Blobs(ctx context.Context, req *types.QueryBlobsRequest) (*types.QueryBlobsResponse, error) {
	blobs, page, err := query.CollectionPaginate(ctx, s.k.blobs, req.Pagination,
		func(_ []byte, b types.Blob) (types.Blob, error) { return b, nil })
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &types.QueryBlobsResponse{Blobs: blobs, Pagination: page}, nil
}

func (s queryServer) Uploads(ctx context.Context, req *types.QueryUploadsRequest) (*types.QueryUploadsResponse, error) {
	creator, err := sdk.AccAddressFromBech32(req.Creator)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "creator: %v", err)
	}
	uploads, err := s.k.openUploads(ctx, creator)
	if err != nil {
		return nil, err
	}
	return &types.QueryUploadsResponse{Uploads: uploads}, nil
}

func (s queryServer) Active(ctx context.Context, req *types.QueryActiveRequest) (*types.QueryActiveResponse, error) {
	list := func(m collections.Map[string, types.Activation]) (out []types.Activation, err error) {
		err = m.Walk(ctx, nil, func(slot string, a types.Activation) (bool, error) {
			if req.Slot == "" || req.Slot == slot {
				out = append(out, a)
			}
			return false, nil
		})
		return out, err
	}
	active, err := list(s.k.active)
	if err != nil {
		return nil, err
	}
	pending, err := list(s.k.pending)
	if err != nil {
		return nil, err
	}
	return &types.QueryActiveResponse{Active: active, Pending: pending}, nil
}
