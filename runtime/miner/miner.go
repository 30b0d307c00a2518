package miner

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"lukechampine.com/blake3"

	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/openings"
	"github.com/assaynet/assay/verifier/recheck"
)

// Config of a Miner. Chain, Worker, Dir and Address are needed.
type Config struct {
	Chain    Chain
	Worker   Worker
	Dir      string // durable state; one miner at a time
	Address  []byte // the claimant's address bytes
	Observer Observer

	BatchUnits  uint64 // units of one call into the module, rounded up to whole folds; 0: 64
	Instances   int    // module instances that compute at once; 0: 1
	Commits     int    // commitments spread over the blocks that take claims, the last in the last of them; 0: 3
	DigestBytes int64  // unit digests kept on disk, see StoreConfig
	KeepEpochs  uint64 // epochs whose stores are kept besides the running one; 0: 2
	// Retry is the pause after a failure of the chain connection, doubled up
	// to 16 times as long; 0: 250 ms.
	Retry time.Duration
}

// Miner runs the sprint of every epoch. Create with New, run with Run, serve
// Handler.
type Miner struct {
	cfg     Config
	lock    *os.File
	height  atomic.Int64
	handler *openings.Handler

	mu     sync.Mutex
	epochs map[uint64]*epochState
	audits map[[2]uint64]openings.Audit // rounds of recent epochs; they do not change
	missed map[[2]uint64]int64          // rounds unknown to the chain, and the height then
}

// epochState is one epoch's work: its store, and sessions to compute with.
type epochState struct {
	epoch Epoch
	store *Store

	mu   sync.Mutex // of the session that recomputes
	open func(context.Context) (Session, error)
	sess Session
}

// New locks the directory and makes a miner.
func New(cfg Config) (*Miner, error) {
	if cfg.Chain == nil || cfg.Worker == nil || cfg.Dir == "" || len(cfg.Address) == 0 || len(cfg.Address) > commit.MaxAddress {
		return nil, errors.New("miner: config needs a chain, a worker, a directory and an address")
	}
	if cfg.Observer == nil {
		cfg.Observer = ObserverFunc(func(Event) {})
	}
	if cfg.BatchUnits == 0 {
		cfg.BatchUnits = 64
	}
	if cfg.Instances <= 0 {
		cfg.Instances = 1
	}
	if cfg.Commits <= 0 {
		cfg.Commits = 3
	}
	if cfg.KeepEpochs == 0 {
		cfg.KeepEpochs = 2
	}
	if cfg.Retry <= 0 {
		cfg.Retry = 250 * time.Millisecond
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	m := &Miner{cfg: cfg, lock: lock, epochs: map[uint64]*epochState{}, audits: map[[2]uint64]openings.Audit{},
		missed: map[[2]uint64]int64{}}
	m.handler = openings.NewHandler(openings.HandlerConfig{Source: (*source)(m), Served: func(q openings.Request) {
		m.observe(Event{Kind: EventServed, Epoch: q.Epoch, Units: uint64(len(q.Indexes)), Peer: q.Validator})
	}})
	return m, nil
}

// Handler serves openings at openings.Path. It works before, during and after Run
// until Close.
func (m *Miner) Handler() http.Handler { return m.handler }

// Close frees sessions, stores and the directory. Run must have returned.
func (m *Miner) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for n, s := range m.epochs {
		errs = append(errs, s.close())
		delete(m.epochs, n)
	}
	return errors.Join(append(errs, m.lock.Close())...)
}

// Run mines until ctx ends and returns its cause. Failures of the chain
// connection, of the module and of the device are reported and survived.
func (m *Miner) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, loop := range []func(context.Context){m.follow, m.answerDemands} {
		wg.Add(1)
		go func() { defer wg.Done(); loop(ctx) }()
	}
	pause := m.backoff()
	for sprinted := uint64(0); ctx.Err() == nil; {
		e, err := m.cfg.Chain.Epoch(ctx)
		if err != nil {
			m.fail(ctx, 0, err)
			pause(ctx, true)
			continue
		}
		pause(ctx, false)
		m.saw(e.Height)
		if e.Number == 0 || e.Number == sprinted || e.Height+1 >= e.CommitEnd {
			if e.Number > 0 && e.Number != sprinted {
				// Too late to commit, but what an earlier run committed is served.
				if s := m.take(ctx, e); s != nil {
					m.compute(ctx, s, m.claimed(ctx, e), func() {})
					sprinted = e.Number
				}
			}
			m.wait(ctx, e.Height+1)
			continue
		}
		e.Slot = m.slot(ctx, e)
		if s := m.take(ctx, e); s != nil {
			m.sprint(ctx, s)
			sprinted = e.Number
			m.observe(Event{Kind: EventIdle, Epoch: e.Number, Units: s.store.Count()})
		} else {
			m.wait(ctx, m.height.Load()+1)
		}
	}
	return context.Cause(ctx)
}

