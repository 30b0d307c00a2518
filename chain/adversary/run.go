package adversary

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/modules/catalog"
)

// Plan is how much is simulated. The same plan gives the same table, bit for bit.
type Plan struct {
	// Seed of the first replicate; replicate i has Seed + i.
	Seed uint64
	// Replicates are independent worlds of Epochs epochs each. The interval is over their means.
	Replicates, Epochs int
	// Cost of computing or checking one unit, as a part of what an honest unit earns.
	Cost float64
	// Workers at once; 0 is one for each processor.
	Workers int
	// Partial is told the rows over the first replicates, whenever one more of all scenarios is done,
	// if set. Calls do not overlap.
	Partial func(replicates int, rows []Row)
}

// outcome of one replicate, per epoch and for all members of the adversary together.
type outcome struct {
	income float64   // ngnk
	work   float64   // units computed, checked and bought
	curve  []float64 // income of the others up to each epoch that was simulated, ngnk
	void   float64   // part of the members' epochs whose claim was void
	jailed float64   // part of the members' epochs
	// Of those who are honest, in all epochs.
	harmed, punished int
	refusals         map[string]int
}

// Row is one line of the table. Gains are per epoch, in percent of what the same members earn
// gross when they are honest.
type Row struct {
	Name  string  `json:"name"`
	Power float64 `json:"power"`
	// Epochs that were simulated in all.
	Epochs int `json:"epochs"`
	// Gain against honesty, and half the width of its 95 % interval.
	Gain     float64 `json:"gain_percent"`
	Interval float64 `json:"interval_percent"`
	// Pays is the cost of a unit, as a part of what it earns, above which the strategy would gain;
	// nil if it gains at no cost.
	Pays *float64 `json:"pays_above_cost"`
	// Void and Jailed are the parts of the members' epochs, in percent.
	Void   float64 `json:"void_percent"`
	Jailed float64 `json:"jailed_percent"`
	// Others is what the honest ones gain by it, in percent of their income.
	Others float64 `json:"others_percent"`
	// HonestVoid counts void claims of honest participants, HonestPunished their forfeits and jailings.
	HonestVoid     int `json:"honest_void"`
	HonestPunished int `json:"honest_punished"`
}

// simulate runs one replicate. It stops once every member of the adversary is barred for the rest:
// from there on nobody of it has a claim, a seat or a block, and what it holds does not change
// (TestTheBarredEarnNothing).
func simulate(ctx context.Context, lab *Lab, s Scenario, salt uint64, epochs int) (out outcome, err error) {
	w, err := newWorld(ctx, lab, s.module, salt, s.crossCheck, s.change, s.members(lab))
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	left := epochs
	for over := false; left > 0 && !over; left-- {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		if err := w.Epoch(); err != nil {
			return out, fmt.Errorf("%s, seed %d: %w", s.Name, salt, err)
		}
		others := 0.0
		over = true
		for i, p := range w.players {
			if i >= len(w.players)-s.count {
				barred, err := p.barredFor(left)
				if err != nil {
					return out, err
				}
				over = over && barred
				continue
			}
			income, err := p.income()
			if err != nil {
				return out, err
			}
			others += income
		}
		out.curve = append(out.curve, others)
	}
	n := float64(epochs)
	for i, p := range w.players {
		income, err := p.income()
		if err != nil {
			return out, err
		}
		_, flips := p.Strategy.(*Flipper)
		if i >= len(w.players)-s.count {
			out.income += income / n
			out.work += (p.mined + p.audited + p.bought) / n
			out.void += float64(p.void) / n / float64(s.count)
			out.jailed += float64(p.jailed+left) / n / float64(s.count)
		}
		_, slow := p.Strategy.(Slow)
		if _, honest := p.Strategy.(Honest); honest || slow || flips {
			out.harmed += p.void
			out.punished += p.punished
		}
	}
	out.refusals = w.refusals
	return out, nil
}

