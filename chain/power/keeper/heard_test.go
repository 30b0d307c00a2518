package keeper_test

import (
	"testing"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
)

// Heard counts who made a block since a height, each once, strangers not at all, and forgets nobody
// who stays in the set.
func TestHeard(t *testing.T) {
	w := newWorld(t)
	a, b, c := newMember(0), newMember(1), newMember(2)
	set := w.genesis(smallParams(), a, b, c)
	each, total := uint64(set[0].Power), uint64(0)
	for _, v := range set {
		total += uint64(v.Power)
	}
	for i, m := range []member{a, b, a, newMember(3), a} {
		w.ctx = w.ctx.WithBlockHeader(cmtproto.Header{
			ChainID: chainID, Height: int64(10 + i), ProposerAddress: cmted25519.PubKey(m.pubkey()).Address(),
		}).WithCometInfo(cometInfo{})
		w.must(w.k.BeginBlock(w.ctx))
	}
	for since, want := range map[int64]uint64{1: 2 * each, 11: 2 * each, 12: each, 14: each, 15: 0} {
		power, all, err := w.k.Heard(w.ctx, since)
		w.must(err)
		if power != want || all != total {
			t.Errorf("since %d: %d of %d, want %d of %d", since, power, all, want, total)
		}
	}
}
