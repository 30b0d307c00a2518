package auditor_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
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

// One runtime for all tests: compiling a Go guest takes seconds.
var (
	rt  *sandbox.Runtime
	dev device.Device
	pow catalog.Entry
)

func TestMain(m *testing.M) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var err error
	rt, err = sandbox.New(sandbox.Config{})
	must(err)
	dev, err = cpudev.New(cpudev.Config{})
	must(err)
	pow, err = catalog.Get(catalog.TransformerPow)
	must(err)
	_, err = rt.Admit(pow.Wasm)
	must(err)
	code := m.Run()
	must(rt.Close())
	must(dev.Close())
	os.Exit(code)
}

// network is a ledger, miners with real sandboxes behind real sockets, and
// validators. The phases move when the test says so.
type network struct {
	l        *ledger.Ledger
	cfg      ledger.Config
	keys     []*sample.SecretKey
	checker  *recheck.Checker
	auditEnd int64
}

const units = 128 // of every claim

func newNetwork(t *testing.T, bend ...func(*ledger.Config)) *network {
	t.Helper()
	n := &network{checker: recheck.New(recheck.Config{Runtime: rt, Device: dev, Idle: 6})}
	t.Cleanup(func() {
		if err := n.checker.Close(); err != nil {
			t.Error(err)
		}
	})
	m := pow.Manifest
	n.cfg = ledger.Config{Work: recheck.Work{ModuleHash: [32]byte(m.Hash), Wasm: pow.Wasm, Params: m.Params, Seed: [32]byte{3},
		TensorBytes: m.TensorBytes, MemoryPages: m.MemoryPages, GasSetup: m.GasSetup, GasUnit: m.GasUnit}, Checker: n.checker,
		Compute: 6, Commit: 4, Audit: 20, Answer: 20, Fold: 16, MinUnits: 16, MaxUnits: units, MaxExtensions: 8,
		SampleMin: 60, SampleMax: 300, MaxDemand: 4, Block: 20 * time.Millisecond}
	for i := range byte(3) {
		k, err := sample.GenerateKey(rand.NewChaCha8([32]byte{i}))
		if err != nil {
			t.Fatal(err)
		}
		n.keys = append(n.keys, k)
		n.cfg.Seats = append(n.cfg.Seats, sample.Seat{Validator: []byte{'v', i}, Power: 10, Key: k.Public()})
	}
	for _, f := range bend {
		f(&n.cfg)
	}
	n.l = ledger.New(n.cfg)
	n.auditEnd = 2 + n.cfg.Compute + n.cfg.Commit + n.cfg.Audit
	n.l.Hold(4) // in the compute phase until the claims are full
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); n.l.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return n
}

// mine runs a miner to a full claim. front wraps its openings server.
func (n *network) mine(t *testing.T, addr string, worker miner.Worker, front func(http.Handler) http.Handler) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	full := make(chan struct{})
	once := sync.OnceFunc(func() { close(full) })
	m, err := miner.New(miner.Config{Chain: n.l.Miner([]byte(addr), "http://"+ln.Addr().String()), Worker: worker, Dir: t.TempDir(),
		Address: []byte(addr), Commits: 2, Observer: miner.ObserverFunc(func(e miner.Event) {
			switch {
			case e.Kind == miner.EventCommitted && e.Units == units:
				once()
			case e.Kind == miner.EventError:
				t.Logf("miner %s: %v", addr, e.Err)
			}
		})})
	if err != nil {
		t.Fatal(err)
	}
	var h http.Handler = m.Handler()
	if front != nil {
		h = front(h)
	}
	mux := http.NewServeMux()
	mux.Handle(openings.Path, h)
	s := &httptest.Server{Listener: ln, Config: &http.Server{Handler: mux}}
	s.Start()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = m.Run(ctx) }() // always the end of ctx
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		cancel()
		<-done
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-full:
	case <-time.After(60 * time.Second):
		t.Fatalf("miner %s committed no full claim", addr)
	}
}

// log collects a validator's events.
type log struct {
	mu     sync.Mutex
	events []auditor.Event
	moved  chan struct{}
}

func (w *log) Observe(e auditor.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	close(w.moved)
	w.moved = make(chan struct{})
}

