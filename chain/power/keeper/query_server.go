package keeper

import (
	"context"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/assaynet/assay/chain/power/types"
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

func (s queryServer) Miners(ctx context.Context, req *types.QueryMinersRequest) (*types.QueryMinersResponse, error) {
	miners, page, err := query.CollectionPaginate(ctx, s.k.miners, req.Pagination,
		func(_ []byte, m types.Miner) (types.Miner, error) { return m, nil })
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &types.QueryMinersResponse{Miners: miners, Pagination: page}, nil
}

func (s queryServer) Miner(ctx context.Context, req *types.QueryMinerRequest) (*types.QueryMinerResponse, error) {
	operator, err := sdk.AccAddressFromBech32(req.Operator)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "operator: %v", err)
	}
	miner, err := s.k.Miner(ctx, operator)
	if err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	epoch, err := s.k.Epoch(ctx)
	if err != nil {
		return nil, err
	}
	weight, err := s.k.Weight(ctx, operator)
	if err != nil {
		return nil, err
	}
	seat, err := orZero(s.k.seats.Get(ctx, operator))
	if err != nil {
		return nil, err
	}
	used, err := s.k.laneUsed(ctx, epoch, operator)
	if err != nil {
		return nil, err
	}
	return &types.QueryMinerResponse{Miner: miner, Weight: weight, Power: seat.Power, LaneUsed: used}, nil
}

func (s queryServer) Powers(ctx context.Context, req *types.QueryPowersRequest) (*types.QueryPowersResponse, error) {
	epoch := req.Epoch
	if epoch == 0 {
		running, err := s.k.Epoch(ctx)
		if err != nil {
			return nil, err
		}
		epoch = running
	}
	set, err := s.k.Frozen(ctx, epoch)
	if err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	return &types.QueryPowersResponse{Set: set}, nil
}

func (s queryServer) Weights(ctx context.Context, req *types.QueryWeightsRequest) (*types.QueryWeightsResponse, error) {
	epoch, err := s.k.Epoch(ctx)
	if err != nil {
		return nil, err
	}
	total, err := orZero(s.k.totals.Get(ctx, epoch))
	if err != nil {
		return nil, err
	}
	weights, page, err := query.CollectionPaginate(ctx, s.k.weights, req.Pagination,
		func(key collections.Pair[uint64, []byte], weight uint64) (types.Weight, error) {
			return types.Weight{Miner: sdk.AccAddress(key.K2()).String(), Weight: weight}, nil
		}, query.WithCollectionPaginationPairPrefix[uint64, []byte](epoch))
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &types.QueryWeightsResponse{Epoch: epoch, Total: total, Weights: weights, Pagination: page}, nil
}

func (s queryServer) Validators(ctx context.Context, _ *types.QueryValidatorsRequest) (*types.QueryValidatorsResponse, error) {
	seated, err := s.k.seated(ctx)
	if err != nil {
		return nil, err
	}
	resp := &types.QueryValidatorsResponse{Validators: seated}
	for _, v := range seated {
		resp.Total += v.Power
	}
	return resp, nil
}
