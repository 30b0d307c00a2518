// Package ledger is a chain in memory for the tests of miner and auditor: it
// enforces the rules of sprint and audit on their messages, without blocks,
// signatures or money. The real chain is chain/sprint and chain/audit.
package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/recheck"
	"github.com/assaynet/assay/verifier/sample"
)

// ErrRule is the class of every refusal.
var ErrRule = errors.New("ledger: against the rules")

// ErrDown is what every call gives while the ledger is cut off.
var ErrDown = errors.New("ledger: not reachable")

const chainID = "ledger-1"

// Config of a Ledger. Lengths are in blocks.
type Config struct {
	Work    recheck.Work // Identity is each claimant's
	Checker *recheck.Checker

	Compute, Commit, Audit, Answer int64 // phases of an epoch; Answer blocks follow the audit
	Fold, MinUnits, MaxUnits       uint64
	MaxExtensions                  uint32
	SampleMin, SampleMax           uint64
	MaxDemand                      int
	Challenges                     uint64 // of the cross-check; 0: there is none
	Block                          time.Duration
	Seats                          []sample.Seat
}

// Claim is a claim and what became of it.
type Claim struct {
	commit.Claim
	Extensions uint32
	Endpoint   string
	FalseUnits []uint64 // proven
	Void       string   // reason, empty if none
	Answers    map[uint64]commit.Digest
}

// demand is an open demand.
type demand struct {
	id        uint64
	validator []byte
	claimant  []byte
	indexes   []uint64
	deadline  int64
}

// Verdict as it came.
type Verdict struct {
	Validator []byte
	Output    sample.Output
	Bitmap    commit.Bitmap
	KeyedRoot commit.Root
}

// Ledger is the state. Number counts epochs from 1.
type Ledger struct {
	cfg Config

	mu        sync.Mutex
	moved     chan struct{} // closed and replaced at each height
	height    int64
	down      bool
	hold      int64
	epoch     uint64
	start     int64
	seed      [32]byte
	claims    map[uint64]map[string]*Claim
	endpoints map[string]string
	verdicts  map[uint64][]Verdict
	reports   map[[32]byte]bool
	crosses   map[uint64]*crossed
	exposed   map[uint64][][]byte
	demands   []demand
	nextID    uint64
	Refused   []error // refusals, for tests to look at under Snapshot
}

// New makes a ledger at height 1 with epoch 1 open.
func New(cfg Config) *Ledger {
	l := &Ledger{cfg: cfg, moved: make(chan struct{}), height: 1, endpoints: map[string]string{},
		claims: map[uint64]map[string]*Claim{}, verdicts: map[uint64][]Verdict{}, reports: map[[32]byte]bool{},
		crosses: map[uint64]*crossed{}, exposed: map[uint64][][]byte{}}
	l.open()
	return l
}

// Run makes a block each Config.Block until ctx ends.
func (l *Ledger) Run(ctx context.Context) {
	tick := time.NewTicker(l.cfg.Block)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if !l.held() {
				l.Advance()
			}
		}
	}
}

// Hold stops Run at a height until it is called again; 0 lets it go on.
func (l *Ledger) Hold(height int64) { l.mu.Lock(); l.hold = height; l.mu.Unlock() }

func (l *Ledger) held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hold > 0 && l.height >= l.hold
}

// Advance makes one block.
func (l *Ledger) Advance() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.height++
	open := l.demands[:0]
	for _, d := range l.demands {
		if l.height >= d.deadline {
			l.claims[l.epoch][string(d.claimant)].Void = "unanswered"
			continue
		}
		open = append(open, d)
	}
	l.demands = open
	if l.height >= l.end() {
		l.open()
	}
	close(l.moved)
	l.moved = make(chan struct{})
}

func (l *Ledger) open() {
	l.epoch++
	l.start = l.height + 1
	l.seed = l.cfg.Work.Seed
	l.seed[0] = byte(l.epoch)
	l.claims[l.epoch] = map[string]*Claim{}
	l.demands = nil
}

