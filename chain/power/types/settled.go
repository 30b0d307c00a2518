package types

import (
	"bytes"
	"context"
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// Settled are the units of an epoch that survived its checks.
type Settled struct {
	Epoch uint64
	// Units is the sum of all, below 2^63; 0 if no claim was valid.
	Units uint64
	// Next returns the units of the next miners, at most that many, in the ascending order of the bytes of
	// addresses, after one of them or from the first if that is empty; fewer if there are no more. It returns
	// the same as long as the epoch runs. It may be nil if Units is 0.
	Next func(ctx context.Context, after []byte, most int) ([]Units, error)
}

// Units are what one miner computed in an epoch.
type Units struct {
	Miner []byte
	Units uint64
}

// SettledOf returns the units of a whole epoch. Each miner may appear once, and the sum must be below
// 2^63: ErrShares.
func SettledOf(epoch uint64, shares []Share) (Settled, error) {
	all := make([]Units, len(shares))
	var total uint64
	for i, s := range shares {
		miner, err := sdk.AccAddressFromBech32(s.Miner)
		if err != nil {
			return Settled{}, ErrShares.Wrapf("miner %d: %v", i, err)
		}
		if s.Units >= 1<<63-total {
			return Settled{}, ErrShares.Wrapf("the units of epoch %d are 2^63 or more", epoch)
		}
		total += s.Units
		all[i] = Units{Miner: miner, Units: s.Units}
	}
	slices.SortFunc(all, func(a, b Units) int { return bytes.Compare(a.Miner, b.Miner) })
	next := func(_ context.Context, after []byte, most int) ([]Units, error) {
		from := 0
		if len(after) > 0 {
			i, found := slices.BinarySearchFunc(all, after, func(u Units, miner []byte) int { return bytes.Compare(u.Miner, miner) })
			if from = i; found {
				from++
			}
		}
		return all[from:min(len(all), from+most)], nil
	}
	return Settled{Epoch: epoch, Units: total, Next: next}, nil
}
