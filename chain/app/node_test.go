package app

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	dbm "github.com/cosmos/cosmos-db"

	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/baseapp"
	clienttx "github.com/cosmos/cosmos-sdk/client/tx"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/assaynet/assay/chain/params"
	powertypes "github.com/assaynet/assay/chain/power/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/sample"
)

const nodeChain = "assay-node-1"

// nodeGas is the limit of gas of every transaction of these tests.
const nodeGas = 400_000

// node is a running application that is driven as CometBFT drives it, with accounts that hold coins.
// The mempool is the list of what the application accepted, in that order.
type node struct {
	t       testing.TB
	app     *App
	height  int64
	keys    []*secp256k1.PrivKey
	waiting [][]byte
}

// newNode starts a chain with a validator and accounts, and a limit of gas a block.
func newNode(t testing.TB, accounts int, maxGas int64, edit func(*powertypes.Params)) *node {
	t.Helper()
	application, err := New(Config{Logger: log.NewNopLogger(), DB: dbm.NewMemDB(), Home: t.TempDir(),
		Options: []func(*baseapp.BaseApp){baseapp.SetChainID(nodeChain)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := application.Close(); err != nil {
			t.Error(err)
		}
	})
	n := &node{t: t, app: application}
	var list authtypes.GenesisAccounts
	var balances []banktypes.Balance
	coins := sdk.NewCoins(sdk.NewInt64Coin(params.BaseDenom, 1_000_000_000_000))
	for i := range accounts {
		key := secp256k1.GenPrivKeyFromSecret(binary.BigEndian.AppendUint32(nil, uint32(i)))
		n.keys = append(n.keys, key)
		list = append(list, authtypes.NewBaseAccountWithAddress(n.addr(i)))
		balances = append(balances, banktypes.Balance{Address: n.addr(i).String(), Coins: coins})
	}
	cdc := application.enc.Codec
	state := application.basic.DefaultGenesis(cdc)
	editState(t, cdc, state, authtypes.ModuleName, func(s *authtypes.GenesisState) {
		packed, err := authtypes.PackAccounts(list)
		if err != nil {
			t.Fatal(err)
		}
		s.Accounts = packed
	})
	editState(t, cdc, state, banktypes.ModuleName, func(s *banktypes.GenesisState) {
		s.Balances = balances
		for _, b := range balances {
			s.Supply = s.Supply.Add(b.Coins...)
		}
	})
	editState(t, cdc, state, powertypes.ModuleName, func(s *powertypes.GenesisState) {
		s.Params.Lane.StampBits = 1
		if edit != nil {
			edit(&s.Params)
		}
		vrf, err := sample.GenerateKey(rand.NewChaCha8([32]byte{1}))
		if err != nil {
			t.Fatal(err)
		}
		seed := sha256.Sum256([]byte("validator"))
		s.Miners = append(s.Miners, powertypes.Miner{Operator: n.addr(0).String(), Validator: true, GenesisPower: 1,
			ConsPubkey: ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey),
			VrfKeys:    []powertypes.VRFKey{{Pubkey: vrf.Public().Bytes()}}})
	})
	raw, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	_, err = application.InitChain(&abci.RequestInitChain{ChainId: nodeChain, InitialHeight: 1, AppStateBytes: raw, Time: time.Unix(1, 0),
		ConsensusParams: &cmtproto.ConsensusParams{
			Block:    &cmtproto.BlockParams{MaxBytes: 4 << 20, MaxGas: maxGas},
			Evidence: &cmtproto.EvidenceParams{}, Validator: &cmtproto.ValidatorParams{PubKeyTypes: []string{"ed25519"}},
		}})
	if err != nil {
		t.Fatal(err)
	}
	n.block(nil)
	return n
}

func editState[T any, P interface {
	*T
	codec.ProtoMarshaler
}](t testing.TB, cdc codec.Codec, state map[string]json.RawMessage, name string, edit func(P)) {
	t.Helper()
	var v T
	cdc.MustUnmarshalJSON(state[name], P(&v))
	edit(P(&v))
	state[name] = cdc.MustMarshalJSON(P(&v))
}

func (n *node) addr(i int) sdk.AccAddress { return sdk.AccAddress(n.keys[i].PubKey().Address()) }