func (l *Ledger) computeEnd() int64 { return l.start + l.cfg.Compute }
func (l *Ledger) commitEnd() int64  { return l.start + l.cfg.Compute + l.cfg.Commit }
func (l *Ledger) auditEnd() int64   { return l.commitEnd() + l.cfg.Audit }
func (l *Ledger) end() int64        { return l.auditEnd() + l.cfg.Answer }

// Epoch and Height are where the chain stands.
func (l *Ledger) Epoch() uint64 { l.mu.Lock(); defer l.mu.Unlock(); return l.epoch }

// SetDown cuts everybody off, or lets them back.
func (l *Ledger) SetDown(down bool) { l.mu.Lock(); l.down = down; l.mu.Unlock() }

// ClaimOf returns a copy of a claim.
func (l *Ledger) ClaimOf(epoch uint64, miner []byte) (Claim, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.claims[epoch][string(miner)]
	if !ok {
		return Claim{}, false
	}
	out := *c
	out.FalseUnits = slices.Clone(c.FalseUnits)
	return out, true
}

// VerdictsOf returns the verdicts of an epoch.
func (l *Ledger) VerdictsOf(epoch uint64) []Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.verdicts[epoch])
}

// Refusals returns every refusal so far.
func (l *Ledger) Refusals() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.Refused)
}

// Position of a miner's claim in an epoch's sorted list.
func (l *Ledger) Position(epoch uint64, miner []byte) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.IndexFunc(l.sorted(epoch), func(c *Claim) bool { return bytes.Equal(c.Claimant, miner) })
}

func (l *Ledger) sorted(epoch uint64) []*Claim {
	var out []*Claim
	for _, c := range l.claims[epoch] {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *Claim) int { return bytes.Compare(a.Claimant, b.Claimant) })
	return out
}

// Wait returns the height once it is at least h.
func (l *Ledger) Wait(ctx context.Context, h int64) (int64, error) {
	for {
		l.mu.Lock()
		now, moved, down := l.height, l.moved, l.down
		l.mu.Unlock()
		if down {
			return 0, ErrDown
		}
		if now >= h {
			return now, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-moved:
		}
	}
}

// round is the running audit; the claims must be fixed.
func (l *Ledger) round(epoch uint64) (sample.Round, error) {
	if epoch != l.epoch || l.height+1 < l.commitEnd() {
		return sample.Round{}, fmt.Errorf("%w: epoch %d is not under audit", ErrRule, epoch)
	}
	var plain []commit.Claim
	for _, c := range l.sorted(epoch) {
		plain = append(plain, c.Claim)
	}
	return sample.Round{ChainID: chainID, Epoch: epoch, ClaimsRoot: commit.ClaimsRoot(plain), Seats: l.cfg.Seats}, nil
}

func (l *Ledger) units(c *Claim) uint64 {
	return uint64(sample.Total(c.Count, l.cfg.SampleMin, l.cfg.SampleMax))
}

// drawn verifies a proof and that indexes are the validator's own.
func (l *Ledger) drawn(validator []byte, proof sample.Proof, c *Claim, indexes []uint64) error {
	r, err := l.round(l.epoch)
	if err != nil {
		return err
	}
	seat, ok := r.Seat(validator)
	if !ok {
		return fmt.Errorf("%w: %x has no seat", ErrRule, validator)
	}
	out, err := seat.Key.Verify(r.Input(), proof)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRule, err)
	}
	if c == nil {
		return nil
	}
	if err := r.Draw(validator, c.Claimant, c.Count, l.units(c)).Contains(out, indexes); err != nil {
		return fmt.Errorf("%w: %w", ErrRule, err)
	}
	return nil
}

// refuse notes and wraps.
func (l *Ledger) refuse(sentinel error, err error) error {
	if err == nil {
		return nil
	}
	l.Refused = append(l.Refused, err)
	return fmt.Errorf("%w: %w", sentinel, err)
}