func (w *log) all(kind auditor.Kind) (out []auditor.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

func (w *log) until(t *testing.T, what string, ok func(auditor.Event) bool) auditor.Event {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		w.mu.Lock()
		i, moved := slices.IndexFunc(w.events, ok), w.moved
		w.mu.Unlock()
		if i >= 0 {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.events[i]
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

// audit starts validator v and returns its log, counters and a stop.
func (n *network) audit(t *testing.T, v int, bend ...func(*auditor.Config)) (*log, *auditor.Auditor, func()) {
	t.Helper()
	w := &log{moved: make(chan struct{})}
	cfg := auditor.Config{Chain: n.l.Validator(n.cfg.Seats[v].Validator), Key: n.keys[v], Address: n.cfg.Seats[v].Validator,
		Checker: n.checker, Observer: w, Retry: time.Millisecond}
	for _, f := range bend {
		f(&cfg)
	}
	a, err := auditor.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return w, a, stop
}

func honest() miner.Worker { return miner.SandboxWorker{Runtime: rt, Device: dev} }

// liar falsifies the units that pick chooses.
type liar struct {
	miner.Worker
	pick func(index uint64) bool
}

func (w liar) Open(ctx context.Context, work recheck.Work) (miner.Session, error) {
	s, err := w.Worker.Open(ctx, work)
	return lyingSession{s, w.pick}, err
}

type lyingSession struct {
	miner.Session
	pick func(index uint64) bool
}

func (s lyingSession) Units(ctx context.Context, indexes []uint64) ([]commit.Digest, error) {
	out, err := s.Session.Units(ctx, indexes)
	for i := range out {
		if s.pick(indexes[i]) {
			out[i][31] ^= 1
		}
	}
	return out, err
}

// The whole loop: honest claims are ok in every verdict; a claim with 10 % of
// false units is void with three proven, whoever drew them.
func TestAudit(t *testing.T) {
	n := newNetwork(t)
	n.mine(t, "alice", honest(), nil)
	n.mine(t, "bob", honest(), nil)
	n.mine(t, "mallory", liar{honest(), func(x uint64) bool { return x%10 == 3 }}, nil)
	var logs []*log
	for v := range n.keys {
		w, _, _ := n.audit(t, v)
		logs = append(logs, w)
	}
	n.l.Hold(n.auditEnd - 12) // before anything is due
	for v, w := range logs {
		for _, name := range []string{"alice", "bob", "mallory"} {
			w.until(t, fmt.Sprintf("%d on %s", v, name), func(e auditor.Event) bool {
				return e.Kind == auditor.EventClaim && string(e.Claimant) == name
			})
		}
	}
	n.l.Hold(n.auditEnd - 1)
	for v, w := range logs {
		e := w.until(t, fmt.Sprintf("verdict of %d", v), func(e auditor.Event) bool { return e.Kind == auditor.EventVerdict })
		if e.Claims < 2 || e.Units < 40 {
			t.Errorf("validator %d: verdict %+v", v, e)
		}
		for _, e := range w.all(auditor.EventError) {
			if !errors.Is(e.Err, ledger.ErrRule) { // a unit that two validators drew is reported once
				t.Errorf("validator %d: %v", v, e.Err)
			}
		}
	}
	for _, name := range []string{"alice", "bob"} {
		c, _ := n.l.ClaimOf(1, []byte(name))
		if c.Void != "" || len(c.FalseUnits) > 0 {
			t.Errorf("%s: void %q, false %v", name, c.Void, c.FalseUnits)
		}
		for i, v := range n.l.VerdictsOf(1) {
			if !v.Bitmap.Has(n.l.Position(1, []byte(name))) {
				t.Errorf("verdict %d is not ok about %s", i, name)
			}
		}
	}
	c, _ := n.l.ClaimOf(1, []byte("mallory"))
	if c.Void != "false" || len(c.FalseUnits) < 3 {
		t.Errorf("mallory: void %q, false %v", c.Void, c.FalseUnits)
	}
	for _, x := range c.FalseUnits {
		if x%10 != 3 {
			t.Errorf("unit %d proven false", x)
		}
	}
	roots := map[commit.Root]bool{}
	for _, v := range n.l.VerdictsOf(1) {
		roots[v.KeyedRoot] = true
	}
	if len(roots) != 3 {
		t.Error("validators share a keyed root")
	}
}

// Withholding is answered on chain: who serves only its true units is demanded
// the others, and either shows them false or loses the claim; an honest miner
// behind a dead server answers the demands and loses nothing.
func TestWithholding(t *testing.T) {
	n := newNetwork(t, func(c *ledger.Config) { c.Audit, c.MaxDemand = 60, 12 })
	dead := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	}
	n.mine(t, "alice", honest(), nil)
	n.mine(t, "silent", honest(), dead) // answers on chain
	n.mine(t, "cheat", liar{honest(), func(x uint64) bool { return x%10 == 3 }}, dead)
	w, a, _ := n.audit(t, 0, func(c *auditor.Config) { c.Reports = 1 })
	n.l.Hold(n.auditEnd - 3)
	w.until(t, "a demand against silent", func(e auditor.Event) bool {
		return e.Kind == auditor.EventDemanded && string(e.Claimant) == "silent"
	})
	e := w.until(t, "all of silent's units from the chain", func(e auditor.Event) bool {
		return e.Kind == auditor.EventClaim && string(e.Claimant) == "silent"
	})
	if !e.OK {
		t.Errorf("silent: %+v", e)
	}
	w.until(t, "cheat's false unit from the chain", func(e auditor.Event) bool {
		return e.Kind == auditor.EventReported && string(e.Claimant) == "cheat"
	})
	if s := a.Stats(); s.Demands < 2 || s.False == 0 || s.FetchErrs == 0 {
		t.Errorf("%+v", s)
	}
	for name, void := range map[string]string{"alice": "", "silent": "", "cheat": "false"} {
		if c, _ := n.l.ClaimOf(1, []byte(name)); c.Void != void {
			t.Errorf("%s: void %q, want %q", name, c.Void, void)
		}
	}
}

// What was opened on chain for one validator is judged by the next without a demand: the chain refuses
// to ask for it again.
func TestOpenedForAnother(t *testing.T) {
	n := newNetwork(t, func(c *ledger.Config) {
		c.Audit, c.MaxDemand = 60, units
		c.SampleMin = units
		c.Seats[0].Power = 1_000 // draws all, so also what the next one draws
	})
	n.mine(t, "silent", honest(), func(http.Handler) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	})
	all := func(e auditor.Event) bool { return e.Kind == auditor.EventClaim && string(e.Claimant) == "silent" }
	w, _, _ := n.audit(t, 0)
	n.l.Hold(n.auditEnd - 3)
	w.until(t, "all units from the chain", all)
	w, a, _ := n.audit(t, 1)
	if e := w.until(t, "the units that were opened for another", all); !e.OK {
		t.Errorf("silent: %+v", e)
	}
	if s := a.Stats(); s.Demands != 0 || s.Units == 0 {
		t.Errorf("%+v", s)
	}
}

// An endpoint that is no endpoint, a miner that serves another's claim and a
// claim whose miner is gone cost only themselves; the verdict still comes.
func TestHostileMiners(t *testing.T) {
	n := newNetwork(t, func(c *ledger.Config) { c.MaxDemand = 1 })
	n.mine(t, "alice", honest(), nil)
	var aliceServes http.Handler
	n.mine(t, "bob", honest(), func(h http.Handler) http.Handler { aliceServes = h; return h })
	n.mine(t, "thief", honest(), func(http.Handler) http.Handler { return aliceServes })
	n.mine(t, "flood", honest(), func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		})
	})
	w, a, _ := n.audit(t, 1, func(c *auditor.Config) { c.Fetchers = 2 })
	n.l.Hold(n.auditEnd - 12)
	for _, name := range []string{"alice", "bob"} {
		w.until(t, name, func(e auditor.Event) bool {
			return e.Kind == auditor.EventClaim && string(e.Claimant) == name && e.OK
		})
	}
	for _, name := range []string{"thief", "flood"} {
		w.until(t, name, func(e auditor.Event) bool { return e.Kind == auditor.EventError && string(e.Claimant) == name })
	}
	n.l.Hold(n.auditEnd - 1)
	w.until(t, "verdict", func(e auditor.Event) bool { return e.Kind == auditor.EventVerdict && e.Claims == 2 })
	v := n.l.VerdictsOf(1)
	for name, ok := range map[string]bool{"alice": true, "bob": true, "thief": false, "flood": false} {
		if len(v) != 1 || v[0].Bitmap.Has(n.l.Position(1, []byte(name))) != ok {
			t.Errorf("%s: not %v", name, ok)
		}
	}
	if s := a.Stats(); s.Unserved != 2 || s.False != 0 || s.Reports != 0 {
		t.Errorf("%+v", s)
	}
}

