package network_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cometbft/cometbft/crypto"
	"github.com/cometbft/cometbft/crypto/tmhash"
	"github.com/cometbft/cometbft/rpc/client/local"
	cmttypes "github.com/cometbft/cometbft/types"

	"github.com/cosmos/cosmos-sdk/client/tx"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/assaynet/assay/chain/network"
	powertypes "github.com/assaynet/assay/chain/power/types"
)

// signer is the node that signs twice.
const signer = 3

// doubleSigning lets a validator sign a second block of a height at which its precommit stands in
// the chain. The evidence is given to a full node, which proposes nothing: only gossip brings it
// into a block. Evidence that is forged or too old is refused before and changes nothing.
func doubleSigning(ctx context.Context, t *testing.T, tn *testNetwork) {
	cdc := tn.nodes[signer].App().Encoding().Codec
	keys, err := network.LoadKeys(tn.layout.Members[signer].Home, cdc)
	if err != nil {
		t.Fatal(err)
	}
	other, err := network.LoadKeys(tn.layout.Members[0].Home, cdc)
	if err != nil {
		t.Fatal(err)
	}
	height := max(tn.nodes[0].Height(), evidenceBlocks+10)
	tn.wait(ctx, t, height)
	rpc := local.New(tn.joiner.Comet())

	forgeEvidence(ctx, t, tn, keys, other)
	height = tn.joiner.Height() + 2
	tn.wait(ctx, t, height)
	if m := tn.miner(ctx, t, 0, keys.Operator); m.Miner.Tombstoned || m.Power != 250_000 || m.Weight == 0 {
		t.Fatalf("after forged evidence: %+v", m)
	}
	if powers := tn.powers(ctx, t, height); len(powers) != 4 || powers[keys.Consensus.GetAddress().String()] != 250_000 {
		t.Fatalf("validators after forged evidence: %v", powers)
	}

	heardOf(ctx, t, tn, height)
	first := tn.precommit(ctx, t, keys.Consensus.GetAddress())
	double := tn.evidence(ctx, t, first, second(t, first, keys.Consensus.Key.PrivKey, chainID))
	if _, err := rpc.BroadcastEvidence(ctx, double); err != nil {
		t.Fatal(err)
	}
	committed := tn.committed(ctx, t, first.Height+1, double)
	// A change that a block asks for holds from the next but one on.
	after := committed + 2
	tn.wait(ctx, t, after+4)
	if before := tn.powers(ctx, t, after-1); len(before) != 4 {
		t.Fatalf("validators before the change: %v", before)
	}
	for _, height := range []int64{after, after + 4} {
		powers := tn.powers(ctx, t, height)
		if _, there := powers[keys.Consensus.GetAddress().String()]; there || len(powers) != 3 {
			t.Fatalf("validators at height %d, the evidence was in block %d: %v", height, committed, powers)
		}
	}
	heardOf(ctx, t, tn, after+4)
	for i := range tn.nodes {
		if m := tn.miner(ctx, t, i, keys.Operator); !m.Miner.Tombstoned || m.Power != 0 || m.Weight != 0 {
			t.Fatalf("node %d has the double signer as %+v", i, m)
		}
	}
	want := tn.nodes[0].Comet().BlockStore().LoadBlockMeta(after + 4)
	if err := tn.joiner.WaitHeight(ctx, after+4); err != nil {
		t.Fatal(err)
	}
	if got := tn.joiner.Comet().BlockStore().LoadBlockMeta(after + 4); !bytes.Equal(got.Header.AppHash, want.Header.AppHash) {
		t.Fatalf("state %X at the full node, %X at node 0", got.Header.AppHash, want.Header.AppHash)
	}
	// The same evidence again is known: nothing happens.
	if _, err := rpc.BroadcastEvidence(ctx, double); err != nil {
		t.Fatal(err)
	}
	comeBack(ctx, t, tn, keys)
	last := tn.nodes[0].Height() + 2
	tn.wait(ctx, t, last)
	for h := first.Height + 1; h <= last; h++ {
		if list := tn.nodes[1].Comet().BlockStore().LoadBlock(h).Evidence.Evidence; h != committed && len(list) > 0 {
			t.Fatalf("block %d has evidence %v", h, list)
		}
	}
}

