package adversary

import (
	"crypto/ed25519"
	"fmt"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/crypto/tmhash"
	cmtevidence "github.com/cometbft/cometbft/evidence"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"
)

// doubleSign signs two blocks of one height with the player's consensus key. What CometBFT makes
// of the two votes reaches the next block as evidence, if CometBFT's own check takes it.
func (p *Player) doubleSign() error {
	w := p.World
	key := cmted25519.PrivKey(p.cons)
	validator := cmttypes.NewValidator(cmted25519.PubKey(p.cons.Public().(ed25519.PublicKey)), 1)
	set := cmttypes.NewValidatorSet([]*cmttypes.Validator{validator})
	vote := func(block string) (*cmttypes.Vote, error) {
		v := &cmttypes.Vote{
			Type: cmtproto.PrecommitType, Height: w.ctx.BlockHeight(), Timestamp: time.Unix(0, 0).UTC(),
			BlockID: cmttypes.BlockID{Hash: tmhash.Sum([]byte(block)),
				PartSetHeader: cmttypes.PartSetHeader{Total: 1, Hash: tmhash.Sum([]byte("parts of " + block))}},
			ValidatorAddress: validator.Address,
		}
		var err error
		v.Signature, err = key.Sign(cmttypes.VoteSignBytes(chainID, v.ToProto()))
		return v, err
	}
	one, err := vote("one")
	if err != nil {
		return err
	}
	two, err := vote("two")
	if err != nil {
		return err
	}
	double, err := cmttypes.NewDuplicateVoteEvidence(one, two, time.Unix(0, 0).UTC(), set)
	if err != nil {
		return err
	}
	if err := cmtevidence.VerifyDuplicateVote(double, chainID, set); err != nil {
		return fmt.Errorf("CometBFT refuses the evidence: %w", err)
	}
	for _, m := range double.ABCI() {
		w.misdeed = append(w.misdeed, abci.Misbehavior(m))
	}
	return nil
}
