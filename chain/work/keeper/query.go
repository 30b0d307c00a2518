package keeper

import (
	"context"
	stderrors "errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cosmossdk.io/collections"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/assaynet/assay/chain/work/types"
)

// maxPageLimit bounds a page of a query.
const maxPageLimit = 1000

type queryServer struct{ k Keeper }

// NewQueryServer returns the handlers of the module's queries.
func NewQueryServer(k Keeper) types.QueryServer { return queryServer{k} }

var _ types.QueryServer = queryServer{}

func (q queryServer) Params(ctx context.Context, _ *types.QueryParamsRequest) (*types.QueryParamsResponse, error) {
	p, err := q.k.params.Get(ctx)
	return &types.QueryParamsResponse{Params: p}, err
}

func (q queryServer) Channel(ctx context.Context, r *types.QueryChannelRequest) (*types.QueryChannelResponse, error) {
	c, err := q.k.Channel(ctx, r.Id)
	if stderrors.Is(err, types.ErrNoChannel) {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	return &types.QueryChannelResponse{Channel: c}, err
}

func (q queryServer) Channels(ctx context.Context, r *types.QueryChannelsRequest) (*types.QueryChannelsResponse, error) {
	if r.Client == "" {
		channels, page, err := query.CollectionPaginate(ctx, q.k.channels, limited(r.Pagination),
			func(_ uint64, c types.Channel) (types.Channel, error) { return c, nil })
		return &types.QueryChannelsResponse{Channels: channels, Pagination: page}, err
	}
	client, err := q.k.addressOf(r.Client)
	if err != nil {
		return nil, err
	}
	channels, page, err := query.CollectionPaginate(ctx, q.k.byClient, limited(r.Pagination),
		func(key clientKey, _ collections.NoValue) (types.Channel, error) { return q.k.Channel(ctx, key.K2()) },
		query.WithCollectionPaginationPairPrefix[[]byte, uint64](client))
	return &types.QueryChannelsResponse{Channels: channels, Pagination: page}, err
}

func (q queryServer) Receipts(ctx context.Context, r *types.QueryReceiptsRequest) (*types.QueryReceiptsResponse, error) {
	receipts, page, err := query.CollectionPaginate(ctx, q.k.receipts, limited(r.Pagination),
		func(_ epochKey, v types.Receipts) (types.Receipts, error) { return v, nil },
		query.WithCollectionPaginationPairPrefix[uint64, []byte](r.Epoch))
	return &types.QueryReceiptsResponse{Receipts: receipts, Pagination: page}, err
}

func limited(p *query.PageRequest) *query.PageRequest {
	if p == nil || p.Limit <= maxPageLimit {
		return p
	}
	bounded := *p
	bounded.Limit = maxPageLimit
	return &bounded
}