// What does not add up on chain is an error of this auditor, never a verdict.
func TestRefusesInconsistentChain(t *testing.T) {
	n := newNetwork(t)
	n.mine(t, "alice", honest(), nil)
	n.l.Hold(n.auditEnd - 12)
	for name, c := range map[string]func(*auditor.Config){
		"another key": func(c *auditor.Config) { c.Key = n.keys[1] },
		"other claims": func(c *auditor.Config) {
			c.Chain = bentChain{c.Chain, func(cs []auditor.Claim) []auditor.Claim { cs[0].Count += 16; return cs }}
		},
		"missing claims": func(c *auditor.Config) {
			c.Chain = bentChain{c.Chain, func([]auditor.Claim) []auditor.Claim { return nil }}
		},
		"twice the same": func(c *auditor.Config) {
			c.Chain = bentChain{c.Chain, func(cs []auditor.Claim) []auditor.Claim { return append(cs, cs...) }}
		},
	} {
		w, _, stop := n.audit(t, 0, c)
		w.until(t, name, func(e auditor.Event) bool { return e.Kind == auditor.EventError })
		stop()
	}
	if v := n.l.VerdictsOf(1); len(v) != 0 {
		t.Errorf("%d verdicts", len(v))
	}
	if _, err := auditor.New(auditor.Config{}); err == nil {
		t.Error("an empty config")
	}
}

type bentChain struct {
	auditor.Chain
	bend func([]auditor.Claim) []auditor.Claim
}

func (b bentChain) Claims(ctx context.Context, epoch, round uint64) ([]auditor.Claim, error) {
	c, err := b.Chain.Claims(ctx, epoch, round)
	return b.bend(c), err
}