// take opens an epoch's store, once, and drops those too old to be audited.
// It returns nil if the store fails, which is reported.
func (m *Miner) take(ctx context.Context, e Epoch) *epochState {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.epochs[e.Number]; s != nil {
		return s
	}
	w := recheck.Work{ModuleHash: e.Module, Params: e.Params, Seed: e.Seed, Identity: m.cfg.Address,
		TensorBytes: e.TensorBytes, MemoryPages: e.MemoryPages, GasSetup: e.GasSetup, GasUnit: e.GasUnit}
	store, err := OpenStore(StoreConfig{Dir: m.dirOf(e.Number), Identity: workIdentity(e, m.cfg.Address),
		Fold: e.Fold, DigestBytes: m.cfg.DigestBytes})
	if err != nil {
		m.fail(ctx, e.Number, err)
		return nil
	}
	s := &epochState{epoch: e, store: store, open: func(ctx context.Context) (Session, error) {
		wasm, err := m.cfg.Chain.Module(ctx, e.Module)
		if err != nil {
			return nil, err
		}
		if sha256.Sum256(wasm) != e.Module {
			return nil, fmt.Errorf("module bytes do not hash to %x", e.Module)
		}
		w := w
		w.Wasm = wasm
		return m.cfg.Worker.Open(ctx, w)
	}}
	m.epochs[e.Number] = s
	m.prune(ctx, e.Number)
	m.observe(Event{Kind: EventEpoch, Epoch: e.Number, Height: e.Height, Units: store.Count()})
	return s
}

func (m *Miner) dirOf(epoch uint64) string {
	return filepath.Join(m.cfg.Dir, "epochs", strconv.FormatUint(epoch, 10))
}

// workIdentity names all that a stored digest depends on.
func workIdentity(e Epoch, address []byte) [32]byte {
	h := blake3.New(32, nil)
	fmt.Fprintf(h, "assay/store/1 %d %x %x %x %x %d %d %d %d %d", e.Number, e.Seed, e.Module, e.Params, address,
		e.TensorBytes, e.MemoryPages, e.GasSetup, e.GasUnit, e.Fold)
	return [32]byte(h.Sum(nil))
}

// prune removes stores that no audit can ask for. The caller holds the lock.
func (m *Miner) prune(ctx context.Context, running uint64) {
	for n, s := range m.epochs {
		if n+m.cfg.KeepEpochs < running {
			if err := s.close(); err != nil {
				m.fail(ctx, n, err)
			}
			delete(m.epochs, n)
		}
	}
	for k := range m.audits {
		if k[0]+m.cfg.KeepEpochs < running {
			delete(m.audits, k)
		}
	}
	entries, err := os.ReadDir(filepath.Join(m.cfg.Dir, "epochs"))
	if err != nil {
		m.fail(ctx, running, err)
		return
	}
	for _, e := range entries {
		n, err := strconv.ParseUint(e.Name(), 10, 64)
		if err == nil && n+m.cfg.KeepEpochs < running {
			if err := os.RemoveAll(m.dirOf(n)); err != nil {
				m.fail(ctx, n, err)
			}
		}
	}
}

// recompute computes units again for an opening, with the epoch's second session.
func (s *epochState) recompute(ctx context.Context, first, n uint64) ([]commit.Digest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sess == nil {
		sess, err := s.open(ctx)
		if err != nil {
			return nil, err
		}
		s.sess = sess
	}
	digests, err := s.sess.Units(ctx, span(first, n))
	if err != nil {
		// It may be stopped for good: the next request makes another.
		err = errors.Join(err, s.sess.Close())
		s.sess = nil
	}
	return digests, err
}

func (s *epochState) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.sess != nil {
		err = s.sess.Close()
		s.sess = nil
	}
	return errors.Join(err, s.store.Close())
}

func span(first, n uint64) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = first + uint64(i)
	}
	return out
}

// follow keeps the newest height.
func (m *Miner) follow(ctx context.Context) {
	pause := m.backoff()
	for ctx.Err() == nil {
		h, err := m.cfg.Chain.WaitHeight(ctx, m.height.Load()+1)
		if err != nil {
			m.fail(ctx, 0, err)
			pause(ctx, true)
			continue
		}
		pause(ctx, false)
		m.saw(h)
	}
}

func (m *Miner) saw(h int64) {
	for {
		old := m.height.Load()
		if h <= old || m.height.CompareAndSwap(old, h) {
			return
		}
	}
}

// wait returns once the chain is at height, or with the end of ctx.
func (m *Miner) wait(ctx context.Context, height int64) {
	pause := m.backoff()
	for ctx.Err() == nil {
		h, err := m.cfg.Chain.WaitHeight(ctx, height)
		if err == nil {
			m.saw(h)
			return
		}
		m.fail(ctx, 0, err)
		pause(ctx, true)
	}
}

// backoff is a pause that grows with repeated failures.
func (m *Miner) backoff() func(ctx context.Context, failed bool) {
	next := m.cfg.Retry
	return func(ctx context.Context, failed bool) {
		if !failed {
			next = m.cfg.Retry
			return
		}
		t := time.NewTimer(next)
		defer t.Stop()
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		next = min(2*next, 16*m.cfg.Retry)
	}
}

func (m *Miner) observe(e Event) {
	if e.Height == 0 {
		e.Height = m.height.Load()
	}
	m.cfg.Observer.Observe(e)
}

// fail reports an error, unless it is only the end of the run.
func (m *Miner) fail(ctx context.Context, epoch uint64, err error) {
	if ctx.Err() == nil {
		m.observe(Event{Kind: EventError, Epoch: epoch, Err: err})
	}
}
