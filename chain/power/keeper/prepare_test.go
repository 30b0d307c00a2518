package keeper_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	corestore "cosmossdk.io/core/store"

	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	moduletestutil "github.com/cosmos/cosmos-sdk/types/module/testutil"
	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/assaynet/assay/chain/power/keeper"
	"github.com/assaynet/assay/chain/power/types"
)

// pagedWorld is one of several worlds that live through the same epochs in pages of different sizes.
type pagedWorld struct {
	*world
	entries uint32
	rng     *rand.Rand
}

// TestPagesChangeNothing lets worlds with pages of 1, 7, 250 and all entries live through the same random
// epochs, in which members are jailed, expelled, leave, come back and register between the pages: the
// weights, their sum, the frozen sets and CometBFT's set are the same in all, and the weights are what big
// rationals say.
func TestPagesChangeNothing(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { samePages(t, rand.New(rand.NewPCG(seed, 11))) })
	}
}

func samePages(t *testing.T, rng *rand.Rand) {
	p := smallParams()
	p.WindowEpochs, p.MaxValidators = 1+rng.Uint32N(4), 3+rng.Uint32N(8)
	members := make([]member, 40)
	for i := range members {
		members[i] = newMember(i)
	}
	var worlds []pagedWorld
	for i, entries := range []uint32{1 << 20, 1, 7, 250} {
		w := pagedWorld{newWorld(t), entries, rand.New(rand.NewPCG(uint64(i), 3))}
		w.genesis(p, members[:5]...)
		w.must(w.k.BeginEpoch(w.ctx, 1))
		w.endBlock()
		worlds = append(worlds, w)
	}
	known := 5
	var history []map[string]*big.Rat // epochs with units: share of each
	barred := make(map[string]uint64) // first epoch that the member may be in again
	for epoch := uint64(1); epoch <= 12; epoch++ {
		// What happens in the epoch: in a world with small pages somewhere between them, in that without
		// before. Nothing of it may depend on when.
		var events []func(w *world)
		for range rng.IntN(6) {
			m := members[rng.IntN(known)]
			switch rng.IntN(5) {
			case 0:
				events = append(events, func(w *world) { w.must(w.k.Jail(w.ctx, m.address)) })
				barred[string(m.address)] = max(barred[string(m.address)], epoch+p.JailEpochs+1)
			case 1:
				if rng.IntN(4) == 0 {
					events = append(events, func(w *world) { w.must(w.k.Tombstone(w.ctx, m.address)) })
					barred[string(m.address)] = 1 << 60
				}
			case 2, 3:
				msg := m.registration()
				msg.Validator = rng.IntN(2) == 0
				events = append(events, func(w *world) {
					if _, err := w.k.Register(w.ctx, msg); !errors.Is(err, types.ErrTombstoned) {
						w.must(err)
					}
				})
			case 4:
				if known < len(members) {
					msg := members[known].registration()
					events = append(events, func(w *world) {
						_, err := w.k.Register(w.ctx, msg)
						w.must(err)
					})
					known++
				}
			}
		}
		var shares []types.Share
		total := new(big.Int)
		if rng.IntN(6) > 0 {
			for _, m := range members[:known-min(known, len(events))] { // registered before the epoch's events
				if rng.IntN(4) > 0 {
					s := share(m, rng.Uint64N(1<<rng.UintN(45)))
					shares, total = append(shares, s), total.Add(total, new(big.Int).SetUint64(s.Units))
				}
			}
		}
		if total.Sign() > 0 {
			of := make(map[string]*big.Rat)
			for _, s := range shares {
				of[s.Miner] = new(big.Rat).SetFrac(new(big.Int).SetUint64(s.Units), total)
			}
			history = append(history, of)
		}
		var want string
		for i, w := range worlds {
			left := slices.Clone(events)
			w.settle(epoch, shares, w.entries, func() {
				for len(left) > 0 && w.rng.IntN(6) == 0 {
					left[0](w.world)
					left = left[1:]
				}
			})
			for _, event := range left { // after the last page, before the epoch begins
				event(w.world)
			}
			w.must(w.k.BeginEpoch(w.ctx, epoch+1))
			w.endBlock()
			for w.rng.IntN(3) > 0 {
				w.must(w.k.Sweep(w.ctx, w.entries))
			}
			got := w.describe()
			if i == 0 {
				want = got
				checkWeights(t, w.world, members[:known], history, barred, epoch+1, p.WindowEpochs)
			} else if got != want {
				t.Fatalf("epoch %d, pages of %d:\n%s\nwithout pages:\n%s", epoch+1, w.entries, got, want)
			}
		}
	}
}

