package adversary

import (
	"fmt"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/modules/catalog"
)

// Every network has six participants that compute eight folds an epoch each, unless the scenario
// says otherwise. The last ones are the adversary: a sixth of the power and more.
const (
	participants = 6
	folds        = 8
	longEpoch    = 61 // blocks; as 25, one more than what six proposers in turn make
	// honestEpochs go before a turncoat fakes: all of a network of 15 but the last. The block in which it is jailed
	// decides whose turn it is in all that follow, which says nothing about a strategy and hides what it costs.
	honestEpochs = 14
)

// Scenario is a network with one strategy in it.
type Scenario struct {
	// Name is a row of the table.
	Name string
	// Power that the adversary holds at the beginning.
	Power float64
	// Rare says that what the adversary risks happens less than once in a hundred epochs: a short
	// run need not see it.
	Rare bool
	// Seldom says that the adversary need not have an occasion in a short run: then it neither gains nor loses.
	Seldom bool
	// Neutral says that nothing is gained or lost on purpose.
	Neutral bool

	module   string
	count    int // of the adversary's members, the last ones
	folds    int // that each of them computes
	allFolds int // that each of the others computes
	strategy func(members []int) Strategy
	cut      *Cut
	// crossCheck: miners' rows go without the cross-check of verdicts, in which miners take no part.
	crossCheck bool
	// epochBlocks is the length of an epoch if it is not 25: long enough that what is delayed in its audit does
	// not delay the next one, whose deadline would be another's turn.
	epochBlocks uint64
	// sparse: two validators seldom draw the same unit in a further round, as in claims of normal size.
	sparse bool
	// other is what the first of the others does, in the honest network too; nil: what is honest.
	other func() Strategy
}

// of is a scenario with an adversary of several members that share one strategy.
func of(name string, count, each int, strategy func(members []int) Strategy) Scenario {
	return Scenario{Name: name, module: catalog.HashPow, count: count, folds: each, allFolds: folds, strategy: strategy,
		Power: float64(count*each) / float64(count*each+(participants-count)*folds)}
}

// Honest is the scenario with nobody in it who misbehaves.
func (s Scenario) Honest() Scenario {
	s.Name, s.strategy, s.cut, s.module = "honest", func([]int) Strategy { return Honest{} }, nil, catalog.HashPow
	return s
}

// adversary lists the members' indexes.
func (s Scenario) adversary() []int {
	var m []int
	for i := participants - s.count; i < participants; i++ {
		m = append(m, i)
	}
	return m
}

// change sets what differs from the parameters of the other scenarios.
func (s Scenario) change(sprint *types.Params, audit *audittypes.Params) {
	if s.epochBlocks > 0 {
		sprint.EpochBlocks = s.epochBlocks
	}
	if s.sparse {
		audit.ExtraDraw = 40
	}
}

// otherName tells what the first of the others does apart from other strategies.
func (s Scenario) otherName() string {
	if s.other == nil {
		return ""
	}
	return fmt.Sprintf("%T", s.other())
}

// members of the network; each call makes new ones.
func (s Scenario) members(lab *Lab) []Member {
	strategy := s.strategy(s.adversary())
	out := make([]Member, participants)
	for i := range out {
		out[i].Folds = s.allFolds
		if s.other != nil && i == 0 {
			out[i].Strategy = s.other()
		}
		if i >= participants-s.count {
			out[i].Folds, out[i].Strategy = s.folds, strategy
			if s.cut != nil {
				out[i].Device = Approximate(lab.device, *s.cut)
			}
		}
	}
	return out
}

