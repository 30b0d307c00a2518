package miner_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"lukechampine.com/blake3"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/runtime/miner"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/testdata/ledger"
	"github.com/assaynet/assay/verifier/auditor"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/openings"
	"github.com/assaynet/assay/verifier/recheck"
	"github.com/assaynet/assay/verifier/sample"
)

// plainWorker computes a digest without a module; it counts what it computes
// and fails where it is told to.
type plainWorker struct {
	mu       sync.Mutex
	computed map[uint64]int
	fail     func(indexes []uint64) error
	opened   int
	gate     chan struct{} // nil: run free; else one batch a token
}

func (w *plainWorker) Open(_ context.Context, work recheck.Work) (miner.Session, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened++
	return &plainSession{w, work}, nil
}

type plainSession struct {
	w    *plainWorker
	work recheck.Work
}

func (s *plainSession) Units(ctx context.Context, indexes []uint64) ([]commit.Digest, error) {
	if s.w.gate != nil {
		select {
		case <-s.w.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if s.w.fail != nil {
		if err := s.w.fail(indexes); err != nil {
			return nil, err
		}
	}
	out := make([]commit.Digest, len(indexes))
	for i, x := range indexes {
		if s.w.computed == nil {
			s.w.computed = map[uint64]int{}
		}
		s.w.computed[x]++
		out[i] = blake3.Sum256(binary.LittleEndian.AppendUint64(append(s.work.Seed[:], s.work.Identity...), x))
	}
	return out, nil
}

func (s *plainSession) Close() error { return nil }

var address = []byte("a miner's 20 bytes..")

func config(maxUnits uint64) (ledger.Config, []*sample.SecretKey) {
	cfg := ledger.Config{Work: recheck.Work{ModuleHash: sha256.Sum256(nil), Seed: [32]byte{7}},
		Compute: 8, Commit: 6, Audit: 10, Answer: 10, Fold: 8, MinUnits: 8, MaxUnits: maxUnits, MaxExtensions: 4,
		SampleMin: 20, SampleMax: 300, MaxDemand: 8, Block: 25 * time.Millisecond}
	var keys []*sample.SecretKey
	for i := range byte(3) {
		k, err := sample.GenerateKey(rand.NewChaCha8([32]byte{i}))
		if err != nil {
			panic(err)
		}
		keys = append(keys, k)
		cfg.Seats = append(cfg.Seats, sample.Seat{Validator: []byte{'v', i}, Power: 10, Key: k.Public()})
	}
	return cfg, keys
}

// watch collects events and lets a test wait for one.
type watch struct {
	mu     sync.Mutex
	events []miner.Event
	moved  chan struct{}
}

func newWatch() *watch { return &watch{moved: make(chan struct{})} }

func (w *watch) Observe(e miner.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	close(w.moved)
	w.moved = make(chan struct{})
}

func (w *watch) until(t *testing.T, what string, ok func(miner.Event) bool) miner.Event {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		w.mu.Lock()
		i := slices.IndexFunc(w.events, ok)
		moved := w.moved
		var e miner.Event
		if i >= 0 {
			e = w.events[i]
		}
		w.mu.Unlock()
		if i >= 0 {
			return e
		}
		select {
		case <-moved:
		case <-deadline:
			w.mu.Lock()
			defer w.mu.Unlock()
			t.Fatalf("no event: %s; the last of %d were %+v", what, len(w.events), w.events[max(0, len(w.events)-4):])
		}
	}
}

func (w *watch) errors() (out []error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Kind == miner.EventError {
			out = append(out, e.Err)
		}
	}
	return out
}

// run starts a miner and returns the function that stops and closes it.
func run(t *testing.T, cfg miner.Config) (*miner.Miner, func()) {
	t.Helper()
	m, err := miner.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		if err := m.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	t.Cleanup(stop)
	return m, stop
}

