package main

import (
	"context"
	"errors"
	"fmt"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/verifier/auditor"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// This file is the cross-check of verdicts as the auditor sees it.

// errMoved: the chain went on between two queries; the next height tells.
var errMoved = errors.New("the cross-check moved on")

func (l auditorLink) Cross(ctx context.Context) (auditor.Cross, error) {
	q := audittypes.NewQueryClient(l.c.Conn())
	r, err := q.Round(ctx, &audittypes.QueryRoundRequest{})
	if err != nil {
		return auditor.Cross{}, fmt.Errorf("ask for the round: %w", err)
	}
	round := r.Round
	out := auditor.Cross{ChainID: l.c.ChainID(), Epoch: round.Epoch, Round: uint64(round.Round), Stage: stages[round.Cross]}
	if out.Stage == auditor.StageNone || out.Stage == auditor.StageDone {
		return out, nil
	}
	p, err := q.Params(ctx, &audittypes.QueryParamsRequest{})
	if err != nil {
		return out, fmt.Errorf("ask for the audit's parameters: %w", err)
	}
	out.Challenges = uint64(p.Params.Challenges)
	out.VerdictsRoot = commit.Root(round.VerdictsRoot)
	if out.Verdicts, err = l.crossVerdicts(ctx, round, out.VerdictsRoot); err != nil || out.Stage == auditor.StageChallenge {
		return out, err
	}
	challenged, err := collect(func(page *pageRequest) ([]audittypes.Challenged, *pageResponse, error) {
		r, err := q.Challenged(ctx, &audittypes.QueryChallengedRequest{Epoch: round.Epoch, Pagination: page})
		if err != nil {
			return nil, nil, fmt.Errorf("list what is cross-checked: %w", err)
		}
		return r.Challenged, r.Pagination, nil
	})
	if err != nil {
		return out, err
	}
	for _, c := range challenged {
		if c.Round != round.Round {
			continue
		}
		d, err := crossDrawn(c)
		if err != nil {
			return out, err
		}
		out.Drawn = append(out.Drawn, d)
	}
	return out, nil
}

var stages = map[audittypes.CrossStage]auditor.Stage{
	audittypes.CROSS_NONE: auditor.StageNone, audittypes.CROSS_CHALLENGE: auditor.StageChallenge,
	audittypes.CROSS_OPEN: auditor.StageOpen, audittypes.CROSS_REPORT: auditor.StageReport, audittypes.CROSS_DONE: auditor.StageDone,
}

// crossVerdicts are the round's verdicts with the powers of their seats. They
// must be those that the round's root binds: else the chain went on.
func (l auditorLink) crossVerdicts(ctx context.Context, round audittypes.Round, root commit.Root) ([]auditor.CrossVerdict, error) {
	all, err := l.verdicts(ctx, round.Epoch)
	if err != nil {
		return nil, err
	}
	powers := map[string]uint64{}
	for _, s := range round.Seats {
		powers[s.Validator] = s.Power
	}
	var out []auditor.CrossVerdict
	var plain []commit.Verdict
	for _, v := range all {
		if v.Round != round.Round {
			continue
		}
		addr, err := addressBytes(v.Validator)
		if err != nil {
			return nil, err
		}
		if len(v.Output) != sample.OutputSize || len(v.KeyedRoot) != len(commit.Root{}) {
			return nil, fmt.Errorf("verdict of %s has a root of %d bytes", v.Validator, len(v.KeyedRoot))
		}
		x := auditor.CrossVerdict{Validator: addr, Power: powers[v.Validator], Output: sample.Output(v.Output),
			Bitmap: v.Bitmap, KeyedRoot: commit.Root(v.KeyedRoot), Leaves: v.Leaves}
		if len(v.Challenge) == sample.OutputSize {
			challenge := sample.Output(v.Challenge)
			x.Challenge = &challenge
		}
		out = append(out, x)
		plain = append(plain, commit.Verdict{Epoch: v.Epoch, Round: uint64(v.Round), Validator: addr,
			Output: x.Output, Bitmap: x.Bitmap, KeyedRoot: x.KeyedRoot})
	}
	if got := commit.VerdictsRoot(plain); got != root {
		return nil, fmt.Errorf("%w: verdicts have root %s, the round says %s", errMoved, got, root)
	}
	return out, nil
}

func crossDrawn(c audittypes.Challenged) (auditor.CrossDrawn, error) {
	addr, err := addressBytes(c.Validator)
	if err != nil {
		return auditor.CrossDrawn{}, err
	}
	d := auditor.CrossDrawn{Validator: addr}
	for _, u := range c.Units {
		claimant, err := addressBytes(u.Claimant)
		if err != nil {
			return d, err
		}
		x := auditor.CrossUnit{Position: u.Position, Claimant: claimant, Index: u.Index}
		if len(u.Digest) == commit.UnitDigestSize {
			digest := commit.Digest(u.Digest)
			x.Digest = &digest
		}
		d.Units = append(d.Units, x)
	}
	return d, nil
}

func (l auditorLink) SendChallenge(ctx context.Context, c auditor.Challenge) error {
	return l.send(ctx, auditor.ErrRefused, &audittypes.MsgChallenge{
		Validator: l.acct.Address(), Epoch: c.Epoch, Round: uint32(c.Round), VrfProof: c.Proof[:],
	})
}

func (l auditorLink) SendKeyed(ctx context.Context, o auditor.KeyedOpenings) error {
	m := &audittypes.MsgOpenKeyed{Validator: l.acct.Address(), Epoch: o.Epoch, Round: uint32(o.Round)}
	for _, x := range o.Openings {
		m.Openings = append(m.Openings, audittypes.KeyedOpening{Position: x.Position, Digest: x.Digest[:], Path: x.Path})
	}
	return l.send(ctx, auditor.ErrRefused, m)
}

func (l auditorLink) SendKeyedReport(ctx context.Context, r auditor.KeyedReport) error {
	validator, err := bech32Of(r.Validator)
	if err != nil {
		return err
	}
	return l.send(ctx, auditor.ErrRefused, &audittypes.MsgReportKeyed{
		Reporter: l.acct.Address(), Epoch: r.Epoch, Round: uint32(r.Round), Validator: validator, Position: r.Position,
	})
}
