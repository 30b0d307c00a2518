package keeper

import (
	"context"

	"cosmossdk.io/collections"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/assaynet/assay/chain/audit/types"
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

func (q queryServer) Round(ctx context.Context, _ *types.QueryRoundRequest) (*types.QueryRoundResponse, error) {
	r, err := q.k.round.Get(ctx)
	return &types.QueryRoundResponse{Round: r}, err
}

func (q queryServer) Verdicts(ctx context.Context, r *types.QueryVerdictsRequest) (*types.QueryVerdictsResponse, error) {
	epoch, err := q.epoch(ctx, r.Epoch)
	if err != nil {
		return nil, err
	}
	verdicts, page, err := query.CollectionPaginate(ctx, q.k.verdicts, limited(r.Pagination),
		func(_ roundKey, v types.Verdict) (types.Verdict, error) { return v, nil },
		func(o *query.CollectionsPaginateOptions[roundKey]) {
			prefix := collections.TriplePrefix[uint64, uint32, []byte](epoch)
			o.Prefix = &prefix
		})
	return &types.QueryVerdictsResponse{Verdicts: verdicts, Pagination: page}, err
}

func (q queryServer) Reports(ctx context.Context, r *types.QueryReportsRequest) (*types.QueryReportsResponse, error) {
	epoch, err := q.epoch(ctx, r.Epoch)
	if err != nil {
		return nil, err
	}
	reports, page, err := query.CollectionPaginate(ctx, q.k.reports, limited(r.Pagination),
		func(_ epochKey, v types.Report) (types.Report, error) { return v, nil },
		query.WithCollectionPaginationPairPrefix[uint64, []byte](epoch))
	return &types.QueryReportsResponse{Reports: reports, Pagination: page}, err
}

func (q queryServer) Demands(ctx context.Context, r *types.QueryDemandsRequest) (*types.QueryDemandsResponse, error) {
	demands, page, err := query.CollectionFilteredPaginate(ctx, q.k.demands, limited(r.Pagination),
		func(_ uint64, d types.Demand) (bool, error) { return r.Claimant == "" || d.Claimant == r.Claimant, nil },
		func(_ uint64, d types.Demand) (types.Demand, error) { return d, nil })
	return &types.QueryDemandsResponse{Demands: demands, Pagination: page}, err
}

func (q queryServer) Answers(ctx context.Context, r *types.QueryAnswersRequest) (*types.QueryAnswersResponse, error) {
	epoch, err := q.epoch(ctx, r.Epoch)
	if err != nil {
		return nil, err
	}
	claimant, err := q.k.addressOf(r.Claimant)
	if err != nil {
		return nil, err
	}
	answers, page, err := query.CollectionPaginate(ctx, q.k.answers, limited(r.Pagination),
		func(_ unitKey, a types.Answer) (types.Answer, error) { return a, nil },
		func(o *query.CollectionsPaginateOptions[unitKey]) {
			prefix := collections.TripleSuperPrefix[uint64, []byte, uint64](epoch, claimant)
			o.Prefix = &prefix
		})
	return &types.QueryAnswersResponse{Answers: answers, Pagination: page}, err
}

func (q queryServer) Challenged(ctx context.Context, r *types.QueryChallengedRequest) (*types.QueryChallengedResponse, error) {
	epoch, err := q.epoch(ctx, r.Epoch)
	if err != nil {
		return nil, err
	}
	challenged, page, err := query.CollectionPaginate(ctx, q.k.challenged, limited(r.Pagination),
		func(_ roundKey, c types.Challenged) (types.Challenged, error) { return c, nil },
		func(o *query.CollectionsPaginateOptions[roundKey]) {
			prefix := collections.TriplePrefix[uint64, uint32, []byte](epoch)
			o.Prefix = &prefix
		})
	return &types.QueryChallengedResponse{Challenged: challenged, Pagination: page}, err
}

func (q queryServer) epoch(ctx context.Context, number uint64) (uint64, error) {
	if number != 0 {
		return number, nil
	}
	e, err := q.k.epochs.Epoch(ctx)
	return e.Number, err
}

func limited(p *query.PageRequest) *query.PageRequest {
	if p == nil || p.Limit <= maxPageLimit {
		return p
	}
	bounded := *p
	bounded.Limit = maxPageLimit
	return &bounded
}
