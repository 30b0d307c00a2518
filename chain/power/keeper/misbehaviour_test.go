package keeper_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"

	"github.com/assaynet/assay/chain/power/types"
)

// TestMisbehaviourAgainstCometBFT drives random epochs in which members sign twice, with a present or
// a former key, miss blocks, change keys, try others' keys and leave, sometimes all at once. CometBFT's
// own set takes every update, is never empty, and holds nobody who may not validate unless the set
// would have been gutted without.
func TestMisbehaviourAgainstCometBFT(t *testing.T) {
	var seen [events]int
	for seed := range uint64(16) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h := &hostile{world: newWorld(t), rng: rand.New(rand.NewPCG(seed, 11)), set: cmttypes.NewValidatorSet(nil), seen: &seen}
			h.run()
		})
	}
	for i, n := range seen {
		if n == 0 {
			t.Errorf("event %d never happened", i)
		}
	}
}

const (
	tombstoned = iota
	tombstonedByOldKey
	missed
	newKey
	foreignKey
	exodus
	kept
	events
)

type hostile struct {
	*world
	rng     *rand.Rand
	set     *cmttypes.ValidatorSet
	members []member
	former  []ed25519.PublicKey // keys that somebody gave up
	owner   map[string]int      // of every key that was ever bound
	keys    int
	height  int64
	seen    *[events]int
}

func (h *hostile) run() {
	p := smallParams()
	p.WindowEpochs, p.MaxValidators, p.MaxChangeBps = 1+h.rng.Uint32N(4), 3+h.rng.Uint32N(6), 500+h.rng.Uint32N(3_000)
	p.MissedWindow, p.MissedMax = 10, 2
	for i := range 14 {
		h.members = append(h.members, newMember(i))
	}
	h.owner, h.height = make(map[string]int), 1
	for i := range h.members[:6] {
		h.owner[string(h.members[i].pubkey())] = i
	}
	h.apply(h.genesis(p, h.members[:6]...))
	known := 6
	for epoch := uint64(1); epoch <= 30; epoch++ {
		var shares []types.Share
		for _, m := range h.members[:known] {
			if h.rng.IntN(4) > 0 {
				shares = append(shares, share(m, 1+h.rng.Uint64N(1<<h.rng.UintN(30))))
			}
		}
		if epoch > 1 {
			h.settle(epoch-1, shares, 1+h.rng.Uint32N(20))
		}
		h.must(h.k.BeginEpoch(h.ctx, epoch))
		h.end()
		for range 6 {
			evidence, absent := h.act(&known)
			h.begin(evidence, absent)
			h.end()
		}
	}
}

// act lets one thing happen. It returns who is accused of signing twice and who does not sign.
func (h *hostile) act(known *int) (evidence []byte, absent int) {
	i := h.rng.IntN(*known)
	m := h.members[i]
	absent = -1
	switch h.rng.IntN(9) {
	case 0:
		h.seen[tombstoned]++
		return cmted25519.PubKey(m.pubkey()).Address(), absent
	case 1:
		if len(h.former) > 0 {
			h.seen[tombstonedByOldKey]++
			return cmted25519.PubKey(h.former[h.rng.IntN(len(h.former))]).Address(), absent
		}
	case 2, 3:
		absent = i
	case 4:
		h.keys++
		seed := sha256.Sum256(fmt.Appendf(nil, "new key %d", h.keys))
		next := m
		next.cons = ed25519.NewKeyFromSeed(seed[:])
		if h.register(next) {
			h.seen[newKey]++
			h.former = append(h.former, ed25519.PublicKey(m.pubkey()))
			h.owner[string(next.pubkey())] = i
			h.members[i] = next
		}
	case 5:
		other := h.members[h.rng.IntN(*known)]
		if other.address.Equals(m.address) {
			return nil, absent
		}
		thief := m
		thief.cons = other.cons
		_, err := h.k.Register(h.ctx, thief.registration())
		if !errors.Is(err, types.ErrKeyInUse) && !errors.Is(err, types.ErrTombstoned) {
			h.t.Fatalf("a key of another: %v", err)
		}
		h.seen[foreignKey]++
	case 6:
		if *known < len(h.members) {
			h.owner[string(h.members[*known].pubkey())] = *known
			h.register(h.members[*known])
			*known++
		}
	case 7:
		h.register(m) // who was removed comes back
	case 8:
		if h.rng.IntN(4) == 0 { // everybody leaves
			h.seen[exodus]++
			for _, m := range h.members[:*known] {
				msg := m.registration()
				msg.Validator = false
				if _, err := h.k.Register(h.ctx, msg); err != nil && !errors.Is(err, types.ErrTombstoned) {
					h.t.Fatal(err)
				}
			}
		}
	}
	return nil, absent
}

// register says whether it was accepted; only the tombstoned are refused.
func (h *hostile) register(m member) bool {
	h.t.Helper()
	_, err := h.k.Register(h.ctx, m.registration())
	if err != nil && !errors.Is(err, types.ErrTombstoned) {
		h.t.Fatal(err)
	}
	return err == nil
}

// begin starts a block in which one member does not sign, if it has a seat.
func (h *hostile) begin(evidence []byte, absent int) {
	h.t.Helper()
	h.height++
	var info cometInfo
	if evidence != nil {
		info = cometInfo{{Validator: abci.Validator{Address: evidence}}}
	}
	var votes []abci.VoteInfo
	for _, v := range h.set.Validators {
		flag := cmtproto.BlockIDFlagCommit
		if i, ok := h.owner[string(v.PubKey.Bytes())]; ok && i == absent {
			flag = cmtproto.BlockIDFlagAbsent
			h.seen[missed]++
		}
		votes = append(votes, abci.VoteInfo{Validator: abci.Validator{Address: v.Address, Power: v.VotingPower}, BlockIdFlag: flag})
	}
	h.ctx = h.ctx.WithBlockHeight(h.height)
	h.must(h.k.BeginBlock(h.ctx.WithCometInfo(info).WithVoteInfos(votes)))
}

// end gives the block's updates to CometBFT and checks who is in the set.
func (h *hostile) end() {
	h.t.Helper()
	before := powers(h.set)
	h.apply(h.endBlock())
	epoch := mustEpoch(h.world)
	after := powers(h.set)
	var unfit, total int64
	for key, power := range after {
		i, ok := h.owner[key]
		if !ok {
			h.t.Fatalf("nobody owns the key %x", key)
		}
		m, err := h.k.Miner(h.ctx, h.members[i].address)
		h.must(err)
		if m.Barred(epoch) || !m.Validator {
			unfit++
		}
		total += power
	}
	if unfit > 0 {
		// They stay only where the set without them would have been gutted: then nothing moved.
		h.seen[kept]++
		if len(before) > 0 && fmt.Sprint(before) != fmt.Sprint(after) {
			h.t.Fatalf("%d who may not validate are in a set that changed", unfit)
		}
	}
	if total > int64(types.DefaultParams().TotalPower) {
		h.t.Fatalf("total power %d", total)
	}
}

func (h *hostile) apply(updates []abci.ValidatorUpdate) {
	h.t.Helper()
	changes, err := cmttypes.PB2TM.ValidatorUpdates(updates)
	h.must(err)
	if err := h.set.UpdateWithChangeSet(changes); err != nil {
		h.t.Fatalf("CometBFT refuses the updates %v: %v", updates, err)
	}
	if h.set.IsNilOrEmpty() {
		h.t.Fatal("the set is empty")
	}
}
