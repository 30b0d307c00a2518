package keeper_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cosmos/cosmos-sdk/runtime"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/assaynet/assay/chain/audit/keeper"
	"github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/internal/chaintest"
	sprintkeeper "github.com/assaynet/assay/chain/sprint/keeper"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

const fold = 4

// hasher re-executes units of a work whose digest is a hash of its inputs, in the background.
type hasher struct {
	mu   sync.Mutex
	jobs map[[32]byte]chan [32]byte
	runs int
	trap abi.Trap
}

func newHasher() *hasher {
	return &hasher{jobs: make(map[[32]byte]chan [32]byte), trap: abi.TrapNone}
}

func unitDigest(seed, identity []byte, index uint64) commit.Digest {
	b := append(append([]byte("unit"), seed...), identity...)
	return sha256.Sum256(binary.LittleEndian.AppendUint64(b, index))
}

// keyedDigest is the unit's digest under a validator's key.
func keyedDigest(key [32]byte, digest commit.Digest) commit.Digest {
	return sha256.Sum256(append(key[:], digest[:]...))
}

func (h *hasher) Queue(j types.Job) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.jobs[j.ID] != nil {
		return
	}
	done := make(chan [32]byte, 1)
	h.jobs[j.ID] = done
	h.runs++
	go func() {
		digest := unitDigest(j.Seed[:], j.Identity, j.Index)
		if j.Key != nil {
			digest = keyedDigest(*j.Key, digest)
		}
		done <- digest
	}()
}

func (h *hasher) Wait(id [32]byte) ([32]byte, uint8) {
	h.mu.Lock()
	done := h.jobs[id]
	h.mu.Unlock()
	if done == nil {
		panic("waits for a job that was not queued")
	}
	digest := <-done
	done <- digest
	return digest, uint8(h.trap)
}

// seats is the roster with VRF keys.
type seats struct {
	*chaintest.Roster
	list []types.Seat
}

func (s seats) Seats(context.Context, uint64) ([]types.Seat, error) { return slices.Clone(s.list), nil }

// miner is a claim under work, with the units that it falsified.
type miner struct {
	addr    sdk.AccAddress
	builder *commit.Builder
	folds   [][]commit.Digest
	count   uint64
}

type world struct {
	*chaintest.Chain
	tb      testing.TB
	sprint  sprintkeeper.Keeper
	k       keeper.Keeper
	msgs    types.MsgServer
	roster  *chaintest.Roster
	hasher  *hasher
	power   *seats
	secrets []*sample.SecretKey
	miners  map[int]*miner
}

func sprintParams() sprinttypes.Params {
	p := sprinttypes.DefaultParams()
	p.EpochBlocks, p.ComputeBlocks, p.CommitBlocks, p.AuditBlocks = 20, 2, 3, 8
	p.Fold, p.MinClaimUnits = fold, fold
	p.ClaimFee, p.AbsenceBps, p.VestingEpochs = 1_000_000, 1000, 2
	return p
}

func auditParams() types.Params {
	p := types.DefaultParams()
	p.ReportDelay, p.AnswerBlocks, p.AnswerReportBlocks = 2, 4, 3
	p.CoverageBps, p.MaxRounds = 0, 2
	p.Challenges = 0 // the tests of the cross-check turn it on
	p.ReportDeposit = 0
	return p
}

// newWorld has validators with the given powers at the addresses 0, 1, …; all have coins.
func newWorld(tb testing.TB, sp sprinttypes.Params, ap types.Params, powers ...uint64) *world {
	tb.Helper()
	c := chaintest.New(tb, map[string][]string{
		sprinttypes.ModuleName: {authtypes.Minter, authtypes.Burner}, types.ModuleName: nil,
	}, sprinttypes.StoreKey, types.StoreKey)
	w := &world{Chain: c, tb: tb, roster: chaintest.NewRoster(), hasher: newHasher(), miners: make(map[int]*miner)}
	w.power = &seats{Roster: w.roster}
	random := rand.NewChaCha8([32]byte{1})
	for i, p := range powers {
		secret, err := sample.GenerateKey(random)
		if err != nil {
			tb.Fatal(err)
		}
		w.secrets = append(w.secrets, secret)
		w.roster.Register(chaintest.Address(i))
		w.Fund(tb, chaintest.Address(i), 1_000_000_000)
		w.power.list = append(w.power.list, types.Seat{
			Validator: w.Bech32(chaintest.Address(i)), Power: p, VrfKey: secret.Public().Bytes()})
	}
	w.wire()
	sg := sprinttypes.DefaultGenesis()
	sg.Params = sp
	if err := w.sprint.InitGenesis(c.Ctx, *sg); err != nil {
		tb.Fatal(err)
	}
	ag := types.DefaultGenesis()
	ag.Params = ap
	if err := w.k.InitGenesis(c.Ctx, *ag); err != nil {
		tb.Fatal(err)
	}
	w.next()
	return w
}

