package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
	govkeeper "github.com/cosmos/cosmos-sdk/x/gov/keeper"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"

	"github.com/assaynet/assay/chain/power/types"
)

// ballot returns what a vote of the account counts: the smaller of its weights at the start
// of voting and now.
func (k Keeper) ballot(ctx context.Context, start uint64, voter []byte) (uint64, error) {
	before, err := k.weightAt(ctx, start, voter)
	if err != nil {
		return 0, err
	}
	now, err := k.Weight(ctx, voter)
	return min(before, now), err
}

// votingStart is the epoch in which a proposal's voting began. A proposal that came with an
// imported genesis has none; the running epoch stands in.
func (k Keeper) votingStart(ctx context.Context, proposal uint64) (uint64, error) {
	start, err := k.voting.Get(ctx, proposal)
	if errors.Is(err, collections.ErrNotFound) {
		return k.Epoch(ctx)
	}
	return start, err
}

// Tally counts the votes of a proposal by compute power and removes them, as the governance
// keeper expects of its tally function. The quorum is over the weights at voting start.
func (k Keeper) Tally(ctx context.Context, gov govkeeper.Keeper, proposal govv1.Proposal) (
	voted math.LegacyDec, total math.Int, results map[govv1.VoteOption]math.LegacyDec, err error,
) {
	fail := func(err error) (math.LegacyDec, math.Int, map[govv1.VoteOption]math.LegacyDec, error) {
		return math.LegacyZeroDec(), math.ZeroInt(), nil, err
	}
	start, err := k.votingStart(ctx, proposal.Id)
	if err != nil {
		return fail(err)
	}
	sum, err := orZero(k.totals.Get(ctx, start))
	if err != nil {
		return fail(err)
	}
	voted, total = math.LegacyZeroDec(), math.NewIntFromUint64(sum)
	results = map[govv1.VoteOption]math.LegacyDec{
		govv1.OptionYes:        math.LegacyZeroDec(),
		govv1.OptionAbstain:    math.LegacyZeroDec(),
		govv1.OptionNo:         math.LegacyZeroDec(),
		govv1.OptionNoWithVeto: math.LegacyZeroDec(),
	}
	rng := collections.NewPrefixedPairRange[uint64, sdk.AccAddress](proposal.Id)
	err = gov.Votes.Walk(ctx, rng, func(key collections.Pair[uint64, sdk.AccAddress], vote govv1.Vote) (bool, error) {
		weight, err := k.ballot(ctx, start, key.K2())
		if err != nil {
			return true, err
		}
		power := math.LegacyNewDecFromInt(math.NewIntFromUint64(weight))
		for _, option := range vote.Options {
			part, err := math.LegacyNewDecFromStr(option.Weight)
			if err != nil {
				return true, err
			}
			results[option.Option] = results[option.Option].Add(power.Mul(part))
		}
		voted = voted.Add(power)
		return false, nil
	})
	if err != nil {
		return fail(err)
	}
	if err := gov.Votes.Clear(ctx, rng); err != nil {
		return fail(err)
	}
	return voted, total, results, nil
}

// GovHooks watches governance: it remembers the epoch in which voting begins and refuses
// votes without weight.
type GovHooks struct {
	k Keeper
	// proposal reads a proposal. The governance keeper exists only after its hooks' owner.
	proposal func(ctx context.Context, id uint64) (govv1.Proposal, error)
}

var _ govtypes.GovHooks = GovHooks{}

// GovHooks returns the hooks for the governance keeper, whose proposals are read through the
// function.
func (k Keeper) GovHooks(proposal func(ctx context.Context, id uint64) (govv1.Proposal, error)) GovHooks {
	return GovHooks{k: k, proposal: proposal}
}

// AfterProposalSubmission does nothing: a deposit follows at once.
func (h GovHooks) AfterProposalSubmission(context.Context, uint64, sdk.AccAddress) error { return nil }

// AfterProposalDeposit notes the epoch when the deposit starts the voting.
func (h GovHooks) AfterProposalDeposit(ctx context.Context, id uint64, _ sdk.AccAddress) error {
	switch known, err := h.k.voting.Has(ctx, id); {
	case err != nil:
		return err
	case known:
		return nil
	}
	proposal, err := h.proposal(ctx, id)
	if err != nil {
		return err
	}
	if proposal.Status != govv1.StatusVotingPeriod {
		return nil
	}
	epoch, err := h.k.Epoch(ctx)
	if err != nil {
		return err
	}
	return h.k.voting.Set(ctx, id, epoch)
}

// AfterProposalVote refuses the vote of an account without weight.
func (h GovHooks) AfterProposalVote(ctx context.Context, id uint64, voter sdk.AccAddress) error {
	start, err := h.k.votingStart(ctx, id)
	if err != nil {
		return err
	}
	weight, err := h.k.ballot(ctx, start, voter)
	if err != nil {
		return err
	}
	if weight == 0 {
		return types.ErrNoWeight.Wrapf("%s had no compute power when voting on proposal %d began (epoch %d), or has none now; "+
			"power is the mean share of the last epochs", voter, id, start)
	}
	return nil
}

// AfterProposalFailedMinDeposit does nothing: voting never began.
func (h GovHooks) AfterProposalFailedMinDeposit(context.Context, uint64) error { return nil }

// AfterProposalVotingPeriodEnded forgets the snapshot, unless an expedited proposal goes on
// as a regular one.
func (h GovHooks) AfterProposalVotingPeriodEnded(ctx context.Context, id uint64) error {
	proposal, err := h.proposal(ctx, id)
	if err != nil {
		return err
	}
	if proposal.Status == govv1.StatusVotingPeriod {
		return nil
	}
	return h.k.voting.Remove(ctx, id)
}