// tx is a transaction of account i; a message of the lane carries a stamp, the others a fee.
func (n *node) tx(i int, sequence uint64, msg sdk.Msg) []byte {
	n.t.Helper()
	ctx := context.Background()
	enc, key := n.app.enc, n.keys[i]
	b := enc.Tx.NewTxBuilder()
	n.must(b.SetMsgs(msg))
	b.SetGasLimit(nodeGas)
	if laneMessages[sdk.MsgTypeURL(msg)] {
		stamp, err := powertypes.NewStamp(nodeChain, n.addr(i), sequence, []sdk.Msg{msg})
		n.must(err)
		b.SetMemo(stamp.Mint(1))
	} else {
		b.SetFeeAmount(sdk.NewCoins(sdk.NewInt64Coin(params.BaseDenom, 1_000_000)))
	}
	mode := signing.SignMode_SIGN_MODE_DIRECT
	n.must(b.SetSignatures(signing.SignatureV2{PubKey: key.PubKey(), Data: &signing.SingleSignatureData{SignMode: mode}, Sequence: sequence}))
	sig, err := clienttx.SignWithPrivKey(ctx, mode, authsigning.SignerData{Address: n.addr(i).String(), ChainID: nodeChain,
		AccountNumber: uint64(i), Sequence: sequence, PubKey: key.PubKey()}, b, key, enc.Tx, sequence)
	n.must(err)
	n.must(b.SetSignatures(sig))
	raw, err := enc.Tx.TxEncoder()(b.GetTx())
	n.must(err)
	return raw
}

// lane is a commitment, which passes every check of the mempool whether or not there is any work.
func (n *node) lane(i int, sequence uint64) []byte {
	return n.tx(i, sequence, &sprinttypes.MsgCommitWork{Miner: n.addr(i).String(), Epoch: 1, Root: make([]byte, 32), Count: 64 * (1 + sequence)})
}

// payment sends a coin to itself.
func (n *node) payment(i int, sequence uint64) []byte {
	return n.tx(i, sequence, banktypes.NewMsgSend(n.addr(i), n.addr(i), sdk.NewCoins(sdk.NewInt64Coin(params.BaseDenom, 1))))
}

func (n *node) must(err error) {
	if err != nil {
		n.t.Helper()
		n.t.Fatal(err)
	}
}

// send offers a transaction to the mempool.
func (n *node) send(raw []byte) error {
	n.t.Helper()
	r, err := n.app.CheckTx(&abci.RequestCheckTx{Tx: raw, Type: abci.CheckTxType_New})
	n.must(err)
	if r.Code != 0 {
		return fmt.Errorf("code %d: %s", r.Code, r.Log)
	}
	n.waiting = append(n.waiting, raw)
	return nil
}

// propose asks for a block and whether a validator accepts it.
func (n *node) propose() [][]byte {
	n.t.Helper()
	r, err := n.app.PrepareProposal(&abci.RequestPrepareProposal{Height: n.height + 1, MaxTxBytes: 4 << 20, Txs: n.waiting, Time: n.time()})
	n.must(err)
	if !n.accepts(r.Txs) {
		n.t.Fatalf("an honest proposal of %d transactions is rejected", len(r.Txs))
	}
	return r.Txs
}

func (n *node) accepts(txs [][]byte) bool {
	n.t.Helper()
	r, err := n.app.ProcessProposal(&abci.RequestProcessProposal{Height: n.height + 1, Txs: txs, Time: n.time()})
	n.must(err)
	return r.Status == abci.ResponseProcessProposal_ACCEPT
}

func (n *node) time() time.Time { return time.Unix(1+n.height, 0) }

// block makes a block and has what waits checked again. It returns the codes of its transactions.
func (n *node) block(txs [][]byte) []uint32 {
	n.t.Helper()
	n.height++
	r, err := n.app.FinalizeBlock(&abci.RequestFinalizeBlock{Height: n.height, Txs: txs, Time: n.time(), Hash: make([]byte, 32)})
	n.must(err)
	_, err = n.app.Commit()
	n.must(err)
	var codes []uint32
	in := make(map[string]bool)
	for i, raw := range txs {
		codes, in[string(raw)] = append(codes, r.TxResults[i].Code), true
	}
	var left [][]byte
	for _, raw := range n.waiting {
		if in[string(raw)] {
			continue
		}
		r, err := n.app.CheckTx(&abci.RequestCheckTx{Tx: raw, Type: abci.CheckTxType_Recheck})
		n.must(err)
		if r.Code == 0 {
			left = append(left, raw)
		}
	}
	n.waiting = left
	return codes
}

// kinds counts a block's lane and other transactions.
func (n *node) kinds(txs [][]byte) (lane, other int) {
	n.t.Helper()
	for _, raw := range txs {
		tx, err := n.app.enc.Tx.TxDecoder()(raw)
		n.must(err)
		if inLane(tx) {
			lane++
		} else {
			other++
		}
	}
	return lane, other
}
