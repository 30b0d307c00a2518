package adversary

import (
	"slices"

	audittypes "github.com/assaynet/assay/chain/audit/types"
)

// Leaver is a coalition whose proposers leave the others' messages of some kinds out of their blocks.
type Leaver struct {
	Honest
	Members []int
	Kinds   []Kind
}

// Select implements Strategy.
func (s Leaver) Select(_ *Player, waiting []*Message) []*Message {
	var out []*Message
	for _, m := range waiting {
		if slices.Contains(s.Members, m.Sender.Index) || !slices.Contains(s.Kinds, m.Kind) {
			out = append(out, m)
		}
	}
	return out
}

// Waiter is a coalition that holds a verdict back by a block where an accomplice makes the next one, so that
// what its inclusion pays stays among them. The turns are known in advance.
type Waiter struct {
	Honest
	Members []int
}

// Verdict implements Strategy.
func (s Waiter) Verdict(p *Player, _ *Ballot) bool {
	w := p.World
	last := w.ctx.BlockHeight()+1 >= p.round.end
	return last || s.accomplice(p, 0) || !s.accomplice(p, 1)
}

// accomplice says whether another member makes the block so many blocks later.
func (s Waiter) accomplice(p *Player, later int64) bool {
	q := p.World.playerOfKey(p.World.rotation.proposer(later))
	return q != nil && q != p && slices.Contains(s.Members, q.Index)
}

// Turncoat earns honestly for some epochs, and fakes from then on: by then it has something to forfeit.
type Turncoat struct {
	Faker
	Honest int
	epochs int
}

// Mine implements Strategy.
func (s *Turncoat) Mine(p *Player) (*Claim, error) {
	if s.epochs++; s.epochs <= s.Honest {
		return Honest{}.Mine(p)
	}
	return s.Faker.Mine(p)
}

// Slow is an honest miner that validators do not reach: it opens its units on chain.
type Slow struct{ Honest }

// Serve implements Strategy.
func (Slow) Serve(_, _ *Player, _ uint64) bool { return false }

// Answer implements Strategy.
func (Slow) Answer(*Player, audittypes.Demand) bool { return true }
