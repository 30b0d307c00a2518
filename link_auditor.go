package main

import (
	"context"
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	powertypes "github.com/assaynet/assay/chain/power/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/auditor"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// auditorLink is the auditor's view of the chain.
type auditorLink struct{ *link }

var _ auditor.Chain = auditorLink{}

func (l auditorLink) Epoch(ctx context.Context) (auditor.Epoch, error) {
	r, err := l.epoch(ctx)
	if err != nil {
		return auditor.Epoch{}, err
	}
	e := r.Epoch
	if len(e.Seed) != 32 || len(e.Work.ModuleHash) != 32 {
		return auditor.Epoch{}, fmt.Errorf("no epoch is open at height %d", r.Height)
	}
	p, err := audittypes.NewQueryClient(l.c.Conn()).Params(ctx, &audittypes.QueryParamsRequest{})
	if err != nil {
		return auditor.Epoch{}, fmt.Errorf("ask for the audit's parameters: %w", err)
	}
	return auditor.Epoch{
		Number: e.Number, Round: uint64(e.Round), Height: r.Height, AuditEnd: e.AuditEnd,
		Auditing:     e.Phase == sprinttypes.PHASE_AUDIT && len(e.ClaimsRoot) == 32,
		Adjudicating: e.Phase == sprinttypes.PHASE_ADJUDICATE,
		Seed:         [32]byte(e.Seed), Module: [32]byte(e.Work.ModuleHash), Params: e.Work.Params,
		TensorBytes: e.Work.TensorBytes, MemoryPages: e.Work.MemoryPages, GasSetup: e.Work.GasSetup, GasUnit: e.Work.GasUnit,
		Fold: e.Params.Fold, MaxDemand: int(p.Params.MaxDemand),
	}, nil
}

func (l auditorLink) Round(ctx context.Context, epoch, round uint64) (sample.Round, error) {
	r, err := l.epoch(ctx)
	if err != nil {
		return sample.Round{}, err
	}
	return l.round(ctx, r.Epoch, epoch, round)
}

func (l auditorLink) Claims(ctx context.Context, epoch, round uint64) ([]auditor.Claim, error) {
	r, err := l.epoch(ctx)
	if err != nil {
		return nil, err
	}
	if r.Epoch.Number != epoch || uint64(r.Epoch.Round) != round {
		return nil, fmt.Errorf("round %d of epoch %d is over", round, epoch)
	}
	claims, err := l.claims(ctx, epoch)
	if err != nil {
		return nil, err
	}
	endpoints, err := l.endpoints(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]auditor.Claim, len(claims))
	for i, c := range claims {
		if out[i].Claim, err = claim(c); err != nil {
			return nil, err
		}
		out[i].Units, out[i].Endpoint = r.Epoch.DrawOf(c), endpoints[c.Miner]
	}
	return out, nil
}

// endpoints of all miners by address.
func (l auditorLink) endpoints(ctx context.Context) (map[string]string, error) {
	q := powertypes.NewQueryClient(l.c.Conn())
	miners, err := collect(func(page *pageRequest) ([]powertypes.Miner, *pageResponse, error) {
		r, err := q.Miners(ctx, &powertypes.QueryMinersRequest{Pagination: page})
		if err != nil {
			return nil, nil, fmt.Errorf("list miners: %w", err)
		}
		return r.Miners, r.Pagination, nil
	})
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(miners))
	for _, m := range miners {
		out[m.Operator] = m.Endpoint
	}
	return out, nil
}

// verdicts of all rounds of an epoch.
func (l auditorLink) verdicts(ctx context.Context, epoch uint64) ([]audittypes.Verdict, error) {
	q := audittypes.NewQueryClient(l.c.Conn())
	return collect(func(page *pageRequest) ([]audittypes.Verdict, *pageResponse, error) {
		r, err := q.Verdicts(ctx, &audittypes.QueryVerdictsRequest{Epoch: epoch, Pagination: page})
		if err != nil {
			return nil, nil, fmt.Errorf("list verdicts of epoch %d: %w", epoch, err)
		}
		return r.Verdicts, r.Pagination, nil
	})
}

func (l auditorLink) Voted(ctx context.Context, epoch, round uint64) (bool, error) {
	verdicts, err := l.verdicts(ctx, epoch)
	for _, v := range verdicts {
		if uint64(v.Round) == round && v.Validator == l.acct.Address() {
			return true, nil
		}
	}
	return false, err
}

func (l auditorLink) Answers(ctx context.Context, epoch uint64, claimant []byte) ([]auditor.Answer, error) {
	addr, err := bech32Of(claimant)
	if err != nil {
		return nil, err
	}
	q := audittypes.NewQueryClient(l.c.Conn())
	return collect(func(page *pageRequest) ([]auditor.Answer, *pageResponse, error) {
		r, err := q.Answers(ctx, &audittypes.QueryAnswersRequest{Epoch: epoch, Claimant: addr, Pagination: page})
		if err != nil {
			return nil, nil, fmt.Errorf("list answers: %w", err)
		}
		var out []auditor.Answer
		for _, a := range r.Answers {
			if len(a.Digest) == commit.UnitDigestSize {
				out = append(out, auditor.Answer{Index: a.Index, Digest: commit.Digest(a.Digest)})
			}
		}
		return out, r.Pagination, nil
	})
}

func (l auditorLink) SendVerdict(ctx context.Context, v auditor.Verdict) error {
	m := &audittypes.MsgVerdict{
		Validator: l.acct.Address(), Epoch: v.Epoch, Round: uint32(v.Round),
		VrfProof: v.Proof[:], Bitmap: v.Bitmap, KeyedRoot: v.KeyedRoot[:],
	}
	if v.Round == 0 { // which late extensions the node saw in time
		r, err := sprinttypes.NewQueryClient(l.c.Conn()).Late(ctx, &sprinttypes.QueryLateRequest{})
		if err != nil {
			return fmt.Errorf("ask which claims were seen in time: %w", err)
		}
		if r.Epoch != v.Epoch {
			return fmt.Errorf("epoch %d is over", v.Epoch)
		}
		m.Seen = r.Seen
	}
	return l.send(ctx, auditor.ErrRefused, m)
}

func (l auditorLink) SendReport(ctx context.Context, r auditor.Report) error {
	claimant, err := bech32Of(r.Claimant)
	if err != nil {
		return err
	}
	return l.send(ctx, auditor.ErrRefused, &audittypes.MsgReport{
		Reporter: l.acct.Address(), Epoch: r.Epoch, Claimant: claimant, Index: r.Index,
		Opening: r.Opening, VrfProof: r.Proof[:],
	})
}

func (l auditorLink) SendDemand(ctx context.Context, d auditor.Demand) error {
	claimant, err := bech32Of(d.Claimant)
	if err != nil {
		return err
	}
	return l.send(ctx, auditor.ErrRefused, &audittypes.MsgDemand{
		Validator: l.acct.Address(), Epoch: d.Epoch, Claimant: claimant, Indexes: d.Indexes, VrfProof: d.Proof[:],
	})
}

func bech32Of(addr []byte) (string, error) {
	s, err := sdk.Bech32ifyAddressBytes(bech32Prefix, addr)
	if err != nil {
		return "", fmt.Errorf("address %x: %w", addr, err)
	}
	return s, nil
}
