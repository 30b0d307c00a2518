package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	powertypes "github.com/assaynet/assay/chain/power/types"
	registrytypes "github.com/assaynet/assay/chain/registry/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/sdk/client"
)

// badBlob is an upload that its last chunk must fail.
type badBlob struct {
	name string
	blob []byte // what is packed
	size uint64 // 0: that of the blob
	hash []byte // nil: that of the blob
	want attempt
}

// testUploads: a module is refused before its code can do anything, and costs no more than fees.
func testUploads(ctx context.Context, t *testing.T, n *testNet) {
	s := n.coins(t, uploaderAccount)
	q := registrytypes.NewQueryClient(n.link.c.Conn())
	probe := func() string {
		return shown(q.Blobs(ctx, &registrytypes.QueryBlobsRequest{})) + shown(q.Uploads(ctx, &registrytypes.QueryUploadsRequest{Creator: s.address}))
	}
	begin := func(change func(*registrytypes.MsgStoreBegin)) []sdk.Msg {
		m := &registrytypes.MsgStoreBegin{Creator: s.address, Kind: client.KindModule, Hash: make([]byte, 32), Size_: 1000, PackedSize: 500, Chunks: 1}
		change(m)
		return msgs(m)
	}
	chunk := func(index uint32, data []byte) []sdk.Msg {
		return msgs(&registrytypes.MsgStoreChunk{Creator: s.address, Hash: make([]byte, 32), Index: index, Data: data})
	}
	s.refused(ctx, t, probe,
		attempt{name: "unknown kind", msgs: begin(func(m *registrytypes.MsgStoreBegin) { m.Kind = "program" }),
			want: registrytypes.ErrKind, says: []string{`"program"`, `want "module" or "model"`}},
		attempt{name: "short hash", msgs: begin(func(m *registrytypes.MsgStoreBegin) { m.Hash = m.Hash[:31] }),
			want: registrytypes.ErrHash, says: []string{"31 bytes, want 32"}},
		attempt{name: "module over its size", msgs: begin(func(m *registrytypes.MsgStoreBegin) { m.Size_ = 16<<20 + 1 }),
			want: registrytypes.ErrSize, says: []string{"16777217 bytes", "a module may have 3145728"}},
		attempt{name: "wrong number of chunks", msgs: begin(func(m *registrytypes.MsgStoreBegin) { m.Chunks = 2 }),
			want: registrytypes.ErrChunks, says: []string{"2 chunks", "make 1 of 262144 bytes"}},
		attempt{name: "chunk of no upload", msgs: chunk(0, []byte{1}),
			want: registrytypes.ErrNotFound, says: []string{"no upload of 0000"}},
		attempt{name: "chunk over its size", msgs: chunk(0, make([]byte, 256<<10+1)),
			want: registrytypes.ErrChunks, says: []string{"262145 bytes, want 1 to 262144"}},
	)
	var many []sdk.Msg
	for i := range byte(5) {
		many = append(many, begin(func(m *registrytypes.MsgStoreBegin) { m.Hash[0] = i })...)
	}
	s.refused(ctx, t, probe, attempt{name: "too many uploads at once", msgs: many, gas: 1_500_000,
		want: registrytypes.ErrUploads, says: []string{"4, at most 4"}})
	testUploadBounds(ctx, t, n, probe)
	for _, b := range badBlobs() {
		t.Run(b.name, func(t *testing.T) { refuseBlob(ctx, t, s, probe, b) })
	}
}

// testUploadBounds: the client sends nothing of what the chain would not take.
func testUploadBounds(ctx context.Context, t *testing.T, n *testNet, probe func() string) {
	s := n.coins(t, uploaderAccount)
	a, before := n.link.c.Account(s.key), probe()
	_, sequence := s.numbers(ctx, t)
	var large *client.TooLargeError
	most := registrytypes.DefaultParams().MaxModuleBytes
	if _, err := a.Upload(ctx, make([]byte, most+1), client.UploadOptions{Kind: client.KindModule}); !errors.As(err, &large) || large.What != "bytes" || large.Max != most {
		t.Errorf("a module above its bound: %v", err)
	}
	if _, err := a.Upload(ctx, []byte("x"), client.UploadOptions{Kind: "program"}); !errors.Is(err, registrytypes.ErrKind) {
		t.Errorf("an unknown kind: %v", err)
	}
	if _, now := s.numbers(ctx, t); now != sequence || probe() != before {
		t.Errorf("sequence %d, was %d: something was sent", now, sequence)
	}
}