// forgeEvidence hands evidence that proves nothing to a full node.
func forgeEvidence(ctx context.Context, t *testing.T, tn *testNetwork, keys, other *network.Keys) {
	own, chain := keys.Consensus.Key.PrivKey, tn.nodes[0].Comet().BlockStore()
	address := keys.Consensus.GetAddress()
	for name, c := range map[string]struct {
		old    bool
		change func(e *cmttypes.DuplicateVoteEvidence, v *cmttypes.Vote)
		want   string
	}{
		"another's signature": {false, func(e *cmttypes.DuplicateVoteEvidence, v *cmttypes.Vote) {
			resign(t, v, other.Consensus.Key.PrivKey, chainID)
		}, "invalid signature"},
		"another chain": {false, func(e *cmttypes.DuplicateVoteEvidence, v *cmttypes.Vote) {
			resign(t, v, own, "assay-other-1")
		}, "invalid signature"},
		"another round": {false, func(e *cmttypes.DuplicateVoteEvidence, v *cmttypes.Vote) {
			v.Round++
			resign(t, v, own, chainID)
		}, "h/r/s does not match"},
		"equal votes": {false, func(e *cmttypes.DuplicateVoteEvidence, _ *cmttypes.Vote) {
			e.VoteB = e.VoteA
		}, "duplicate votes in invalid order"},
		"no validator": {false, func(e *cmttypes.DuplicateVoteEvidence, _ *cmttypes.Vote) {
			stranger := cmttypes.NewMockPV()
			for _, v := range []*cmttypes.Vote{e.VoteA, e.VoteB} {
				v.ValidatorAddress = stranger.PrivKey.PubKey().Address()
				resign(t, v, stranger.PrivKey, chainID)
			}
		}, "was not a validator"},
		"less power": {false, func(e *cmttypes.DuplicateVoteEvidence, _ *cmttypes.Vote) {
			e.ValidatorPower--
		}, "validator power"},
		"another time": {false, func(e *cmttypes.DuplicateVoteEvidence, _ *cmttypes.Vote) {
			e.Timestamp = e.Timestamp.Add(time.Second)
		}, "different time"},
		"too old": {true, func(*cmttypes.DuplicateVoteEvidence, *cmttypes.Vote) {}, "too old"},
	} {
		node := tn.joiner
		var first *cmttypes.Vote
		if c.old {
			node = tn.nodes[0] // the full node has no block that old
			first = tn.precommit(ctx, t, address).Copy()
			meta := chain.LoadBlockMeta(2)
			first.Height, first.BlockID = 2, meta.BlockID
			resign(t, first, own, chainID)
		} else {
			first = tn.precommit(ctx, t, address)
		}
		v := second(t, first, own, chainID)
		e := tn.evidence(ctx, t, first, v)
		c.change(e, v)
		if _, err := local.New(node.Comet()).BroadcastEvidence(ctx, e); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if n := node.Comet().EvidencePool().Size(); n != 0 {
			t.Errorf("%s: %d evidences wait", name, n)
		}
	}
}

// precommit returns a vote that the validator's node made, out of the last block that the full
// node has and that has one.
func (tn *testNetwork) precommit(ctx context.Context, t *testing.T, address crypto.Address) *cmttypes.Vote {
	t.Helper()
	for {
		height := tn.joiner.Height() - 1
		commit := tn.joiner.Comet().BlockStore().LoadBlockCommit(height)
		for i := range commit.Signatures {
			if s := commit.Signatures[i]; s.BlockIDFlag == cmttypes.BlockIDFlagCommit && bytes.Equal(s.ValidatorAddress, address) {
				return commit.GetVote(int32(i))
			}
		}
		if err := tn.joiner.WaitHeight(ctx, height+2); err != nil {
			t.Fatal(err)
		}
	}
}

// second returns a precommit for another block of the same height and round.
func second(t *testing.T, first *cmttypes.Vote, key crypto.PrivKey, chain string) *cmttypes.Vote {
	t.Helper()
	v := first.Copy()
	v.BlockID = cmttypes.BlockID{Hash: tmhash.Sum([]byte("another block")),
		PartSetHeader: cmttypes.PartSetHeader{Total: 1, Hash: tmhash.Sum([]byte("its parts"))}}
	resign(t, v, key, chain)
	return v
}

func resign(t *testing.T, v *cmttypes.Vote, key crypto.PrivKey, chain string) {
	t.Helper()
	var err error
	if v.Signature, err = key.Sign(cmttypes.VoteSignBytes(chain, v.ToProto())); err != nil {
		t.Fatal(err)
	}
}

