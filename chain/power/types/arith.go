package types

import (
	"bytes"
	"math/bits"
	"slices"
)

// ShareScale is the whole of an epoch's units: shares and weights are parts of it.
const ShareScale uint64 = 1_000_000_000_000

// mulDiv returns ⌊a·b/c⌋ and the remainder, for a·b/c below 2^64 and c above zero.
func mulDiv(a, b, c uint64) (quotient, remainder uint64) {
	hi, lo := bits.Mul64(a, b)
	return bits.Div64(hi, lo, c)
}

// ScaleUnits returns the units' part of the total in parts of ShareScale, rounded down; the total is
// above zero and at least the units.
func ScaleUnits(units, total uint64) uint64 {
	share, _ := mulDiv(units, ShareScale, total)
	return share
}

// MeanShare is a miner's weight: the mean over window epochs of which recorded ones have a
// share (their sum is given) and the others, before the chain had epochs, count as genesis.
func MeanShare(sum, genesisShare uint64, recorded, window uint32) uint64 {
	if recorded > window {
		recorded = window
	}
	// At most MaxWindowEpochs times ShareScale each: far below 2^64.
	return (sum + uint64(window-recorded)*genesisShare) / uint64(window)
}

// Seat is a validator with its power, or its weight before rescaling.
type Seat struct {
	// Operator is the miner's address.
	Operator []byte
	Power    uint64
}

// SortSeats orders by falling power, then by address, so that every node takes the same.
func SortSeats(seats []Seat) {
	slices.SortFunc(seats, func(a, b Seat) int {
		switch {
		case a.Power > b.Power:
			return -1
		case a.Power < b.Power:
			return 1
		}
		return bytes.Compare(a.Operator, b.Operator)
	})
}

func sumSeats(seats []Seat) uint64 {
	var sum uint64
	for _, s := range seats {
		sum += s.Power
	}
	return sum
}

// Rescale gives the seats powers in proportion to their present ones that sum to total
// exactly: the largest remainders are rounded up, ties going to the smaller address. Seats
// whose power would be zero are dropped, so at most total seats remain. The sum of the
// powers must be below 2^64. The result is sorted by SortSeats.
func Rescale(seats []Seat, total uint64) []Seat {
	sum := sumSeats(seats)
	if sum == 0 {
		return nil
	}
	type part struct {
		Seat
		remainder uint64
	}
	parts := make([]part, len(seats))
	left := total
	for i, s := range seats {
		q, r := mulDiv(s.Power, total, sum)
		parts[i] = part{Seat: Seat{Operator: s.Operator, Power: q}, remainder: r}
		left -= q
	}
	slices.SortFunc(parts, func(a, b part) int {
		switch {
		case a.remainder > b.remainder:
			return -1
		case a.remainder < b.remainder:
			return 1
		}
		return bytes.Compare(a.Operator, b.Operator)
	})
	out := make([]Seat, 0, len(parts))
	for i, p := range parts {
		if uint64(i) < left {
			p.Power++
		}
		if p.Power > 0 {
			out = append(out, p.Seat)
		}
	}
	SortSeats(out)
	return out
}

// Approach moves from the current set towards the target so that at most limit of the total
// power changes hands. Both sets are rescaled to total first, so that the removal of a
// validator in between does not count as a change. An empty current set gives the target,
// an empty target the current set.
func Approach(current, target []Seat, total, limit uint64) []Seat {
	current, target = Rescale(current, total), Rescale(target, total)
	if len(current) == 0 {
		return target
	}
	if len(target) == 0 {
		return current
	}
	from := make(map[string]uint64, len(current))
	for _, s := range current {
		from[string(s.Operator)] = s.Power
	}
	to := make(map[string]uint64, len(target))
	var moved uint64
	for _, s := range target {
		to[string(s.Operator)] = s.Power
		if was := from[string(s.Operator)]; s.Power > was {
			moved += s.Power - was
		}
	}
	if moved <= limit {
		return target
	}
	// Every change shrinks by limit/moved. Gains are rounded down and losses too; what that
	// leaves over the total is at most one a seat, and Rescale settles it.
	next := make([]Seat, 0, len(current)+len(target))
	for _, s := range target {
		was := from[string(s.Operator)]
		power := was
		if s.Power > was {
			gain, _ := mulDiv(s.Power-was, limit, moved)
			power += gain
		} else {
			loss, _ := mulDiv(was-s.Power, limit, moved)
			power -= loss
		}
		next = append(next, Seat{Operator: s.Operator, Power: power})
	}
	for _, s := range current {
		if _, stays := to[string(s.Operator)]; stays {
			continue
		}
		loss, _ := mulDiv(s.Power, limit, moved)
		next = append(next, Seat{Operator: s.Operator, Power: s.Power - loss})
	}
	return Rescale(next, total)
}

// Gutted says whether replacing the old set by the new one is refused: the new set is empty,
// or those of the old set that stay had less than a third of its power. CometBFT and its
// light clients need a third in common.
func Gutted(old, replacement []Seat) bool {
	if len(replacement) == 0 {
		return true
	}
	stays := make(map[string]bool, len(replacement))
	for _, s := range replacement {
		stays[string(s.Operator)] = true
	}
	var kept, total uint64
	for _, s := range old {
		total += s.Power
		if stays[string(s.Operator)] {
			kept += s.Power
		}
	}
	third := total / 3
	if total%3 != 0 {
		third++
	}
	return kept < third
}