// badBlobs are modules that do not unpack or are not admitted.
func badBlobs() []badBlob {
	header := []byte("\x00asm\x01\x00\x00\x00")
	section := func(id byte, body ...byte) []byte {
		return append(bytes.Clone(header), append([]byte{id, byte(len(body))}, body...)...)
	}
	bomb := make([]byte, 64<<20)
	other := sha256.Sum256([]byte("another module"))
	refusal := func(parts ...string) attempt { return attempt{want: registrytypes.ErrNotAdmitted, says: parts} }
	return []badBlob{
		{name: "no Wasm", blob: []byte("#!/bin/sh\necho this is no module\n"), want: refusal("offset 0")},
		{name: "torn Wasm", blob: append(bytes.Clone(header), 1, 200), want: refusal("offset")},
		{name: "unknown import", blob: append(section(1, 1, 0x60, 0, 0), 2, 9, 1, 3, 'e', 'n', 'v', 1, 'f', 0, 0), want: refusal(`import "env" "f"`)},
		{name: "shared memory", blob: section(5, 1, 3, 1, 2), want: refusal("limits flags")},
		{name: "memory over its limit", blob: section(5, 1, 1, 1, 0xff, 0xff, 0x3f), want: refusal("memory")},
		{name: "wrong hash", blob: section(0, 1, 'x'), hash: other[:],
			want: attempt{want: registrytypes.ErrUnpack, says: []string{"SHA-256 is", "want"}}},
		{name: "decompression bomb", blob: bomb, size: 1000,
			want: attempt{want: registrytypes.ErrUnpack, says: []string{"1000"}}},
	}
}

// refuseBlob announces a bad blob, sends chunks that must fail, and takes the deposit back.
func refuseBlob(ctx context.Context, t *testing.T, s *sender, probe func() string, b badBlob) {
	packed, err := manifest.Compress(b.blob)
	must(t, err)
	if b.hash == nil {
		sum := sha256.Sum256(b.blob)
		b.hash = sum[:]
	}
	if b.size == 0 {
		b.size = uint64(len(b.blob))
	}
	clean := probe()
	s.accepted(ctx, t, attempt{name: "announce", msgs: msgs(&registrytypes.MsgStoreBegin{
		Creator: s.address, Kind: client.KindModule, Hash: b.hash, Size_: b.size, PackedSize: uint64(len(packed)), Chunks: 1,
	})})
	chunk := func(index uint32, data []byte) []sdk.Msg {
		return msgs(&registrytypes.MsgStoreChunk{Creator: s.address, Hash: b.hash, Index: index, Data: data})
	}
	last := b.want
	last.name, last.msgs, last.gas = b.name, chunk(0, packed), 20_000_000
	s.refused(ctx, t, probe,
		attempt{name: "chunk out of order", msgs: chunk(1, packed), want: registrytypes.ErrChunks, says: []string{"index 1, want 0 of 1"}},
		attempt{name: "torn chunk", msgs: chunk(0, packed[1:]), want: registrytypes.ErrChunks, says: []string{"chunk 0 has", "want"}},
		last)
	before := s.balance(ctx, t)
	s.accepted(ctx, t, attempt{name: "give up", msgs: msgs(&registrytypes.MsgStoreRemove{Creator: s.address, Hash: b.hash})})
	if after := s.balance(ctx, t); !after.GT(before) {
		t.Errorf("the deposit did not come back: %s ngnk after %s", after, before)
	}
	if now := probe(); now != clean {
		t.Errorf("after giving up:\n%s\nbefore the upload:\n%s", now, clean)
	}
}

