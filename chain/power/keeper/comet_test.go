package keeper_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	cmttypes "github.com/cometbft/cometbft/types"

	"cosmossdk.io/core/comet"

	"github.com/assaynet/assay/chain/power/types"
)

// cometInfo carries evidence to a begin blocker.
type cometInfo []abci.Misbehavior

func (c cometInfo) GetEvidence() comet.EvidenceList { return evidenceList(c) }
func (cometInfo) GetValidatorsHash() []byte         { return nil }
func (cometInfo) GetProposerAddress() []byte        { return nil }
func (cometInfo) GetLastCommit() comet.CommitInfo   { return nil }

type evidenceList []abci.Misbehavior

func (l evidenceList) Len() int                 { return len(l) }
func (l evidenceList) Get(i int) comet.Evidence { return evidenceItem{comet.Evidence(nil), l[i]} }

type evidenceItem struct {
	comet.Evidence
	m abci.Misbehavior
}

func (e evidenceItem) Validator() comet.Validator { return validator{nil, e.m} }

type validator struct {
	comet.Validator
	m abci.Misbehavior
}

func (v validator) Address() []byte { return v.m.Validator.Address }

// TestAgainstCometBFT drives random epochs and lets CometBFT's own set apply every update. It
// must never refuse one, the sets must agree, and an epoch must not move more than its bound.
func TestAgainstCometBFT(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { randomEpochs(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func randomEpochs(t *testing.T, rng *rand.Rand) {
	w := newWorld(t)
	p := smallParams()
	p.WindowEpochs = 1 + rng.Uint32N(5)
	p.MaxValidators = 3 + rng.Uint32N(8)
	p.MaxChangeBps = 200 + rng.Uint32N(3_000)
	members := make([]member, 24)
	for i := range members {
		members[i] = newMember(i)
	}
	set := cmttypes.NewValidatorSet(nil)
	apply := func(updates []abci.ValidatorUpdate) {
		t.Helper()
		changes, err := cmttypes.PB2TM.ValidatorUpdates(updates)
		if err != nil {
			t.Fatal(err)
		}
		if err := set.UpdateWithChangeSet(changes); err != nil {
			t.Fatalf("CometBFT refuses the updates: %v", err)
		}
		if set.IsNilOrEmpty() {
			t.Fatal("the set is empty")
		}
	}
	apply(w.genesis(p, members[:4]...))
	known := 4
	for epoch := uint64(1); epoch <= 40; epoch++ {
		before := powers(set)
		var shares []types.Share
		for _, m := range members[:known] {
			if rng.IntN(3) > 0 {
				shares = append(shares, share(m, rng.Uint64N(1<<rng.UintN(40))))
			}
		}
		if rng.IntN(5) == 0 {
			shares = nil
		}
		if epoch > 1 {
			w.settle(epoch-1, shares, 1+rng.Uint32N(20))
		}
		w.must(w.k.BeginEpoch(w.ctx, epoch))
		apply(w.endBlock())
		checkEpoch(t, w, p, before, powers(set))

		// Within the epoch members join, leave and are jailed; the change of an epoch is
		// bounded, a removal is not.
		for range rng.IntN(4) {
			m := members[rng.IntN(known)]
			switch rng.IntN(4) {
			case 0:
				w.must(w.k.Jail(w.ctx, m.address))
			case 1, 2:
				msg := m.registration()
				msg.Validator = rng.IntN(2) == 0
				_, err := w.k.Register(w.ctx, msg)
				w.must(err)
			case 3:
				if known < len(members) {
					_, err := w.k.Register(w.ctx, members[known].registration())
					w.must(err)
					known++
				}
			}
			apply(w.endBlock())
		}
	}
}

func powers(set *cmttypes.ValidatorSet) map[string]int64 {
	out := make(map[string]int64)
	for _, v := range set.Validators {
		out[string(v.PubKey.Bytes())] = v.VotingPower
	}
	return out
}

// checkEpoch compares CometBFT's set with the module's and measures the change in shares.
func checkEpoch(t *testing.T, w *world, p types.Params, before, after map[string]int64) {
	t.Helper()
	set, err := w.k.Frozen(w.ctx, mustEpoch(w))
	w.must(err)
	for _, v := range set.Validators {
		if got := after[string(v.ConsPubkey)]; got != int64(v.Power) {
			t.Fatalf("CometBFT has power %d for %s, the module froze %d", got, v.Operator, v.Power)
		}
	}
	if len(after) > 2*int(p.MaxValidators) {
		t.Fatalf("%d validators", len(after))
	}
	// A removal, or a seat cut off the end, leaves its power to those who stay in proportion;
	// what moves among them grows by the same factor.
	var all, sumBefore, sumAfter int64
	for key, v := range before {
		all += v
		if after[key] > 0 {
			sumBefore += v
		}
	}
	for _, v := range after {
		sumAfter += v
	}
	if sumAfter > int64(p.TotalPower) {
		t.Fatalf("total power %d", sumAfter)
	}
	if sumBefore == 0 {
		t.Fatal("nobody stayed")
	}
	var moved float64
	for key, power := range after {
		moved += max(0, float64(power)/float64(sumAfter)-float64(before[key])/float64(sumBefore))
	}
	// Rounding each seat may add a little.
	if bound := float64(p.MaxChangeBps)/10_000*float64(all)/float64(sumBefore) + 0.001; moved > bound {
		t.Fatalf("%.4f of the power moved, bound %.4f", moved, bound)
	}
}

func mustEpoch(w *world) uint64 {
	epoch, err := w.k.Epoch(w.ctx)
	w.must(err)
	return epoch
}

func TestRescale(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2_000 {
		seats := make([]types.Seat, 1+rng.IntN(120))
		var sum uint64
		for i := range seats {
			seats[i] = types.Seat{Operator: fmt.Appendf(nil, "%03d", i), Power: rng.Uint64N(1 << rng.UintN(50))}
			sum += seats[i].Power
		}
		total := uint64(types.MinTotalPower) + rng.Uint64N(1<<30)
		out := types.Rescale(seats, total)
		if sum == 0 {
			if out != nil {
				t.Fatalf("powers from nothing: %v", out)
			}
			continue
		}
		var got uint64
		for _, s := range out {
			got += s.Power
		}
		if got != total {
			t.Fatalf("sum %d, want %d", got, total)
		}
	}
}

func TestStamp(t *testing.T) {
	m := newMember(1)
	stamp, err := types.NewStamp(chainID, m.address, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	memo := stamp.Mint(8)
	if err := stamp.Check(memo, 8); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{"empty": "", "prefix": "stamp", "short": "stamp:00", "digits": "stamp:zzzzzzzzzzzzzzzz"} {
		if stamp.Check(bad, 1) == nil {
			t.Errorf("%s: accepted %q", name, bad)
		}
	}
	// The same nonce for another sequence or chain is as good as a random one; with 40 bits
	// wanted it never passes.
	other, err := types.NewStamp(chainID, m.address, 4, nil)
	if err != nil {
		t.Fatal(err)
	}
	if other == stamp || other.Check(memo, 40) == nil {
		t.Fatal("a stamp serves another sequence")
	}
}
