package keeper

import (
	"context"

	"cosmossdk.io/collections"

	"github.com/assaynet/assay/chain/audit/types"
)

// prune removes one page of what epochs left behind that are older than the parameters keep. The
// audit's own phases do not prune.
func (k Keeper) prune(ctx context.Context, running uint64) error {
	p, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	pruned, err := k.pruned.Get(ctx)
	if err != nil {
		return err
	}
	old := pruned + 1
	if old+p.RetainEpochs >= running {
		return nil
	}
	byEpoch := collections.NewPrefixedPairRange[uint64, []byte](old)
	more := false
	for _, page := range []func() (bool, error){
		func() (bool, error) {
			return removePage(ctx, k.verdicts, collections.NewPrefixedTripleRange[uint64, uint32, []byte](old))
		},
		func() (bool, error) {
			return removePage(ctx, k.answers, collections.NewPrefixedTripleRange[uint64, []byte, uint64](old))
		},
		func() (bool, error) {
			return removePage(ctx, k.proven, collections.NewPrefixedTripleRange[uint64, []byte, uint64](old))
		},
		func() (bool, error) {
			return removePage(ctx, k.challenged, collections.NewPrefixedTripleRange[uint64, uint32, []byte](old))
		},
		func() (bool, error) {
			return removePage(ctx, k.past, collections.NewPrefixedPairRange[uint64, uint64](old))
		},
		func() (bool, error) { return removePage[epochKey, types.Report](ctx, k.reports, byEpoch) },
		func() (bool, error) { return removePage[epochKey, types.Sender](ctx, k.senders, byEpoch) },
	} {
		left, err := page()
		if err != nil {
			return err
		}
		more = more || left
	}
	if more {
		return nil
	}
	return k.pruned.Set(ctx, old)
}

// removePage removes up to a page of entries and says whether there may be more.
func removePage[K, V any](ctx context.Context, m collections.Map[K, V], r collections.Ranger[K]) (bool, error) {
	var keys []K
	err := m.Walk(ctx, r, func(key K, _ V) (bool, error) {
		keys = append(keys, key)
		return len(keys) >= prunePage, nil
	})
	if err != nil {
		return false, err
	}
	for _, key := range keys {
		if err := m.Remove(ctx, key); err != nil {
			return false, err
		}
	}
	return len(keys) >= prunePage, nil
}
