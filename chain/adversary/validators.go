package adversary

import (
	"context"
	"slices"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
)

// Lazy votes ok over everything and computes nothing. Its keyed root is noise.
type Lazy struct{ Honest }

// Audits implements Strategy.
func (Lazy) Audits(_, _ *Player) bool { return false }

// Verdict implements Strategy.
func (Lazy) Verdict(p *Player, v *Ballot) bool {
	for i := range v.Claims {
		v.Bitmap.Set(i)
	}
	root := commit.Root(noise(p.World.random))
	v.Root = &root
	return true
}

// Abstainer gives a verdict that vouches for nothing, to be paid as if it had audited.
type Abstainer struct{ Lazy }

// Verdict implements Strategy.
func (Abstainer) Verdict(_ *Player, v *Ballot) bool {
	v.Bitmap, v.Keyed = commit.NewBitmap(v.Claims), nil
	return true
}

// Joiner computes nothing, vouches for nothing and reports of its own draw what others show it to be false: it
// copies the evidence of a waiting report and adds its own proof.
type Joiner struct {
	Abstainer
	joined map[*audittypes.MsgReport]bool
}

// Block implements Strategy.
func (s *Joiner) Block(p *Player) error {
	if p.round == nil {
		return nil
	}
	if s.joined == nil {
		s.joined = make(map[*audittypes.MsgReport]bool)
	}
	for _, m := range p.World.pool {
		if m.report == nil || m.Sender == p || s.joined[m.report] {
			continue
		}
		for _, t := range p.round.tasks {
			if t.claimant != m.Target || !slices.Contains(t.drawn, m.report.Index) {
				continue
			}
			s.joined[m.report] = true
			copied := *m.report
			copied.Reporter, copied.VrfProof = p.name, p.round.proof[:]
			p.sendReport(t, &copied)
		}
	}
	return nil
}

// VoteCopier computes nothing and votes what the first verdict on chain says.
type VoteCopier struct{ Lazy }

// Verdict implements Strategy.
func (VoteCopier) Verdict(p *Player, v *Ballot) bool {
	list, err := p.World.auditQuery.Verdicts(p.World.ctx, &audittypes.QueryVerdictsRequest{})
	if err != nil || len(list.Verdicts) == 0 {
		return false
	}
	for _, other := range list.Verdicts {
		if other.Round == v.Round {
			v.Bitmap = slices.Clone(other.Bitmap)
			v.Root = (*commit.Root)(other.KeyedRoot)
			return true
		}
	}
	return false
}

// Inventor computes nothing and commits to digests that it made up, of the right units: its tree can
// be opened.
type Inventor struct{ Lazy }

// Verdict implements Strategy.
func (Inventor) Verdict(p *Player, v *Ballot) bool {
	for _, t := range p.round.tasks {
		v.Bitmap.Set(t.position)
		for _, index := range t.drawn {
			v.Keyed = append(v.Keyed, commit.Keyed{Claimant: t.claimant.addr, Index: index, Digest: noise(p.World.random)})
		}
	}
	return true
}

// Buyer has another compute what it draws, under its own key: that costs the seller as much, and
// the seller adds a fifth.
type Buyer struct{ Honest }

// Verdict implements Strategy.
func (Buyer) Verdict(p *Player, v *Ballot) bool {
	n := float64(len(v.Keyed))
	p.audited -= n
	p.bought += n * 1.2
	return true
}

// Liar vouches for nothing that it checked, accuses true units, and demands on chain what it was
// served, of everybody.
type Liar struct {
	Honest
	done uint64 // epoch
}

// Verdict implements Strategy.
func (s *Liar) Verdict(p *Player, v *Ballot) bool {
	v.Bitmap, v.Keyed = commit.NewBitmap(v.Claims), nil
	e := p.World.mustEpoch()
	if s.done == e.Number {
		return true
	}
	s.done = e.Number
	for _, t := range p.round.tasks {
		if t.claimant.claim == nil {
			continue
		}
		p.sendDemand(e, t.claimant, t.drawn[:1])
		for _, index := range t.drawn[:min(maxReports, len(t.drawn))] {
			bz, can, err := t.claimant.claim.open(index, t.claim.Count)
			if err != nil || !can {
				continue
			}
			msg := &audittypes.MsgReport{Reporter: p.name, Epoch: e.Number, Claimant: t.claimant.name, Index: index, Opening: bz}
			p.World.send(&Message{Kind: KindReport, Sender: p, Target: t.claimant, run: func(ctx context.Context) error {
				_, err := p.World.auditMsgs.Report(ctx, msg)
				return err
			}})
		}
	}
	return true
}

