package keeper

import (
	"context"

	"cosmossdk.io/collections"

	"github.com/assaynet/assay/chain/audit/types"
)

// InitGenesis takes over a genesis; it must run after those of the bank and of the sprint.
func (k Keeper) InitGenesis(ctx context.Context, g types.GenesisState) error {
	if err := g.Validate(); err != nil {
		return err
	}
	if err := k.params.Set(ctx, g.Params); err != nil {
		return err
	}
	if err := k.round.Set(ctx, g.Round); err != nil {
		return err
	}
	if err := k.nextReport.Set(ctx, g.NextReport); err != nil {
		return err
	}
	if err := k.nextDemand.Set(ctx, g.NextDemand); err != nil {
		return err
	}
	if err := k.pruned.Set(ctx, g.Pruned); err != nil {
		return err
	}
	for _, v := range g.Verdicts {
		validator, err := k.addressOf(v.Validator)
		if err != nil {
			return err
		}
		if err := k.verdicts.Set(ctx, verdictKey(v.Epoch, v.Round, validator), v); err != nil {
			return err
		}
	}
	for _, r := range g.Reports {
		if err := k.reports.Set(ctx, collections.Join(r.Epoch, r.Id), r); err != nil {
			return err
		}
		if r.Status == types.REPORT_QUEUED {
			if err := k.queue.Set(ctx, r.Sequence, r.Id); err != nil {
				return err
			}
		}
		if r.Status == types.REPORT_PROVEN && r.Validator == "" {
			claimant, err := k.addressOf(r.Claimant)
			if err != nil {
				return err
			}
			if err := k.proven.Set(ctx, collections.Join3(r.Epoch, []byte(claimant), r.Index), r.Id); err != nil {
				return err
			}
		}
	}
	for _, d := range g.Demands {
		if err := k.initDemand(ctx, d); err != nil {
			return err
		}
	}
	for _, a := range g.Answers {
		claimant, err := k.addressOf(a.Claimant)
		if err != nil {
			return err
		}
		if err := k.answers.Set(ctx, collections.Join3(a.Epoch, []byte(claimant), a.Index), a); err != nil {
			return err
		}
	}
	for _, c := range g.Challenged {
		validator, err := k.addressOf(c.Validator)
		if err != nil {
			return err
		}
		if err := k.challenged.Set(ctx, verdictKey(c.Epoch, c.Round, validator), c); err != nil {
			return err
		}
	}
	for _, r := range g.Past {
		if err := k.past.Set(ctx, collections.Join(r.Epoch, uint64(r.Round)), r); err != nil {
			return err
		}
	}
	for _, s := range g.Senders {
		if err := k.initSender(ctx, g.Round.Epoch, s); err != nil {
			return err
		}
	}
	return nil
}

func (k Keeper) initDemand(ctx context.Context, d types.Demand) error {
	validator, err := k.addressOf(d.Validator)
	if err != nil {
		return err
	}
	claimant, err := k.addressOf(d.Claimant)
	if err != nil {
		return err
	}
	if err := k.demands.Set(ctx, d.Id, d); err != nil {
		return err
	}
	if err := k.deadlines.Set(ctx, collections.Join(d.Deadline, d.Id)); err != nil {
		return err
	}
	return k.pairs.Set(ctx, collections.Join([]byte(validator), []byte(claimant)), d.Id)
}

func (k Keeper) initSender(ctx context.Context, epoch uint64, s types.Sender) error {
	addr, err := k.addressOf(s.Address)
	if err != nil {
		return err
	}
	return k.senders.Set(ctx, collections.Join(epoch, []byte(addr)), s)
}

// ExportGenesis returns the whole state. Of senders and earlier rounds only those of the
// round's epoch matter afterwards.
func (k Keeper) ExportGenesis(ctx context.Context) (*types.GenesisState, error) {
	g := &types.GenesisState{}
	var err error
	if g.Params, err = k.params.Get(ctx); err != nil {
		return nil, err
	}
	if g.Round, err = k.round.Get(ctx); err != nil {
		return nil, err
	}
	if g.NextReport, err = k.nextReport.Peek(ctx); err != nil {
		return nil, err
	}
	if g.NextDemand, err = k.nextDemand.Peek(ctx); err != nil {
		return nil, err
	}
	if g.Pruned, err = k.pruned.Get(ctx); err != nil {
		return nil, err
	}
	if g.Verdicts, err = values(ctx, k.verdicts, nil); err != nil {
		return nil, err
	}
	if g.Reports, err = values(ctx, k.reports, nil); err != nil {
		return nil, err
	}
	if g.Demands, err = values(ctx, k.demands, nil); err != nil {
		return nil, err
	}
	if g.Answers, err = values(ctx, k.answers, nil); err != nil {
		return nil, err
	}
	if g.Challenged, err = values(ctx, k.challenged, nil); err != nil {
		return nil, err
	}
	if g.Past, err = values(ctx, k.past, collections.NewPrefixedPairRange[uint64, uint64](g.Round.Epoch)); err != nil {
		return nil, err
	}
	g.Senders, err = values[epochKey, types.Sender](ctx, k.senders, collections.NewPrefixedPairRange[uint64, []byte](g.Round.Epoch))
	return g, err
}

func values[K, V any](ctx context.Context, m collections.Map[K, V], r collections.Ranger[K]) ([]V, error) {
	var out []V
	err := m.Walk(ctx, r, func(_ K, v V) (bool, error) {
		out = append(out, v)
		return false, nil
	})
	return out, err
}
