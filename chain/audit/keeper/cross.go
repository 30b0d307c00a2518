package keeper

import (
	"context"
	"slices"
	"strconv"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// This file is the cross-check of a round's verdicts: what the end of a block does. It runs while
// the round adjudicates, beside what is reported and demanded there.

// cross moves the cross-check on.
func (k Keeper) cross(ctx context.Context, e sprinttypes.Epoch, r *types.Round, p types.Params) error {
	late, err := k.over(ctx, &r.CrossEnd, r.CrossSince)
	if err != nil {
		return err
	}
	switch r.Cross {
	case types.CROSS_NONE:
		return k.fixVerdicts(ctx, e, r, p)
	case types.CROSS_CHALLENGE:
		return k.closeChallenges(ctx, e, r, p, late)
	case types.CROSS_OPEN:
		return k.closeOpenings(ctx, e, r, p, late)
	case types.CROSS_REPORT:
		if late {
			r.Cross = types.CROSS_DONE
		}
	}
	return nil
}

// stage begins a stage that lasts at most so many blocks.
func stage(ctx context.Context, r *types.Round, s types.CrossStage, blocks uint64) {
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	r.Cross, r.CrossEnd, r.CrossSince = s, height+1+int64(blocks), height+1+int64(blocks)/2
	emit(ctx, "cross_check", r.Epoch, sdk.NewAttribute("round", strconv.FormatUint(uint64(r.Round), 10)),
		sdk.NewAttribute("stage", s.String()), sdk.NewAttribute("end", strconv.FormatInt(r.CrossEnd, 10)))
}

// over says whether a time that ends at a height is over with the running block. It goes on for a block if nobody
// but a coalition below a third of the power may have made a block in its second half: what that leaves out of its
// own blocks has the chance of another.
func (k Keeper) over(ctx context.Context, end *int64, since int64) (bool, error) {
	next := sdk.UnwrapSDKContext(ctx).BlockHeight() + 1
	if next < *end {
		return false, nil
	}
	others, err := k.others(ctx, since)
	if !others {
		*end = next + 1
	}
	return others, err
}

// fixVerdicts counts the leaves of every verdict's keyed tree and binds all verdicts of the round
// by a root. Where fewer than two stand, or none vouches for anything, there is nothing to check.
func (k Keeper) fixVerdicts(ctx context.Context, e sprinttypes.Epoch, r *types.Round, p types.Params) error {
	h, err := k.roundHeld(ctx, e, *r, e.Round)
	if err != nil {
		return err
	}
	leaves := make([]uint64, len(h.seats))
	position := -1
	err = k.epochs.WalkClaims(ctx, e.Number, func(miner sdk.AccAddress, c sprinttypes.Claim) (bool, error) {
		position++
		for i, s := range h.seats {
			if s.vouches(position) {
				leaves[i] += uint64(h.draw(e, s, miner, c).Size())
			}
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	var verdicts []commit.Verdict
	standing, vouching := 0, false
	for i, s := range h.seats {
		if !s.given {
			continue
		}
		v := s.verdict
		v.Leaves = leaves[i]
		if err := k.verdicts.Set(ctx, verdictKey(e.Number, e.Round, s.address), v); err != nil {
			return err
		}
		verdicts = append(verdicts, commit.Verdict{
			Epoch: e.Number, Round: uint64(e.Round), Validator: s.address,
			Output: [32]byte(v.Output), Bitmap: v.Bitmap, KeyedRoot: commit.Root(v.KeyedRoot),
		})
		if s.counts() {
			standing++
			vouching = vouching || v.Leaves > 0
		}
	}
	root := commit.VerdictsRoot(verdicts)
	r.VerdictsRoot = root[:]
	if p.Challenges == 0 || standing < 2 || !vouching {
		r.Cross = types.CROSS_DONE
		return nil
	}
	stage(ctx, r, types.CROSS_CHALLENGE, p.ChallengeBlocks)
	return nil
}

// crossPower is the power of all whose verdict stands, who challenge and are challenged. It is
// that of the verdicts when they were fixed: a conviction since changes nobody's draw.
func (h held) crossPower() (sum uint64) {
	for _, s := range h.seats {
		if s.given {
			sum += s.Power
		}
	}
	return sum
}

// CrossDraw is what one seat draws of another's keyed tree.
func (h held) crossDraw(p types.Params, total uint64, challenger, target heldSeat) sample.CrossDraw {
	return sample.CrossDraw{
		Target: target.address, Leaves: target.verdict.Leaves, Challenges: uint64(p.Challenges),
		Power: challenger.Power, TargetPower: target.Power, TotalPower: total,
	}
}

// closeChallenges ends the stage once everybody has drawn, or its time is over: it works out which
// leaves of which verdicts were drawn, and which units they stand for.
func (k Keeper) closeChallenges(ctx context.Context, e sprinttypes.Epoch, r *types.Round, p types.Params, late bool) error {
	h, err := k.roundHeld(ctx, e, *r, e.Round)
	if err != nil {
		return err
	}
	waits := slices.ContainsFunc(h.seats, func(s heldSeat) bool { return s.counts() && len(s.verdict.Challenge) == 0 })
	if waits && !late {
		return nil
	}
	total := h.crossPower()
	var targets []*drawnOf
	for _, target := range h.seats {
		if !target.counts() {
			continue
		}
		var positions []uint64
		for _, challenger := range h.seats {
			if challenger.Validator == target.Validator || len(challenger.verdict.Challenge) == 0 {
				continue
			}
			out := sample.Output(challenger.verdict.Challenge)
			positions = append(positions, h.crossDraw(p, total, challenger, target).Positions(out)...)
		}
		if len(positions) == 0 {
			continue
		}
		slices.Sort(positions)
		targets = append(targets, &drawnOf{seat: target, left: slices.Compact(positions)})
	}
	if err := k.resolve(ctx, e, h, targets); err != nil {
		return err
	}
	for _, t := range targets {
		c := types.Challenged{Epoch: e.Number, Round: e.Round, Validator: t.seat.Validator, Units: t.units}
		if err := k.challenged.Set(ctx, verdictKey(e.Number, e.Round, t.seat.address), c); err != nil {
			return err
		}
	}
	if len(targets) == 0 {
		r.Cross = types.CROSS_DONE
		return nil
	}
	stage(ctx, r, types.CROSS_OPEN, p.OpenBlocks)
	return nil
}

// drawnOf are the positions drawn of one keyed tree, and the units found for them so far.
type drawnOf struct {
	seat   heldSeat
	left   []uint64 // ascending
	passed uint64   // leaves of the claims before
	units  []types.KeyedUnit
}

// resolve finds the unit of every drawn position in one pass over the claims: the leaves of a keyed
// tree are the drawn units of the claims whose bit is set, by claim, then index.
func (k Keeper) resolve(ctx context.Context, e sprinttypes.Epoch, h held, targets []*drawnOf) error {
	position := -1
	return k.epochs.WalkClaims(ctx, e.Number, func(miner sdk.AccAddress, c sprinttypes.Claim) (bool, error) {
		position++
		for _, t := range targets {
			if len(t.left) == 0 || !t.seat.vouches(position) {
				continue
			}
			draw := h.draw(e, t.seat, miner, c)
			end := t.passed + uint64(draw.Size())
			if t.left[0] < end {
				indexes := draw.Indexes(sample.Output(t.seat.verdict.Output))
				for len(t.left) > 0 && t.left[0] < end {
					t.units = append(t.units, types.KeyedUnit{
						Position: t.left[0], Claimant: c.Miner, Index: indexes[t.left[0]-t.passed],
					})
					t.left = t.left[1:]
				}
			}
			t.passed = end
		}
		return false, nil
	})
}

// closeOpenings ends the stage once everything drawn was opened, or its time is over: a verdict
// with a digest that was not opened is dropped.
func (k Keeper) closeOpenings(ctx context.Context, e sprinttypes.Epoch, r *types.Round, p types.Params, late bool) error {
	challenged, err := k.roundChallenged(ctx, e)
	if err != nil {
		return err
	}
	opened := 0
	for _, c := range challenged {
		missing := incomplete(c)
		if missing && !late {
			return nil
		}
		if !missing {
			opened++
			continue
		}
		if err := k.drop(ctx, e, r, c.Validator); err != nil {
			return err
		}
	}
	if opened == 0 {
		r.Cross = types.CROSS_DONE
		return nil
	}
	stage(ctx, r, types.CROSS_REPORT, p.KeyedReportBlocks)
	return nil
}

// incomplete says whether something that was drawn is not opened yet.
func incomplete(c types.Challenged) bool {
	return slices.ContainsFunc(c.Units, func(u types.KeyedUnit) bool { return len(u.Digest) == 0 })
}

// drop takes a verdict of the running round out of the count.
func (k Keeper) drop(ctx context.Context, e sprinttypes.Epoch, r *types.Round, name string) error {
	validator, err := k.addressOf(name)
	if err != nil {
		return err
	}
	key := verdictKey(e.Number, e.Round, validator)
	v, err := k.verdicts.Get(ctx, key)
	if err != nil {
		return err
	}
	v.Dropped = true
	if err := k.verdicts.Set(ctx, key, v); err != nil {
		return err
	}
	if i, ok := seatOf(r.Seats, name); ok {
		r.Seats[i].Dropped = true
	}
	emit(ctx, "verdict_dropped", e.Number, sdk.NewAttribute("validator", name),
		sdk.NewAttribute("round", strconv.FormatUint(uint64(e.Round), 10)))
	return nil
}

// roundChallenged lists what was drawn in the running round, at most one entry a seat.
func (k Keeper) roundChallenged(ctx context.Context, e sprinttypes.Epoch) ([]types.Challenged, error) {
	return values(ctx, k.challenged, collections.NewSuperPrefixedTripleRange[uint64, uint32, []byte](e.Number, e.Round))
}