func (w *world) wire() {
	w.sprint = sprintkeeper.NewKeeper(sprintkeeper.Config{
		Codec: w.Codec, Store: runtime.NewKVStoreService(w.Store(sprinttypes.StoreKey)), Addresses: w.Addresses,
		Accounts: w.Accounts, Bank: w.Bank, Registry: w.roster.Registry(), Power: w.roster.Power(), Authority: chaintest.Authority,
	})
	w.k = keeper.NewKeeper(keeper.Config{
		Codec: w.Codec, Store: runtime.NewKVStoreService(w.Store(types.StoreKey)), Addresses: w.Addresses,
		Accounts: w.Accounts, Bank: w.Bank, Epochs: w.sprint, Court: w.sprint, Power: w.power,
		Rechecker: w.hasher, Authority: chaintest.Authority,
	})
	w.msgs = keeper.NewMsgServer(w.k)
}

func (w *world) next() {
	w.tb.Helper()
	w.Next(w.tb,
		func(ctx sdk.Context) error { return w.sprint.EndBlock(ctx) },
		func(ctx sdk.Context) error { return w.k.EndBlock(ctx) },
		func(ctx sdk.Context) error { return w.k.StartJobs(ctx) })
	if err := w.sprint.CheckInvariants(w.Ctx); err != nil {
		w.tb.Fatalf("after block %d: %v", w.Height()-1, err)
	}
}

func (w *world) blocks(n int) {
	w.tb.Helper()
	for range n {
		w.next()
	}
}

func (w *world) epoch() sprinttypes.Epoch {
	w.tb.Helper()
	e, err := w.sprint.Epoch(w.Ctx)
	if err != nil {
		w.tb.Fatal(err)
	}
	return e
}

func (w *world) to(phase sprinttypes.Phase) {
	w.tb.Helper()
	for i := 0; w.epoch().Phase != phase; i++ {
		if i > 500 {
			w.tb.Fatalf("no %s after %d blocks, still %s", phase, i, w.epoch().Phase)
		}
		w.next()
	}
}

// endRound lets blocks pass until the running round of the audit is over.
func (w *world) endRound() {
	w.tb.Helper()
	w.to(sprinttypes.PHASE_AUDIT)
	for round := w.epoch().Round; w.epoch().Phase == sprinttypes.PHASE_AUDIT && w.epoch().Round == round; {
		w.next()
	}
}

func (w *world) round() types.Round {
	w.tb.Helper()
	r, err := keeper.NewQueryServer(w.k).Round(w.Ctx, &types.QueryRoundRequest{})
	if err != nil {
		w.tb.Fatal(err)
	}
	return r.Round
}

func (w *world) claimOf(i int) sprinttypes.Claim {
	w.tb.Helper()
	c, err := w.sprint.Claim(w.Ctx, w.epoch().Number, chaintest.Address(i))
	if err != nil {
		w.tb.Fatal(err)
	}
	return c
}

// claim commits to folds units of miner i, of which some are falsified.
func (w *world) claim(i, folds int, falsified ...uint64) *miner {
	w.tb.Helper()
	b, err := commit.NewBuilder(fold)
	if err != nil {
		w.tb.Fatal(err)
	}
	m := &miner{addr: chaintest.Address(i), builder: b}
	e := w.epoch()
	for range folds {
		digests := make([]commit.Digest, fold)
		for j := range digests {
			index := b.Count() + uint64(j)
			digests[j] = unitDigest(e.Seed, m.addr, index)
			if slices.Contains(falsified, index) {
				digests[j][0] ^= 1
			}
		}
		if _, err := b.AddFold(digests); err != nil {
			w.tb.Fatal(err)
		}
		m.folds = append(m.folds, digests)
	}
	m.count = b.Count()
	root := b.Root()
	w.roster.Register(m.addr)
	_, err = sprintkeeper.NewMsgServer(w.sprint).CommitWork(w.Ctx, &sprinttypes.MsgCommitWork{
		Miner: w.Bech32(m.addr), Epoch: e.Number, Root: root[:], Count: m.count})
	if err != nil {
		w.tb.Fatal(err)
	}
	w.miners[i] = m
	return m
}

