package keeper

import (
	"context"
	stderrors "errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cosmossdk.io/collections"
	"cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
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

func (q queryServer) Epoch(ctx context.Context, _ *types.QueryEpochRequest) (*types.QueryEpochResponse, error) {
	e, err := q.k.Epoch(ctx)
	if err != nil {
		return nil, notFound(err, types.ErrNoEpoch)
	}
	return &types.QueryEpochResponse{Epoch: e, Height: sdk.UnwrapSDKContext(ctx).BlockHeight()}, nil
}

func (q queryServer) Claims(ctx context.Context, r *types.QueryClaimsRequest) (*types.QueryClaimsResponse, error) {
	e, number, err := q.epoch(ctx, r.Epoch)
	if err != nil {
		return nil, err
	}
	claims, page, err := query.CollectionPaginate(ctx, q.k.claims, limited(r.Pagination),
		func(_ collections.Pair[uint64, []byte], c types.Claim) (types.Claim, error) {
			return shown(e, c), nil
		}, query.WithCollectionPaginationPairPrefix[uint64, []byte](number))
	return &types.QueryClaimsResponse{Claims: claims, Pagination: page}, err
}

func (q queryServer) Claim(ctx context.Context, r *types.QueryClaimRequest) (*types.QueryClaimResponse, error) {
	e, number, err := q.epoch(ctx, r.Epoch)
	if err != nil {
		return nil, err
	}
	miner, err := q.k.addressOf(r.Miner)
	if err != nil {
		return nil, err
	}
	c, err := q.k.Claim(ctx, number, miner)
	if err != nil {
		return nil, notFound(err, types.ErrNoClaim)
	}
	includer, err := q.includer(c)
	return &types.QueryClaimResponse{Claim: shown(e, c), Includer: includer}, err
}

// includer is the text of who is paid for taking the claim, empty for nobody.
func (q queryServer) includer(c types.Claim) (string, error) {
	miner, err := q.k.addressOf(c.Miner)
	if err != nil || c.Void() || c.Includer(miner) == nil {
		return "", err
	}
	return q.k.addresses.BytesToString(c.Includer(miner))
}

func (q queryServer) Settlement(ctx context.Context, r *types.QuerySettlementRequest) (*types.QuerySettlementResponse, error) {
	number := r.Epoch
	if number == 0 {
		e, err := q.k.Epoch(ctx)
		if err != nil {
			return nil, notFound(err, types.ErrNoEpoch)
		}
		number = e.Number
		if e.Phase != types.PHASE_DONE {
			number--
		}
	}
	s, err := q.k.settlements.Get(ctx, number)
	if stderrors.Is(err, collections.ErrNotFound) {
		return nil, notFound(errors.Wrapf(types.ErrNoSettlement, "of epoch %d", number), types.ErrNoSettlement)
	}
	if err != nil {
		return nil, err
	}
	lines, page, err := query.CollectionPaginate(ctx, q.k.claims, limited(r.Pagination),
		func(_ collections.Pair[uint64, []byte], c types.Claim) (types.Line, error) {
			includer, err := q.includer(c)
			return types.Line{
				Miner: c.Miner, Units: c.Counted(), Share: types.ShareOf(c.Counted(), s.Units),
				Status: c.Status, Amount: c.Amount, Withheld: c.Withheld, Includer: includer,
			}, err
		}, query.WithCollectionPaginationPairPrefix[uint64, []byte](number))
	return &types.QuerySettlementResponse{Settlement: s, Lines: lines, Pagination: page}, err
}

func (q queryServer) Reserve(ctx context.Context, _ *types.QueryReserveRequest) (*types.QueryReserveResponse, error) {
	c, err := q.k.chain.Get(ctx)
	return &types.QueryReserveResponse{Reserve: c.Reserve, Emitted: c.Emitted, Vesting: c.Vesting}, err
}

func (q queryServer) Vesting(ctx context.Context, r *types.QueryVestingRequest) (*types.QueryVestingResponse, error) {
	owner, err := q.k.addressOf(r.Owner)
	if err != nil {
		return nil, err
	}
	a, found, err := q.k.vestingOf(ctx, owner)
	if err != nil {
		return nil, err
	}
	if !found {
		a.Owner = r.Owner
	}
	return &types.QueryVestingResponse{Account: a, Held: a.Held()}, nil
}

// Late answers for this node alone, from what its mempool was shown.
func (q queryServer) Late(ctx context.Context, _ *types.QueryLateRequest) (*types.QueryLateResponse, error) {
	e, err := q.k.Epoch(ctx)
	if err != nil {
		return nil, notFound(err, types.ErrNoEpoch)
	}
	seen := commit.NewBitmap(int(e.Late))
	i := 0
	err = q.k.WalkClaims(ctx, e.Number, func(miner sdk.AccAddress, c types.Claim) (bool, error) {
		if c.Late == 0 {
			return false, nil
		}
		if q.k.witness != nil && q.k.witness.Saw(e.Number, miner, c.Count, c.Root) {
			seen.Set(i)
		}
		i++
		return false, nil
	})
	return &types.QueryLateResponse{Epoch: e.Number, Seen: seen}, err
}

func (q queryServer) Emission(ctx context.Context, r *types.QueryEmissionRequest) (*types.QueryEmissionResponse, error) {
	p, err := q.k.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	return &types.QueryEmissionResponse{Amount: types.Emission(p.EmissionPerEpoch, p.HalvingEpochs, r.Epoch)}, nil
}

// epoch returns the running epoch and the number that a request means.
func (q queryServer) epoch(ctx context.Context, number uint64) (types.Epoch, uint64, error) {
	e, err := q.k.Epoch(ctx)
	if err != nil {
		return e, 0, notFound(err, types.ErrNoEpoch)
	}
	if number == 0 {
		number = e.Number
	}
	return e, number, nil
}

// shown fills in the draw of the running round.
func shown(e types.Epoch, c types.Claim) types.Claim {
	if c.Epoch == e.Number {
		c.Draw, c.DrawRound = e.DrawOf(c), e.Round
	}
	return c
}

func limited(p *query.PageRequest) *query.PageRequest {
	if p == nil || p.Limit <= maxPageLimit {
		return p
	}
	bounded := *p
	bounded.Limit = maxPageLimit
	return &bounded
}

func notFound(err, kind error) error {
	if stderrors.Is(err, kind) {
		return status.Error(codes.NotFound, err.Error())
	}
	return err
}