// testFeesAndLane: who pays no fee sends only lane messages, within the lane's bounds.
func testFeesAndLane(ctx context.Context, t *testing.T, n *testNet) {
	s := n.coins(t, payerAccount)
	bank := banktypes.NewQueryClient(n.link.c.Conn())
	receiver := n.nodes[testerNode].member.Operator
	probe := func() string {
		return shown(bank.Balance(ctx, &banktypes.QueryBalanceRequest{Address: receiver, Denom: "ngnk"})) + shown(n.link.e2eClaim(ctx, 1, s.address))
	}
	to, err := addressOf(receiver)
	must(t, err)
	pay := banktypes.NewMsgSend(s.addr, to, gnkCoins(1))
	claim := &sprinttypes.MsgCommitWork{Miner: s.address, Epoch: 1, Root: make([]byte, 32), Count: minUnits}
	long := &audittypes.MsgAnswer{Miner: s.address, Demand: 1, Openings: [][]byte{make([]byte, 33_000), make([]byte, 33_000)}}
	s.refused(ctx, t, probe,
		attempt{name: "coins sent without a fee", msgs: msgs(pay), free: true,
			want: sdkerrors.ErrInsufficientFee, says: []string{"fee 0ngnk", "want at least"}},
		attempt{name: "a lane message beside a bank send", msgs: msgs(claim, pay), lane: true,
			want: sdkerrors.ErrInsufficientFee, says: []string{"want at least"}},
		attempt{name: "a lane transaction above its size", msgs: msgs(long), lane: true,
			want: powertypes.ErrLaneLimit, says: []string{"at most 65536"}},
		attempt{name: "a lane transaction above its gas", msgs: msgs(claim), lane: true, gas: 2_000_001,
			want: powertypes.ErrLaneLimit, says: []string{"gas limit 2000001, at most 2000000"}},
		attempt{name: "too many lane messages", msgs: msgs(claim, claim, claim, claim, claim), lane: true,
			want: powertypes.ErrLaneLimit, says: []string{"5 messages, at most 4"}},
		attempt{name: "no stamp", msgs: msgs(claim), free: true,
			want: powertypes.ErrStamp, says: []string{"sender without power", "16 hex digits"}},
		attempt{name: "a stamp of another transaction", msgs: msgs(claim), lane: true, memo: otherStamp(t, s, claim),
			want: powertypes.ErrStamp, says: []string{"leading zero bits, want 12"}},
		attempt{name: "signed for another chain", msgs: msgs(pay), chain: "assay-other-1",
			want: sdkerrors.ErrUnauthorized, says: []string{"chain-id"}},
		attempt{name: "a claim of one who is no miner", msgs: msgs(claim), lane: true,
			want: sprinttypes.ErrUnknownMiner, says: []string{"register first"}},
		attempt{name: "more coins than there are", msgs: msgs(banktypes.NewMsgSend(s.addr, to, gnkCoins(1_000_000))),
			want: sdkerrors.ErrInsufficientFunds, says: []string{"smaller than"}},
	)
	if r := broadcast(ctx, t, s.c, []byte("no transaction")); r.Codespace != sdkerrors.RootCodespace || r.Code != sdkerrors.ErrTxDecode.ABCICode() {
		t.Errorf("bytes that are no transaction: %s %d (%s), want %s %d", r.Codespace, r.Code, r.RawLog,
			sdkerrors.RootCodespace, sdkerrors.ErrTxDecode.ABCICode())
	}
}

// e2eClaim is anybody's claim.
func (l *link) e2eClaim(ctx context.Context, epoch uint64, address string) (sprinttypes.Claim, error) {
	r, err := sprinttypes.NewQueryClient(l.c.Conn()).Claim(ctx, &sprinttypes.QueryClaimRequest{Epoch: epoch, Miner: address})
	if err != nil {
		return sprinttypes.Claim{}, err
	}
	return r.Claim, nil
}

// otherStamp is a stamp that was minted for another sequence; its bits are checked to be too few.
func otherStamp(t *testing.T, s *sender, m sdk.Msg) string {
	t.Helper()
	for sequence := uint64(1 << 40); ; sequence++ {
		stamp, err := powertypes.NewStamp(s.c.ChainID(), s.addr, sequence, msgs(m))
		must(t, err)
		memo := stamp.Mint(e2eStampBits)
		// One in 4,096 would be good for a small sequence too.
		good := false
		for near := range uint64(16) {
			own, err := powertypes.NewStamp(s.c.ChainID(), s.addr, near, msgs(m))
			must(t, err)
			good = good || own.Check(memo, e2eStampBits) == nil
		}
		if !good {
			return memo
		}
	}
}

