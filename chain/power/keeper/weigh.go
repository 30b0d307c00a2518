package keeper

import (
	"context"
	"errors"
	"math"
	"math/bits"

	"cosmossdk.io/collections"

	"github.com/assaynet/assay/chain/power/types"
)

// weighFounders weighs those who have genesis power and no recorded share, while genesis power counts.
func (k Keeper) weighFounders(ctx context.Context, p *types.Preparation, b *budget) (over bool, err error) {
	if recorded, err := k.recorded(ctx, p.Window); err != nil || recorded == p.Window {
		return err == nil, err
	}
	iter, err := k.founders.Iterate(ctx, from(p.Cursor))
	if err != nil {
		return false, err
	}
	operators, over, err := some(iter, b.most(2))
	if err != nil {
		return false, err
	}
	for _, operator := range operators {
		p.Cursor = operator
		b.writes-- // looked at
		if has, err := k.sums.Has(ctx, operator); err != nil {
			return false, err
		} else if has {
			continue
		}
		if err := k.weighOne(ctx, p, operator, 0, b); err != nil {
			return false, err
		}
	}
	return over, nil
}

// weigh weighs those who have a recorded share.
func (k Keeper) weigh(ctx context.Context, p *types.Preparation, b *budget) (over bool, err error) {
	iter, err := k.sums.Iterate(ctx, from(p.Cursor))
	if err != nil {
		return false, err
	}
	operators, over, err := some(iter, b.most(2))
	if err != nil {
		return false, err
	}
	for _, operator := range operators {
		p.Cursor = operator
		sum, err := k.sums.Get(ctx, operator)
		if err != nil {
			return false, err
		}
		if err := k.weighOne(ctx, p, operator, sum, b); err != nil {
			return false, err
		}
	}
	return over, nil
}

// weighOne writes a miner's weight in the epoch that is prepared, unless it is barred or has none.
func (k Keeper) weighOne(ctx context.Context, p *types.Preparation, operator []byte, sum uint64, b *budget) error {
	miner, err := k.miners.Get(ctx, operator)
	if err != nil {
		return err
	}
	b.writes--
	if miner.Barred(p.Epoch) {
		return nil
	}
	recorded, err := k.recorded(ctx, p.Window)
	if err != nil {
		return err
	}
	gensum, err := orZero(k.gensum.Get(ctx))
	if err != nil {
		return err
	}
	weight := types.MeanShare(sum, genesisShare(miner.GenesisPower, gensum), recorded, p.Window)
	if weight == 0 {
		return nil
	}
	if err := k.weights.Set(ctx, collections.Join(p.Epoch, operator), weight); err != nil {
		return err
	}
	total, err := orZero(k.totals.Get(ctx, p.Epoch))
	if err != nil {
		return err
	}
	if err := k.totals.Set(ctx, p.Epoch, total+weight); err != nil {
		return err
	}
	if !miner.Validator {
		return nil
	}
	b.writes--
	return k.candidates.Set(ctx, candidate(p.Epoch, weight, operator))
}

// recorded is how many epochs of the window were recorded.
func (k Keeper) recorded(ctx context.Context, window uint32) (uint32, error) {
	count, err := orZero(k.counted.Get(ctx))
	return uint32(min(count, uint64(window))), err
}

// candidate is the key of who wants to validate: an iterator sees falling weights, then addresses, the
// order of types.SortSeats.
func candidate(epoch, weight uint64, operator []byte) collections.Triple[uint64, uint64, []byte] {
	return collections.Join3(epoch, math.MaxUint64-weight, operator)
}

// heaviest returns those of an epoch's weights who want to validate and may, the most there may be.
func (k Keeper) heaviest(ctx context.Context, epoch uint64, most uint32) ([]types.Seat, error) {
	var seats []types.Seat
	err := k.candidates.Walk(ctx, collections.NewPrefixedTripleRange[uint64, uint64, []byte](epoch),
		func(key collections.Triple[uint64, uint64, []byte]) (bool, error) {
			seats = append(seats, types.Seat{Operator: key.K3(), Power: math.MaxUint64 - key.K2()})
			return len(seats) >= int(most), nil
		})
	return seats, err
}

// prepared returns a miner's weight in the epoch that is being prepared, 0 if it has none or is not
// weighed yet.
func (k Keeper) prepared(ctx context.Context, operator []byte) (epoch, weight uint64, err error) {
	p, err := k.preparation.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	weight, err = k.weightAt(ctx, p.Epoch, operator)
	return p.Epoch, weight, err
}

// wants notes that a miner's wish to validate changed after it was weighed for the next epoch.
func (k Keeper) wants(ctx context.Context, operator []byte, validator bool) error {
	epoch, weight, err := k.prepared(ctx, operator)
	if err != nil || weight == 0 {
		return err
	}
	if validator {
		return k.candidates.Set(ctx, candidate(epoch, weight, operator))
	}
	return k.candidates.Remove(ctx, candidate(epoch, weight, operator))
}

// clearWeight takes a barred miner's governance weight away at once. The epoch's total stays: the quorum
// does not fall because somebody is jailed. In the next epoch, if it is weighed already, it never had any.
func (k Keeper) clearWeight(ctx context.Context, operator []byte) error {
	running, err := k.Epoch(ctx)
	if err != nil {
		return err
	}
	if err := k.weights.Remove(ctx, collections.Join(running, operator)); err != nil {
		return err
	}
	epoch, weight, err := k.prepared(ctx, operator)
	if err != nil || weight == 0 {
		return err
	}
	total, err := k.totals.Get(ctx, epoch)
	if err != nil {
		return err
	}
	if err := k.totals.Set(ctx, epoch, total-weight); err != nil {
		return err
	}
	if err := k.candidates.Remove(ctx, candidate(epoch, weight, operator)); err != nil {
		return err
	}
	return k.weights.Remove(ctx, collections.Join(epoch, operator))
}

// genesisShare is a genesis power's part of their sum, in parts of ShareScale.
func genesisShare(power, sum uint64) uint64 {
	if sum == 0 {
		return 0
	}
	hi, lo := bits.Mul64(power, types.ShareScale)
	share, _ := bits.Div64(hi, lo, sum)
	return share
}

// from is the range after a key, all of it without one.
func from(cursor []byte) collections.Ranger[[]byte] {
	rng := new(collections.Range[[]byte])
	if len(cursor) > 0 {
		rng = rng.StartExclusive(cursor)
	}
	return rng
}

// keys is what an iterator over a map or a set has in common.
type keys[K any] interface {
	Valid() bool
	Next()
	Key() (K, error)
	Close() error
}

// some reads at most that many keys and says whether those were all. It closes the iterator.
func some[K any](iter keys[K], most int) (out []K, over bool, err error) {
	defer func() { err = errors.Join(err, iter.Close()) }()
	for ; iter.Valid() && len(out) < most; iter.Next() {
		key, err := iter.Key()
		if err != nil {
			return nil, false, err
		}
		out = append(out, key)
	}
	return out, !iter.Valid(), nil
}
