package keeper

import (
	"context"
	"math/bits"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// weightScale is the weight of one unit of power whose verdicts vouch for all that they drew.
const weightScale = 1_000_000

// held is a round of the running epoch with its seats' verdicts, ready to say who drew how much of
// which claim.
type held struct {
	number uint32
	seats  []heldSeat
	power  uint64            // of all seats
	powers map[string]uint64 // by address; looked up only, never iterated
}

// heldSeat is a seat of a round with its verdict, if it gave one.
type heldSeat struct {
	types.Seat
	address sdk.AccAddress
	given   bool
	verdict types.Verdict
}

// counts says whether the verdict stands: it was given, nothing in it was proven wrong, and what
// was asked of it was opened.
func (s heldSeat) counts() bool { return s.given && !s.verdict.FalseOk && !s.verdict.Dropped }

// vouches says whether the verdict was given and has the claim's bit set.
func (s heldSeat) vouches(position int) bool {
	return s.given && commit.Bitmap(s.verdict.Bitmap).Has(position)
}

// roundHeld reads a round of the running epoch: the running one or an earlier one.
func (k Keeper) roundHeld(ctx context.Context, e sprinttypes.Epoch, r types.Round, number uint32) (held, error) {
	if number != r.Round {
		past, err := k.past.Get(ctx, collections.Join(e.Number, uint64(number)))
		if err != nil {
			return held{}, err
		}
		past.Round = number
		r = past
	}
	h := held{number: number, power: r.Power, powers: make(map[string]uint64, len(r.Seats))}
	for _, seat := range r.Seats {
		validator, err := k.addressOf(seat.Validator)
		if err != nil {
			return h, err
		}
		v, given, err := get(ctx, k.verdicts, verdictKey(e.Number, number, validator))
		if err != nil {
			return h, err
		}
		h.powers[string(validator)] = seat.Power
		h.seats = append(h.seats, heldSeat{seat, validator, given, v})
	}
	return h, nil
}

// draw is what a seat drew of a claim in the round.
func (h held) draw(e sprinttypes.Epoch, s heldSeat, claimant sdk.AccAddress, c sprinttypes.Claim) sample.Draw {
	return sample.Draw{
		Validator: s.address, Claimant: claimant, Count: c.Count, Units: e.DrawIn(c, h.number),
		Power: s.Power, TotalPower: h.power, ClaimantPower: h.powers[string(claimant)],
	}
}

// result sums the audit up. A seat's weight is its power times the part of its draws that its
// verdicts vouch for: of claims that are not void, in rounds in which it cross-checked the others.
// Who gave no verdict, or one that counts for nothing, or reported what was correct, is absent.
func (k Keeper) weigh(ctx context.Context, e sprinttypes.Epoch, r types.Round) ([]sprinttypes.Auditor, error) {
	rounds := make([]held, 0, e.Round+1)
	for n := range e.Round + 1 {
		h, err := k.roundHeld(ctx, e, r, n)
		if err != nil {
			return nil, err
		}
		rounds = append(rounds, h)
	}
	crossed := make([]bool, len(rounds)) // rounds in which somebody drew challenges
	for i, h := range rounds {
		for _, s := range h.seats {
			crossed[i] = crossed[i] || len(s.verdict.Challenge) > 0
		}
	}
	taken := make(map[string][]sprinttypes.Taken) // looked up only
	for _, h := range rounds {
		for _, s := range h.seats {
			if s.counts() {
				taken[s.Validator] = append(taken[s.Validator], s.verdict.TakenOf()...)
			}
		}
	}
	drawn, vouched := make(map[string]uint64), make(map[string]uint64) // looked up only
	position := -1
	err := k.epochs.WalkClaims(ctx, e.Number, func(miner sdk.AccAddress, c sprinttypes.Claim) (bool, error) {
		position++
		if c.Void() {
			return false, nil
		}
		for i, h := range rounds {
			if e.DrawIn(c, h.number) == 0 {
				continue
			}
			for _, s := range h.seats {
				n := uint64(h.draw(e, s, miner, c).Size())
				drawn[s.Validator] += n
				if s.vouches(position) && s.counts() && (!crossed[i] || len(s.verdict.Challenge) > 0) {
					vouched[s.Validator] += n
				}
			}
		}
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	all := append(append([]types.Seat(nil), r.Seats...), r.Absent...)
	out := make([]sprinttypes.Auditor, 0, len(all))
	for _, s := range all {
		validator, err := k.addressOf(s.Validator)
		if err != nil {
			return nil, err
		}
		a := sprinttypes.Auditor{Validator: validator, Absent: !s.Present || s.FalseOk || s.Refuted || s.Dropped}
		if !a.Absent {
			a.Weight = weightOf(s.Power, vouched[s.Validator], drawn[s.Validator])
			a.Taken = taken[s.Validator]
		}
		out = append(out, a)
	}
	return out, nil
}

// weightOf returns ⌊power · weightScale · vouched / drawn⌋, all of it if nothing was drawn. Powers
// are at most 2^40 and vouched is at most drawn, so the result fits.
func weightOf(power, vouched, drawn uint64) uint64 {
	if drawn == 0 {
		return power * weightScale
	}
	hi, lo := bits.Mul64(power*weightScale, vouched)
	weight, _ := bits.Div64(hi, lo, drawn)
	return weight
}
