package keeper_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/assaynet/assay/chain/internal/chaintest"
	"github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
)

func TestNoWorkNoClaims(t *testing.T) {
	w := newWorld(t, testParams())
	w.roster.Work.ModuleHash = make([]byte, 32)
	w.settle(types.AuditResult{})
	w.to(types.PHASE_COMPUTE)
	w.roster.Register(chaintest.Address(0))
	err := w.commit(&types.MsgCommitWork{Miner: w.Bech32(chaintest.Address(0)), Epoch: 2, Root: make([]byte, 32), Count: 4})
	if !errors.Is(err, types.ErrNoWork) {
		t.Errorf("%v", err)
	}
}

func TestRefusedClaims(t *testing.T) {
	p := testParams()
	p.MaxClaims, p.MaxClaimUnits, p.MaxExtensions = 2, 400, 1
	w := newWorld(t, p)
	honest, jailed, stranger := chaintest.Address(0), chaintest.Address(1), chaintest.Address(2)
	w.roster.Register(honest, jailed)
	w.roster.Miners[string(jailed)] = true
	root := bytes.Repeat([]byte{9}, 32)
	valid := func() *types.MsgCommitWork {
		return &types.MsgCommitWork{Miner: w.Bech32(honest), Epoch: 1, Root: root, Count: 8}
	}
	for _, c := range []struct {
		name   string
		change func(*types.MsgCommitWork)
		want   error
	}{
		{"not an address", func(m *types.MsgCommitWork) { m.Miner = "assay1" }, types.ErrInvalidAddress},
		{"unknown miner", func(m *types.MsgCommitWork) { m.Miner = w.Bech32(stranger) }, types.ErrUnknownMiner},
		{"jailed miner", func(m *types.MsgCommitWork) { m.Miner = w.Bech32(jailed) }, types.ErrJailedMiner},
		{"next epoch", func(m *types.MsgCommitWork) { m.Epoch = 2 }, types.ErrWrongEpoch},
		{"short root", func(m *types.MsgCommitWork) { m.Root = root[1:] }, types.ErrInvalidRoot},
		{"part of a fold", func(m *types.MsgCommitWork) { m.Count = 9 }, types.ErrFoldMismatch},
		{"too small", func(m *types.MsgCommitWork) { m.Count = 3 }, types.ErrClaimTooSmall},
		{"nothing", func(m *types.MsgCommitWork) { m.Count = 0 }, types.ErrClaimTooSmall},
		{"too large", func(m *types.MsgCommitWork) { m.Count = 404 }, types.ErrClaimTooLarge},
		{"first with a proof", func(m *types.MsgCommitWork) { m.Proof = [][]byte{root} }, types.ErrInvalidProof},
		{"long proof", func(m *types.MsgCommitWork) { m.Proof = make([][]byte, 200) }, types.ErrInvalidProof},
		{"short node", func(m *types.MsgCommitWork) { m.Proof = [][]byte{root[2:]} }, types.ErrInvalidProof},
	} {
		m := valid()
		c.change(m)
		before := w.epoch()
		if err := w.commit(m); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if w.epoch().Claims != before.Claims || w.epoch().Units != before.Units {
			t.Errorf("%s: state changed", c.name)
		}
	}
	if err := w.commit(valid()); err != nil {
		t.Fatal(err)
	}
	w.claim(5, 4)
	m := valid()
	m.Miner = w.Bech32(chaintest.Address(6))
	w.roster.Register(chaintest.Address(6))
	if err := w.commit(m); !errors.Is(err, types.ErrTooManyClaims) {
		t.Errorf("third of two claims: %v", err)
	}
	w.to(types.PHASE_AUDIT)
	if err := w.commit(valid()); !errors.Is(err, types.ErrCommitClosed) {
		t.Errorf("late: %v", err)
	}
}

