package adversary

import "slices"

// Delayer is a coalition whose proposers leave the others' commitments out of all blocks before the deadline
// and take them in the grace after it, where who takes the last one is paid.
type Delayer struct {
	Honest
	Members []int
}

// Select implements Strategy.
func (s Delayer) Select(p *Player, waiting []*Message) []*Message {
	if p.World.ctx.BlockHeight() >= p.World.mustEpoch().CommitEnd {
		return waiting
	}
	var out []*Message
	for _, m := range waiting {
		if m.Kind != KindCommit || slices.Contains(s.Members, m.Sender.Index) {
			out = append(out, m)
		}
	}
	return out
}

// Trader is a coalition whose members commit only in blocks that an accomplice proposes, so that what they
// pay for being included stays among them. What is not computed by then they leave.
type Trader struct {
	Honest
	Members []int
}

// Mine implements Strategy.
func (s Trader) Mine(p *Player) (*Claim, error) {
	last := p.lastCommit()
	at := last
	for ; at >= 0; at-- {
		proposer := p.World.playerOfKey(p.World.rotation.proposer(at))
		if proposer != nil && proposer != p && slices.Contains(s.Members, proposer.Index) {
			break
		}
	}
	if at < 0 {
		return s.Honest.Mine(p) // it is nobody's turn
	}
	units := p.units() * uint64(at+1) / uint64(last+1) / fold * fold
	if units == 0 {
		return s.Honest.Mine(p)
	}
	digests, err := p.compute(p.World.mustEpoch().Seed, units)
	if err != nil {
		return nil, err
	}
	c, err := newClaim(digests)
	if err != nil {
		return nil, err
	}
	return c.At(at, c.Count), nil
}
