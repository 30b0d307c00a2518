package adversary

import (
	"encoding/binary"
	"math/rand/v2"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	sprintkeeper "github.com/assaynet/assay/chain/sprint/keeper"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// noise is a digest that no computation gave.
func noise(r *rand.Rand) (d commit.Digest) {
	for i := 0; i < len(d); i += 8 {
		binary.LittleEndian.PutUint64(d[i:], r.Uint64())
	}
	return d
}

// Faker computes only a part of its units and claims them all.
type Faker struct {
	Honest
	// Share of the units that are noise, rounded up to one unit.
	Share float64
}

// Mine implements Strategy.
func (f Faker) Mine(p *Player) (*Claim, error) {
	c, _, err := f.mine(p)
	if err != nil {
		return nil, err
	}
	last := p.lastCommit()
	return c.At(last/2, c.Count/2).At(last, c.Count), nil
}

// mine returns the claim and the indexes of its false units. The false ones are not paid for,
// though the simulation computes them.
func (f Faker) mine(p *Player) (*Claim, []uint64, error) {
	count := p.units()
	digests, err := p.compute(p.World.mustEpoch().Seed, count)
	if err != nil {
		return nil, nil, err
	}
	n := int(f.Share * float64(count))
	if n < 1 {
		n = 1
	}
	var falses []uint64
	for _, i := range p.World.random.Perm(int(count))[:n] {
		digests[i] = noise(p.World.random)
		falses = append(falses, uint64(i))
	}
	p.mined -= float64(n)
	c, err := newClaim(digests)
	return c, falses, err
}

// Approximator computes every unit on a device that cuts corners; Cost is what that saves.
type Approximator struct {
	Honest
	// Cost of an approximated unit as a part of a true one's.
	Cost float64
}

// Mine implements Strategy.
func (a Approximator) Mine(p *Player) (*Claim, error) {
	before := p.mined
	c, err := a.Honest.Mine(p)
	p.mined = before + (p.mined-before)*a.Cost
	return c, err
}

// Copier claims what another miner claimed, and opens it with the other's openings. It is given
// the other's whole tree.
type Copier struct {
	Honest
	Victim int
}

// Mine implements Strategy.
func (c Copier) Mine(p *Player) (*Claim, error) {
	other, err := p.World.players[c.Victim].mineAll()
	if err != nil {
		return nil, err
	}
	// The victim pays for its own units: they were computed once more only to have its tree before
	// it acts in this block.
	p.World.players[c.Victim].mined -= float64(other.Count)
	return other.At(p.lastCommit(), other.Count), nil
}

// Withholder claims noise and opens nothing.
type Withholder struct{ Honest }

// Mine implements Strategy.
func (Withholder) Mine(p *Player) (*Claim, error) {
	b, err := commit.NewBuilder(fold)
	if err != nil {
		return nil, err
	}
	c := &Claim{Count: p.units(), builder: b, answered: make(map[uint64]bool)}
	for range p.Folds {
		if err := b.AddLeaf(commit.Root(noise(p.World.random))); err != nil {
			return nil, err
		}
	}
	return c.At(p.lastCommit(), c.Count), nil
}

// Serve implements Strategy.
func (Withholder) Serve(_, _ *Player, _ uint64) bool { return false }

// Answer implements Strategy.
func (Withholder) Answer(*Player, audittypes.Demand) bool { return false }

// HidingFaker is a faker that opens its true units only, on and off the chain.
type HidingFaker struct {
	Faker
	falses map[uint64]bool
}

// Mine implements Strategy.
func (h *HidingFaker) Mine(p *Player) (*Claim, error) {
	c, falses, err := h.mine(p)
	if err != nil {
		return nil, err
	}
	h.falses = make(map[uint64]bool, len(falses))
	for _, i := range falses {
		h.falses[i] = true
	}
	return c.At(p.lastCommit(), c.Count), nil
}

// Serve implements Strategy.
func (h *HidingFaker) Serve(_, _ *Player, index uint64) bool { return !h.falses[index] }

// Answer implements Strategy.
func (h *HidingFaker) Answer(_ *Player, d audittypes.Demand) bool {
	for _, i := range d.Indexes {
		if h.falses[i] {
			return false
		}
	}
	return true
}

// LateCommitter shows nothing before the last block, to be copied or censored by nobody. One
// transaction in ten takes a block longer.
type LateCommitter struct{ Honest }

// Mine implements Strategy.
func (LateCommitter) Mine(p *Player) (*Claim, error) {
	c, err := p.mineAll()
	if err != nil {
		return nil, err
	}
	at := p.lastCommit()
	if p.World.random.IntN(10) == 0 {
		at++
	}
	return c.At(at, c.Count), nil
}

// Inflator computes what it can and claims twice as much: its tree goes on with leaves that fold
// nothing.
type Inflator struct{ Honest }

// Mine implements Strategy.
func (Inflator) Mine(p *Player) (*Claim, error) {
	c, err := p.mineAll()
	if err != nil {
		return nil, err
	}
	for range p.Folds {
		if err := c.builder.AddLeaf(commit.Root(noise(p.World.random))); err != nil {
			return nil, err
		}
	}
	half := c.Count
	c.Count *= 2
	return c.At(p.lastCommit()-1, half).At(p.lastCommit(), c.Count), nil
}

// Precomputer uses the time before the epoch opens: it guesses the seed, computes as many units
// again for it, and claims both. It knows the entropy, which the settlement fixed, and guesses the
// hash of the block before the opening by that of the block before it.
type Precomputer struct {
	Honest
	ready map[uint64][]commit.Digest // by epoch
}

// Block implements Strategy: once the last epoch is settled, the entropy of the next is known.
func (s *Precomputer) Block(p *Player) error {
	e := p.World.mustEpoch()
	if s.ready == nil {
		s.ready = make(map[uint64][]commit.Digest)
	}
	next := e.Number + 1
	if _, done := s.ready[next]; done || e.Phase != sprinttypes.PHASE_DONE || p.World.ctx.BlockHeight()+1 < e.NextStart {
		return nil
	}
	barred, err := p.barred()
	if err != nil || barred {
		return err
	}
	settled, err := p.World.sprint.ExportGenesis(p.World.ctx)
	if err != nil {
		return err
	}
	guess := sprintkeeper.Seed(chainID, next, settled.Chain.Entropy, p.World.before[:])
	delete(s.ready, e.Number)
	s.ready[next], err = p.compute(guess[:], p.units())
	return err
}

// Mine implements Strategy.
func (s *Precomputer) Mine(p *Player) (*Claim, error) {
	digests, err := p.compute(p.World.mustEpoch().Seed, p.units())
	if err != nil {
		return nil, err
	}
	half := uint64(len(digests))
	c, err := newClaim(append(digests, s.ready[p.World.mustEpoch().Number]...))
	if err != nil {
		return nil, err
	}
	return c.At(p.lastCommit()-1, half).At(p.lastCommit(), c.Count), nil
}

// Renter computes with its own machines, and in one epoch with rented ones that make two thirds of
// all units. With the power that this brings it claims noise from the next epoch on and vouches
// for it.
type Renter struct {
	Honest
	// Epoch of the rented sprint.
	Epoch uint64
	// Peak is the largest share of the power that it ever had.
	Peak float64
}

// Mine implements Strategy.
func (s *Renter) Mine(p *Player) (*Claim, error) {
	share, err := p.share()
	if err != nil {
		return nil, err
	}
	s.Peak = max(s.Peak, share)
	switch number := p.World.mustEpoch().Number; {
	case number < s.Epoch:
		return s.Honest.Mine(p)
	case number > s.Epoch:
		return Faker{Share: 1}.Mine(p)
	}
	own := p.Folds
	defer func() { p.Folds = own }()
	for _, other := range p.World.players {
		if other != p {
			p.Folds += 2 * other.Folds
		}
	}
	p.Folds -= own
	return s.Honest.Mine(p)
}

// Flipper is honest, but its machine flips a bit of a unit now and then.
type Flipper struct {
	Honest
	// Rate of false units, at random.
	Rate float64
	// Each is the number of units that are false in every epoch, beside those.
	Each int
	// Flips counts them.
	Flips int
}

// Mine implements Strategy.
func (s *Flipper) Mine(p *Player) (*Claim, error) {
	digests, err := p.compute(p.World.mustEpoch().Seed, p.units())
	if err != nil {
		return nil, err
	}
	for i := range digests {
		if p.World.random.Float64() < s.Rate {
			digests[i][0] ^= 1
			s.Flips++
		}
	}
	for _, i := range p.World.random.Perm(len(digests))[:s.Each] {
		digests[i][0] ^= 1
		s.Flips++
	}
	c, err := newClaim(digests)
	if err != nil {
		return nil, err
	}
	last := p.lastCommit()
	return c.At(last/2, c.Count/2).At(last, c.Count), nil
}

// Grinder is a faker with an accomplice who validates. As the last to commit it tries other noise
// until the accomplice's own draw misses all false units: it knows the accomplice's VRF key, and
// nobody else's.
type Grinder struct {
	Faker
	Accomplice int
	Tries      int
}

// Accuses implements Strategy.
func (g Grinder) Accuses(p, claimant *Player) bool {
	return p.Index != g.Accomplice || claimant.Index <= p.Index
}

// Mine implements Strategy. The grinder is the last of the world's players, so that it knows all
// other claims.
func (g Grinder) Mine(p *Player) (*Claim, error) {
	if p.Index == g.Accomplice {
		return g.Honest.Mine(p)
	}
	c, falses, err := g.mine(p)
	if err != nil {
		return nil, err
	}
	w, friend := p.World, p.World.players[g.Accomplice]
	var others []commit.Claim
	for _, o := range w.players {
		if o != p && o.claim != nil {
			root := o.claim.builder.Root()
			others = append(others, commit.Claim{Epoch: p.epoch, Claimant: o.addr, Root: root, Count: o.claim.Count})
		}
	}
	set, err := w.power.Frozen(w.ctx, p.epoch)
	if err != nil {
		return nil, err
	}
	round := sample.Round{ChainID: chainID, Epoch: p.epoch}
	for _, v := range set.Validators {
		round.Seats = append(round.Seats, sample.Seat{Validator: w.playerNamed(v.Operator).addr, Power: v.Power})
	}
	units := uint64(sample.Total(c.Count, w.mustEpoch().Params.SampleMin, w.mustEpoch().Params.SampleMax))
	bad := make(map[uint64]bool)
	for _, i := range falses {
		bad[i] = true
	}
	for range g.Tries {
		round.ClaimsRoot = commit.ClaimsRoot(append(others[:len(others):len(others)],
			commit.Claim{Epoch: p.epoch, Claimant: p.addr, Root: c.builder.Root(), Count: c.Count}))
		output := friend.secret.Prove(round.Input()).Output()
		hit := false
		for _, i := range round.Draw(friend.addr, p.addr, c.Count, units).Indexes(output) {
			hit = hit || bad[i]
		}
		if !hit {
			break
		}
		var digests []commit.Digest
		for _, f := range c.folds {
			digests = append(digests, f...)
		}
		digests[falses[0]] = noise(w.random)
		if c, err = newClaim(digests); err != nil {
			return nil, err
		}
	}
	return c.At(p.lastCommit(), c.Count), nil
}
