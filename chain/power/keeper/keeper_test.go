package keeper_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/crypto/tmhash"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"

	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"
	moduletestutil "github.com/cosmos/cosmos-sdk/types/module/testutil"

	"github.com/assaynet/assay/chain/params"
	"github.com/assaynet/assay/chain/power/keeper"
	"github.com/assaynet/assay/chain/power/types"
)

const chainID = "assay-power-test"

// member is a miner of the tests with its secrets.
type member struct {
	address sdk.AccAddress
	cons    ed25519.PrivateKey
	vrf     []byte
}

func newMember(i int) member {
	seed := sha256.Sum256(fmt.Appendf(nil, "member %d", i))
	vrf := bytes.Repeat([]byte{byte(i)}, types.VRFKeyBytes)
	vrf[0] = byte(i >> 8)
	return member{address: sdk.AccAddress(seed[:20]), cons: ed25519.NewKeyFromSeed(seed[:]), vrf: vrf}
}

func (m member) pubkey() []byte { return m.cons.Public().(ed25519.PublicKey) }

func (m member) registration() *types.MsgRegister {
	return &types.MsgRegister{
		Operator:   m.address.String(),
		ConsPubkey: m.pubkey(),
		ConsPop:    ed25519.Sign(m.cons, types.ConsPopBytes(chainID, m.address)),
		VrfPubkey:  m.vrf,
		VrfPop:     bytes.Repeat(m.vrf[:1], types.VRFPopBytes),
		Endpoint:   "https://miner.example:8080/base",
		Validator:  true,
	}
}

var errVRF = errors.New("no possession")

// verifyVRF takes a possession that repeats the key's first byte. The real one is tested where
// it is written; the keeper must only ask it and believe it.
func verifyVRF(pubkey, _, possession []byte) error {
	if possession[0] != pubkey[0] {
		return errVRF
	}
	return nil
}

// world is a keeper over a store.
type world struct {
	t   testing.TB
	k   keeper.Keeper
	ctx sdk.Context
}

