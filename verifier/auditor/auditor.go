package auditor

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/openings"
	"github.com/assaynet/assay/verifier/recheck"
	"github.com/assaynet/assay/verifier/sample"
)

// Config of an Auditor. Chain, Key, Address and Checker are needed.
type Config struct {
	Chain   Chain
	Key     *sample.SecretKey
	Address []byte // the validator's address bytes
	// Checker re-executes samples; Confirm decides, before a report, with a
	// fresh instance on the reference device. nil: Checker.
	Checker *recheck.Checker
	Confirm *recheck.Checker
	// Dir keeps finished claims of a round, so that a restart does not check
	// them again. Empty: nothing is kept.
	Dir      string
	Observer Observer
	Client   openings.ClientConfig

	Fetchers int // claims fetched at once; 0: 8
	Checkers int // claims re-executed at once; 0: 1
	// Reports bounds the units of one claim that this validator reports in a
	// round; three are enough for the chain's highest penalty. 0: 3.
	Reports int
	// Retry is the pause after a failure of the chain connection, doubled up
	// to 16 times as long; 0: 250 ms.
	Retry time.Duration
}

// Auditor audits every round in which its validator has a seat.
type Auditor struct {
	cfg    Config
	client *openings.Client
	height atomic.Int64
	count  counters
	check  chan struct{} // one token a Checkers
}

// New makes an auditor.
func New(cfg Config) (*Auditor, error) {
	if cfg.Chain == nil || cfg.Key == nil || cfg.Checker == nil || len(cfg.Address) == 0 || len(cfg.Address) > commit.MaxAddress {
		return nil, errors.New("auditor: config needs a chain, a key, an address and a checker")
	}
	if cfg.Confirm == nil {
		cfg.Confirm = cfg.Checker
	}
	if cfg.Observer == nil {
		cfg.Observer = ObserverFunc(func(Event) {})
	}
	if cfg.Fetchers <= 0 {
		cfg.Fetchers = 8
	}
	if cfg.Checkers <= 0 {
		cfg.Checkers = 1
	}
	if cfg.Reports <= 0 {
		cfg.Reports = 3
	}
	if cfg.Retry <= 0 {
		cfg.Retry = 250 * time.Millisecond
	}
	return &Auditor{cfg: cfg, client: openings.NewClient(cfg.Client), check: make(chan struct{}, cfg.Checkers)}, nil
}

// Run audits until ctx ends and returns its cause. Failures of the chain
// connection, of miners and of this machine are reported and survived.
func (a *Auditor) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer a.client.Close()
	defer wg.Wait()
	defer cancel()
	wg.Add(2)
	go func() { defer wg.Done(); a.follow(ctx) }()
	go func() { defer wg.Done(); a.crossCheck(ctx) }()

	pause := a.backoff()
	var done [2]uint64 // epoch and round that need nothing more
	for ctx.Err() == nil {
		e, err := a.cfg.Chain.Epoch(ctx)
		if err != nil {
			a.fail(ctx, Event{Err: err})
			pause(ctx, true)
			continue
		}
		pause(ctx, false)
		a.saw(e.Height)
		at := [2]uint64{e.Number, e.Round}
		if !e.Auditing || at == done || e.Height+1 >= e.AuditEnd {
			a.wait(ctx, e.Height+1)
			continue
		}
		if err := a.round(ctx, e); err != nil {
			a.fail(ctx, Event{Epoch: e.Number, Round: e.Round, Err: err})
			a.wait(ctx, a.height.Load()+1) // and try again while there is time
			continue
		}
		done = at
	}
	return context.Cause(ctx)
}

// follow keeps the newest height.
func (a *Auditor) follow(ctx context.Context) {
	for ctx.Err() == nil {
		a.wait(ctx, a.height.Load()+1)
	}
}

func (a *Auditor) saw(h int64) {
	for {
		old := a.height.Load()
		if h <= old || a.height.CompareAndSwap(old, h) {
			return
		}
	}
}

// wait returns once the chain is at height, or with the end of ctx.
func (a *Auditor) wait(ctx context.Context, height int64) {
	pause := a.backoff()
	for ctx.Err() == nil {
		h, err := a.cfg.Chain.WaitHeight(ctx, height)
		if err == nil {
			a.saw(h)
			return
		}
		a.fail(ctx, Event{Err: err})
		pause(ctx, true)
	}
}

// until is a context that ends when the chain reaches a height.
func (a *Auditor) until(ctx context.Context, height int64) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		a.wait(ctx, height)
	}()
	return ctx, cancel
}

// backoff is a pause that grows with repeated failures.
func (a *Auditor) backoff() func(ctx context.Context, failed bool) {
	next := a.cfg.Retry
	return func(ctx context.Context, failed bool) {
		if !failed {
			next = a.cfg.Retry
			return
		}
		t := time.NewTimer(next)
		defer t.Stop()
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		next = min(2*next, 16*a.cfg.Retry)
	}
}

func (a *Auditor) observe(e Event) {
	e.Height = a.height.Load()
	a.cfg.Observer.Observe(e)
}

// fail reports an error, unless it is only the end of the run or round.
func (a *Auditor) fail(ctx context.Context, e Event) {
	if ctx.Err() == nil {
		e.Kind = EventError
		a.observe(e)
	}
}
