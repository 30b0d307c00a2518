package keeper

import (
	"bytes"
	"context"

	"cosmossdk.io/collections"

	"github.com/assaynet/assay/chain/power/types"
)

// entryWrites is the number of writes to the store that one entry of a page stands for: about as many as
// paying a claim or releasing what vested takes.
const entryWrites = 4

// budget is what a block may still write.
type budget struct{ writes int }

// newBudget is that of a page of entries; each part of the work takes at least one entry's.
func newBudget(entries uint32) *budget { return &budget{entryWrites * int(max(entries, 1))} }

// most is the number of entries of a size that are left, and what a walk has to be limited to.
func (b *budget) most(writes int) int { return b.writes / writes }

func (b *budget) spent() bool { return b.writes < entryWrites }

// unlimited is for a genesis, which is no block.
func unlimited() *budget { return &budget{1 << 40} }

// PrepareEpoch does the next page of what the beginning of the epoch after the settled one needs, and
// says whether all is done: the settled units are recorded, epochs that left the window forgotten, every
// miner weighed, and what the epochs before left behind removed. It writes about 4·entries times to the
// store; once ready it writes nothing. Call it once a block after the settlement is closed, with the same
// settled epoch, the running one, until BeginEpoch. The state is all in the store.
func (k Keeper) PrepareEpoch(ctx context.Context, settled types.Settled, entries uint32) (ready bool, err error) {
	running, err := k.Epoch(ctx)
	if err != nil {
		return false, err
	}
	if settled.Epoch != running {
		return false, types.ErrEpochOrder.Wrapf("epoch %d settled while %d runs", settled.Epoch, running)
	}
	return k.prepare(ctx, settled, newBudget(entries))
}

func (k Keeper) prepare(ctx context.Context, settled types.Settled, b *budget) (ready bool, err error) {
	p, err := orZero(k.preparation.Get(ctx))
	if err != nil {
		return false, err
	}
	if p.Stage == types.STAGE_READY {
		return true, nil
	}
	p.Epoch = settled.Epoch + 1
	for !b.spent() && p.Stage != types.STAGE_READY {
		var over bool
		switch p.Stage {
		case types.STAGE_RECORD:
			over, err = k.record(ctx, &p, settled, b)
		case types.STAGE_FORGET:
			over, err = k.forget(ctx, &p, b)
		case types.STAGE_FOUNDERS:
			over, err = k.weighFounders(ctx, &p, b)
		case types.STAGE_WEIGH:
			over, err = k.weigh(ctx, &p, b)
		case types.STAGE_SWEEP:
			over, err = k.sweep(ctx, b)
		}
		if err != nil {
			return false, err
		}
		if !over {
			break // the page is full
		}
		p.Stage, p.Cursor = p.Stage+1, nil
	}
	return p.Stage == types.STAGE_READY, k.preparation.Set(ctx, p)
}

// record writes down the shares of the settled epoch, in the order of addresses. The epoch counts once the
// last is there; without any unit it never does.
func (k Keeper) record(ctx context.Context, p *types.Preparation, settled types.Settled, b *budget) (over bool, err error) {
	last, err := k.lastRecorded(ctx)
	if err != nil || settled.Epoch <= last || settled.Units == 0 {
		return err == nil, err
	}
	most := b.most(2)
	shares, err := settled.Next(ctx, p.Cursor, most)
	if err != nil {
		return false, err
	}
	for _, s := range shares {
		if p.Cursor != nil && bytes.Compare(p.Cursor, s.Miner) >= 0 {
			return false, types.ErrShares.Wrapf("miner %x twice or out of order", s.Miner)
		}
		if s.Units > settled.Units-p.Units {
			return false, types.ErrShares.Wrapf("more than %d units in epoch %d", settled.Units, settled.Epoch)
		}
		if has, err := k.miners.Has(ctx, s.Miner); err != nil {
			return false, err
		} else if !has {
			return false, types.ErrUnknownMiner.Wrapf("%x", s.Miner)
		}
		p.Cursor, p.Units = s.Miner, p.Units+s.Units
		share := types.ScaleUnits(s.Units, settled.Units)
		if share == 0 {
			continue
		}
		if err := k.history.Set(ctx, collections.Join(settled.Epoch, s.Miner), share); err != nil {
			return false, err
		}
		sum, err := orZero(k.sums.Get(ctx, s.Miner))
		if err != nil {
			return false, err
		}
		if err := k.sums.Set(ctx, s.Miner, sum+share); err != nil {
			return false, err
		}
	}
	b.writes -= 2 * len(shares)
	if len(shares) >= most {
		return false, nil
	}
	if p.Units != settled.Units {
		return false, types.ErrShares.Wrapf("%d units in epoch %d, want %d", p.Units, settled.Epoch, settled.Units)
	}
	if err := k.epochs.Set(ctx, settled.Epoch); err != nil {
		return false, err
	}
	count, err := orZero(k.counted.Get(ctx))
	if err != nil {
		return false, err
	}
	return true, k.counted.Set(ctx, count+1)
}

func (k Keeper) lastRecorded(ctx context.Context) (uint64, error) {
	var last uint64
	err := k.epochs.Walk(ctx, new(collections.Range[uint64]).Descending(), func(epoch uint64) (bool, error) {
		last = epoch
		return true, nil
	})
	return last, err
}

