package keeper

import (
	"context"
	stderrors "errors"
	"sync"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// checkedProofs are the VRF proofs of a block that were verified together before its transactions
// run. A proof that is not among them is verified by itself, with the same result: whether it is
// here changes nothing but the time. It is safe for concurrent use.
type checkedProofs struct {
	mu    sync.Mutex
	known map[proofID]bool
}

// proofID is a statement: this key proves this input so.
type proofID struct {
	input string
	key   sample.PublicKey
	proof sample.Proof
}

func (c *checkedProofs) replace(known map[proofID]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = known
}

func (c *checkedProofs) has(id proofID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[id]
}

// CheckProofs verifies the VRF proofs of a block's verdicts and challenges, all of one round in one
// batch. It writes nothing. Messages that name another round or come from nobody with a seat are
// left to their handlers, which refuse them; those of one validator beyond the first too, so that
// a block costs at most one batch of as many proofs as there are seats.
func (k Keeper) CheckProofs(ctx context.Context, msgs []sdk.Msg) error {
	k.proofs.replace(nil)
	if len(msgs) < 2 {
		return nil
	}
	e, err := k.epochs.Epoch(ctx)
	if stderrors.Is(err, sprinttypes.ErrNoEpoch) {
		return nil
	}
	if err != nil {
		return err
	}
	if e.Phase != sprinttypes.PHASE_AUDIT && e.Phase != sprinttypes.PHASE_ADJUDICATE {
		return nil
	}
	r, err := k.round.Get(ctx)
	if err != nil || r.Epoch != e.Number {
		return err
	}
	input := roundInput(ctx, e)
	if e.Phase == sprinttypes.PHASE_ADJUDICATE {
		if len(r.VerdictsRoot) != len(commit.Root{}) {
			return nil
		}
		input = sample.CrossInput(sdk.UnwrapSDKContext(ctx).ChainID(), e.Number, uint64(e.Round), commit.Root(r.VerdictsRoot))
	}
	var batch []sample.Signed
	taken := make(map[string]bool, len(r.Seats))
	for _, m := range msgs {
		validator, proof := proofOf(m, e)
		i, seated := seatOf(r.Seats, validator)
		if !seated || taken[validator] {
			continue
		}
		taken[validator] = true
		p, err := sample.ParseProof(proof)
		if err != nil {
			continue
		}
		key, err := sample.ParsePublicKey(r.Seats[i].VrfKey)
		if err != nil {
			continue
		}
		batch = append(batch, sample.Signed{Key: key, Proof: p})
	}
	known := make(map[proofID]bool, len(batch))
	for i, ok := range sample.VerifyEach(input, batch) {
		if ok {
			known[proofID{string(input), batch[i].Key, batch[i].Proof}] = true
		}
	}
	k.proofs.replace(known)
	return nil
}

// proofOf returns sender and proof of a message that the running phase takes.
func proofOf(m sdk.Msg, e sprinttypes.Epoch) (validator string, proof []byte) {
	switch m := m.(type) {
	case *types.MsgVerdict:
		if e.Phase == sprinttypes.PHASE_AUDIT && m.Epoch == e.Number && m.Round == e.Round {
			return m.Validator, m.VrfProof
		}
	case *types.MsgChallenge:
		if e.Phase == sprinttypes.PHASE_ADJUDICATE && m.Epoch == e.Number && m.Round == e.Round {
			return m.Validator, m.VrfProof
		}
	}
	return "", nil
}