func start(t *testing.T, l *ledger.Ledger) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); l.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// The miner commits early, extends append-only, serves what was drawn, and
// goes on into the next epoch, pruning old stores.
func TestSprint(t *testing.T) {
	cfg, keys := config(1 << 20)
	l := ledger.New(cfg)
	w, dir := newWatch(), t.TempDir()
	l.Hold(6) // commitments are due at heights 5, 8, 11, 14 and 15
	m, _ := run(t, miner.Config{Chain: l.Miner(address, ""), Worker: &plainWorker{gate: slowly(t, 2*time.Millisecond)}, Dir: dir,
		Address: address, Observer: w, Instances: 2, BatchUnits: 20, Commits: 5, KeepEpochs: 1, DigestBytes: 50 * 8 * 32})
	start(t, l)
	early := w.until(t, "early commitment", func(e miner.Event) bool { return e.Kind == miner.EventCommitted })
	w.until(t, "more units", func(e miner.Event) bool { return e.Kind == miner.EventUnits && e.Units > early.Units })
	l.Hold(18) // in the audit
	w.until(t, "end of sprint 1", func(e miner.Event) bool { return e.Kind == miner.EventIdle && e.Epoch == 1 })
	claim, ok := l.ClaimOf(1, address)
	if !ok || claim.Extensions < 1 || claim.Count%8 != 0 {
		t.Fatalf("claim %+v", claim)
	}
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	client := openings.NewClient(openings.ClientConfig{})
	defer client.Close()
	v := l.Validator(cfg.Seats[0].Validator)
	waitAudit(t, l, v)
	round, err := v.Round(t.Context(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	proof := keys[0].Prove(round.Input())
	indexes := round.Draw(cfg.Seats[0].Validator, address, claim.Count, uint64(sample.Total(claim.Count, 20, 300))).Indexes(proof.Output())
	if len(indexes) == 0 {
		t.Fatal("nothing drawn")
	}
	res := client.Fetch(t.Context(), server.URL, openings.Request{Epoch: 1, Claimant: address, Validator: cfg.Seats[0].Validator,
		Proof: proof, Indexes: indexes}, claim.Claim, cfg.Fold)
	if res.Err != nil || len(res.Opened) != len(indexes) {
		t.Fatalf("%d of %d opened: %v", len(res.Opened), len(indexes), res.Err)
	}
	if errs := l.Refusals(); len(errs) > 0 {
		t.Errorf("refusals: %v", errs)
	}
	l.Hold(0)
	w.until(t, "served", func(e miner.Event) bool { return e.Kind == miner.EventServed && e.Units == uint64(len(indexes)) })
	w.until(t, "a third sprint", func(e miner.Event) bool { return e.Kind == miner.EventCommitted && e.Epoch >= 3 })
	if _, err := os.Stat(filepath.Join(dir, "epochs", "1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("store of epoch 1 in epoch 3: %v", err)
	}
}

// slowly gives one token each d, so that a sprint stays small.
func slowly(t *testing.T, d time.Duration) chan struct{} {
	c := make(chan struct{})
	tick := time.NewTicker(d)
	go func() {
		defer tick.Stop()
		for {
			select {
			case <-t.Context().Done():
				return
			case <-tick.C:
				select {
				case c <- struct{}{}:
				case <-t.Context().Done():
					return
				}
			}
		}
	}()
	return c
}

func waitAudit(t *testing.T, l *ledger.Ledger, v auditor.Chain) {
	t.Helper()
	for {
		e, err := v.Epoch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if e.Auditing {
			return
		}
		if _, err := l.Wait(t.Context(), e.Height+1); err != nil {
			t.Fatal(err)
		}
	}
}

// A miner that stops in mid-sprint takes up where it was: no fold is computed
// twice and the claim is extended.
func TestResume(t *testing.T) {
	cfg, _ := config(1 << 20)
	cfg.Compute = 40
	l := ledger.New(cfg)
	dir := t.TempDir()
	worker := &plainWorker{gate: slowly(t, 2*time.Millisecond)}
	conf := miner.Config{Chain: l.Miner(address, ""), Worker: worker, Dir: dir, Address: address, BatchUnits: 16, Commits: 4}
	w := newWatch()
	conf.Observer = w
	l.Hold(18) // the first of four commitments is due at height 16
	_, stop := run(t, conf)
	start(t, l)
	first := w.until(t, "first commitment", func(e miner.Event) bool { return e.Kind == miner.EventCommitted })
	stop()
	l.Hold(46) // where the last commitment is sent
	if _, err := miner.New(miner.Config{Chain: conf.Chain, Worker: worker, Dir: dir}); err == nil {
		t.Error("a config without an address")
	}
	w2 := newWatch()
	conf.Observer = w2
	_, _ = run(t, conf)
	again := w2.until(t, "epoch taken up", func(e miner.Event) bool { return e.Kind == miner.EventEpoch })
	if again.Units < first.Units {
		t.Errorf("took up %d units, %d were committed", again.Units, first.Units)
	}
	w2.until(t, "end", func(e miner.Event) bool { return e.Kind == miner.EventIdle })
	claim, _ := l.ClaimOf(1, address)
	if claim.Count <= first.Units {
		t.Errorf("claim of %d units was not extended from %d", claim.Count, first.Units)
	}
	worker.mu.Lock()
	defer worker.mu.Unlock()
	for x, n := range worker.computed {
		if x < again.Units && n > 1 {
			t.Fatalf("unit %d was computed %d times", x, n)
		}
	}
	if errs := l.Refusals(); len(errs) > 0 {
		t.Errorf("refusals: %v", errs)
	}
}

// A miner whose disk was lost computes what it had claimed again, and can
// serve and extend it; one whose results changed does not overwrite its claim.
func TestLostStore(t *testing.T) {
	cfg, _ := config(1 << 20)
	cfg.Compute = 30
	l := ledger.New(cfg)
	w := newWatch()
	conf := miner.Config{Chain: l.Miner(address, ""), Worker: &plainWorker{gate: slowly(t, 2*time.Millisecond)}, Dir: t.TempDir(),
		Address: address, BatchUnits: 16, Commits: 4, Observer: w}
	l.Hold(15) // commitments are due at heights 13, 24, 36 and 37
	_, stop := run(t, conf)
	start(t, l)
	first := w.until(t, "first commitment", func(e miner.Event) bool { return e.Kind == miner.EventCommitted })
	stop()
	l.Hold(25)
	w = newWatch()
	conf.Observer, conf.Dir = w, t.TempDir()
	_, stop = run(t, conf)
	w.until(t, "extension", func(e miner.Event) bool { return e.Kind == miner.EventCommitted && e.Units > first.Units })
	stop()
	held, _ := l.ClaimOf(1, address) // a further extension may have come before the stop
	w = newWatch()
	conf.Observer, conf.Dir = w, t.TempDir()
	conf.Worker = otherWorker{conf.Worker}
	_, stop = run(t, conf)
	l.Hold(36) // where the last commitment is sent
	w.until(t, "divergence", func(e miner.Event) bool { return errors.Is(e.Err, miner.ErrDiverged) })
	stop()
	claim, _ := l.ClaimOf(1, address)
	if claim.Root != held.Root || claim.Count != held.Count {
		t.Error("the claim was overwritten")
	}
}

type otherWorker struct{ miner.Worker }

func (w otherWorker) Open(ctx context.Context, work recheck.Work) (miner.Session, error) {
	work.Seed[5] ^= 1
	return w.Worker.Open(ctx, work)
}

// Failures of the device cost a batch, those of the module the sprint, and a
// lost connection nothing but time.
func TestFailures(t *testing.T) {
	cfg, _ := config(1 << 12)
	cfg.Compute = 20
	l := ledger.New(cfg)
	crash := errors.New("the driver crashed")
	failed := 0
	worker := &plainWorker{gate: slowly(t, 2*time.Millisecond)}
	worker.fail = func(indexes []uint64) error {
		if indexes[0] == 64 && failed < 3 {
			failed++
			return crash
		}
		return nil
	}
	w := newWatch()
	_, stop := run(t, miner.Config{Chain: l.Miner(address, ""), Worker: worker, Dir: t.TempDir(), Address: address, Observer: w, Retry: time.Millisecond})
	start(t, l)
	w.until(t, "crash", func(e miner.Event) bool { return errors.Is(e.Err, crash) })
	w.until(t, "work after it", func(e miner.Event) bool { return e.Kind == miner.EventUnits && e.Units > 128 })
	l.SetDown(true)
	w.until(t, "lost connection", func(e miner.Event) bool { return errors.Is(e.Err, ledger.ErrDown) })
	l.SetDown(false)
	w.until(t, "commitment", func(e miner.Event) bool { return e.Kind == miner.EventCommitted })
	stop()
	if failed != 3 || worker.opened < 4 {
		t.Errorf("%d failures, %d sessions", failed, worker.opened)
	}

	l = ledger.New(cfg)
	worker = &plainWorker{fail: func([]uint64) error { return miner.ErrWork }}
	w = newWatch()
	_, stop = run(t, miner.Config{Chain: l.Miner(address, ""), Worker: worker, Dir: t.TempDir(), Address: address, Observer: w})
	start(t, l)
	w.until(t, "another epoch", func(e miner.Event) bool { return e.Kind == miner.EventIdle && e.Epoch > 1 })
	stop()
	if failed := len(w.errors()); worker.opened != failed || failed > int(l.Epoch()) {
		t.Errorf("%d sessions, %d failures in %d sprints of a module that fails", worker.opened, failed, l.Epoch())
	}
	if _, ok := l.ClaimOf(1, address); ok {
		t.Error("a claim without work")
	}
}

// A demand on chain is answered with openings that lead to the claim.
func TestAnswersDemands(t *testing.T) {
	cfg, keys := config(1 << 12)
	l := ledger.New(cfg)
	l.Hold(18) // in the audit
	w := newWatch()
	_, _ = run(t, miner.Config{Chain: l.Miner(address, ""), Worker: &plainWorker{}, Dir: t.TempDir(), Address: address, Observer: w})
	start(t, l)
	w.until(t, "commitment", func(e miner.Event) bool { return e.Kind == miner.EventIdle && e.Epoch == 1 })
	v := l.Validator(cfg.Seats[1].Validator)
	waitAudit(t, l, v)
	claim, _ := l.ClaimOf(1, address)
	round, err := v.Round(t.Context(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	proof := keys[1].Prove(round.Input())
	drawn := round.Draw(cfg.Seats[1].Validator, address, claim.Count, uint64(sample.Total(claim.Count, 20, 300))).Indexes(proof.Output())
	if err := v.SendDemand(t.Context(), auditor.Demand{Epoch: 1, Claimant: address, Indexes: drawn[:5], Proof: proof}); err != nil {
		t.Fatal(err)
	}
	e := w.until(t, "answer", func(e miner.Event) bool { return e.Kind == miner.EventAnswered })
	if e.Units != 5 {
		t.Errorf("answered %d", e.Units)
	}
	answers, err := v.Answers(t.Context(), 1, address)
	if err != nil || len(answers) != 5 {
		t.Fatalf("%d answers: %v", len(answers), err)
	}
}

// The honest worker runs the epoch's real module; its digests are those that
// a checker comes to. A wrapper falsifies what it likes, and is found out.
func TestSandboxWorker(t *testing.T) {
	rt, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	dev, err := cpudev.New(cpudev.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	e, err := catalog.Get(catalog.TransformerPow)
	if err != nil {
		t.Fatal(err)
	}
	cfg, _ := config(64)
	cfg.Work = recheck.Work{ModuleHash: [32]byte(e.Manifest.Hash), Wasm: e.Wasm, Params: e.Manifest.Params, TensorBytes: e.Manifest.TensorBytes, MemoryPages: e.Manifest.MemoryPages,
		GasSetup: e.Manifest.GasSetup, GasUnit: e.Manifest.GasUnit}
	l := ledger.New(cfg)
	l.Hold(5) // in the compute phase, however long compiling takes
	w := newWatch()
	dir := t.TempDir()
	_, _ = run(t, miner.Config{Chain: l.Miner(address, ""), Worker: miner.SandboxWorker{Runtime: rt, Device: dev}, Dir: dir,
		Address: address, Observer: w, BatchUnits: 32})
	start(t, l)
	w.until(t, "a full claim", func(e miner.Event) bool { return e.Kind == miner.EventUnits && e.Units == 64 })
	l.Hold(9)
	done := w.until(t, "commitment", func(e miner.Event) bool { return e.Kind == miner.EventCommitted && e.Units == 64 })
	checker := recheck.New(recheck.Config{Runtime: rt, Device: dev})
	defer checker.Close()
	epoch, err := l.Miner(address, "").Epoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	work := cfg.Work
	work.Seed, work.Identity = epoch.Seed, address
	b, err := commit.NewBuilder(cfg.Fold)
	if err != nil {
		t.Fatal(err)
	}
	for f := range uint64(8) {
		indexes := make([]uint64, 8)
		for i := range indexes {
			indexes[i] = f*8 + uint64(i)
		}
		units, err := checker.Units(t.Context(), work, indexes, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.AddFold(recheck.Digests(units)); err != nil {
			t.Fatal(err)
		}
	}
	if r := b.Root(); !bytes.Equal(r[:], done.Root[:]) {
		t.Error("the miner's root is not that of its units")
	}
	// A module with bad parameters is the module's fault, not the host's.
	work.Params = nil
	if _, err := (miner.SandboxWorker{Runtime: rt, Device: dev}).Open(t.Context(), work); !errors.Is(err, miner.ErrWork) {
		t.Errorf("bad parameters: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	work.Params = cfg.Work.Params
	if _, err := (miner.SandboxWorker{Runtime: rt, Device: dev}).Open(ctx, work); err == nil || errors.Is(err, miner.ErrWork) {
		t.Errorf("cancelled: %v", err)
	}
}