// Run simulates scenarios and returns their rows in order.
func Run(ctx context.Context, lab *Lab, plan Plan, scenarios []Scenario) ([]Row, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type cell struct {
		scenario, replicate int
		honest              bool
	}
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		fails []error
		cells = make(chan cell)
		base  = make([][]outcome, len(scenarios))
		got   = make([][]outcome, len(scenarios))
	)
	known := make(map[string]int) // scenarios whose members compute alike share the honest worlds
	first := make([]int, len(scenarios))
	complete, left := 0, make([]int, plan.Replicates)
	for i, s := range scenarios {
		got[i] = make([]outcome, plan.Replicates)
		key := fmt.Sprint(s.count, s.folds, s.allFolds, s.crossCheck, s.epochBlocks, s.sparse, s.otherName())
		if _, ok := known[key]; !ok {
			known[key] = i
			base[i] = make([]outcome, plan.Replicates)
		}
		first[i] = known[key]
	}
	for r := range left {
		left[r] = len(scenarios) + len(known)
	}
	workers := plan.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	for range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for c := range cells {
				s, to := scenarios[c.scenario], got
				if c.honest {
					s, to = s.Honest(), base
				}
				out, err := simulate(ctx, lab, s, plan.Seed+uint64(c.replicate), plan.Epochs)
				mu.Lock()
				if err != nil {
					fails = append(fails, err)
					cancel()
				} else {
					to[c.scenario][c.replicate] = out
				}
				left[c.replicate]--
				for err == nil && complete < plan.Replicates && left[complete] == 0 {
					complete++
					if plan.Partial != nil {
						plan.Partial(complete, rows(plan, scenarios, base, first, got, complete))
					}
				}
				mu.Unlock()
			}
		}()
	}
	for r := range plan.Replicates {
		for i := range scenarios {
			if first[i] == i {
				cells <- cell{i, r, true}
			}
			cells <- cell{i, r, false}
		}
	}
	close(cells)
	wg.Wait()
	if err := errors.Join(fails...); err != nil {
		return nil, err
	}
	return rows(plan, scenarios, base, first, got, plan.Replicates), nil
}

// rows compares the first replicates of each scenario with its honest worlds.
func rows(plan Plan, scenarios []Scenario, base [][]outcome, first []int, got [][]outcome, replicates int) []Row {
	out := make([]Row, len(scenarios))
	for i, s := range scenarios {
		out[i] = row(plan, s, base[first[i]][:replicates], got[i][:replicates])
	}
	return out
}

// row compares each replicate with the honest world of the same seed, in which the same blocks are
// proposed by the same members.
func row(plan Plan, s Scenario, honest, got []outcome) Row {
	units := float64(fold * (s.count*s.folds + (participants-s.count)*s.allFolds))
	unit := float64(types.DefaultParams().EmissionPerEpoch) / units // what one earns, ngnk
	gains := make([]float64, len(got))
	r := Row{Name: s.Name, Power: s.Power, Epochs: len(got) * plan.Epochs}
	var lost, saved, work float64 // on average, and what honesty works
	n := float64(len(got))
	for i, o := range got {
		h := honest[i]
		gains[i] = 100 * ((o.income - h.income) - plan.Cost*unit*(o.work-h.work)) / h.income
		r.Gain += gains[i] / n
		lost += (h.income - o.income) / n
		saved += (h.work - o.work) / n
		work += h.work / n
		r.Void += 100 * o.void / n
		r.Jailed += 100 * o.jailed / n
		r.Others += 100 * (o.curve[len(o.curve)-1]/h.curve[len(o.curve)-1] - 1) / n
		r.HonestVoid += o.harmed
		r.HonestPunished += o.punished
	}
	var squares float64
	for _, g := range gains {
		squares += (g - r.Gain) * (g - r.Gain)
	}
	if len(gains) > 1 {
		r.Interval = student(len(gains)-1) * math.Sqrt(squares/(n-1)/n)
	}
	if saved > 1e-6*work { // below is rounding
		above := lost / (unit * saved)
		r.Pays = &above
	}
	return r
}

// student is the 97.5 % quantile of Student's t.
func student(freedom int) float64 {
	table := []float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
		2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042}
	if freedom <= len(table) {
		return table[freedom-1]
	}
	return 1.96
}

// Differing returns the part of n units of transformerpow whose digest a cut changes, in percent.
func Differing(ctx context.Context, lab *Lab, cut Cut, n uint64) (float64, error) {
	var digests [2][][32]byte
	for i := range digests {
		dev := lab.device
		if i == 1 {
			dev = Approximate(dev, cut)
		}
		e, err := lab.engine(ctx, catalog.TransformerPow, dev)
		if err != nil {
			return 0, err
		}
		digests[i], err = e.mine(make([]byte, 32), make([]byte, 20), n)
		if err = errors.Join(err, e.close()); err != nil {
			return 0, err
		}
	}
	differ := 0
	for i := range digests[0] {
		if digests[0][i] != digests[1][i] {
			differ++
		}
	}
	return 100 * float64(differ) / float64(n), nil
}
