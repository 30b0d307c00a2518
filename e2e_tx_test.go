package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	errorsmod "cosmossdk.io/errors"
	"cosmossdk.io/math"

	abci "github.com/cometbft/cometbft/abci/types"
	coretypes "github.com/cometbft/cometbft/rpc/core/types"
	clienttx "github.com/cosmos/cosmos-sdk/client/tx"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	grpctypes "github.com/cosmos/cosmos-sdk/types/grpc"
	txtypes "github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/assaynet/assay/chain/params"
	powertypes "github.com/assaynet/assay/chain/power/types"
	"github.com/assaynet/assay/sdk/client"
)

// sender signs transactions of one key as a stranger would: any fee, any stamp, several in flight.
// It is safe for concurrent use.
type sender struct {
	c       *client.Client
	blocks  blockResults
	enc     *client.Encoding
	key     cryptotypes.PrivKey
	addr    sdk.AccAddress
	address string

	mu sync.Mutex
}

// blockResults is a node's record of what its blocks did.
type blockResults interface {
	BlockResults(context.Context, *int64) (*coretypes.ResultBlockResults, error)
}

func newSender(t *testing.T, c *client.Client, blocks blockResults, key cryptotypes.PrivKey) *sender {
	t.Helper()
	enc, err := client.NewEncoding()
	must(t, err)
	addr := sdk.AccAddress(key.PubKey().Address())
	address, err := bech32Of(addr)
	must(t, err)
	return &sender{c: c, blocks: blocks, enc: enc, key: key, addr: addr, address: address}
}

// attempt is a transaction and, where it must be refused, the error it must get.
type attempt struct {
	name string
	msgs []sdk.Msg
	lane bool   // no fee, and a hash stamp
	free bool   // no fee and no stamp
	memo string // instead of the stamp
	gas  uint64 // 0: what the client gives them
	// chain that is signed for; empty means this one.
	chain string

	want *errorsmod.Error
	says []string // parts of the message: what was wrong and what is allowed
}

func msgs(m ...sdk.Msg) []sdk.Msg { return m }

// numbers returns account number and sequence, zeros without an account.
func (s *sender) numbers(ctx context.Context, t *testing.T) (number, sequence uint64) {
	t.Helper()
	r, err := authtypes.NewQueryClient(s.c.Conn()).AccountInfo(ctx, &authtypes.QueryAccountInfoRequest{Address: s.address})
	if status.Code(err) == codes.NotFound {
		return 0, 0
	}
	must(t, err)
	return r.Info.AccountNumber, r.Info.Sequence
}

// sign returns a transaction's bytes and its fee in ngnk.
func (s *sender) sign(ctx context.Context, t *testing.T, a attempt, number, sequence uint64) (raw []byte, fee int64) {
	t.Helper()
	b := s.enc.Tx.NewTxBuilder()
	must(t, b.SetMsgs(a.msgs...))
	if a.gas == 0 {
		a.gas = client.DefaultGas(a.msgs...)
	}
	if a.chain == "" {
		a.chain = s.c.ChainID()
	}
	b.SetGasLimit(a.gas)
	b.SetMemo(a.memo)
	switch {
	case a.lane && a.memo == "":
		stamp, err := powertypes.NewStamp(a.chain, s.addr, sequence, a.msgs)
		must(t, err)
		b.SetMemo(stamp.Mint(e2eStampBits))
	case !a.lane && !a.free:
		fee = int64(a.gas/1000) + 1
		b.SetFeeAmount(sdk.NewCoins(sdk.NewInt64Coin(params.BaseDenom, fee)))
	}
	mode := signing.SignMode_SIGN_MODE_DIRECT
	must(t, b.SetSignatures(signing.SignatureV2{
		PubKey: s.key.PubKey(), Sequence: sequence, Data: &signing.SingleSignatureData{SignMode: mode},
	}))
	sig, err := clienttx.SignWithPrivKey(ctx, mode, authsigning.SignerData{
		Address: s.address, ChainID: a.chain, AccountNumber: number, Sequence: sequence, PubKey: s.key.PubKey(),
	}, b, s.key, s.enc.Tx, sequence)
	must(t, err)
	must(t, b.SetSignatures(sig))
	raw, err = s.enc.Tx.TxEncoder()(b.GetTx())
	must(t, err)
	return raw, fee
}

// e2eStampBits is what localSpec.genesis asks of a sender without power.
const e2eStampBits = 12

// broadcast hands bytes to a node's mempool.
func broadcast(ctx context.Context, t *testing.T, c *client.Client, raw []byte) *sdk.TxResponse {
	t.Helper()
	r, err := txtypes.NewServiceClient(c.Conn()).BroadcastTx(ctx,
		&txtypes.BroadcastTxRequest{TxBytes: raw, Mode: txtypes.BroadcastMode_BROADCAST_MODE_SYNC})
	must(t, err)
	return r.TxResponse
}

