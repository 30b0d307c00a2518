package sample

import (
	"bytes"
	"slices"

	"github.com/assaynet/assay/verifier/commit"
)

// Seat is a validator that draws in a round: its power and VRF key as frozen
// at the start of the epoch.
type Seat struct {
	Validator []byte
	Power     uint64
	Key       PublicKey
}

// Round is what all validators of one round of an epoch's audit share.
type Round struct {
	ChainID    string
	Epoch      uint64
	Number     uint64 // 0 for the first
	ClaimsRoot commit.Root
	Seats      []Seat // in any order, each validator once
}

// Input is the VRF input of the round.
func (r Round) Input() []byte { return Input(r.ChainID, r.Epoch, r.Number, r.ClaimsRoot) }

// Seat finds a validator's seat.
func (r Round) Seat(validator []byte) (Seat, bool) {
	i := slices.IndexFunc(r.Seats, func(s Seat) bool { return bytes.Equal(s.Validator, validator) })
	if i < 0 {
		return Seat{}, false
	}
	return r.Seats[i], true
}

// Draw is what a validator draws of a claim of count units of which the round
// draws units in all. It draws nothing without a seat.
func (r Round) Draw(validator, claimant []byte, count, units uint64) Draw {
	d := Draw{Validator: validator, Claimant: claimant, Count: count, Units: units}
	for _, s := range r.Seats {
		d.TotalPower += s.Power
		if bytes.Equal(s.Validator, validator) {
			d.Power = s.Power
		}
		if bytes.Equal(s.Validator, claimant) {
			d.ClaimantPower = s.Power
		}
	}
	return d
}
