package network_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/client/tx"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"

	"github.com/assaynet/assay/chain/network"
	"github.com/assaynet/assay/chain/params"
	powertypes "github.com/assaynet/assay/chain/power/types"
)

const (
	chainID       = "assay-test-1"
	operatorCoins = 2e12
	// evidenceBlocks is the age of evidence, far more than the few blocks that it travels for.
	evidenceBlocks = 25
)

func coins(amount int64) sdk.Coins { return sdk.NewCoins(sdk.NewInt64Coin(params.BaseDenom, amount)) }

// testNetwork is a network of four nodes and what the tests share.
type testNetwork struct {
	layout *network.Layout
	nodes  []*network.Node
	joiner *network.Node // a full node without power, once stateSync has run
}

func startNetwork(t *testing.T) *testNetwork {
	t.Helper()
	layout, err := network.Create(network.Spec{
		Dir: t.TempDir(), ChainID: chainID, Nodes: 4, BlockTime: 150 * time.Millisecond,
		SnapshotBlocks: 10,
		Balance:        coins(operatorCoins),
		Accounts:       []network.Account{{Name: "researcher", Coins: coins(1e12)}},
		Edit: func(g *network.Genesis) error {
			// The first blocks are too old for evidence when doubleSigning runs.
			g.Consensus.Evidence.MaxAgeNumBlocks, g.Consensus.Evidence.MaxAgeDuration = evidenceBlocks, time.Millisecond
			if err := network.Edit(g, govtypes.ModuleName, func(s *govv1.GenesisState) error {
				period := 8 * time.Second
				expedited := period / 2
				s.Params.VotingPeriod, s.Params.ExpeditedVotingPeriod = &period, &expedited
				return nil
			}); err != nil {
				return err
			}
			return network.Edit(g, powertypes.ModuleName, func(s *powertypes.GenesisState) error {
				s.Params.Lane.StampBits = 10
				return nil
			})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	tn := &testNetwork{layout: layout, nodes: make([]*network.Node, len(layout.Members))}
	for i := range tn.nodes {
		tn.start(t, i)
	}
	t.Cleanup(func() {
		all := tn.nodes
		if tn.joiner != nil {
			all = append(all, tn.joiner)
		}
		for _, n := range all {
			if err := n.Stop(); err != nil {
				t.Error(err)
			}
		}
	})
	return tn
}

func (tn *testNetwork) start(t *testing.T, i int) {
	t.Helper()
	node, err := network.Start(tn.layout.Members[i].Home, network.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tn.nodes[i] = node
}

// wait returns once every node has committed the height, and checks that they agree on the
// state up to it.
func (tn *testNetwork) wait(ctx context.Context, t *testing.T, height int64) {
	t.Helper()
	for i, n := range tn.nodes {
		if err := n.WaitHeight(ctx, height); err != nil {
			t.Fatalf("node %d: %v", i, err)
		}
	}
	var want []byte
	for i, n := range tn.nodes {
		// A header holds the hash of the state before its block.
		meta := n.Comet().BlockStore().LoadBlockMeta(height)
		if meta == nil {
			t.Fatalf("node %d has no block %d", i, height)
		}
		if hash := meta.Header.AppHash; i == 0 {
			want = hash
		} else if !bytes.Equal(hash, want) {
			t.Fatalf("node %d has state %X at height %d, node 0 has %X", i, hash, height, want)
		}
	}
}

func TestNetwork(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	tn := startNetwork(t)
	tn.wait(ctx, t, 3)

	t.Run("newcomer", func(t *testing.T) { newcomer(ctx, t, tn) })
	t.Run("commands", func(t *testing.T) { commands(ctx, t, tn) })
	t.Run("cash", func(t *testing.T) { cash(ctx, t, tn) })
	t.Run("trust", func(t *testing.T) { trust(ctx, t, tn) })
	t.Run("restart", func(t *testing.T) { restart(ctx, t, tn) })
	if t.Run("state sync", func(t *testing.T) { stateSync(ctx, t, tn) }) {
		// The last one: it takes a validator away.
		t.Run("double signing", func(t *testing.T) { doubleSigning(ctx, t, tn) })
	}
}

// restart stops a node, lets the others go on and starts it again from its home.
func restart(ctx context.Context, t *testing.T, tn *testNetwork) {
	const last = 3
	if err := tn.nodes[last].Stop(); err != nil {
		t.Fatal(err)
	}
	stopped := tn.nodes[last].Height()
	if err := tn.nodes[0].WaitHeight(ctx, stopped+5); err != nil {
		t.Fatal(err)
	}
	tn.start(t, last)
	if got := tn.nodes[last].Height(); got > stopped+1 {
		t.Fatalf("the node is at height %d before it could catch up from %d", got, stopped)
	}
	tn.wait(ctx, t, tn.nodes[0].Height()+3)
}

// newcomer registers with a key that the chain has never seen and that has no coins.
func newcomer(ctx context.Context, t *testing.T, tn *testNetwork) {
	node := tn.nodes[1]
	keys, err := network.LoadKeys(t.TempDir(), node.App().Encoding().Codec)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := keys.Registration(chainID, "http://127.0.0.1:1", false)
	if err != nil {
		t.Fatal(err)
	}
	clientCtx := node.Client().WithKeyring(keys.Keyring)
	send := func(memo string, number, sequence uint64) *sdk.TxResponse {
		t.Helper()
		factory := tx.Factory{}.WithTxConfig(clientCtx.TxConfig).WithKeybase(keys.Keyring).WithChainID(chainID).
			WithGas(1_000_000).WithMemo(memo).WithAccountNumber(number).WithSequence(sequence)
		unsigned, err := factory.BuildUnsignedTx(msg)
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Sign(ctx, factory, network.OperatorKey, unsigned, true); err != nil {
			t.Fatal(err)
		}
		raw, err := clientCtx.TxConfig.TxEncoder()(unsigned.GetTx())
		if err != nil {
			t.Fatal(err)
		}
		resp, err := clientCtx.BroadcastTxSync(raw)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	if resp := send("", 0, 0); resp.Code != powertypes.ErrStamp.ABCICode() || resp.Codespace != powertypes.ModuleName {
		t.Fatalf("without a stamp: code %d of %q: %s", resp.Code, resp.Codespace, resp.RawLog)
	}
	stamp, err := powertypes.NewStamp(chainID, keys.Operator, 0, []sdk.Msg{msg})
	if err != nil {
		t.Fatal(err)
	}
	if resp := send(stamp.Mint(10), 0, 0); resp.Code != 0 {
		t.Fatalf("with a stamp: code %d of %q: %s", resp.Code, resp.Codespace, resp.RawLog)
	}
	query := powertypes.NewQueryClient(clientCtx)
	for {
		got, err := query.Miner(ctx, &powertypes.QueryMinerRequest{Operator: keys.Operator.String()})
		if err == nil {
			if !bytes.Equal(got.Miner.ConsPubkey, msg.ConsPubkey) || got.Miner.Endpoint != msg.Endpoint || got.LaneUsed != 1 {
				t.Fatalf("registered as %+v", got)
			}
			break
		}
		if err := node.WaitHeight(ctx, node.Height()+1); err != nil {
			t.Fatalf("not registered: %v", err)
		}
	}
	number, sequence, err := authtypes.AccountRetriever{}.GetAccountNumberSequence(clientCtx, keys.Operator)
	if err != nil {
		t.Fatal(err)
	}
	if sequence != 1 {
		t.Fatalf("sequence %d after the first transaction, want 1", sequence)
	}
	// The second message signs with the account's own number.
	stamp, err = powertypes.NewStamp(chainID, keys.Operator, sequence, []sdk.Msg{msg})
	if err != nil {
		t.Fatal(err)
	}
	if resp := send(stamp.Mint(10), number, sequence); resp.Code != 0 {
		t.Fatalf("second registration: code %d of %q: %s", resp.Code, resp.Codespace, resp.RawLog)
	}
}