func newWorld(t testing.TB) *world {
	t.Helper()
	params.Configure()
	key := storetypes.NewKVStoreKey(types.StoreKey)
	ctx := testutil.DefaultContext(key, storetypes.NewTransientStoreKey("transient"))
	k := keeper.New(keeper.Config{
		Codec: moduletestutil.MakeTestEncodingConfig().Codec, Store: runtime.NewKVStoreService(key),
		Authority: "gov", VerifyVRF: verifyVRF,
	})
	return &world{t: t, k: k, ctx: ctx.WithChainID(chainID).WithBlockHeight(1)}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// genesis starts with members of equal power and returns the first validator set.
func (w *world) genesis(p types.Params, members ...member) []abci.ValidatorUpdate {
	w.t.Helper()
	g := types.GenesisState{Params: p}
	for _, m := range members {
		g.Miners = append(g.Miners, types.Miner{
			Operator: m.address.String(), ConsPubkey: m.pubkey(), VrfKeys: []types.VRFKey{{Pubkey: m.vrf}},
			Validator: true, GenesisPower: 1,
		})
	}
	updates, err := w.k.InitGenesis(w.ctx, g)
	w.must(err)
	return updates
}

func (w *world) epoch(number uint64, shares ...types.Share) {
	w.t.Helper()
	w.settle(number-1, shares, 1<<20)
	w.must(w.k.BeginEpoch(w.ctx, number))
}

// settle prepares the epoch after one, pages of so many entries a block, and calls between after each page.
func (w *world) settle(epoch uint64, shares []types.Share, entries uint32, between ...func()) (pages int) {
	w.t.Helper()
	settled, err := types.SettledOf(epoch, shares)
	w.must(err)
	for {
		ready, err := w.k.PrepareEpoch(w.ctx, settled, entries)
		w.must(err)
		pages++
		if ready {
			return pages
		}
		if err := w.k.BeginEpoch(w.ctx, epoch+1); !errors.Is(err, types.ErrNotPrepared) {
			w.t.Fatalf("epoch %d begins after %d pages: %v", epoch+1, pages, err)
		}
		for _, f := range between {
			f()
		}
	}
}

func (w *world) endBlock() []abci.ValidatorUpdate {
	w.t.Helper()
	updates, err := w.k.EndBlock(w.ctx)
	w.must(err)
	return updates
}

func share(m member, units uint64) types.Share {
	return types.Share{Miner: m.address.String(), Units: units}
}

func (w *world) weight(m member) uint64 {
	w.t.Helper()
	weight, err := w.k.Weight(w.ctx, m.address)
	w.must(err)
	return weight
}

func smallParams() types.Params {
	p := types.DefaultParams()
	p.WindowEpochs = 2
	p.EvidenceEpochs = 2
	p.JailEpochs = 1
	p.MissedWindow, p.MissedMax = 10, 3
	return p
}

func TestGenesisPowerFades(t *testing.T) {
	w := newWorld(t)
	a, b, c := newMember(1), newMember(2), newMember(3)
	if got := w.genesis(smallParams(), a, b); len(got) != 2 || got[0].Power != 500_000 || got[1].Power != 500_000 {
		t.Fatalf("genesis set %v", got)
	}
	w.epoch(1)
	reg := c.registration()
	from, err := w.k.Register(w.ctx, reg)
	w.must(err)
	if from != 3 {
		t.Fatalf("VRF key counts from epoch %d, want 3", from)
	}
	w.epoch(2, share(c, 7))
	if got := w.weight(a); got != types.ShareScale/4 {
		t.Fatalf("half of the window is genesis: weight %d", got)
	}
	w.epoch(3, share(c, 9), share(a, 3))
	if got, want := w.weight(a), types.ShareScale/8; got != want {
		t.Fatalf("weight %d, want %d", got, want)
	}
	if got := w.weight(b); got != 0 {
		t.Fatalf("genesis power after the window: %d", got)
	}
	// An epoch without a valid claim changes nothing.
	w.epoch(4)
	if got, want := w.weight(c), types.ShareScale/8*7; got != want {
		t.Fatalf("weight %d after an empty epoch, want %d", got, want)
	}
	w.epoch(5, share(a, 1))
	if got, want := w.weight(c), types.ShareScale/8*3; got != want {
		t.Fatalf("weight %d when the first epoch left the window, want %d", got, want)
	}
}

func TestRegisterRefuses(t *testing.T) {
	w := newWorld(t)
	a, b := newMember(1), newMember(2)
	w.genesis(smallParams(), a)
	w.epoch(1)
	for name, c := range map[string]struct {
		change func(*types.MsgRegister)
		want   error
	}{
		"taken key": {func(m *types.MsgRegister) {
			m.ConsPubkey = a.pubkey()
			m.ConsPop = ed25519.Sign(a.cons, types.ConsPopBytes(chainID, b.address))
		}, types.ErrKeyInUse},
		"another chain": {func(m *types.MsgRegister) {
			m.ConsPop = ed25519.Sign(b.cons, types.ConsPopBytes("other", b.address))
		}, types.ErrConsensusKey},
		"another operator": {func(m *types.MsgRegister) {
			m.ConsPop = ed25519.Sign(b.cons, types.ConsPopBytes(chainID, a.address))
		}, types.ErrConsensusKey},
		"short key": {func(m *types.MsgRegister) { m.ConsPubkey = m.ConsPubkey[1:] }, types.ErrConsensusKey},
		"VRF size":  {func(m *types.MsgRegister) { m.VrfPubkey = append(m.VrfPubkey, 0) }, types.ErrVRFKey},
		"taken VRF key": {func(m *types.MsgRegister) {
			m.VrfPubkey, m.VrfPop = a.vrf, bytes.Repeat(a.vrf[:1], types.VRFPopBytes)
		}, types.ErrVRFKeyInUse},
		"VRF possession": {func(m *types.MsgRegister) { m.VrfPop[0] ^= 1 }, types.ErrVRFKey},
		"address":        {func(m *types.MsgRegister) { m.Operator = "cosmos1xyz" }, types.ErrAddress},
		"scheme":         {func(m *types.MsgRegister) { m.Endpoint = "gopher://x" }, types.ErrEndpoint},
		"no host":        {func(m *types.MsgRegister) { m.Endpoint = "http://:80" }, types.ErrEndpoint},
		"user":           {func(m *types.MsgRegister) { m.Endpoint = "http://a:b@x" }, types.ErrEndpoint},
		"control":        {func(m *types.MsgRegister) { m.Endpoint = "http://x/\n" }, types.ErrEndpoint},
		"long": {func(m *types.MsgRegister) {
			m.Endpoint = "http://x/" + string(bytes.Repeat([]byte("a"), types.MaxEndpointBytes))
		}, types.ErrEndpoint},
	} {
		t.Run(name, func(t *testing.T) {
			msg := b.registration()
			c.change(msg)
			if _, err := w.k.Register(w.ctx, msg); !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			if _, err := w.k.Miner(w.ctx, b.address); !errors.Is(err, types.ErrUnknownMiner) {
				t.Fatalf("a refused registration left a miner: %v", err)
			}
		})
	}
	_, err := w.k.Register(w.ctx, b.registration())
	w.must(err)
}

// TestVRFKeyHasOneOwner: validators that shared one would compute once and vote often. A key that
// is in force stays its owner's until its last use; then another may have it.
func TestVRFKeyHasOneOwner(t *testing.T) {
	w := newWorld(t)
	a, b := newMember(1), newMember(2)
	w.genesis(smallParams(), a, b)
	w.epoch(1)
	take := func() error {
		msg := b.registration()
		msg.VrfPubkey, msg.VrfPop = a.vrf, bytes.Repeat(a.vrf[:1], types.VRFPopBytes)
		_, err := w.k.Register(w.ctx, msg)
		return err
	}
	change := func(to byte) {
		msg := a.registration()
		msg.VrfPubkey = bytes.Repeat([]byte{to}, types.VRFKeyBytes)
		msg.VrfPop = bytes.Repeat([]byte{to}, types.VRFPopBytes)
		_, err := w.k.Register(w.ctx, msg)
		w.must(err)
	}
	change(77)
	if err := take(); !errors.Is(err, types.ErrVRFKeyInUse) {
		t.Fatalf("a key that is still in force: %v", err)
	}
	w.epoch(2)
	w.epoch(3)
	change(78)
	w.must(take())
	g := types.GenesisState{Params: smallParams()}
	for _, m := range []member{a, b} {
		g.Miners = append(g.Miners, types.Miner{Operator: m.address.String(), ConsPubkey: m.pubkey(),
			VrfKeys: []types.VRFKey{{Pubkey: a.vrf}}, Validator: true, GenesisPower: 1})
	}
	if err := g.Validate(); !errors.Is(err, types.ErrGenesis) {
		t.Errorf("a genesis in which two miners share a VRF key: %v", err)
	}
}

// TestKeyChange replaces a validator's consensus key: the set follows in the same block, and
// the old key stays bound until evidence about it is too old.
func TestKeyChange(t *testing.T) {
	w := newWorld(t)
	a, b, spare, thief := newMember(1), newMember(2), newMember(3), newMember(4)
	w.genesis(smallParams(), a, b)
	w.epoch(1)
	w.endBlock()
	old := a.pubkey()
	msg := a.registration()
	msg.ConsPubkey = spare.pubkey()
	msg.ConsPop = ed25519.Sign(spare.cons, types.ConsPopBytes(chainID, a.address))
	_, err := w.k.Register(w.ctx, msg)
	w.must(err)
	updates := w.endBlock()
	if len(updates) != 2 {
		t.Fatalf("updates %v, want one removal and one addition", updates)
	}
	for _, u := range updates {
		if key := u.PubKey.GetEd25519(); bytes.Equal(key, old) != (u.Power == 0) {
			t.Fatalf("key %X has power %d", key, u.Power)
		}
	}
	for _, key := range []ed25519.PublicKey{old, spare.pubkey()} {
		operator, err := w.k.Operator(w.ctx, tmhash.SumTruncated(key))
		if err != nil || !bytes.Equal(operator, a.address) {
			t.Errorf("the operator of key %X is %s, %v", key, operator, err)
		}
	}
	for _, stranger := range [][]byte{nil, tmhash.SumTruncated(thief.pubkey())} {
		if operator, err := w.k.Operator(w.ctx, stranger); operator != nil || err != nil {
			t.Errorf("the operator of %X is %s, %v", stranger, operator, err)
		}
	}
	steal := thief.registration()
	steal.ConsPubkey = old
	steal.ConsPop = ed25519.Sign(a.cons, types.ConsPopBytes(chainID, thief.address))
	if _, err := w.k.Register(w.ctx, steal); !errors.Is(err, types.ErrKeyInUse) {
		t.Fatalf("retired key: %v", err)
	}
	for epoch := uint64(2); epoch <= 4; epoch++ {
		w.epoch(epoch)
	}
	_, err = w.k.Register(w.ctx, steal)
	w.must(err)
}

func TestDoubleSigning(t *testing.T) {
	w := newWorld(t)
	a, b, c := newMember(1), newMember(2), newMember(3)
	w.genesis(smallParams(), a, b, c)
	w.epoch(1)
	w.endBlock()
	var told []string
	w.k.OnTombstone(func(_ context.Context, operator sdk.AccAddress) error {
		told = append(told, operator.String())
		return nil
	})
	evidence := abci.Misbehavior{
		Type:      abci.MisbehaviorType_DUPLICATE_VOTE,
		Validator: abci.Validator{Address: cmted25519.PubKey(a.pubkey()).Address(), Power: 1},
	}
	for range 2 {
		w.must(w.k.BeginBlock(w.ctx.WithCometInfo(cometInfo{evidence})))
	}
	if len(told) != 1 || told[0] != a.address.String() {
		t.Fatalf("hook was told %v", told)
	}
	if updates := w.endBlock(); len(updates) != 1 || updates[0].Power != 0 {
		t.Fatalf("updates %v", updates)
	}
	if _, err := w.k.Register(w.ctx, a.registration()); !errors.Is(err, types.ErrTombstoned) {
		t.Fatalf("registration of a tombstoned miner: %v", err)
	}
	if w.weight(a) != 0 {
		t.Fatal("a tombstoned miner votes")
	}
	w.epoch(2, share(a, 5), share(b, 5))
	if w.weight(a) != 0 || w.weight(b) == 0 {
		t.Fatalf("weights %d and %d", w.weight(a), w.weight(b))
	}
}

func TestMissedSignatures(t *testing.T) {
	w := newWorld(t)
	a, b := newMember(1), newMember(2)
	w.genesis(smallParams(), a, b)
	w.epoch(1)
	w.endBlock()
	block := func(height int64, flag cmtproto.BlockIDFlag) {
		ctx := w.ctx.WithBlockHeight(height).WithCometInfo(cometInfo{}).WithVoteInfos([]abci.VoteInfo{
			{Validator: abci.Validator{Address: cmted25519.PubKey(a.pubkey()).Address()}, BlockIdFlag: flag},
			{Validator: abci.Validator{Address: cmted25519.PubKey(b.pubkey()).Address()}, BlockIdFlag: cmtproto.BlockIDFlagCommit},
		})
		w.must(w.k.BeginBlock(ctx))
	}
	// The window of ten blocks slides by its half: two misses of the first half are forgotten when
	// the third one begins, and count until then.
	misses := map[int64]bool{8: true, 9: true, 15: true, 19: true, 20: true}
	for height := int64(5); height <= 20; height++ {
		if updates := w.endBlock(); len(updates) != 0 {
			t.Fatalf("removed before height %d: %v", height, updates)
		}
		flag := cmtproto.BlockIDFlagCommit
		if misses[height] {
			flag = cmtproto.BlockIDFlagAbsent
		}
		block(height, flag)
	}
	if updates := w.endBlock(); len(updates) != 1 || updates[0].Power != 0 || !bytes.Equal(updates[0].PubKey.GetEd25519(), a.pubkey()) {
		t.Fatalf("updates %v, want the removal of the absent one", updates)
	}
	m, err := w.k.Miner(w.ctx, a.address)
	w.must(err)
	if m.Validator {
		t.Fatal("the absent one still wants to validate")
	}
	if w.weight(a) == 0 {
		t.Fatal("absence from blocks took the governance weight")
	}
}

func TestJail(t *testing.T) {
	w := newWorld(t)
	a, b, c := newMember(1), newMember(2), newMember(3)
	w.genesis(smallParams(), a, b, c)
	w.epoch(1)
	w.endBlock()
	w.must(w.k.Jail(w.ctx, a.address))
	w.must(w.k.Jail(w.ctx, a.address))
	if _, err := w.k.Active(w.ctx, a.address); !errors.Is(err, types.ErrJailed) {
		t.Fatalf("active in jail: %v", err)
	}
	if updates := w.endBlock(); len(updates) != 1 || updates[0].Power != 0 {
		t.Fatalf("updates %v", updates)
	}
	set, err := w.k.Frozen(w.ctx, 1)
	w.must(err)
	if len(set.Validators) != 3 || set.Total != 1_000_000 {
		t.Fatalf("the epoch's frozen set changed: %v", set)
	}
	w.epoch(2)
	if w.weight(a) != 0 {
		t.Fatal("weight in jail")
	}
	w.epoch(3)
	if w.weight(a) == 0 {
		t.Fatal("no weight after jail")
	}
	if _, err := w.k.Active(w.ctx, a.address); err != nil {
		t.Fatal(err)
	}
}

// TestSetIsKept refuses what would leave nobody, or under a third.
func TestSetIsKept(t *testing.T) {
	w := newWorld(t)
	members := []member{newMember(1), newMember(2), newMember(3), newMember(4)}
	w.genesis(smallParams(), members...)
	w.epoch(1)
	w.endBlock()
	for _, m := range members[:3] {
		msg := m.registration()
		msg.Validator = false
		_, err := w.k.Register(w.ctx, msg)
		w.must(err)
	}
	if updates := w.endBlock(); len(updates) != 0 {
		t.Fatalf("a quarter of the power was left alone: %v", updates)
	}
	back := members[0].registration()
	_, err := w.k.Register(w.ctx, back)
	w.must(err)
	if updates := w.endBlock(); len(updates) != 2 {
		t.Fatalf("half of the power may stay: %v", updates)
	}
}

func TestLaneQuota(t *testing.T) {
	w := newWorld(t)
	a, b := newMember(1), newMember(2)
	p := smallParams()
	p.Lane.EpochTxs = 2
	w.genesis(p, a)
	w.epoch(1)
	for range 2 {
		w.must(w.k.UseLane(w.ctx, a.address))
	}
	if err := w.k.UseLane(w.ctx, a.address); !errors.Is(err, types.ErrLaneExhausted) {
		t.Fatalf("third transaction: %v", err)
	}
	w.must(w.k.UseLane(w.ctx, b.address))
	// Answers to demands are counted apart, and those that are taken not at all.
	for range 5 {
		w.must(w.k.UseAnswer(w.ctx, a.address))
		w.must(w.k.Answered(w.ctx, a.address))
	}
	w.must(w.k.Answered(w.ctx, a.address))
	for range 2 {
		w.must(w.k.UseAnswer(w.ctx, a.address))
	}
	if err := w.k.UseAnswer(w.ctx, a.address); !errors.Is(err, types.ErrLaneExhausted) {
		t.Fatalf("third answer that was not taken: %v", err)
	}
	w.must(w.k.UseAnswer(w.ctx, b.address))
	w.epoch(2)
	w.must(w.k.UseLane(w.ctx, a.address))
	w.must(w.k.UseAnswer(w.ctx, a.address))
}

func TestRecordRefuses(t *testing.T) {
	w := newWorld(t)
	a, stranger := newMember(1), newMember(2)
	w.genesis(smallParams(), a)
	w.epoch(1)
	for name, c := range map[string]struct {
		epoch  uint64
		shares []types.Share
		want   error
	}{
		"stranger": {1, []types.Share{share(a, 1), share(stranger, 1)}, types.ErrUnknownMiner},
		"twice":    {1, []types.Share{share(a, 1), share(a, 1)}, types.ErrShares},
		"address":  {1, []types.Share{{Miner: "x"}}, types.ErrShares},
	} {
		if err := w.k.RecordEpoch(w.ctx, c.epoch, c.shares); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	w.must(w.k.RecordEpoch(w.ctx, 1, []types.Share{share(a, 1)}))
	if err := w.k.RecordEpoch(w.ctx, 1, []types.Share{share(a, 1)}); !errors.Is(err, types.ErrEpochOrder) {
		t.Errorf("again: %v", err)
	}
	if err := w.k.BeginEpoch(w.ctx, 1); !errors.Is(err, types.ErrEpochOrder) {
		t.Errorf("epoch begun again: %v", err)
	}
}

// TestExport checks that a genesis survives a round trip with the same powers.
func TestExport(t *testing.T) {
	w := newWorld(t)
	a, b := newMember(1), newMember(2)
	w.genesis(smallParams(), a, b)
	w.epoch(1)
	w.epoch(2, share(a, 2), share(b, 1))
	w.endBlock()
	g, err := w.k.ExportGenesis(w.ctx)
	w.must(err)
	other := newWorld(t)
	_, err = other.k.InitGenesis(other.ctx, *g)
	other.must(err)
	for _, m := range []member{a, b} {
		if got, want := other.weight(m), w.weight(m); got+1 < want || got > want+1 {
			t.Fatalf("weight %d after the import, was %d", got, want)
		}
	}
	again, err := other.k.ExportGenesis(other.ctx)
	w.must(err)
	if fmt.Sprint(again.Seated) != fmt.Sprint(g.Seated) {
		t.Fatalf("seats %v, were %v", again.Seated, g.Seated)
	}
}