func (w *world) opening(i int, index uint64) []byte {
	w.tb.Helper()
	m := w.miners[i]
	path, err := m.builder.InclusionProof(index/fold, m.count)
	if err != nil {
		w.tb.Fatal(err)
	}
	bz, err := commit.Opening{Index: index, Digests: m.folds[index/fold], Proof: path}.MarshalBinary()
	if err != nil {
		w.tb.Fatal(err)
	}
	return bz
}

func (w *world) proof(v int) sample.Proof {
	e := w.epoch()
	return w.secrets[v].Prove(sample.Input(chaintest.ChainID, e.Number, uint64(e.Round), commit.Root(e.ClaimsRoot)))
}

// drawOf is what validator v draws of miner i, worked out from queries alone, as an auditor does.
func (w *world) drawOf(v, i int) []uint64 {
	w.tb.Helper()
	r := w.round()
	sr := sample.Round{ChainID: chaintest.ChainID, Epoch: r.Epoch, Number: uint64(r.Round), ClaimsRoot: commit.Root(w.epoch().ClaimsRoot)}
	for _, s := range r.Seats {
		addr, err := w.Addresses.StringToBytes(s.Validator)
		if err != nil {
			w.tb.Fatal(err)
		}
		sr.Seats = append(sr.Seats, sample.Seat{Validator: addr, Power: s.Power})
	}
	c, err := sprintkeeper.NewQueryServer(w.sprint).Claim(w.Ctx, &sprinttypes.QueryClaimRequest{Miner: w.Bech32(chaintest.Address(i))})
	if err != nil {
		w.tb.Fatal(err)
	}
	return sr.Draw(chaintest.Address(v), chaintest.Address(i), c.Claim.Count, c.Claim.Draw).Indexes(w.proof(v).Output())
}

func (w *world) verdictMsg(v int, ok ...bool) *types.MsgVerdict {
	e := w.epoch()
	bitmap := commit.NewBitmap(int(e.Claims))
	for i, good := range ok {
		if good {
			bitmap.Set(i)
		}
	}
	proof := w.proof(v)
	return &types.MsgVerdict{Validator: w.Bech32(chaintest.Address(v)), Epoch: e.Number, Round: e.Round,
		VrfProof: proof[:], Bitmap: bitmap, KeyedRoot: make([]byte, 32)}
}

func (w *world) verdict(m *types.MsgVerdict) error {
	return w.Try(func(ctx sdk.Context) error {
		_, err := w.msgs.Verdict(ctx, m)
		return err
	})
}

// vote is a verdict that must be accepted.
func (w *world) vote(v int, ok ...bool) {
	w.tb.Helper()
	if err := w.verdict(w.verdictMsg(v, ok...)); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) reportMsg(reporter, claimant int, index uint64) *types.MsgReport {
	return &types.MsgReport{Reporter: w.Bech32(chaintest.Address(reporter)), Epoch: w.epoch().Number,
		Claimant: w.Bech32(chaintest.Address(claimant)), Index: index, Opening: w.opening(claimant, index)}
}

func (w *world) report(m *types.MsgReport) error {
	return w.Try(func(ctx sdk.Context) error {
		_, err := w.msgs.Report(ctx, m)
		return err
	})
}

func (w *world) mustReport(reporter, claimant int, index uint64) {
	w.tb.Helper()
	if err := w.report(w.reportMsg(reporter, claimant, index)); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) statuses() map[uint64]types.ReportStatus {
	w.tb.Helper()
	r, err := keeper.NewQueryServer(w.k).Reports(w.Ctx, &types.QueryReportsRequest{})
	if err != nil {
		w.tb.Fatal(err)
	}
	out := make(map[uint64]types.ReportStatus)
	for _, v := range r.Reports {
		out[v.Index] = v.Status
	}
	return out
}

func (w *world) demandMsg(v, claimant int, indexes ...uint64) *types.MsgDemand {
	proof := w.proof(v)
	return &types.MsgDemand{Validator: w.Bech32(chaintest.Address(v)), Epoch: w.epoch().Number,
		Claimant: w.Bech32(chaintest.Address(claimant)), Indexes: indexes, VrfProof: proof[:]}
}

func (w *world) demand(m *types.MsgDemand) (id uint64, err error) {
	err = w.Try(func(ctx sdk.Context) error {
		r, err := w.msgs.Demand(ctx, m)
		if err == nil {
			id = r.Id
		}
		return err
	})
	return id, err
}

func (w *world) answer(m *types.MsgAnswer) error {
	return w.Try(func(ctx sdk.Context) error {
		_, err := w.msgs.Answer(ctx, m)
		return err
	})
}
