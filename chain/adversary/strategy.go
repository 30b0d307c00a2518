package adversary

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/verifier/commit"
)

// Strategy is what a participant decides, as miner, as validator and as proposer. It is used by one
// goroutine; one value may serve several players of a world, who then conspire.
type Strategy interface {
	// Mine returns the claim of the epoch that opened, nil for none, and adds what it cost.
	Mine(p *Player) (*Claim, error)
	// Serve says whether p hands the opening of one of its units to a validator that drew it.
	Serve(p, asker *Player, index uint64) bool
	// Answer says whether p answers a demand on chain.
	Answer(p *Player, d audittypes.Demand) bool
	// Audits says whether p re-executes what it draws of a claimant's units. If not it knows
	// nothing of them and reports nothing.
	Audits(p, claimant *Player) bool
	// Accuses says whether p reports false units of another, demands missing ones, and reports wrong
	// digests of its verdicts.
	Accuses(p, other *Player) bool
	// Verdict completes the verdict that the inspection came to; false sends none in this block.
	Verdict(p *Player, v *Ballot) bool
	// Select returns the waiting messages that p as proposer puts into its block, in order.
	Select(p *Player, waiting []*Message) []*Message
	// Block is called before each block for whatever else p does.
	Block(p *Player) error
}

// Ballot is a verdict before it is sent.
type Ballot struct {
	Round  uint32
	Claims int
	Bitmap commit.Bitmap
	Keyed  []commit.Keyed // of what was re-executed
	// Seen has a bit for each claim with late units: those that were sent in time. Late are the claimants.
	Seen commit.Bitmap
	Late []*Player
	// Root is sent as the keyed root; the tree over Keyed if nil.
	Root *commit.Root
}

// Kind of a message.
type Kind int

// Kinds of messages.
const (
	KindCommit Kind = iota
	KindVerdict
	KindReport
	KindDemand
	KindAnswer
	KindChallenge
	KindOpenKeyed
)

func (k Kind) String() string {
	return [...]string{"commit", "verdict", "report", "demand", "answer", "challenge", "open keyed"}[k]
}

// Message waits for a proposer. Target is who it speaks against, nil for none.
type Message struct {
	Kind           Kind
	Sender, Target *Player
	// sent is the height of the block that it was sent for; count is what a commitment claims.
	sent  int64
	count uint64
	// proof holds the VRF proof that the block verifies in a batch, nil for none.
	proof sdk.Msg
	// report is what a report of a drawn unit says, for who reads it in the mempool; else nil.
	report *audittypes.MsgReport
	run    func(context.Context) error
}

// Honest does what the shipped programs do.
type Honest struct{}

var _ Strategy = Honest{}

// Mine computes everything itself and commits thrice: halfway, before the end, and in the last
// block that takes claims.
func (Honest) Mine(p *Player) (*Claim, error) {
	c, err := p.mineAll()
	if err != nil {
		return nil, err
	}
	last := p.lastCommit()
	c.At(last/2, c.Count/2).At(last-1, c.Count-fold).At(last, c.Count)
	return c, nil
}

// Serve hands over every opening.
func (Honest) Serve(_, _ *Player, _ uint64) bool { return true }

// Answer answers every demand.
func (Honest) Answer(*Player, audittypes.Demand) bool { return true }

// Audits re-executes everything.
func (Honest) Audits(_, _ *Player) bool { return true }

// Accuses reports and demands.
func (Honest) Accuses(_, _ *Player) bool { return true }

// Verdict sends what the inspection found.
func (Honest) Verdict(*Player, *Ballot) bool { return true }

// Select takes all, in their order.
func (Honest) Select(_ *Player, waiting []*Message) []*Message { return waiting }

// Block does nothing.
func (Honest) Block(*Player) error { return nil }