// Scenarios lists all rows in the order of the table.
func Scenarios() []Scenario {
	one := func(name string, s func() Strategy) Scenario {
		return of(name, 1, folds, func([]int) Strategy { return s() })
	}
	cut := func(name string, c Cut, cost float64) Scenario {
		s := one(name, func() Strategy { return Approximator{Cost: cost} })
		s.module, s.cut = catalog.TransformerPow, &c
		return s
	}
	faker := func(name string, share float64) Scenario {
		return one(name, func() Strategy { return Faker{Share: share} })
	}
	tiny := faker("faker of 0.1 %", 0.001)
	tiny.Rare, tiny.folds, tiny.allFolds = true, 32, 32
	flipper := func(name string, rate float64) Scenario {
		s := one(name, func() Strategy { return &Flipper{Rate: rate} })
		s.Neutral = true
		return s
	}
	flipping := func(name string, each int) Scenario {
		s := one(name, func() Strategy { return &Flipper{Each: each} })
		s.Rare, s.Neutral = true, true
		return s
	}
	silencer := of("censoring proposers, against others", 2, 7, func(m []int) Strategy { return &Silencer{Members: m, Demands: true} })
	quiet := of("censoring proposers, claims only", 2, 7, func(m []int) Strategy { return &Silencer{Members: m} })
	delayer := of("delaying proposers, into the grace", 2, 7, func(m []int) Strategy { return Delayer{Members: m} })
	trader := of("coalition that includes its own", 2, 7, func(m []int) Strategy { return Trader{Members: m} })
	overtimer := of("coalition that computes overtime", 2, 7, func(m []int) Strategy { return &Overtimer{Silencer{Members: m}} })
	gang := func(name string, members, folds int, censors bool) Scenario {
		return of(name, members, folds, func(m []int) Strategy {
			return Gang{Faker: Faker{Share: 0.1}, Members: m, Censors: censors}
		})
	}
	check := func(s Scenario) Scenario {
		s.crossCheck = true
		return s
	}
	leaver := func(name string, kinds ...Kind) Scenario {
		s := check(of("censoring proposers, "+name, 2, 7, func(m []int) Strategy { return Leaver{Members: m, Kinds: kinds} }))
		s.epochBlocks = longEpoch
		return s
	}
	answers := leaver("answers only", KindAnswer)
	answers.other, answers.epochBlocks = func() Strategy { return Slow{} }, 2*longEpoch-1
	reports := leaver("reports only", KindReport)
	reports.sparse = true
	reports.other = func() Strategy { return &Turncoat{Faker: Faker{Share: 0.1}, Honest: honestEpochs} }
	// Three members that are smaller than the others, and equal, have turns that follow each other, up to all three.
	row := func(name string, strategy func(members []int) Strategy) Scenario {
		s := of("censoring proposers, "+name, 3, 6, strategy)
		s.allFolds, s.Power = 16, 18.0/66
		return s
	}
	inRow := row("in a row", func(m []int) Strategy { return &Silencer{Members: m, Demands: true} })
	reportsInRow := check(row("reports in a row", func(m []int) Strategy { return Leaver{Members: m, Kinds: []Kind{KindReport}} }))
	reportsInRow.epochBlocks, reportsInRow.sparse, reportsInRow.other, reportsInRow.Seldom = longEpoch, true, reports.other, true
	joiner := check(one("lazy validator: joins reports", func() Strategy { return &Joiner{} }))
	joiner.other = reports.other
	waiter := check(of("coalition that waits for its own", 2, 7, func(m []int) Strategy { return Waiter{Members: m} }))
	waiter.epochBlocks = longEpoch
	silent := func(name string, members, folds int) Scenario {
		return check(of(name, members, folds, func([]int) Strategy { return Silent{} }))
	}
	return []Scenario{
		tiny,
		faker("faker of 1 %", 0.01),
		faker("faker of 10 %", 0.1),
		faker("faker of 100 %", 1),
		cut("approximator: 4-bit weights", FourBitWeights, 0.5),
		cut("approximator: dropped low bits", DroppedLowBits, 0.9),
		cut("approximator: skipped layer", SkippedLayer, 0.5),
		cut("approximator: skipped attention", SkippedAttention, 0.9),
		one("copier of another's claim", func() Strategy { return Copier{} }),
		one("withholder of everything", func() Strategy { return Withholder{} }),
		one("withholder of its false 10 %", func() Strategy { return &HidingFaker{Faker: Faker{Share: 0.1}} }),
		one("late committer", func() Strategy { return LateCommitter{} }),
		one("inflated count", func() Strategy { return Inflator{} }),
		one("precomputer", func() Strategy { return &Precomputer{} }),
		of("grinding proposer, fakes 10 %", 2, 7, func(m []int) Strategy {
			return Grinder{Faker: Faker{Share: 0.1}, Accomplice: m[0], Tries: 32}
		}),
		gang("censoring proposer, fakes 10 %", 1, folds, true),
		silencer,
		quiet,
		leaver("verdicts only", KindVerdict),
		leaver("cross-check only", KindChallenge, KindOpenKeyed),
		answers,
		reports,
		inRow,
		reportsInRow,
		delayer,
		trader,
		waiter,
		overtimer,
		check(one("lazy validator: ok blindly", func() Strategy { return Lazy{} })),
		check(one("lazy validator: vouches for nothing", func() Strategy { return Abstainer{} })),
		check(one("lazy validator: copies a verdict", func() Strategy { return VoteCopier{} })),
		joiner,
		check(one("lazy validator: invents digests", func() Strategy { return Inventor{} })),
		check(one("validator that buys its digests", func() Strategy { return Buyer{} })),
		check(one("lying validator", func() Strategy { return &Liar{} })),
		silent("silent coalition under a third", 2, 7),
		silent("silent coalition over a third", 2, 9),
		check(gang("conspiring coalition under a third", 2, 7, true)),
		one("renter of two thirds, one sprint", func() Strategy { return &Renter{Epoch: 5} }),
		one("equivocator", func() Strategy { return &Equivocator{Epoch: 5} }),
		flipper("honest, flips 10^-9 of its units", 1e-9),
		flipper("honest, flips 10^-5 of its units", 1e-5),
		flipping("honest, flips one unit each epoch", 1),
		flipping("honest, flips two units each epoch", 2),
	}
}
