package main

import (
	"context"
	"fmt"

	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/runtime/miner"
	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/openings"
)

// minerLink is the miner's view of the chain.
type minerLink struct{ *link }

var _ miner.Chain = minerLink{}

func (l minerLink) Epoch(ctx context.Context) (miner.Epoch, error) {
	r, err := l.epoch(ctx)
	if err != nil {
		return miner.Epoch{}, err
	}
	e := r.Epoch
	if len(e.Seed) != 32 || len(e.Work.ModuleHash) != 32 {
		return miner.Epoch{}, fmt.Errorf("no epoch is open at height %d", r.Height)
	}
	return miner.Epoch{
		Number: e.Number, Height: r.Height, Start: e.StartHeight, ComputeEnd: e.ComputeEnd, CommitEnd: e.CommitEnd,
		Seed: [32]byte(e.Seed), Module: [32]byte(e.Work.ModuleHash), Params: e.Work.Params,
		TensorBytes: e.Work.TensorBytes, MemoryPages: e.Work.MemoryPages, GasSetup: e.Work.GasSetup, GasUnit: e.Work.GasUnit,
		Fold: e.Params.Fold, MinUnits: e.Params.MinClaimUnits, MaxUnits: e.Params.MaxClaimUnits,
		MaxExtensions: e.Params.MaxExtensions,
	}, nil
}

func (l minerLink) Crowd(ctx context.Context) (miner.Crowd, error) {
	limits, err := consensustypes.NewQueryClient(l.c.Conn()).Params(ctx, &consensustypes.QueryParamsRequest{})
	if err != nil {
		return miner.Crowd{}, fmt.Errorf("ask for the limits of a block: %w", err)
	}
	var crowd miner.Crowd
	if b := limits.Params.GetBlock(); b != nil && b.MaxGas > 0 {
		crowd.BlockClaims = uint64(b.MaxGas) / client.DefaultGas(&sprinttypes.MsgCommitWork{})
	}
	last, err := sprinttypes.NewQueryClient(l.c.Conn()).Settlement(ctx, &sprinttypes.QuerySettlementRequest{Pagination: &pageRequest{Limit: 1}})
	if notFound(err) {
		return crowd, nil
	}
	if err != nil {
		return miner.Crowd{}, fmt.Errorf("ask how many committed: %w", err)
	}
	crowd.Claims = last.Settlement.Claims
	return crowd, nil
}

func (l minerLink) Claim(ctx context.Context, epoch uint64) (commit.Claim, error) {
	c, err := l.own(ctx, epoch)
	if err != nil {
		return commit.Claim{}, err
	}
	return claim(c)
}

func (l minerLink) own(ctx context.Context, epoch uint64) (sprinttypes.Claim, error) {
	q := sprinttypes.NewQueryClient(l.c.Conn())
	r, err := q.Claim(ctx, &sprinttypes.QueryClaimRequest{Epoch: epoch, Miner: l.acct.Address()})
	if notFound(err) {
		return sprinttypes.Claim{}, miner.ErrNoClaim
	}
	if err != nil {
		return sprinttypes.Claim{}, fmt.Errorf("ask for the claim of epoch %d: %w", epoch, err)
	}
	return r.Claim, nil
}

func (l minerLink) Commit(ctx context.Context, c miner.Commitment) error {
	return l.send(ctx, miner.ErrRefused, &sprinttypes.MsgCommitWork{
		Miner: l.acct.Address(), Epoch: c.Epoch, Root: c.Root[:], Count: c.Count, Proof: c.Proof,
	})
}

func (l minerLink) Audit(ctx context.Context, epoch, round uint64) (openings.Audit, error) {
	r, err := l.epoch(ctx)
	if err != nil {
		return openings.Audit{}, err
	}
	rd, err := l.round(ctx, r.Epoch, epoch, round)
	if err != nil {
		return openings.Audit{}, err
	}
	own, err := l.own(ctx, epoch)
	if err != nil {
		return openings.Audit{}, fmt.Errorf("%w: %w", openings.ErrUnknown, err)
	}
	c, err := claim(own)
	if err != nil {
		return openings.Audit{}, err
	}
	return openings.Audit{Round: rd, Claim: c, Units: r.Epoch.DrawOf(own)}, nil
}

func (l minerLink) Demands(ctx context.Context) ([]miner.Demand, error) {
	q := audittypes.NewQueryClient(l.c.Conn())
	return collect(func(page *pageRequest) ([]miner.Demand, *pageResponse, error) {
		r, err := q.Demands(ctx, &audittypes.QueryDemandsRequest{Claimant: l.acct.Address(), Pagination: page})
		if err != nil {
			return nil, nil, fmt.Errorf("list demands: %w", err)
		}
		var out []miner.Demand
		for _, d := range r.Demands {
			out = append(out, miner.Demand{ID: d.Id, Epoch: d.Epoch, Indexes: d.Indexes})
		}
		return out, r.Pagination, nil
	})
}

func (l minerLink) Answer(ctx context.Context, demand uint64, opened [][]byte) error {
	return l.send(ctx, miner.ErrRefused, &audittypes.MsgAnswer{Miner: l.acct.Address(), Demand: demand, Openings: opened})
}
