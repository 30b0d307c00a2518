package keeper

import (
	"context"
	"crypto/sha256"
	stderrors "errors"
	"slices"
	"strconv"

	"cosmossdk.io/collections"
	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

const (
	// entropyTag separates the hash of the verdicts' outputs.
	entropyTag = "assay/entropy/1"
	// expirePage bounds the demands that one block lets expire.
	expirePage = 100
	// prunePage bounds the entries of each kind that one block prunes.
	prunePage = 200
)

// EndBlock must run after that of the sprint: it sees the phase of the next block.
func (k Keeper) EndBlock(ctx context.Context) error {
	e, err := k.epochs.Epoch(ctx)
	if stderrors.Is(err, sprinttypes.ErrNoEpoch) {
		return nil
	}
	if err != nil {
		return err
	}
	if e.Phase != sprinttypes.PHASE_AUDIT && e.Phase != sprinttypes.PHASE_ADJUDICATE {
		return k.prune(ctx, e.Number)
	}
	p, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	r, err := k.round.Get(ctx)
	if err != nil {
		return err
	}
	if r.Epoch != e.Number {
		if r, err = k.firstRound(ctx, e); err != nil {
			return err
		}
	}
	if err := k.adjudicate(ctx, e, &r, p); err != nil {
		return err
	}
	if err := k.expire(ctx, e, r, p); err != nil {
		return err
	}
	if e.Phase == sprinttypes.PHASE_ADJUDICATE {
		if err := k.cross(ctx, e, &r, p); err != nil {
			return err
		}
	}
	if err := k.round.Set(ctx, r); err != nil {
		return err
	}
	if e.Phase == sprinttypes.PHASE_ADJUDICATE {
		return k.conclude(ctx, e, r, p)
	}
	return nil
}

// StartJobs begins the re-execution of what this block reported. It runs at the end of a block
// that is being finalized and writes nothing.
func (k Keeper) StartJobs(ctx context.Context) error {
	e, err := k.epochs.Epoch(ctx)
	if stderrors.Is(err, sprinttypes.ErrNoEpoch) {
		return nil
	}
	if err != nil {
		return err
	}
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	return k.queue.Walk(ctx, new(collections.Range[uint64]).Descending(), func(_ uint64, id []byte) (bool, error) {
		report, err := k.reports.Get(ctx, collections.Join(e.Number, id))
		if err != nil || report.Height != height {
			return true, err
		}
		claimant, err := k.addressOf(report.Claimant)
		if err != nil {
			return true, err
		}
		j, err := k.job(ctx, e, report, claimant)
		if err != nil {
			return true, err
		}
		k.rechecker.Queue(j)
		return false, nil
	})
}

// firstRound seats the validators that were frozen at the epoch's start.
func (k Keeper) firstRound(ctx context.Context, e sprinttypes.Epoch) (types.Round, error) {
	seats, err := k.power.Seats(ctx, e.Number)
	if err != nil {
		return types.Round{}, err
	}
	if len(seats) > types.MaxSeats {
		seats = seats[:types.MaxSeats]
	}
	return types.Round{Epoch: e.Number, Seats: seats, Power: powerOf(seats)}, nil
}

// expire voids the claims whose demands were not answered by their deadline, nor until the others were
// heard (see silent); a block handles a page of them. Of a claim that is void for a false unit, silence
// counts as a further one: else a faker would withhold what the extra draw asks for.
func (k Keeper) expire(ctx context.Context, e sprinttypes.Epoch, r types.Round, p types.Params) error {
	next := sdk.UnwrapSDKContext(ctx).BlockHeight() + 1
	var due []uint64
	err := k.deadlines.Walk(ctx, nil, func(key dueKey) (bool, error) {
		if key.K1() > next || len(due) >= expirePage {
			return true, nil
		}
		due = append(due, key.K2())
		return false, nil
	})
	if err != nil {
		return err
	}
	for _, id := range due {
		d, err := k.demands.Get(ctx, id)
		if err != nil {
			return err
		}
		if silent, err := k.silent(ctx, d, p); err != nil || !silent {
			return err // and of younger demands less was heard
		}
		validator, err := k.addressOf(d.Validator)
		if err != nil {
			return err
		}
		claimant, err := k.addressOf(d.Claimant)
		if err != nil {
			return err
		}
		claim, err := k.epochs.Claim(ctx, e.Number, claimant)
		if err != nil {
			return err
		}
		if suspect(claim, p) {
			units, err := k.court.AddFalseUnit(ctx, claimant)
			if err != nil {
				return err
			}
			if err := k.condemn(ctx, e, r, p, d.Claimant, claimant, units); err != nil {
				return err
			}
		} else if err := k.court.VoidClaim(ctx, claimant, sprinttypes.CLAIM_VOID_UNANSWERED); err != nil {
			return err
		}
		if err := k.closeDemand(ctx, d); err != nil {
			return err
		}
		if err := k.payDeposit(ctx, validator, math.NewIntFromUint64(d.Deposit)); err != nil {
			return err
		}
		emit(ctx, "demand_unanswered", d.Epoch, sdk.NewAttribute("demand", strconv.FormatUint(id, 10)),
			sdk.NewAttribute("claimant", d.Claimant), sdk.NewAttribute("validator", d.Validator))
	}
	return nil
}

// silent says whether it is the claimant's doing that a demand has no answer: since half of its time
// was over, validators with more than two thirds of the power made blocks. Of any coalition with
// less one of the others is among them, which had the answer by then and would have put it into its
// block. So a coalition that has all blocks with the answer refused waits in vain.
func (k Keeper) silent(ctx context.Context, d types.Demand, p types.Params) (bool, error) {
	heard, total, err := k.power.Heard(ctx, d.Deadline-int64(p.AnswerBlocks+1)/2)
	return 3*heard > 2*total || total == 0, err
}

// conclude ends the round once its verdicts are cross-checked and nothing is queued or demanded:
// with a further round if claims lack coverage or samples, else with the settlement.
func (k Keeper) conclude(ctx context.Context, e sprinttypes.Epoch, r types.Round, p types.Params) error {
	if r.Cross != types.CROSS_DONE {
		return nil
	}
	_, waiting, _, err := k.head(ctx)
	if err != nil || waiting != nil {
		return err
	}
	open, err := k.openDemands(ctx)
	if err != nil || open {
		return err
	}
	if over, err := k.over(ctx, &r.ReportEnd, r.ReportSince); err != nil || !over {
		if err == nil {
			err = k.round.Set(ctx, r)
		}
		return err
	}
	if e.Round < p.MaxRounds && len(r.Seats) > 0 {
		draws, err := k.missing(ctx, e, r, p)
		if err != nil {
			return err
		}
		if len(draws) > 0 {
			past := types.Round{Epoch: r.Epoch, Round: r.Round, Seats: r.Seats, Power: r.Power}
			if err := k.past.Set(ctx, collections.Join(e.Number, uint64(r.Round)), past); err != nil {
				return err
			}
			if err := k.round.Set(ctx, furtherRound(r)); err != nil {
				return err
			}
			return k.court.Redraw(ctx, draws)
		}
	}
	result, err := k.result(ctx, e, r)
	if err != nil {
		return err
	}
	return k.court.Settle(ctx, result)
}

// furtherRound seats those who were present and whose verdicts stand; where there is nobody, all who
// did nothing wrong have another chance.
func furtherRound(r types.Round) types.Round {
	r.Round++
	r.Cross, r.CrossEnd, r.VerdictsRoot = types.CROSS_NONE, 0, nil
	stays := func(s types.Seat) bool { return s.Present && !s.FalseOk && !s.Dropped }
	if !slices.ContainsFunc(r.Seats, stays) {
		stays = func(s types.Seat) bool { return !s.FalseOk && !s.Dropped }
	}
	var seats []types.Seat
	for _, s := range r.Seats {
		if stays(s) {
			seats = append(seats, s)
		} else {
			r.Absent = append(r.Absent, s)
		}
	}
	r.Seats, r.Power = seats, powerOf(seats)
	return r
}

// missing returns what a further round has to draw: of a claim below its coverage the units that
// nobody vouched for, and of one with a false unit, once, many more.
func (k Keeper) missing(ctx context.Context, e sprinttypes.Epoch, r types.Round, p types.Params) ([]sprinttypes.Draw, error) {
	h, err := k.roundHeld(ctx, e, r, e.Round)
	if err != nil {
		return nil, err
	}
	var draws []sprinttypes.Draw
	position := -1
	err = k.epochs.WalkClaims(ctx, e.Number, func(miner sdk.AccAddress, c sprinttypes.Claim) (bool, error) {
		position++
		if c.Status == sprinttypes.CLAIM_VOID_FALSE {
			if c.FalseUnits < p.ForfeitUnits && c.DrawRound == 0 && p.ExtraDraw > 0 {
				draws = append(draws, sprinttypes.Draw{Miner: miner, Units: min(p.ExtraDraw, c.Count)})
			}
			return false, nil
		}
		units := e.DrawOf(c)
		if c.Void() || units == 0 {
			return false, nil
		}
		var possible, covered uint64
		for _, s := range h.seats {
			n := uint64(h.draw(e, s, miner, c).Size())
			possible += n
			if s.counts() && s.vouches(position) {
				covered += n
			}
		}
		// Where the claimant is the only validator, nobody can draw.
		if possible > 0 && covered < ceilBps(units, p.CoverageBps) {
			draws = append(draws, sprinttypes.Draw{Miner: miner, Units: units - covered})
		}
		return false, nil
	})
	return draws, err
}

// ceilBps returns units·bps/10,000 rounded up; units are at most sample.MaxSamples.
func ceilBps(units uint64, bps uint32) uint64 {
	return (units*uint64(bps) + 9_999) / 10_000
}

// result sums the audit up.
func (k Keeper) result(ctx context.Context, e sprinttypes.Epoch, r types.Round) (sprinttypes.AuditResult, error) {
	h := sha256.New()
	h.Write([]byte(entropyTag))
	err := k.verdicts.Walk(ctx, collections.NewPrefixedTripleRange[uint64, uint32, []byte](e.Number),
		func(_ roundKey, v types.Verdict) (bool, error) {
			h.Write(v.Output)
			return false, nil
		})
	if err != nil {
		return sprinttypes.AuditResult{}, err
	}
	result := sprinttypes.AuditResult{Entropy: [32]byte(h.Sum(nil)), ModuleFailed: r.Failed, Rounds: e.Round + 1}
	if result.Auditors, err = k.weigh(ctx, e, r); err != nil {
		return result, err
	}
	if result.Unseen, err = k.unseen(ctx, e, r); err != nil {
		return result, err
	}
	slices.SortFunc(result.Auditors, func(a, b sprinttypes.Auditor) int { return slices.Compare(a.Validator, b.Validator) })
	return result, nil
}