// evidence makes evidence out of copies of two votes; it still shares the second one.
func (tn *testNetwork) evidence(ctx context.Context, t *testing.T, a, b *cmttypes.Vote) *cmttypes.DuplicateVoteEvidence {
	t.Helper()
	node := tn.joiner.Comet()
	if a.Height < node.BlockStore().Base() {
		node = tn.nodes[0].Comet()
	}
	got, err := local.New(node).Validators(ctx, &a.Height, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	meta := node.BlockStore().LoadBlockMeta(a.Height)
	e, err := cmttypes.NewDuplicateVoteEvidence(a.Copy(), b, meta.Header.Time, cmttypes.NewValidatorSet(got.Validators))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// committed returns the height of the block with the evidence.
func (tn *testNetwork) committed(ctx context.Context, t *testing.T, from int64, e cmttypes.Evidence) int64 {
	t.Helper()
	for h := from; ; h++ {
		if h > from+evidenceBlocks {
			t.Fatalf("no evidence in the blocks %d to %d", from, h)
		}
		if err := tn.nodes[0].WaitHeight(ctx, h); err != nil {
			t.Fatal(err)
		}
		list := tn.nodes[0].Comet().BlockStore().LoadBlock(h).Evidence.Evidence
		if slices.ContainsFunc(list, func(x cmttypes.Evidence) bool { return bytes.Equal(x.Hash(), e.Hash()) }) {
			return h
		}
	}
}

// powers returns CometBFT's validators of a height, by address.
func (tn *testNetwork) powers(ctx context.Context, t *testing.T, height int64) map[string]int64 {
	t.Helper()
	got, err := local.New(tn.nodes[0].Comet()).Validators(ctx, &height, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int64{}
	for _, v := range got.Validators {
		out[v.Address.String()] = v.VotingPower
	}
	return out
}

func (tn *testNetwork) miner(ctx context.Context, t *testing.T, node int, operator sdk.AccAddress) *powertypes.QueryMinerResponse {
	t.Helper()
	got, err := powertypes.NewQueryClient(tn.nodes[node].Client()).Miner(ctx, &powertypes.QueryMinerRequest{Operator: operator.String()})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// comeBack lets the double signer register again with a consensus key that nobody has seen, and a
// stranger with the double signer's own key.
func comeBack(ctx context.Context, t *testing.T, tn *testNetwork, keys *network.Keys) {
	fresh, err := network.LoadKeys(t.TempDir(), tn.nodes[0].App().Encoding().Codec)
	if err != nil {
		t.Fatal(err)
	}
	renewed, taken := *keys, *fresh
	renewed.Consensus, taken.Consensus = fresh.Consensus, keys.Consensus
	for _, c := range []struct {
		keys *network.Keys
		want interface{ ABCICode() uint32 }
	}{{&renewed, powertypes.ErrTombstoned}, {keys, powertypes.ErrTombstoned}, {&taken, powertypes.ErrKeyInUse}} {
		msg, err := c.keys.Registration(chainID, "http://127.0.0.1:1", true)
		if err != nil {
			t.Fatal(err)
		}
		resp := tn.include(ctx, t, c.keys, msg)
		if resp.Codespace != powertypes.ModuleName || resp.Code != c.want.ABCICode() {
			t.Errorf("registration of %s: code %d of %q, want %v: %s", c.keys.Operator, resp.Code, resp.Codespace, c.want, resp.RawLog)
		}
	}
}

// include sends a fee-free message with a stamp and returns what became of it: a refusal by the
// node, or the result in the block.
func (tn *testNetwork) include(ctx context.Context, t *testing.T, keys *network.Keys, msg sdk.Msg) *sdk.TxResponse {
	t.Helper()
	client := tn.nodes[1].Client().WithKeyring(keys.Keyring)
	var number, sequence uint64
	if accounts := (authtypes.AccountRetriever{}); accounts.EnsureExists(client, keys.Operator) == nil {
		var err error
		if number, sequence, err = accounts.GetAccountNumberSequence(client, keys.Operator); err != nil {
			t.Fatal(err)
		}
	}
	stamp, err := powertypes.NewStamp(chainID, keys.Operator, sequence, []sdk.Msg{msg})
	if err != nil {
		t.Fatal(err)
	}
	factory := tx.Factory{}.WithTxConfig(client.TxConfig).WithKeybase(keys.Keyring).WithChainID(chainID).
		WithGas(1_000_000).WithMemo(stamp.Mint(10)).WithAccountNumber(number).WithSequence(sequence)
	unsigned, err := factory.BuildUnsignedTx(msg)
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Sign(ctx, factory, network.OperatorKey, unsigned, true); err != nil {
		t.Fatal(err)
	}
	raw, err := client.TxConfig.TxEncoder()(unsigned.GetTx())
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.BroadcastTxSync(raw)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Code != 0 {
		return resp
	}
	for {
		got, err := local.New(tn.nodes[1].Comet()).Tx(ctx, tmhash.Sum(raw), false)
		if err == nil {
			return sdk.NewResponseResultTx(got, nil, "")
		}
		if err := tn.nodes[1].WaitHeight(ctx, tn.nodes[1].Height()+1); err != nil {
			t.Fatalf("not in a block: %v", err)
		}
	}
}