// describe is all that an epoch's beginning decided.
func (w *world) describe() string {
	w.t.Helper()
	set, err := w.k.Frozen(w.ctx, mustEpoch(w))
	w.must(err)
	g, err := w.k.ExportGenesis(w.ctx)
	w.must(err)
	return fmt.Sprintf("weights %v\nfrozen %v\nseated %v\nhistory %v", w.weights(), set, g.Seated, g.History)
}

// checkWeights computes the weights from the rule: the mean share over the window, genesis power for what is
// missing of it, nothing for who is barred.
func checkWeights(t *testing.T, w *world, members []member, history []map[string]*big.Rat, barred map[string]uint64, epoch uint64, window uint32) {
	t.Helper()
	recent := history[max(0, len(history)-int(window)):]
	founders := 5
	for i, m := range members {
		sum := new(big.Rat)
		for _, of := range recent {
			if share := of[m.address.String()]; share != nil {
				sum.Add(sum, share)
			}
		}
		if i < founders {
			sum.Add(sum, big.NewRat(int64(window)-int64(len(recent)), int64(founders)))
		}
		if barred[string(m.address)] > epoch {
			sum.SetInt64(0)
		}
		sum.Mul(sum, new(big.Rat).SetFrac64(int64(types.ShareScale), int64(window)))
		want, _ := sum.Float64()
		// Each share, and the mean, is rounded down.
		if got := float64(w.weight(m)); got > want+0.5 || got < want-float64(window)-2 {
			t.Fatalf("epoch %d, member %d: weight %.0f, want %.1f", epoch, i, got, want)
		}
	}
}

// TestExportBetweenPages exports after every single page of a preparation and goes on in the imported chain:
// it opens the next epoch with the weights that the first one has.
func TestExportBetweenPages(t *testing.T) {
	p := smallParams()
	members := make([]member, 9)
	for i := range members {
		members[i] = newMember(i)
	}
	rng := rand.New(rand.NewPCG(5, 5))
	shares := func() (out []types.Share) {
		for _, m := range members {
			// Shares that an export keeps exactly: they sum to a divisor of the scale.
			out = append(out, share(m, 1+rng.Uint64N(100)))
		}
		out[0].Units += 1_000 - sumUnits(out)
		return out
	}
	w := newWorld(t)
	w.genesis(p, members...)
	for epoch := uint64(1); epoch <= 4; epoch++ {
		w.epoch(epoch, shares()...)
		w.endBlock()
	}
	last := shares()
	var exports []*types.GenesisState
	export := func() {
		g, err := w.k.ExportGenesis(w.ctx)
		w.must(err)
		exports = append(exports, g)
	}
	export()
	w.settle(4, last, 1, export)
	export()
	w.must(w.k.BeginEpoch(w.ctx, 5))
	want := w.weights()
	if len(exports) < 12 {
		t.Fatalf("%d exports", len(exports))
	}
	for i, g := range exports {
		other := newWorld(t)
		_, err := other.k.InitGenesis(other.ctx, *g)
		other.must(err)
		other.settle(4, last, 2)
		other.must(other.k.BeginEpoch(other.ctx, 5))
		if got := other.weights(); !maps.Equal(got, want) {
			t.Fatalf("exported after %d pages: weights %v, want %v", i, got, want)
		}
	}
}

