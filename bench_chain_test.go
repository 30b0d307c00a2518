package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/client/tx"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/cometbft/cometbft/rpc/client/local"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/network"
	"github.com/assaynet/assay/chain/params"
	powertypes "github.com/assaynet/assay/chain/power/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// BenchmarkChain is an epoch of a network of four nodes in this process in
// which ASSAY_MINERS (default 10,000) miners commit one claim each and are
// settled: transactions a second, the longest block of each part, the
// settlement, and what the state holds a miner and epoch afterwards. Claims are
// well-formed roots over units that nobody computes; the four validators send
// verdicts, challenges and keyed openings with their real VRF keys, without
// re-executing: what checking costs is measured by testdata/bench/fleet. Then
// ASSAY_FLOOD (default 1,000) newcomers register, as many payments are made, and
// both are sent at once with commitments that fail, so that both parts of a
// block are full.
//
//	make bench-chain
func BenchmarkChain(b *testing.B) {
	miners, flood := setting(b, "ASSAY_MINERS", 10_000), setting(b, "ASSAY_FLOOD", 1_000)
	for range b.N {
		ctx, cancel := context.WithTimeout(context.Background(), 9*time.Minute)
		c := startChainBench(ctx, b, miners, min(flood, miners))
		c.epoch(ctx)
		c.floods(ctx, 2) // commitments to an epoch that is over fail
		c.report()
		cancel()
		if err := c.net.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPace is only the last part of BenchmarkChain, with commitments that succeed: what a
// block may take however it is filled, in half a minute.
//
//	go test -run '^$' -bench Pace -benchtime 1x -v .
func BenchmarkPace(b *testing.B) {
	flood := setting(b, "ASSAY_FLOOD", 1_000)
	for range b.N {
		ctx, cancel := context.WithTimeout(context.Background(), 9*time.Minute)
		c := startChainBench(ctx, b, flood, flood)
		c.parts = append(c.parts, benchPhase{name: "genesis", from: 2})
		c.must(c.net.nodes[0].node.WaitHeight(ctx, 3))
		c.numbers(ctx)
		c.floods(ctx, 1)
		table, longest := c.pace()
		b.ReportMetric(longest.Seconds(), "longest-block-s")
		b.Logf("four nodes with a pause of %v a block\n%s", benchBlock, table)
		cancel()
		if err := c.net.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCommitments is only the first part of BenchmarkChain, until all claims are in blocks: with
// ASSAY_MINERS=3000 a third of a minute.
//
//	go test -run '^$' -bench Commitments -benchtime 1x -v .
func BenchmarkCommitments(b *testing.B) {
	miners := setting(b, "ASSAY_MINERS", 10_000)
	for range b.N {
		ctx, cancel := context.WithTimeout(context.Background(), 9*time.Minute)
		c := startChainBench(ctx, b, miners, 1)
		c.claims(ctx)
		c.empty(ctx)
		c.phase("end")
		c.must(c.net.nodes[0].node.WaitHeight(ctx, c.net.nodes[0].node.Height()+2))
		table, longest := c.pace()
		b.ReportMetric(longest.Seconds(), "longest-block-s")
		b.Logf("%d claims were sent to four nodes with a pause of %v a block in %v\n%s", miners, benchBlock, c.sent, table)
		cancel()
		if err := c.net.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// setting is a number from the environment.
func setting(b *testing.B, name string, or int) int {
	s := os.Getenv(name)
	if s == "" {
		return or
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		b.Fatalf("%s is %q", name, s)
	}
	return n
}

// benchBlock is the pause after each block's commit.
const benchBlock = 500 * time.Millisecond

type chainBench struct {
	b      *testing.B
	net    *localnet
	link   *link
	miners []*benchMiner
	flood  int // transactions of each kind after the epoch
	seats  []*benchSeat
	clocks []*blockClock // of the nodes
	stops  stops

	sent   time.Duration // to hand all claims to the mempools
	phases map[sprinttypes.Phase]int64
	parts  []benchPhase
	sizes  map[string]int64
}

type benchMiner struct {
	key      *secp256k1.PrivKey
	addr     sdk.AccAddress
	number   uint64
	sequence uint64 // of the next transaction
}

func newBenchMiner(i int) *benchMiner {
	key := secp256k1.GenPrivKeyFromSecret(binary.BigEndian.AppendUint32(nil, uint32(i)))
	return &benchMiner{key: key, addr: sdk.AccAddress(key.PubKey().Address())}
}

type benchSeat struct {
	acct *client.Account
	vrf  *sample.SecretKey
}

func startChainBench(ctx context.Context, b *testing.B, miners, flood int) *chainBench {
	c := &chainBench{b: b, flood: flood, phases: map[sprinttypes.Phase]int64{}, sizes: map[string]int64{}}
	go c.stops.watch(ctx)
	p := sprinttypes.DefaultParams()
	p.ComputeBlocks, p.CommitBlocks, p.AuditBlocks, p.EpochBlocks = 30, 60, 16, 90
	p.MaxClaims, p.RetainEpochs, p.VestingEpochs = uint64(max(miners, 10_000)), 1, 1
	spec := localSpec{Dir: b.TempDir(), Nodes: 4, BlockTime: benchBlock, Sprint: p, Voting: time.Hour}
	for range spec.Nodes {
		c.clocks = append(c.clocks, newBlockClock())
	}
	spec.Logger = func(i int) log.Logger { return c.clocks[i] }
	for i := range miners {
		c.miners = append(c.miners, newBenchMiner(i))
	}
	layout, err := network.Create(network.Spec{Dir: spec.Dir, ChainID: "bench-1", Nodes: spec.Nodes, BlockTime: spec.BlockTime,
		Balance: gnkCoins(10), Edit: func(g *network.Genesis) error { return errors.Join(spec.genesis(g), c.genesis(g)) }})
	c.must(err)
	c.net, err = openLocalnet(spec, layout)
	c.must(err)
	var up sync.WaitGroup
	for i := range c.net.nodes {
		up.Add(1)
		go func() {
			defer up.Done()
			c.must(c.net.startNode(i))
			c.must(c.clocks[i].follow(ctx, c.net.nodes[i].node))
		}()
	}
	up.Wait()
	conn, err := client.Dial(ctx, client.Config{GRPC: layout.Members[0].Addresses.GRPC, ChainID: layout.ChainID})
	c.must(err)
	c.link = &link{c: conn}
	for i, m := range layout.Members {
		keys, err := network.LoadKeys(m.Home, c.net.nodes[i].node.App().Encoding().Codec)
		c.must(err)
		own, err := client.Dial(ctx, client.Config{GRPC: m.Addresses.GRPC, ChainID: layout.ChainID})
		c.must(err)
		key, err := namedKey(keys.Keyring, network.OperatorKey)
		c.must(err)
		c.seats = append(c.seats, &benchSeat{own.Account(key), keys.VRF})
	}
	return c
}

func (c *chainBench) must(err error) {
	if err != nil {
		c.b.Helper()
		c.b.Error(err)
		panic(err) // also from goroutines: a benchmark without its network is over
	}
}

// genesis registers the miners, without power; those who will pay have coins.
func (c *chainBench) genesis(g *network.Genesis) error {
	var vrf [32]byte
	copy(vrf[:], "vrf keys of the benchmark")
	random := rand.NewChaCha8(vrf)
	return errors.Join(
		network.Edit(g, authtypes.ModuleName, func(s *authtypes.GenesisState) error {
			var accounts authtypes.GenesisAccounts
			for _, m := range c.miners {
				accounts = append(accounts, authtypes.NewBaseAccountWithAddress(m.addr))
			}
			packed, err := authtypes.PackAccounts(accounts)
			s.Accounts = append(s.Accounts, packed...)
			return err
		}),
		network.Edit(g, banktypes.ModuleName, func(s *banktypes.GenesisState) error {
			for _, m := range c.miners[:c.flood] {
				s.Balances = append(s.Balances, banktypes.Balance{Address: m.addr.String(), Coins: gnkCoins(1)})
				s.Supply = s.Supply.Add(gnkCoins(1)...)
			}
			return nil
		}),
		network.Edit(g, powertypes.ModuleName, func(s *powertypes.GenesisState) error {
			// A stamp is its sender's work, not the chain's.
			s.Params.Lane.StampBits = 1
			for i, m := range c.miners {
				seed := sha256.Sum256(binary.BigEndian.AppendUint32([]byte("consensus"), uint32(i)))
				key, err := sample.GenerateKey(random)
				if err != nil {
					return err
				}
				s.Miners = append(s.Miners, powertypes.Miner{Operator: m.addr.String(), Endpoint: "http://127.0.0.1:1",
					ConsPubkey: ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey),
					VrfKeys:    []powertypes.VRFKey{{Pubkey: key.Public().Bytes()}}})
			}
			return nil
		}))
}

// claims sends every miner's claim.
func (c *chainBench) claims(ctx context.Context) {
	c.parts = append(c.parts, benchPhase{name: "genesis", from: 2})
	c.must(c.net.nodes[0].node.WaitHeight(ctx, 3))
	c.measure("before")
	c.numbers(ctx)
	claims := c.signed(len(c.miners), func(i int) []byte { return c.claim(ctx, c.miners[i], 1) })
	c.phase("commitments")
	start := time.Now()
	c.send(ctx, claims)
	c.sent = time.Since(start)
}

// epoch runs epoch 1 with claims and two empty ones, after which it is pruned.
func (c *chainBench) epoch(ctx context.Context) {
	c.claims(ctx)
	e := c.until(ctx, func(e sprinttypes.Epoch) bool { return e.Phase >= sprinttypes.PHASE_AUDIT && len(e.ClaimsRoot) == 32 })
	c.measure("committed")
	c.phase("verdicts")
	c.audit(ctx, e)
	c.until(ctx, func(e sprinttypes.Epoch) bool { return e.Number > 1 || e.Phase >= sprinttypes.PHASE_SETTLE })
	c.phase("settlement")
	c.until(ctx, func(e sprinttypes.Epoch) bool { return e.Number > 1 })
	c.measure("settled")
	c.phase("two epochs")
	c.until(ctx, func(e sprinttypes.Epoch) bool { return e.Number > 3 })
	c.measure("pruned")
}

// floods fills blocks with registrations, with payments, and with both and commitments.
func (c *chainBench) floods(ctx context.Context, epoch uint64) {
	newcomers := make([]*benchMiner, c.flood)
	registrations := make([]*powertypes.MsgRegister, c.flood)
	random := rand.NewChaCha8([32]byte{1})
	for i := range newcomers {
		m := newBenchMiner(1<<24 + i)
		vrf, err := sample.GenerateKey(random)
		c.must(err)
		seed := sha256.Sum256(m.addr)
		cons := ed25519.NewKeyFromSeed(seed[:])
		newcomers[i] = m
		registrations[i] = &powertypes.MsgRegister{Operator: m.addr.String(), Endpoint: "http://127.0.0.1:1",
			ConsPubkey: cons.Public().(ed25519.PublicKey), ConsPop: ed25519.Sign(cons, powertypes.ConsPopBytes(c.net.layout.ChainID, m.addr)),
			VrfPubkey: vrf.Public().Bytes(), VrfPop: sample.ProvePossession(vrf, m.addr)}
	}
	register := func(i int) []byte { return c.sign(ctx, newcomers[i], 1_000_000, registrations[i]) }
	pay := func(i int) []byte {
		m := c.miners[i]
		return c.sign(ctx, m, 420_000, banktypes.NewMsgSend(m.addr, m.addr, sdk.NewCoins(sdk.NewInt64Coin(params.BaseDenom, 1))))
	}
	half := c.flood / 2
	registering, paying := c.signed(half, register), c.signed(half, pay)
	all := c.signed(3*half, func(i int) []byte {
		switch i % 3 {
		case 0:
			return register(half + i/3)
		case 1:
			return pay(i / 3) // again
		}
		return c.claim(ctx, c.miners[half+i/3], epoch)
	})
	c.phase("registrations")
	c.send(ctx, registering)
	c.empty(ctx)
	c.phase("payments")
	c.send(ctx, paying)
	c.empty(ctx)
	c.phase("all at once")
	c.send(ctx, all)
	c.empty(ctx)
	c.phase("end")
	c.must(c.net.nodes[0].node.WaitHeight(ctx, c.net.nodes[0].node.Height()+2))
}

// empty returns when nothing waits in any mempool.
func (c *chainBench) empty(ctx context.Context) {
	for _, n := range c.net.nodes {
		for n.node.Comet().Mempool().Size() > 0 {
			c.must(n.node.WaitHeight(ctx, n.node.Height()+1))
		}
	}
	c.must(c.net.nodes[0].node.WaitHeight(ctx, c.net.nodes[0].node.Height()+1))
}

// until follows the epoch and notes the first height of each phase of epoch 1.
func (c *chainBench) until(ctx context.Context, cond func(sprinttypes.Epoch) bool) sprinttypes.Epoch {
	for h := int64(1); ; {
		now, err := c.link.WaitHeight(ctx, h)
		c.must(err)
		r, err := c.link.epoch(ctx)
		c.must(err)
		if r.Epoch.Number == 1 {
			if _, seen := c.phases[r.Epoch.Phase]; !seen {
				c.phases[r.Epoch.Phase] = r.Height
			}
		} else if r.Epoch.Number == 2 && c.phases[sprinttypes.PHASE_UNSPECIFIED] == 0 {
			c.phases[sprinttypes.PHASE_UNSPECIFIED] = r.Height // the end of epoch 1
		}
		if cond(r.Epoch) {
			return r.Epoch
		}
		h = now + 1
	}
}

// numbers asks for the account numbers that genesis gave out.
func (c *chainBench) numbers(ctx context.Context) {
	q := authtypes.NewQueryClient(c.link.c.Conn())
	for _, m := range c.miners {
		r, err := q.AccountInfo(ctx, &authtypes.QueryAccountInfoRequest{Address: m.addr.String()})
		c.must(err)
		m.number = r.Info.AccountNumber
	}
}

// signed makes transactions before a phase begins: signing is the senders' work.
func (c *chainBench) signed(txs int, raw func(int) []byte) [][]byte {
	out := make([][]byte, txs)
	for i := range out {
		out[i] = raw(i)
	}
	return out
}

// send hands transactions to the nodes in turn. A full mempool is tried again after the next block.
func (c *chainBench) send(ctx context.Context, txs [][]byte) {
	var senders sync.WaitGroup
	for i, n := range c.net.nodes {
		senders.Add(1)
		go func() {
			defer senders.Done()
			rpc := local.New(n.node.Comet())
			for j := i; j < len(txs); j += len(c.net.nodes) {
				for {
					r, err := rpc.BroadcastTxSync(ctx, txs[j])
					if err == nil && r.Code == 0 {
						break
					}
					if ctx.Err() != nil {
						c.must(fmt.Errorf("transaction %d: %v, %v", j, err, r))
					}
					c.must(n.node.WaitHeight(ctx, n.node.Height()+1))
				}
			}
		}()
	}
	senders.Wait()
}

// claim is a signed, stamped transaction with a claim of 6,400 units.
func (c *chainBench) claim(ctx context.Context, m *benchMiner, epoch uint64) []byte {
	root := sha256.Sum256(m.addr)
	return c.sign(ctx, m, claimGas, &sprinttypes.MsgCommitWork{Miner: m.addr.String(), Epoch: epoch, Root: root[:], Count: 6_400})
}

// claimGas is the limit of gas of a first commitment.
const claimGas = 400_000

// sign makes a transaction, with a stamp or, for a payment, a fee.
func (c *chainBench) sign(ctx context.Context, m *benchMiner, gas uint64, msg sdk.Msg) []byte {
	enc := c.net.nodes[0].node.App().Encoding()
	t := enc.Tx.NewTxBuilder()
	c.must(t.SetMsgs(msg))
	t.SetGasLimit(gas)
	if _, pays := msg.(*banktypes.MsgSend); pays {
		t.SetFeeAmount(sdk.NewCoins(sdk.NewInt64Coin(params.BaseDenom, 10_000)))
	} else {
		stamp, err := powertypes.NewStamp(c.net.layout.ChainID, m.addr, m.sequence, []sdk.Msg{msg})
		c.must(err)
		t.SetMemo(stamp.Mint(1))
	}
	mode := signing.SignMode_SIGN_MODE_DIRECT
	c.must(t.SetSignatures(signing.SignatureV2{PubKey: m.key.PubKey(), Data: &signing.SingleSignatureData{SignMode: mode}, Sequence: m.sequence}))
	sig, err := tx.SignWithPrivKey(ctx, mode, authsigning.SignerData{Address: m.addr.String(), ChainID: c.net.layout.ChainID,
		AccountNumber: m.number, Sequence: m.sequence, PubKey: m.key.PubKey()}, t, m.key, enc.Tx, m.sequence)
	c.must(err)
	c.must(t.SetSignatures(sig))
	raw, err := enc.Tx.TxEncoder()(t.GetTx())
	c.must(err)
	m.sequence++
	return raw
}

// audit sends what four honest validators send, apart from what they found out.
func (c *chainBench) audit(ctx context.Context, e sprinttypes.Epoch) {
	claims, err := c.link.claims(ctx, 1)
	c.must(err)
	if len(claims) != len(c.miners) {
		c.must(fmt.Errorf("%d of %d claims are in the epoch", len(claims), len(c.miners)))
	}
	info, err := c.link.round(ctx, e, 1, 0)
	c.must(err)
	var all sync.WaitGroup
	for _, s := range c.seats {
		all.Add(1)
		go func() { defer all.Done(); s.verdict(ctx, c, e, claims, info) }()
	}
	all.Wait()
}

func (s *benchSeat) verdict(ctx context.Context, c *chainBench, e sprinttypes.Epoch, claims []sprinttypes.Claim, info sample.Round) {
	me := sdk.AccAddress(s.acct.Bytes())
	proof := s.vrf.Prove(info.Input())
	bitmap := commit.NewBitmap(len(claims))
	var keyed []commit.Keyed
	for i, cl := range claims {
		k, err := claim(cl)
		c.must(err)
		for _, x := range info.Draw(me, k.Claimant, k.Count, e.DrawOf(cl)).Indexes(proof.Output()) {
			bitmap.Set(i)
			digest := sha256.Sum256(binary.BigEndian.AppendUint64(slices.Clone(k.Claimant), x))
			keyed = append(keyed, commit.Keyed{Claimant: k.Claimant, Index: x, Digest: digest})
		}
	}
	tree := commit.NewKeyedTree(keyed)
	root := tree.Root()
	s.send(ctx, c, &audittypes.MsgVerdict{Validator: me.String(), Epoch: 1, VrfProof: proof[:], Bitmap: bitmap, KeyedRoot: root[:]})
	q := audittypes.NewQueryClient(c.link.c.Conn())
	r := s.stage(ctx, c, q, audittypes.CROSS_CHALLENGE)
	challenge := s.vrf.Prove(sample.CrossInput(c.net.layout.ChainID, 1, 0, commit.Root(r.VerdictsRoot)))
	s.send(ctx, c, &audittypes.MsgChallenge{Validator: me.String(), Epoch: 1, VrfProof: challenge[:]})
	s.stage(ctx, c, q, audittypes.CROSS_OPEN)
	drawn, err := q.Challenged(ctx, &audittypes.QueryChallengedRequest{Epoch: 1})
	c.must(err)
	for _, ch := range drawn.Challenged {
		if ch.Validator != me.String() || len(ch.Units) == 0 {
			continue
		}
		m := &audittypes.MsgOpenKeyed{Validator: ch.Validator, Epoch: 1}
		for _, u := range ch.Units {
			k, path, err := tree.Prove(u.Position)
			c.must(err)
			m.Openings = append(m.Openings, audittypes.KeyedOpening{Position: u.Position, Digest: k.Digest[:], Path: path})
		}
		s.send(ctx, c, m)
	}
}

// stage waits for a stage of the cross-check.
func (s *benchSeat) stage(ctx context.Context, c *chainBench, q audittypes.QueryClient, at audittypes.CrossStage) audittypes.Round {
	for h := int64(1); ; {
		now, err := c.link.WaitHeight(ctx, h)
		c.must(err)
		r, err := q.Round(ctx, &audittypes.QueryRoundRequest{})
		c.must(err)
		if r.Round.Cross >= at {
			return r.Round
		}
		h = now + 1
	}
}

func (s *benchSeat) send(ctx context.Context, c *chainBench, msg sdk.Msg) {
	_, err := s.acct.Send(ctx, client.SendOptions{Lane: true}, msg)
	c.must(err)
}

// measure adds up the bytes of keys and values of what an epoch leaves.
func (c *chainBench) measure(when string) {
	app := c.net.nodes[0].node.App()
	ctx, err := app.CreateQueryContext(c.net.nodes[0].node.Height(), false)
	c.must(err)
	for _, name := range []string{sprinttypes.StoreKey, audittypes.StoreKey, powertypes.StoreKey} {
		it := ctx.KVStore(app.StoreKey(name)).Iterator(nil, nil)
		for ; it.Valid(); it.Next() {
			c.sizes[when] += int64(len(it.Key()) + len(it.Value()))
		}
		c.must(it.Close())
	}
}

// report prints what happened, from the block headers.
func (c *chainBench) report() {
	b, n := c.b, float64(len(c.miners))
	store := c.net.nodes[0].node.Comet().BlockStore()
	txs, busy := 0, time.Duration(0)
	for h := c.parts[1].from; h < c.parts[2].from; h++ {
		if this := store.LoadBlockMeta(h); this.NumTxs > 10 {
			txs, busy = txs+this.NumTxs, busy+store.LoadBlockMeta(h+1).Header.Time.Sub(this.Header.Time)
		}
	}
	table, longest := c.pace()
	time := func(h int64) time.Time { return store.LoadBlockMeta(h).Header.Time }
	settle := time(c.phases[sprinttypes.PHASE_UNSPECIFIED]).Sub(time(c.phases[sprinttypes.PHASE_SETTLE]))
	b.ReportMetric(float64(txs)/busy.Seconds(), "tx/s")
	b.ReportMetric(longest.Seconds(), "longest-block-s")
	b.ReportMetric(settle.Seconds(), "settlement-s")
	b.ReportMetric(float64(c.phases[sprinttypes.PHASE_UNSPECIFIED]-c.phases[sprinttypes.PHASE_SETTLE]), "settlement-blocks")
	b.ReportMetric(float64(c.sizes["committed"]-c.sizes["before"])/n, "B/miner-committed")
	b.ReportMetric(float64(c.sizes["settled"]-c.sizes["before"])/n, "B/miner-settled")
	b.ReportMetric(float64(c.sizes["pruned"]-c.sizes["before"])/n, "B/miner-pruned")
	b.Logf("%d miners on four nodes with a pause of %v a block; claims were sent in %v; phases began at %v; bytes of state %v\n%s",
		len(c.miners), benchBlock, c.sent, c.phases, c.sizes, table)
}
