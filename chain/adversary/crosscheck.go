package adversary

import (
	"bytes"
	"context"
	"slices"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// crossCheck is one block of the player's part in the cross-check of a round's verdicts: draw
// leaves of the others' keyed trees, open what they drew of its own, and recompute what was opened.
func (p *Player) crossCheck(e sprinttypes.Epoch) error {
	w, r := p.World, p.round
	q, err := w.auditQuery.Round(w.ctx, &audittypes.QueryRoundRequest{})
	if err != nil || q.Round.Cross == audittypes.CROSS_NONE || q.Round.Cross == audittypes.CROSS_DONE || q.Round.Cross == r.cross {
		return err
	}
	r.cross = q.Round.Cross
	switch r.cross {
	case audittypes.CROSS_CHALLENGE:
		if !r.voted {
			return nil
		}
		r.challenge = p.secret.Prove(sample.CrossInput(chainID, e.Number, uint64(e.Round), commit.Root(q.Round.VerdictsRoot)))
		msg := &audittypes.MsgChallenge{Validator: p.name, Epoch: e.Number, Round: e.Round, VrfProof: r.challenge[:]}
		w.send(&Message{Kind: KindChallenge, Sender: p, proof: msg, run: func(ctx context.Context) error {
			_, err := w.auditMsgs.Challenge(ctx, msg)
			return err
		}})
	case audittypes.CROSS_OPEN:
		return p.openKeyed(e)
	case audittypes.CROSS_REPORT:
		return p.recompute(e, q.Round)
	}
	return nil
}

// openKeyed opens what the others drew of the player's own tree, if it has one.
func (p *Player) openKeyed(e sprinttypes.Epoch) error {
	w := p.World
	list, err := w.auditQuery.Challenged(w.ctx, &audittypes.QueryChallengedRequest{})
	if err != nil || p.round.tree == nil {
		return err
	}
	msg := &audittypes.MsgOpenKeyed{Validator: p.name, Epoch: e.Number, Round: e.Round}
	for _, c := range list.Challenged {
		if c.Round != e.Round || c.Validator != p.name {
			continue
		}
		for _, u := range c.Units {
			keyed, path, err := p.round.tree.Prove(u.Position)
			if err != nil {
				return err
			}
			msg.Openings = append(msg.Openings, audittypes.KeyedOpening{Position: u.Position, Digest: keyed.Digest[:], Path: path})
		}
	}
	if len(msg.Openings) > 0 {
		w.send(&Message{Kind: KindOpenKeyed, Sender: p, run: func(ctx context.Context) error {
			_, err := w.auditMsgs.OpenKeyed(ctx, msg)
			return err
		}})
	}
	return nil
}

// recompute re-executes the leaves that the player drew and reports a wrong one of each verdict.
func (p *Player) recompute(e sprinttypes.Epoch, round audittypes.Round) error {
	w := p.World
	verdicts, err := w.auditQuery.Verdicts(w.ctx, &audittypes.QueryVerdictsRequest{})
	if err != nil {
		return err
	}
	params, err := w.auditQuery.Params(w.ctx, &audittypes.QueryParamsRequest{})
	if err != nil {
		return err
	}
	power := make(map[string]uint64)
	for _, s := range round.Seats {
		power[s.Validator] = s.Power
	}
	var total uint64
	of := make(map[string]audittypes.Verdict)
	for _, v := range verdicts.Verdicts {
		if v.Round == e.Round {
			total += power[v.Validator]
			of[v.Validator] = v
		}
	}
	if len(of[p.name].Challenge) == 0 {
		return nil // not taken: it may not report either
	}
	list, err := w.auditQuery.Challenged(w.ctx, &audittypes.QueryChallengedRequest{})
	if err != nil {
		return err
	}
	for _, c := range list.Challenged {
		target, v := w.playerNamed(c.Validator), of[c.Validator]
		if c.Round != e.Round || target == p || v.Dropped || v.FalseOk || !p.Strategy.Accuses(p, target) {
			continue
		}
		mine := sample.CrossDraw{
			Target: target.addr, Leaves: v.Leaves, Challenges: uint64(params.Params.Challenges),
			Power: power[p.name], TargetPower: power[c.Validator], TotalPower: total,
		}.Positions(p.round.challenge.Output())
		key := sample.AuditKey(sample.Output(v.Output))
		for _, u := range c.Units {
			claimant := w.playerNamed(u.Claimant)
			if !slices.Contains(mine, u.Position) || len(u.Digest) == 0 || !p.Strategy.Audits(p, claimant) {
				continue
			}
			got, err := w.engine.units(e.Seed, claimant.addr, []uint64{u.Index}, &key)
			if err != nil {
				return err
			}
			p.audited++
			if bytes.Equal(got[0].Keyed[:], u.Digest) {
				continue
			}
			msg := &audittypes.MsgReportKeyed{Reporter: p.name, Epoch: e.Number, Round: e.Round, Validator: c.Validator, Position: u.Position}
			w.send(&Message{Kind: KindReport, Sender: p, Target: target, run: func(ctx context.Context) error {
				_, err := w.auditMsgs.ReportKeyed(ctx, msg)
				return err
			}})
			break
		}
	}
	return nil
}
