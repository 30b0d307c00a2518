package ledger

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/assaynet/assay/runtime/miner"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/openings"
)

// MinerView is the ledger as one miner's account sees it.
type MinerView struct {
	l    *Ledger
	addr []byte
}

// Miner registers an account with its endpoint.
func (l *Ledger) Miner(addr []byte, endpoint string) *MinerView {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endpoints[string(addr)] = endpoint
	return &MinerView{l, addr}
}

var _ miner.Chain = (*MinerView)(nil)

func (v *MinerView) lock() (unlock func(), err error) {
	v.l.mu.Lock()
	if v.l.down {
		v.l.mu.Unlock()
		return nil, ErrDown
	}
	return v.l.mu.Unlock, nil
}

// Crowd is nobody: all commitments fit into the last block.
func (v *MinerView) Crowd(context.Context) (miner.Crowd, error) { return miner.Crowd{}, nil }

func (v *MinerView) Epoch(context.Context) (miner.Epoch, error) {
	unlock, err := v.lock()
	if err != nil {
		return miner.Epoch{}, err
	}
	defer unlock()
	l, c := v.l, v.l.cfg
	return miner.Epoch{Number: l.epoch, Height: l.height, Start: l.start, ComputeEnd: l.computeEnd(), CommitEnd: l.commitEnd(),
		Seed: l.seed, Module: c.Work.ModuleHash, Params: c.Work.Params, TensorBytes: c.Work.TensorBytes, MemoryPages: c.Work.MemoryPages, GasSetup: c.Work.GasSetup,
		GasUnit: c.Work.GasUnit, Fold: c.Fold, MinUnits: c.MinUnits, MaxUnits: c.MaxUnits, MaxExtensions: c.MaxExtensions}, nil
}

func (v *MinerView) WaitHeight(ctx context.Context, h int64) (int64, error) { return v.l.Wait(ctx, h) }

func (v *MinerView) Module(_ context.Context, hash [32]byte) ([]byte, error) {
	return v.l.module(hash)
}

func (l *Ledger) module(hash [32]byte) ([]byte, error) {
	if hash != l.cfg.Work.ModuleHash {
		return nil, fmt.Errorf("%w: no module %x", ErrRule, hash)
	}
	return l.cfg.Work.Wasm, nil
}

func (v *MinerView) Claim(_ context.Context, epoch uint64) (commit.Claim, error) {
	unlock, err := v.lock()
	if err != nil {
		return commit.Claim{}, err
	}
	defer unlock()
	c, ok := v.l.claims[epoch][string(v.addr)]
	if !ok {
		return commit.Claim{}, miner.ErrNoClaim
	}
	return c.Claim, nil
}

func (v *MinerView) Commit(_ context.Context, m miner.Commitment) error {
	unlock, err := v.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return v.l.refuse(miner.ErrRefused, v.l.commit(v.addr, m))
}

func (l *Ledger) commit(addr []byte, m miner.Commitment) error {
	if m.Epoch != l.epoch || l.height+1 < l.start || l.height+1 >= l.commitEnd() {
		return fmt.Errorf("%w: commitment for epoch %d at height %d", ErrRule, m.Epoch, l.height+1)
	}
	if m.Count < l.cfg.MinUnits || m.Count > l.cfg.MaxUnits {
		return fmt.Errorf("%w: %d units", ErrRule, m.Count)
	}
	c := l.claims[l.epoch][string(addr)]
	if c == nil {
		c = &Claim{Claim: commit.Claim{Epoch: l.epoch, Claimant: addr}, Endpoint: l.endpoints[string(addr)], Answers: map[uint64]commit.Digest{}}
	} else if c.Extensions++; c.Extensions > l.cfg.MaxExtensions {
		return fmt.Errorf("%w: more than %d extensions", ErrRule, l.cfg.MaxExtensions)
	}
	if m.Count <= c.Count {
		return fmt.Errorf("%w: %d units after %d", ErrRule, m.Count, c.Count)
	}
	if err := commit.VerifyConsistency(l.cfg.Fold, c.Count, m.Count, c.Root, m.Root, m.Proof); err != nil {
		return fmt.Errorf("%w: %w", ErrRule, err)
	}
	c.Root, c.Count = m.Root, m.Count
	l.claims[l.epoch][string(addr)] = c
	return nil
}

func (v *MinerView) Audit(_ context.Context, epoch, round uint64) (openings.Audit, error) {
	unlock, err := v.lock()
	if err != nil {
		return openings.Audit{}, err
	}
	defer unlock()
	c := v.l.claims[epoch][string(v.addr)]
	r, err := v.l.round(epoch)
	if err != nil || round != 0 || c == nil {
		return openings.Audit{}, openings.ErrUnknown
	}
	return openings.Audit{Round: r, Claim: c.Claim, Units: v.l.units(c)}, nil
}

func (v *MinerView) Demands(context.Context) ([]miner.Demand, error) {
	unlock, err := v.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []miner.Demand
	for _, d := range v.l.demands {
		if bytes.Equal(d.claimant, v.addr) {
			out = append(out, miner.Demand{ID: d.id, Epoch: v.l.epoch, Indexes: d.indexes})
		}
	}
	return out, nil
}

func (v *MinerView) Answer(_ context.Context, id uint64, encoded [][]byte) error {
	unlock, err := v.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return v.l.refuse(miner.ErrRefused, v.l.answer(v.addr, id, encoded))
}

func (l *Ledger) answer(addr []byte, id uint64, encoded [][]byte) error {
	i := slices.IndexFunc(l.demands, func(d demand) bool { return d.id == id && bytes.Equal(d.claimant, addr) })
	if i < 0 {
		return fmt.Errorf("%w: no demand %d against %x", ErrRule, id, addr)
	}
	d, c := l.demands[i], l.claims[l.epoch][string(addr)]
	if len(encoded) != len(d.indexes) {
		return fmt.Errorf("%w: %d openings for %d units", ErrRule, len(encoded), len(d.indexes))
	}
	got := map[uint64]commit.Digest{}
	for j, b := range encoded {
		var o commit.Opening
		if err := o.UnmarshalBinary(b); err != nil {
			return err
		}
		digest, err := o.Verify(c.Root, c.Count, l.cfg.Fold)
		if err != nil {
			return err
		}
		if o.Index != d.indexes[j] {
			return fmt.Errorf("%w: unit %d for %d", ErrRule, o.Index, d.indexes[j])
		}
		got[o.Index] = digest
	}
	for x, digest := range got {
		c.Answers[x] = digest
	}
	l.demands = slices.Delete(l.demands, i, i+1)
	return nil
}