func sumUnits(shares []types.Share) (sum uint64) {
	for _, s := range shares {
		sum += s.Units
	}
	return sum
}

// weights are those of the running epoch with their sum.
func (w *world) weights() map[string]uint64 {
	w.t.Helper()
	resp, err := keeper.NewQueryServer(w.k).Weights(w.ctx, &types.QueryWeightsRequest{Pagination: &query.PageRequest{Limit: 10_000}})
	w.must(err)
	out := map[string]uint64{"total": resp.Total}
	for _, weight := range resp.Weights {
		out[weight.Miner] = weight.Weight
	}
	return out
}

// TestPagesBoundTheWrites counts what each block of an epoch of 2,000 miners writes: never more than its page
// allows, in whatever stage, and nothing of the epochs before stays.
func TestPagesBoundTheWrites(t *testing.T) {
	const miners, entries = 2_000, 50
	w := newWorld(t)
	key := storetypes.NewKVStoreKey(types.StoreKey)
	chain := testutil.DefaultContextWithDB(t, key, storetypes.NewTransientStoreKey("transient"))
	w.ctx = chain.Ctx.WithChainID(chainID).WithBlockHeight(1)
	counted := &countingService{KVStoreService: runtime.NewKVStoreService(key)}
	w.k = keeper.New(keeper.Config{Codec: moduletestutil.MakeTestEncodingConfig().Codec, Store: counted, Authority: "gov", VerifyVRF: verifyVRF})
	members := make([]member, miners)
	shares := make([]types.Share, miners)
	for i := range members {
		members[i] = newMember(i)
		shares[i] = share(members[i], uint64(1+i))
	}
	p := smallParams()
	w.genesis(p, members...)
	w.must(w.k.BeginEpoch(w.ctx, 1))
	w.endBlock()
	most := 0
	block := func() {
		most = max(most, len(counted.written))
		counted.written = nil
		chain.CMS.Commit()
	}
	var sizes []int
	for epoch := uint64(1); epoch <= 5; epoch++ {
		for _, m := range members {
			w.must(w.k.UseLane(w.ctx, m.address))
		}
		block()
		most = 0
		pages := w.settle(epoch, shares, entries, block)
		block()
		paged := most
		most = 0
		w.must(w.k.BeginEpoch(w.ctx, epoch+1))
		block()
		w.endBlock()
		block()
		t.Logf("epoch %d: %d pages of at most %d keys written, %d when it began", epoch, pages, paged, most)
		if paged > 5*entries {
			t.Errorf("epoch %d: a page of %d entries wrote %d keys", epoch, entries, paged)
		}
		// The seats are twice the most validators, in two tables, and the updates of a changed set.
		if most > 6*int(p.MaxValidators) {
			t.Errorf("epoch %d began with %d writes", epoch, most)
		}
		store := counted.OpenKVStore(w.ctx)
		iter, err := store.Iterator(nil, nil)
		w.must(err)
		n := 0
		for ; iter.Valid(); iter.Next() {
			n++
		}
		w.must(iter.Close())
		sizes = append(sizes, n)
	}
	// From the third epoch on the window is full: each further one leaves as much as it removes, but for its
	// frozen set, of which eight are kept.
	if sizes[4] > sizes[3]+1 {
		t.Errorf("entries of the store after each epoch: %v", sizes)
	}
}

// countingService counts the keys that are written.
type countingService struct {
	corestore.KVStoreService
	written map[string]bool
}

func (s *countingService) OpenKVStore(ctx context.Context) corestore.KVStore {
	return countingStore{s.KVStoreService.OpenKVStore(ctx), s}
}

type countingStore struct {
	corestore.KVStore
	s *countingService
}

func (c countingStore) note(key []byte) {
	if c.s.written == nil {
		c.s.written = make(map[string]bool)
	}
	c.s.written[string(key)] = true
}

func (c countingStore) Set(key, value []byte) error { c.note(key); return c.KVStore.Set(key, value) }

func (c countingStore) Delete(key []byte) error { c.note(key); return c.KVStore.Delete(key) }
