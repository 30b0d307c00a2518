package adversary

import (
	abci "github.com/cometbft/cometbft/abci/types"
	cmttypes "github.com/cometbft/cometbft/types"
)

// rotation says who proposes each block, by CometBFT's own sets and priorities: each validator as often as
// its power says, in an order that everybody knows in advance. Rounds never fail here.
type rotation struct {
	now, next *cmttypes.ValidatorSet
}

// newRotation starts with the genesis validators at a point of their turns that many blocks on.
func newRotation(genesis []abci.ValidatorUpdate, blocks int32) (*rotation, error) {
	validators, err := cmttypes.PB2TM.ValidatorUpdates(genesis)
	if err != nil {
		return nil, err
	}
	now := cmttypes.NewValidatorSet(validators)
	if blocks > 0 {
		now.IncrementProposerPriority(blocks)
	}
	return &rotation{now, now.CopyIncrementProposerPriority(1)}, nil
}

// advance goes on to the next block; what changed in the one that ended counts from the second next on.
func (r *rotation) advance(updates []abci.ValidatorUpdate) error {
	validators, err := cmttypes.PB2TM.ValidatorUpdates(updates)
	if err != nil {
		return err
	}
	after := r.next.Copy()
	if len(validators) > 0 {
		if err := after.UpdateWithChangeSet(validators); err != nil {
			return err
		}
	}
	after.IncrementProposerPriority(1)
	r.now, r.next = r.next, after
	return nil
}

// proposer is the consensus address of who makes the running block, or one that many blocks later if
// nothing changes until then.
func (r *rotation) proposer(later int64) []byte {
	switch later {
	case 0:
		return r.now.GetProposer().Address
	case 1:
		return r.next.GetProposer().Address
	}
	return r.next.CopyIncrementProposerPriority(int32(later - 1)).GetProposer().Address
}
