package keeper_test

import (
	"bytes"
	"testing"

	"github.com/assaynet/assay/chain/internal/chaintest"
	"github.com/assaynet/assay/chain/sprint/types"
)

// Whatever a claim carries, it is refused without a trace or the epoch counts exactly it.
func FuzzCommitWork(f *testing.F) {
	w := newWorld(f, testParams())
	w.claim(0, 12)
	root := bytes.Repeat([]byte{3}, 32)
	f.Add(uint64(1), root, uint64(16), root)
	f.Add(uint64(1), root[:31], uint64(16), []byte{})
	f.Add(uint64(2), root, ^uint64(0), bytes.Repeat(root, 200))
	f.Add(uint64(1), root, uint64(15), []byte{1})
	state := func() []byte {
		g, err := w.k.ExportGenesis(w.Ctx)
		if err != nil {
			f.Fatal(err)
		}
		return w.Codec.MustMarshalJSON(g)
	}
	before := state()
	base := w.Ctx
	f.Fuzz(func(t *testing.T, epoch uint64, root []byte, count uint64, proof []byte) {
		ctx, _ := base.CacheContext()
		w.Ctx, w.tb = ctx, t
		defer func() { w.Ctx, w.tb = base, f }()
		m := &types.MsgCommitWork{Miner: w.Bech32(chaintest.Address(0)), Epoch: epoch, Root: root, Count: count}
		for len(proof) > 0 {
			n := min(32, len(proof))
			m.Proof = append(m.Proof, proof[:n])
			proof = proof[n:]
		}
		if w.commit(m) != nil {
			if !bytes.Equal(state(), before) {
				t.Fatal("a refused claim changed the state")
			}
			return
		}
		c, err := w.k.Claim(w.Ctx, 1, chaintest.Address(0))
		if err != nil || c.Count != count || w.epoch().Units != count || count <= 12 || count%fold != 0 {
			t.Fatalf("accepted claim %+v of %d units, %v", c, w.epoch().Units, err)
		}
	})
}
