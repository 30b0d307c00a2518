package adversary

import (
	"context"
	"fmt"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
)

// Claim is what a player commits to in an epoch and what of it can be opened.
type Claim struct {
	// Count that is claimed in the end.
	Count uint64
	// Root that is claimed in the end; what the builder has if nil.
	Root *commit.Root

	builder *commit.Builder
	folds   [][]commit.Digest // nil where nobody knows what the leaf folds
	plan    []point

	sent     uint64
	sentRoot commit.Root
	answered map[uint64]bool // demands
}

// point is a commitment: the block after the epoch's opening, and the count.
type point struct {
	block int64
	count uint64
}

// At adds a commitment; points are added in their order, and those that would not grow are left out.
func (c *Claim) At(block int64, count uint64) *Claim {
	count -= count % fold
	if count > 0 && (len(c.plan) == 0 || count > c.plan[len(c.plan)-1].count) {
		c.plan = append(c.plan, point{block, count})
	}
	return c
}

// newClaim folds digests.
func newClaim(digests []commit.Digest) (*Claim, error) {
	b, err := commit.NewBuilder(fold)
	if err != nil {
		return nil, err
	}
	c := &Claim{Count: uint64(len(digests)), builder: b, answered: make(map[uint64]bool)}
	for i := 0; i < len(digests); i += fold {
		part := digests[i : i+fold]
		if _, err := b.AddFold(part); err != nil {
			return nil, err
		}
		c.folds = append(c.folds, part)
	}
	return c, nil
}

// open returns the encoded opening of a unit under the claim of count units that is on chain, or
// false if the claimant cannot open it.
func (c *Claim) open(index, count uint64) ([]byte, bool, error) {
	f := index / fold
	if f >= uint64(len(c.folds)) || c.folds[f] == nil || index >= count {
		return nil, false, nil
	}
	path, err := c.builder.InclusionProof(f, count)
	if err != nil {
		return nil, false, err
	}
	bz, err := commit.Opening{Index: index, Digests: c.folds[f], Proof: path}.MarshalBinary()
	return bz, err == nil, err
}

// units is how many the player computes until the last block that takes claims.
func (p *Player) units() uint64 { return uint64(p.Folds) * fold }

// lastCommit is the last block of the epoch, counted from its first, that takes claims.
func (p *Player) lastCommit() int64 { return int64(p.World.mustEpoch().Params.CommitBlocks) - 1 }

// mineAll computes all units that the player has time for.
func (p *Player) mineAll() (*Claim, error) {
	digests, err := p.compute(p.World.mustEpoch().Seed, p.units())
	if err != nil {
		return nil, err
	}
	return newClaim(digests)
}

// compute computes units on the player's own device and adds their cost.
func (p *Player) compute(seed []byte, count uint64) ([]commit.Digest, error) {
	e := p.World.engine
	if p.own != nil {
		e = p.own
	}
	p.mined += float64(count)
	return e.mine(seed, p.addr, count)
}

func (w *World) mustEpoch() sprinttypes.Epoch {
	e, err := w.sprint.Epoch(w.ctx)
	if err != nil {
		panic(err) // the world opened one when it began
	}
	return e
}

// send shows a message to everybody before the next block is proposed.
func (w *World) send(m *Message) {
	m.sent = w.ctx.BlockHeight()
	w.pool = append(w.pool, m)
	if m.Kind == KindCommit {
		w.commits = append(w.commits, m)
	}
}

// act does what is due before a block.
func (p *Player) act(e sprinttypes.Epoch) error {
	if p.epoch != e.Number {
		p.epoch, p.claim, p.round = e.Number, nil, nil
		barred, err := p.barred()
		if err != nil {
			return err
		}
		if !barred {
			if p.claim, err = p.Strategy.Mine(p); err != nil {
				return err
			}
		}
	}
	if err := p.commit(e); err != nil {
		return err
	}
	switch e.Phase {
	case sprinttypes.PHASE_AUDIT, sprinttypes.PHASE_ADJUDICATE:
		if err := p.answer(e); err != nil {
			return err
		}
		if err := p.inspect(e); err != nil {
			return err
		}
	}
	return p.Strategy.Block(p)
}

// commit sends the commitments that are due.
func (p *Player) commit(e sprinttypes.Epoch) error {
	c := p.claim
	for c != nil && len(c.plan) > 0 && p.World.ctx.BlockHeight() >= e.StartHeight+c.plan[0].block {
		at := c.plan[0]
		c.plan = c.plan[1:]
		msg := &sprinttypes.MsgCommitWork{Miner: p.name, Epoch: e.Number, Count: at.count}
		var root commit.Root
		switch {
		case c.Root != nil && at.count == c.Count:
			root = *c.Root
		default:
			var err error
			if root, err = c.builder.RootAt(at.count); err != nil {
				return err
			}
		}
		if c.sent > 0 {
			var err error
			if msg.Proof, err = c.builder.ConsistencyProof(c.sent, at.count); err != nil {
				return err
			}
		}
		msg.Root = root[:]
		c.sent, c.sentRoot = at.count, root
		p.World.send(&Message{Kind: KindCommit, Sender: p, count: at.count, run: func(ctx context.Context) error {
			_, err := p.World.sprintMsgs.CommitWork(ctx, msg)
			return err
		}})
	}
	return nil
}

// answer answers the demands against the player.
func (p *Player) answer(e sprinttypes.Epoch) error {
	if p.claim == nil {
		return nil
	}
	open, err := p.World.auditQuery.Demands(p.World.ctx, &audittypes.QueryDemandsRequest{Claimant: p.name})
	if err != nil {
		return err
	}
	if len(open.Demands) == 0 {
		return nil
	}
	claim, err := p.World.sprint.Claim(p.World.ctx, e.Number, p.addr)
	if err != nil {
		return err
	}
	for _, d := range open.Demands {
		if p.claim.answered[d.Id] {
			continue
		}
		p.claim.answered[d.Id] = true
		if !p.Strategy.Answer(p, d) {
			continue
		}
		msg := &audittypes.MsgAnswer{Miner: p.name, Demand: d.Id}
		for _, index := range d.Indexes {
			bz, can, err := p.claim.open(index, claim.Count)
			if err != nil {
				return fmt.Errorf("open unit %d: %w", index, err)
			}
			if can {
				msg.Openings = append(msg.Openings, bz)
			}
		}
		p.World.send(&Message{Kind: KindAnswer, Sender: p, Target: p.World.playerNamed(d.Validator),
			run: func(ctx context.Context) error {
				_, err := p.World.auditMsgs.Answer(ctx, msg)
				return err
			}})
	}
	return nil
}
