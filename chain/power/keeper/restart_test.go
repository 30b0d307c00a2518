package keeper_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	dbm "github.com/cosmos/cosmos-db"

	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/store/v2"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	moduletestutil "github.com/cosmos/cosmos-sdk/types/module/testutil"

	"github.com/assaynet/assay/chain/params"
	"github.com/assaynet/assay/chain/power/keeper"
	"github.com/assaynet/assay/chain/power/types"
)

// diskNode is a keeper over a store in a folder, which is closed and opened again.
type diskNode struct {
	world
	home string
	db   dbm.DB
	cms  store.CommitMultiStore
}

func newDiskNode(t *testing.T) *diskNode {
	params.Configure()
	n := &diskNode{world: world{t: t}, home: t.TempDir()}
	n.open()
	t.Cleanup(func() { n.must(n.db.Close()) })
	return n
}

// open reads the newest state that was committed. Nothing else is left of the node before.
func (n *diskNode) open() {
	n.t.Helper()
	var err error
	n.db, err = dbm.NewDB("application", dbm.GoLevelDBBackend, n.home)
	n.must(err)
	key := storetypes.NewKVStoreKey(types.StoreKey)
	n.cms = store.NewCommitMultiStore(n.db, log.NewNopLogger())
	n.cms.MountStoreWithDB(key, storetypes.StoreTypeIAVL, n.db)
	n.must(n.cms.LoadLatestVersion())
	n.k = keeper.New(keeper.Config{Codec: moduletestutil.MakeTestEncodingConfig().Codec, Store: runtime.NewKVStoreService(key),
		Authority: "gov", VerifyVRF: verifyVRF})
	n.ctx = sdk.NewContext(n.cms, cmtproto.Header{ChainID: chainID, Height: n.cms.LatestVersion() + 1}, false, log.NewNopLogger())
}

func (n *diskNode) restart() {
	n.t.Helper()
	n.must(n.db.Close())
	n.open()
}

// block commits what was written and returns the hash of all state.
func (n *diskNode) block() []byte {
	n.t.Helper()
	id := n.cms.Commit()
	n.ctx = n.ctx.WithBlockHeight(id.Version + 1)
	return id.Hash
}

// TestRestartBetweenPages stops a node after every page of the preparation, and in the middle of the next one, whose
// writes are lost: opened again from disk it has, in each block, the same hash of all state as one that ran through.
func TestRestartBetweenPages(t *testing.T) {
	for _, entries := range []uint32{1, 3, 8} {
		t.Run(fmt.Sprintf("pages of %d", entries), func(t *testing.T) {
			members := make([]member, 11)
			for i := range members {
				members[i] = newMember(i)
			}
			p := smallParams()
			p.WindowEpochs = 2
			steady, stopped := newDiskNode(t), newDiskNode(t)
			nodes := []*diskNode{steady, stopped}
			same := func(what string) {
				t.Helper()
				if a, b := steady.block(), stopped.block(); !bytes.Equal(a, b) {
					t.Fatalf("%s: the state is %x, after a restart %x", what, a, b)
				}
			}
			for _, n := range nodes {
				n.genesis(p, members...)
				n.must(n.k.BeginEpoch(n.ctx, 1))
				n.endBlock()
			}
			same("genesis")
			rng := rand.New(rand.NewPCG(uint64(entries), 1))
			for epoch := uint64(1); epoch <= 5; epoch++ {
				var shares []types.Share
				for _, m := range members {
					if rng.IntN(5) > 0 {
						shares = append(shares, share(m, 1+rng.Uint64N(1<<30)))
					}
					for _, n := range nodes { // something to sweep
						n.must(n.k.UseLane(n.ctx, m.address))
					}
				}
				same(fmt.Sprintf("epoch %d, its transactions", epoch))
				settled, err := types.SettledOf(epoch, shares)
				if err != nil {
					t.Fatal(err)
				}
				pages := 0
				for over := false; !over; pages++ {
					before, err := stopped.k.ExportGenesis(stopped.ctx)
					stopped.must(err)
					lost, err := stopped.k.PrepareEpoch(stopped.ctx, settled, entries) // of a block that is never committed
					stopped.must(err)
					stopped.restart()
					after, err := stopped.k.ExportGenesis(stopped.ctx)
					stopped.must(err)
					if before.String() != after.String() {
						t.Fatalf("epoch %d, page %d: what was not committed is there", epoch, pages)
					}
					for _, n := range nodes {
						over, err = n.k.PrepareEpoch(n.ctx, settled, entries)
						n.must(err)
						if over != lost {
							t.Fatalf("epoch %d, page %d: ready %v, before the restart %v", epoch, pages, over, lost)
						}
					}
					if pages == 4 { // what changes a weight between the pages
						for _, n := range nodes {
							n.must(n.k.Jail(n.ctx, members[epoch].address))
						}
					}
					same(fmt.Sprintf("epoch %d, page %d", epoch, pages))
				}
				if entries == 1 && pages < len(shares) {
					t.Errorf("epoch %d was prepared in %d pages", epoch, pages)
				}
				stopped.restart()
				for _, n := range nodes {
					n.must(n.k.BeginEpoch(n.ctx, epoch+1))
					n.endBlock()
				}
				same(fmt.Sprintf("epoch %d", epoch+1))
			}
		})
	}
}