// included waits for the block that holds a transaction.
func included(ctx context.Context, t *testing.T, c *client.Client, hash string) *sdk.TxResponse {
	t.Helper()
	for {
		r, err := txtypes.NewServiceClient(c.Conn()).GetTx(ctx, &txtypes.GetTxRequest{Hash: hash})
		if err == nil {
			return r.TxResponse
		}
		if status.Code(err) != codes.NotFound {
			t.Fatalf("look up transaction %s: %v", hash, err)
		}
		select { // between two looks
		case <-ctx.Done():
			t.Fatalf("transaction %s was not included: %v", hash, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// submit sends attempts in flight together and returns what became of each, and the fees that
// were taken.
func (s *sender) submit(ctx context.Context, t *testing.T, attempts []attempt) (out []*sdk.TxResponse, fees int64) {
	t.Helper()
	number, sequence := s.numbers(ctx, t)
	for _, a := range attempts {
		raw, fee := s.sign(ctx, t, a, number, sequence)
		r := broadcast(ctx, t, s.c, raw)
		if r.Code == 0 {
			sequence++
			fees += fee
		}
		out = append(out, r)
	}
	for i, r := range out {
		if r.Code == 0 {
			out[i] = included(ctx, t, s.c, r.TxHash)
		}
	}
	return out, fees
}

// accepted sends attempts that must succeed.
func (s *sender) accepted(ctx context.Context, t *testing.T, attempts ...attempt) []*sdk.TxResponse {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	out, _ := s.submit(ctx, t, attempts)
	for i, r := range out {
		if r.Code != 0 {
			t.Fatalf("%s: refused (%s %d): %s", attempts[i].name, r.Codespace, r.Code, r.RawLog)
		}
	}
	return out
}

// refused sends attempts that must each get their error and change nothing: neither what the probe
// shows nor, beyond fees, the sender's coins.
func (s *sender) refused(ctx context.Context, t *testing.T, probe func() string, attempts ...attempt) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	state := probe()
	coins, before := s.balanceAt(ctx, t)
	out, fees := s.submit(ctx, t, attempts)
	for i, r := range out {
		checkRefusal(t, attempts[i], r)
	}
	if now := probe(); now != state {
		t.Errorf("refused transactions changed the state:\n%s\nbefore:\n%s", now, state)
	}
	// A sender whose node proposes blocks is paid for what it takes at any time.
	now, after := s.balanceAt(ctx, t)
	income := s.received(ctx, t, before+1, after)
	if want := coins.SubRaw(fees).Add(income); !now.Equal(want) {
		t.Errorf("the sender has %s ngnk after refused transactions, want %s: %s less %d of fees and %s received in blocks %d to %d",
			now, want, coins, fees, income, before+1, after)
	}
}

func checkRefusal(t *testing.T, a attempt, r *sdk.TxResponse) {
	t.Helper()
	if r.Code == 0 {
		t.Errorf("%s: accepted, want %s %d", a.name, a.want.Codespace(), a.want.ABCICode())
		return
	}
	if r.Codespace != a.want.Codespace() || r.Code != a.want.ABCICode() {
		t.Errorf("%s: %s %d (%s), want %s %d", a.name, r.Codespace, r.Code, r.RawLog, a.want.Codespace(), a.want.ABCICode())
		return
	}
	for _, part := range a.says {
		if !strings.Contains(r.RawLog, part) {
			t.Errorf("%s: message %q does not say %q", a.name, r.RawLog, part)
		}
	}
}

func (s *sender) balance(ctx context.Context, t *testing.T) math.Int {
	t.Helper()
	coins, _ := s.balanceAt(ctx, t)
	return coins
}

// balanceAt returns the sender's coins and the height at which it has them.
func (s *sender) balanceAt(ctx context.Context, t *testing.T) (math.Int, int64) {
	t.Helper()
	var header metadata.MD
	r, err := banktypes.NewQueryClient(s.c.Conn()).Balance(ctx,
		&banktypes.QueryBalanceRequest{Address: s.address, Denom: params.BaseDenom}, grpc.Header(&header))
	must(t, err)
	heights := header.Get(grpctypes.GRPCBlockHeightHeader)
	if len(heights) != 1 {
		t.Fatalf("a balance of heights %q", heights)
	}
	height, err := strconv.ParseInt(heights[0], 10, 64)
	must(t, err)
	return r.Balance.Amount, height
}

// received adds up what blocks sent the sender.
func (s *sender) received(ctx context.Context, t *testing.T, from, to int64) math.Int {
	t.Helper()
	sum := math.ZeroInt()
	count := func(events []abci.Event) {
		for _, e := range events {
			if e.Type != banktypes.EventTypeCoinReceived {
				continue
			}
			of := make(map[string]string, len(e.Attributes))
			for _, a := range e.Attributes {
				of[a.Key] = a.Value
			}
			if of[banktypes.AttributeKeyReceiver] == s.address {
				coins, err := sdk.ParseCoinsNormalized(of[sdk.AttributeKeyAmount])
				must(t, err)
				sum = sum.Add(coins.AmountOf(params.BaseDenom))
			}
		}
	}
	for h := from; h <= to; h++ {
		r, err := s.blocks.BlockResults(ctx, &h)
		must(t, err)
		count(r.FinalizeBlockEvents)
		for _, tx := range r.TxsResults {
			count(tx.Events)
		}
	}
	return sum
}

// shown prints what queries returned; errors are part of the state: something that does not exist.
func shown[T any](v T, err error) string {
	if err != nil {
		return err.Error() + "\n"
	}
	return fmt.Sprintf("%v\n", v)
}