// testGovernance: a proposal needs a deposit and work that exists, a vote needs compute weight.
func testGovernance(ctx context.Context, t *testing.T, n *testNet) {
	s, outsider := n.coins(t, proposerAccount), n.coins(t, voterAccount)
	q := govv1.NewQueryClient(n.link.c.Conn())
	gov, err := moduleAddress(govtypes.ModuleName)
	must(t, err)
	propose := func(m sdk.Msg, deposit sdk.Coins) []sdk.Msg {
		p, err := govv1.NewMsgSubmitProposal(msgs(m), deposit, s.address, "", "Prove other work", "A test.", false)
		must(t, err)
		return msgs(p)
	}
	params := &sprinttypes.MsgUpdateParams{Authority: gov, Params: e2eSprint()}
	proposals := func() string { return shown(q.Proposals(ctx, &govv1.QueryProposalsRequest{})) }
	s.refused(ctx, t, proposals,
		attempt{name: "no deposit", msgs: propose(params, nil),
			want: govtypes.ErrMinDepositTooSmall, says: []string{"need", "100000000000ngnk"}},
		attempt{name: "too small a deposit", msgs: propose(params, gnkCoins(1)),
			want: govtypes.ErrMinDepositTooSmall, says: []string{"1000000000ngnk", "100000000000ngnk"}},
		attempt{name: "work for a slot that is none", msgs: propose(&registrytypes.MsgActivate{
			Authority: gov, Slot: "boast", ModuleHash: make([]byte, 32), GasSetup: 1, GasUnit: 1,
		}, gnkCoins(1_000)), want: govtypes.ErrInvalidProposalMsg, says: []string{`"boast"`, `want "pow"`}},
		attempt{name: "a message that governance cannot sign", msgs: propose(&sprinttypes.MsgUpdateParams{
			Authority: s.address, Params: e2eSprint(),
		}, gnkCoins(1_000)), want: govtypes.ErrInvalidSigner, says: []string{"gov account"}},
		attempt{name: "parameters without governance", msgs: msgs(&sprinttypes.MsgUpdateParams{Authority: s.address, Params: e2eSprint()}),
			want: sprinttypes.ErrInvalidAuthority, says: []string{s.address, gov}},
	)
	id, err := proposalID(s.accepted(ctx, t, attempt{name: "propose", msgs: propose(params, gnkCoins(1_000))})[0])
	must(t, err)
	votes := func() string {
		return proposals() + shown(q.Votes(ctx, &govv1.QueryVotesRequest{ProposalId: id}))
	}
	outsider.refused(ctx, t, votes,
		attempt{name: "a vote without weight", msgs: msgs(govv1.NewMsgVote(outsider.addr, id, govv1.OptionYes, "")),
			want: powertypes.ErrNoWeight, says: []string{outsider.address, "compute power"}},
		attempt{name: "a vote on nothing", msgs: msgs(govv1.NewMsgVote(outsider.addr, id+1, govv1.OptionYes, "")),
			want: govtypes.ErrInactiveProposal},
	)
}

// testRegistration: what a stranger without coins gets who sends anything but a good registration.
func testRegistration(ctx context.Context, t *testing.T, n *testNet) {
	c := n.newcomer(t, "stranger")
	q := powertypes.NewQueryClient(n.link.c.Conn())
	probe := func() string { return shown(q.Miner(ctx, &powertypes.QueryMinerRequest{Operator: c.address})) }
	register := func(change func(*powertypes.MsgRegister)) []sdk.Msg {
		m, err := c.keys.Registration(n.layout.ChainID, "http://"+c.listen, false)
		must(t, err)
		change(m)
		return msgs(m)
	}
	other := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	c.refused(ctx, t, probe,
		attempt{name: "a claim as the first message", lane: true, msgs: msgs(&sprinttypes.MsgCommitWork{Miner: c.address, Epoch: 1, Root: make([]byte, 32), Count: minUnits}),
			want: powertypes.ErrNewcomerFormat, says: []string{"has no account", "want MsgRegister"}},
		attempt{name: "no stamp", free: true, msgs: register(func(*powertypes.MsgRegister) {}),
			want: powertypes.ErrStamp, says: []string{"16 hex digits"}},
		attempt{name: "a fee without an account", msgs: register(func(*powertypes.MsgRegister) {}),
			want: sdkerrors.ErrUnknownAddress, says: []string{"does not exist"}},
		attempt{name: "endpoint that is no URL", lane: true, msgs: register(func(m *powertypes.MsgRegister) { m.Endpoint = "ftp://example.org" }),
			want: powertypes.ErrEndpoint, says: []string{"http"}},
		attempt{name: "endpoint too long", lane: true, msgs: register(func(m *powertypes.MsgRegister) { m.Endpoint = "http://" + strings.Repeat("x", 250) }),
			want: powertypes.ErrEndpoint, says: []string{"256"}},
	)
	// These reach the handler: the account exists from the first on.
	c.refused(ctx, t, probe,
		attempt{name: "somebody else's consensus key", lane: true, msgs: register(func(m *powertypes.MsgRegister) { m.ConsPubkey = other.Public().(ed25519.PublicKey) }),
			want: powertypes.ErrConsensusKey})
	c.refused(ctx, t, probe,
		attempt{name: "VRF key without possession", lane: true, msgs: register(func(m *powertypes.MsgRegister) { m.VrfPop[5] ^= 1 }),
			want: powertypes.ErrVRFKey})
}