func TestExtensionsAreAppendOnly(t *testing.T) {
	p := testParams()
	p.MaxExtensions = 2
	w := newWorld(t, p)
	a := chaintest.Address(0)
	w.roster.Register(a)
	b, err := commit.NewBuilder(fold)
	if err != nil {
		t.Fatal(err)
	}
	add := func(folds int) {
		for range folds {
			digests := make([]commit.Digest, fold)
			for i := range digests {
				binary.LittleEndian.PutUint64(digests[i][:], b.Count()+uint64(i)+1)
			}
			if _, err := b.AddFold(digests); err != nil {
				t.Fatal(err)
			}
		}
	}
	send := func(older uint64, spoil func(*types.MsgCommitWork)) error {
		root := b.Root()
		m := &types.MsgCommitWork{Miner: w.Bech32(a), Epoch: 1, Root: root[:], Count: b.Count()}
		if older > 0 {
			if m.Proof, err = b.ConsistencyProof(older, b.Count()); err != nil {
				t.Fatal(err)
			}
		}
		if spoil != nil {
			spoil(m)
		}
		return w.commit(m)
	}
	add(3)
	if err := send(0, nil); err != nil {
		t.Fatal(err)
	}
	first := b.Count()
	if err := send(first, nil); !errors.Is(err, types.ErrNotExtended) {
		t.Errorf("same again: %v", err)
	}
	add(4)
	for name, spoil := range map[string]func(*types.MsgCommitWork){
		// Not among these: a count that the same proof fits. A root does not bind its count; the
		// audit finds out, because the units beyond cannot be opened.
		"another root": func(m *types.MsgCommitWork) { m.Root[3] ^= 1 },
		"another node": func(m *types.MsgCommitWork) { m.Proof[0] = bytes.Repeat([]byte{1}, 32) },
		"missing node": func(m *types.MsgCommitWork) { m.Proof = m.Proof[1:] },
	} {
		if err := send(first, spoil); !errors.Is(err, types.ErrNotAppendOnly) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := send(first, nil); err != nil {
		t.Fatal(err)
	}
	second := b.Count()
	add(1)
	if err := send(second, nil); err != nil {
		t.Fatal(err)
	}
	third := b.Count()
	add(1)
	if err := send(third, nil); !errors.Is(err, types.ErrTooManyExtends) {
		t.Errorf("third extension: %v", err)
	}
	c, err := w.k.Claim(w.Ctx, 1, a)
	if err != nil || c.Count != third || c.Extensions != 2 || w.epoch().Units != third {
		t.Errorf("claim %+v of %d units, %v", c, w.epoch().Units, err)
	}
	w.to(types.PHASE_AUDIT)
	want := commit.ClaimsRoot([]commit.Claim{{Epoch: 1, Claimant: a, Root: commit.Root(c.Root), Count: third}})
	if !bytes.Equal(w.epoch().ClaimsRoot, want[:]) {
		t.Error("claims root differs")
	}
}

// tree is a claim that grows.
type tree struct {
	tb testing.TB
	b  *commit.Builder
}

func newTree(tb testing.TB) *tree {
	tb.Helper()
	b, err := commit.NewBuilder(fold)
	if err != nil {
		tb.Fatal(err)
	}
	return &tree{tb, b}
}

// extend commits to that many folds more in the name of participant i.
func (x *tree) extend(w *world, i, folds int) {
	x.tb.Helper()
	before := x.b.Count()
	for range folds {
		digests := make([]commit.Digest, fold)
		for j := range digests {
			binary.LittleEndian.PutUint64(digests[j][:], x.b.Count()+uint64(j)+1)
		}
		if _, err := x.b.AddFold(digests); err != nil {
			x.tb.Fatal(err)
		}
	}
	w.roster.Register(chaintest.Address(i))
	root := x.b.Root()
	m := &types.MsgCommitWork{Miner: w.Bech32(chaintest.Address(i)), Epoch: w.epoch().Number, Root: root[:], Count: x.b.Count()}
	if before > 0 {
		var err error
		if m.Proof, err = x.b.ConsistencyProof(before, x.b.Count()); err != nil {
			x.tb.Fatal(err)
		}
	}
	if err := w.commit(m); err != nil {
		x.tb.Fatal(err)
	}
}