// Silent gives no verdict and checks nothing.
type Silent struct{ Honest }

// Audits implements Strategy.
func (Silent) Audits(_, _ *Player) bool { return false }

// Verdict implements Strategy.
func (Silent) Verdict(*Player, *Ballot) bool { return false }

// Gang does not accuse its own, and its proposers may leave out what speaks against it. Its first
// member is a faker.
type Gang struct {
	Faker
	// Members by index; the first one fakes.
	Members []int
	// Censors says whether its proposers leave messages out.
	Censors bool
}

func (g Gang) member(p *Player) bool { return p != nil && slices.Contains(g.Members, p.Index) }

// Mine implements Strategy.
func (g Gang) Mine(p *Player) (*Claim, error) {
	if p.Index == g.Members[0] {
		return g.Faker.Mine(p)
	}
	return g.Honest.Mine(p)
}

// Accuses implements Strategy: a member keeps what it finds of the gang to itself. It vouches only
// for what it found true, so that no verdict convicts it.
func (g Gang) Accuses(_, claimant *Player) bool { return !g.member(claimant) }

// Select implements Strategy.
func (g Gang) Select(_ *Player, waiting []*Message) []*Message {
	if !g.Censors {
		return waiting
	}
	var out []*Message
	for _, m := range waiting {
		if g.member(m.Sender) || !g.member(m.Target) {
			out = append(out, m)
		}
	}
	return out
}

// Silencer is a censor that works against others: with its accomplices it leaves their claims and
// answers out of its blocks, says that it saw none of their commitments in time and all of its own,
// and, if it Demands, demands units of theirs.
type Silencer struct {
	Honest
	Members []int
	Demands bool
	done    map[int]uint64
}

// Verdict implements Strategy.
func (s *Silencer) Verdict(p *Player, b *Ballot) bool {
	favour(s.Members, b)
	e := p.World.mustEpoch()
	if s.done == nil {
		s.done = make(map[int]uint64)
	}
	if s.Demands && s.done[p.Index] != e.Number {
		s.done[p.Index] = e.Number
		for _, t := range p.round.tasks {
			if !slices.Contains(s.Members, t.claimant.Index) {
				p.sendDemand(e, t.claimant, t.drawn[:1])
			}
		}
	}
	return true
}

// favour vouches for the late units of members, whenever they came, and for nobody else's.
func favour(members []int, b *Ballot) {
	b.Seen = commit.NewBitmap(len(b.Late))
	for i, claimant := range b.Late {
		if slices.Contains(members, claimant.Index) {
			b.Seen.Set(i)
		}
	}
}

// Select implements Strategy.
func (s *Silencer) Select(_ *Player, waiting []*Message) []*Message {
	var out []*Message
	for _, m := range waiting {
		if slices.Contains(s.Members, m.Sender.Index) || m.Kind == KindVerdict || m.Kind == KindReport {
			out = append(out, m)
		}
	}
	return out
}

// Overtimer is a silencer that computes on in the grace after the deadline, half as much again, and
// commits that with its accomplices' word that they saw it in time.
type Overtimer struct{ Silencer }

// Mine implements Strategy.
func (s *Overtimer) Mine(p *Player) (*Claim, error) {
	units := p.units()
	digests, err := p.compute(p.World.mustEpoch().Seed, units+units/2/fold*fold)
	if err != nil {
		return nil, err
	}
	c, err := newClaim(digests)
	if err != nil {
		return nil, err
	}
	last := p.lastCommit()
	return c.At(last/2, units/2).At(last, units).At(last+1, c.Count), nil
}

// Equivocator signs two blocks of one height in one epoch.
type Equivocator struct {
	Honest
	Epoch uint64
	done  bool
}

// Block implements Strategy.
func (s *Equivocator) Block(p *Player) error {
	e := p.World.mustEpoch()
	if !s.done && e.Number == s.Epoch && e.Phase == sprinttypes.PHASE_AUDIT {
		s.done = true
		return p.doubleSign()
	}
	return nil
}
