package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/verifier/auditor"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/recheck"
	"github.com/assaynet/assay/verifier/sample"
)

// still is a chain that stands in the audit phase until the verdict comes.
// Demands and reports are failures: nobody here withholds or cheats.
type still struct {
	n     *network
	done  chan struct{}
	once  sync.Once
	mu    sync.Mutex
	voted *auditor.Verdict
	err   error
}

func (s *still) Epoch(context.Context) (auditor.Epoch, error) {
	w := s.n.work
	e := auditor.Epoch{Number: 1, Auditing: true, Height: 1, AuditEnd: 1 << 40, Seed: w.Seed, Module: w.ModuleHash, Params: w.Params,
		TensorBytes: w.TensorBytes, GasSetup: w.GasSetup, GasUnit: w.GasUnit, Fold: fold, MaxDemand: 16}
	return e, nil
}

func (s *still) WaitHeight(ctx context.Context, height int64) (int64, error) {
	if height <= 1 {
		return 1, nil
	}
	select {
	case <-s.done:
		return height, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func (s *still) Module(context.Context, [32]byte) ([]byte, error) { return s.n.work.Wasm, nil }

func (s *still) Round(context.Context, uint64, uint64) (sample.Round, error) { return s.n.round, nil }

func (s *still) Claims(context.Context, uint64, uint64) ([]auditor.Claim, error) {
	out := make([]auditor.Claim, len(s.n.miners))
	for i, m := range s.n.miners {
		out[i] = auditor.Claim{Claim: m.claim, Units: s.n.size.drawn, Endpoint: fmt.Sprintf("%s/%d", s.n.base, i)}
	}
	return out, nil
}

func (s *still) Voted(context.Context, uint64, uint64) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.voted != nil, nil
}

func (s *still) Answers(context.Context, uint64, []byte) ([]auditor.Answer, error) { return nil, nil }

func (s *still) SendVerdict(_ context.Context, v auditor.Verdict) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.voted = &v
	s.finish(nil)
	return nil
}

func (s *still) SendReport(_ context.Context, r auditor.Report) error {
	s.finish(fmt.Errorf("unit %d of a true claim was reported", r.Index))
	return auditor.ErrRefused
}

func (s *still) SendDemand(context.Context, auditor.Demand) error {
	s.finish(errors.New("a served unit was demanded"))
	return auditor.ErrRefused
}

// Cross is over: what is measured ends with the verdict.
func (s *still) Cross(context.Context) (auditor.Cross, error) {
	return auditor.Cross{ChainID: "bench-1", Epoch: 1, Stage: auditor.StageDone}, nil
}

func (s *still) SendChallenge(context.Context, auditor.Challenge) error { return auditor.ErrRefused }

func (s *still) SendKeyed(context.Context, auditor.KeyedOpenings) error { return auditor.ErrRefused }

func (s *still) SendKeyedReport(context.Context, auditor.KeyedReport) error {
	return auditor.ErrRefused
}

func (s *still) finish(err error) {
	s.once.Do(func() { s.err = err; close(s.done) })
}

// frozen is a round in which the first hundred miners have seats. Skewed
// powers fall with the rank (Zipf): the first holds a fifth.
func frozen(n *network, powers string) (sample.Round, *sample.SecretKey, error) {
	r := sample.Round{ChainID: "bench-1", Epoch: 1, ClaimsRoot: commit.ClaimsRoot(n.claims())}
	var first *sample.SecretKey
	for i := range seats {
		k, err := sample.GenerateKey(rand.NewChaCha8([32]byte{byte(i), byte(i >> 8), 7}))
		if err != nil {
			return r, nil, err
		}
		if i == 0 {
			first = k
		}
		power := uint64(1_000_000)
		if powers == "skewed" {
			power /= uint64(i) + 1
		}
		r.Seats = append(r.Seats, sample.Seat{Validator: address(i), Power: power, Key: k.Public()})
	}
	return r, first, nil
}

// audit runs the first seat's validator until its verdict.
func audit(ctx context.Context, rt *sandbox.Runtime, devices []device.Device, n *network, powers string) (result, error) {
	round, key, err := frozen(n, powers)
	if err != nil {
		return result{}, err
	}
	n.mu.Lock()
	n.round = round
	n.mu.Unlock()
	me := address(0)
	res := result{Powers: powers, Claims: len(n.miners), Share: share(round, me)}

	checker := recheck.New(recheck.Config{Runtime: rt, Device: devices[0], More: devices[1:], Idle: len(devices)})
	defer checker.Close()
	chain := &still{n: n, done: make(chan struct{})}
	a, err := auditor.New(auditor.Config{Chain: chain, Key: key, Address: me, Checker: checker, Checkers: len(devices),
		Observer: auditor.ObserverFunc(func(e auditor.Event) {
			if e.Kind == auditor.EventError {
				chain.finish(e.Err)
			}
		})})
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	w := n.work
	w.Identity = me
	if _, err := checker.Units(ctx, w, []uint64{0}, nil); err != nil { // the sprint's weights
		return result{}, err
	}
	res.Setup = time.Since(start).Seconds()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	select {
	case <-chain.done:
	case <-ctx.Done():
	}
	res.Seconds = time.Since(start).Seconds()
	cancel()
	if err := <-ended; chain.err == nil && chain.voted == nil {
		return result{}, err
	}
	if chain.err != nil {
		return result{}, chain.err
	}
	for i := range miners {
		d := round.Draw(me, address(i), n.size.units, n.size.drawn).Size()
		res.AllUnits += d
		if i < len(n.miners) {
			res.Units += d
			if ok := i == 0; !ok && !chain.voted.Bitmap.Has(i) {
				return result{}, fmt.Errorf("true claim %d was not vouched for", i)
			}
		}
	}
	res.All = res.Setup + (res.Seconds-res.Setup)*float64(res.AllUnits)/float64(res.Units)
	res.PeakRSS = peakRSS()
	return res, nil
}

func share(r sample.Round, who []byte) float64 {
	var mine, all uint64
	for _, s := range r.Seats {
		all += s.Power
		if bytes.Equal(s.Validator, who) {
			mine = s.Power
		}
	}
	return float64(mine) / float64(all)
}

// peakRSS is VmHWM of this process in bytes; 0 where there is no /proc.
func peakRSS() int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	return 0
}