// forget takes the epochs that left the window out of the sums. An epoch is no longer among the recorded
// ones when the first of its shares goes, so that an export never sees a part of it.
func (k Keeper) forget(ctx context.Context, p *types.Preparation, b *budget) (over bool, err error) {
	if p.Window == 0 {
		params, err := k.params.Get(ctx)
		if err != nil {
			return false, err
		}
		p.Window = params.WindowEpochs
	}
	for !b.spent() {
		if p.Forgotten == 0 {
			epochs, err := collect(k.epochs.Iterate(ctx, nil))
			if err != nil {
				return false, err
			}
			if len(epochs) <= int(p.Window) {
				return true, nil
			}
			p.Forgotten = epochs[0]
			if err := k.epochs.Remove(ctx, p.Forgotten); err != nil {
				return false, err
			}
			b.writes--
		}
		over, err := k.forgetShares(ctx, p.Forgotten, b)
		if err != nil || !over {
			return false, err
		}
		p.Forgotten = 0
	}
	return false, nil
}

func (k Keeper) forgetShares(ctx context.Context, epoch uint64, b *budget) (over bool, err error) {
	type entry struct {
		key   collections.Pair[uint64, []byte]
		share uint64
	}
	var page []entry
	most := max(b.most(2), 1)
	err = k.history.Walk(ctx, collections.NewPrefixedPairRange[uint64, []byte](epoch),
		func(key collections.Pair[uint64, []byte], share uint64) (bool, error) {
			page = append(page, entry{key, share})
			return len(page) >= most, nil
		})
	if err != nil {
		return false, err
	}
	for _, e := range page {
		miner := e.key.K2()
		sum, err := k.sums.Get(ctx, miner)
		if err != nil {
			return false, err
		}
		if sum -= e.share; sum == 0 {
			err = k.sums.Remove(ctx, miner)
		} else {
			err = k.sums.Set(ctx, miner, sum)
		}
		if err != nil {
			return false, err
		}
		if err := k.history.Remove(ctx, e.key); err != nil {
			return false, err
		}
	}
	b.writes -= 2 * len(page)
	return len(page) < most, nil
}

// Sweep removes a page of what earlier epochs left behind and nothing refers to any more. It may be
// called in any block; the preparation of the next epoch does what is left.
func (k Keeper) Sweep(ctx context.Context, entries uint32) error {
	_, err := k.sweep(ctx, newBudget(entries))
	return err
}

func (k Keeper) sweep(ctx context.Context, b *budget) (over bool, err error) {
	epoch, err := k.Epoch(ctx)
	if err != nil || epoch == 0 {
		return err == nil, err
	}
	swept, err := orZero(k.swept.Get(ctx))
	if err != nil || swept == epoch {
		return err == nil, err
	}
	params, err := k.params.Get(ctx)
	if err != nil {
		return false, err
	}
	for _, part := range []func() (bool, error){
		func() (bool, error) {
			iter, err := k.lane.Iterate(ctx, collections.NewPrefixUntilPairRange[uint64, []byte](epoch-1))
			if err != nil {
				return false, err
			}
			return removeSome(ctx, iter, k.lane.Remove, b)
		},
		func() (bool, error) {
			iter, err := k.candidates.Iterate(ctx, collections.NewPrefixUntilTripleRange[uint64, uint64, []byte](epoch))
			if err != nil {
				return false, err
			}
			return removeSome(ctx, iter, k.candidates.Remove, b)
		},
		func() (bool, error) { return k.sweepKeys(ctx, epoch, params.EvidenceEpochs, b) },
		func() (bool, error) { return k.sweepTables(ctx, epoch, b) },
	} {
		if over, err := part(); err != nil || !over {
			return false, err
		}
	}
	return true, k.swept.Set(ctx, epoch)
}

// sweepTables removes weights that neither the running epoch, nor the next one, nor a vote needs.
func (k Keeper) sweepTables(ctx context.Context, epoch uint64, b *budget) (over bool, err error) {
	needed := map[uint64]bool{epoch: true, epoch + 1: true} // looked up only
	err = k.voting.Walk(ctx, nil, func(_, start uint64) (bool, error) {
		needed[start] = true
		return false, nil
	})
	if err != nil {
		return false, err
	}
	tables, err := k.totals.Iterate(ctx, nil)
	if err != nil {
		return false, err
	}
	epochs, err := tables.Keys()
	if err != nil {
		return false, err
	}
	for _, old := range epochs {
		if needed[old] {
			continue
		}
		iter, err := k.weights.Iterate(ctx, collections.NewPrefixedPairRange[uint64, []byte](old))
		if err != nil {
			return false, err
		}
		over, err := removeSome(ctx, iter, k.weights.Remove, b)
		if err != nil || !over {
			return false, err
		}
		if err := k.totals.Remove(ctx, old); err != nil {
			return false, err
		}
		b.writes--
	}
	return true, nil
}

// removeSome removes the first keys of an iterator, as many as the budget allows, and says whether those
// were all.
func removeSome[K any](ctx context.Context, iter keys[K], remove func(context.Context, K) error, b *budget) (over bool, err error) {
	some, over, err := some(iter, b.writes)
	if err != nil {
		return false, err
	}
	for _, key := range some {
		if err := remove(ctx, key); err != nil {
			return false, err
		}
	}
	b.writes -= len(some)
	return over, nil
}
