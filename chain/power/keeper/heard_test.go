package keeper_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"

	"cosmossdk.io/core/comet"

	"github.com/assaynet/assay/chain/power/types"
)

// decidedIn is what a begin blocker is told of the block before: the round that decided it.
type decidedIn struct {
	cometInfo
	round int32
}

func (d decidedIn) GetLastCommit() comet.CommitInfo { return lastCommit{round: d.round} }

type lastCommit struct {
	comet.CommitInfo
	round int32
}

func (c lastCommit) Round() int32 { return c.round }

// turns are CometBFT's sets of the running height and the next, as its state has them.
type turns struct{ now, next *cmttypes.ValidatorSet }

func (s *turns) advance(t *testing.T, updates []abci.ValidatorUpdate) {
	t.Helper()
	changes, err := cmttypes.PB2TM.ValidatorUpdates(updates)
	if err != nil {
		t.Fatal(err)
	}
	after := s.next.Copy()
	if len(changes) > 0 {
		if err := after.UpdateWithChangeSet(changes); err != nil {
			t.Fatal(err)
		}
	}
	after.IncrementProposerPriority(1)
	s.now, s.next = s.next, after
}

// TestHeard: through random epochs, joining, leaving and jailing, the power that was heard is that of those whose
// turn by CometBFT's own sets was decided in round 0, whatever the headers say.
func TestHeard(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { randomTurns(t, rand.New(rand.NewPCG(seed, 9))) })
	}
}

func randomTurns(t *testing.T, rng *rand.Rand) {
	w := newWorld(t)
	p := smallParams()
	p.MaxValidators, p.MissedWindow, p.MissedMax = 3+rng.Uint32N(6), 1_000, 1_000
	members := make([]member, 10)
	for i := range members {
		members[i] = newMember(i)
	}
	genesis, err := cmttypes.PB2TM.ValidatorUpdates(w.genesis(p, members[:4]...))
	w.must(err)
	set := cmttypes.NewValidatorSet(genesis)
	s := turns{set, set.CopyIncrementProposerPriority(1)}
	newest := make(map[string]int64) // consensus address: height of its newest block in round 0
	known, epoch, round, before := 4, uint64(1), int32(0), ""
	w.must(w.k.BeginEpoch(w.ctx, epoch))
	for height := int64(1); height <= 400; height++ {
		if height > 1 && round == 0 {
			newest[before] = height - 1
		}
		w.ctx = w.ctx.WithBlockHeader(cmtproto.Header{
			ChainID: chainID, Height: height, ProposerAddress: s.now.Validators[rng.IntN(s.now.Size())].Address,
		}).WithCometInfo(decidedIn{round: round})
		w.must(w.k.BeginBlock(w.ctx))
		checkHeard(t, w, newest, height-rng.Int64N(12))

		if rng.IntN(20) == 0 {
			epoch++
			var shares []types.Share
			for _, m := range members[:known] {
				shares = append(shares, share(m, 1+rng.Uint64N(1<<rng.UintN(20))))
			}
			w.epoch(epoch, shares...)
		}
		switch m := members[rng.IntN(known)]; rng.IntN(30) {
		case 0:
			w.must(w.k.Jail(w.ctx, m.address))
		case 1:
			msg := m.registration()
			msg.Validator = rng.IntN(3) > 0
			_, err := w.k.Register(w.ctx, msg)
			w.must(err)
		case 2:
			if known < len(members) {
				_, err := w.k.Register(w.ctx, members[known].registration())
				w.must(err)
				known++
			}
		}
		before, round = string(s.now.GetProposer().Address), max(0, rng.Int32N(5)-2)
		s.advance(t, w.endBlock())
	}
	if epoch < 5 || len(newest) < 5 {
		t.Fatalf("%d epochs and %d proposers show little", epoch, len(newest))
	}
}

// checkHeard compares with who made a block since a height, of those in the set that the module gave CometBFT.
func checkHeard(t *testing.T, w *world, newest map[string]int64, since int64) {
	t.Helper()
	genesis, err := w.k.ExportGenesis(w.ctx)
	w.must(err)
	var power, total uint64
	for _, v := range genesis.Seated {
		total += v.Power
		if height, ok := newest[string(cmted25519.PubKey(v.ConsPubkey).Address())]; ok && height >= since {
			power += v.Power
		}
	}
	heard, all, err := w.k.Heard(w.ctx, since)
	w.must(err)
	if heard != power || all != total {
		t.Fatalf("height %d, since %d: %d of %d, want %d of %d", w.ctx.BlockHeight(), since, heard, all, power, total)
	}
}

// TestRunsOfTurns: validators of equal power that join together make their blocks one after the other. So a
// coalition below a third can have any number of blocks in a row below a third of the validators' number.
func TestRunsOfTurns(t *testing.T) {
	validators := func(from, n int) (out []*cmttypes.Validator) {
		for i := range n {
			out = append(out, cmttypes.NewValidator(cmted25519.PubKey(newMember(from+i).pubkey()), 10_000))
		}
		return out
	}
	set := cmttypes.NewValidatorSet(validators(0, 67))
	set.IncrementProposerPriority(500)
	joined := validators(67, 33)
	if err := set.UpdateWithChangeSet(joined); err != nil {
		t.Fatal(err)
	}
	run, longest := 0, 0
	for range 1_000 {
		set.IncrementProposerPriority(1)
		run++
		if !slices.ContainsFunc(joined, func(v *cmttypes.Validator) bool {
			return bytes.Equal(v.Address, set.GetProposer().Address)
		}) {
			run = 0
		}
		longest = max(longest, run)
	}
	if longest != len(joined) {
		t.Errorf("%d in a row, want all %d", longest, len(joined))
	}
}

// BenchmarkTurns is what following the turns costs at the end of a block with 100 validators.
func BenchmarkTurns(b *testing.B) {
	w := newWorld(b)
	members := make([]member, 100)
	for i := range members {
		members[i] = newMember(i)
	}
	w.genesis(smallParams(), members...)
	height := int64(0)
	for b.Loop() {
		height++
		w.ctx = w.ctx.WithBlockHeight(height)
		if _, err := w.k.EndBlock(w.ctx); err != nil {
			b.Fatal(err)
		}
	}
}
