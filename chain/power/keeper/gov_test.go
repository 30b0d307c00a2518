package keeper_test

import (
	"context"
	"errors"
	"testing"

	"cosmossdk.io/collections"
	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/runtime"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	govkeeper "github.com/cosmos/cosmos-sdk/x/gov/keeper"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"

	"github.com/assaynet/assay/chain/internal/chaintest"
	"github.com/assaynet/assay/chain/params"
	"github.com/assaynet/assay/chain/power/keeper"
	"github.com/assaynet/assay/chain/power/types"
)

// governance returns a world with a real governance keeper beside it.
func governance(t *testing.T) (*world, *govkeeper.Keeper) {
	t.Helper()
	params.Configure()
	chain := chaintest.New(t, map[string][]string{govtypes.ModuleName: {authtypes.Burner}}, types.StoreKey, govtypes.StoreKey)
	k := keeper.New(keeper.Config{
		Codec: chain.Codec, Store: runtime.NewKVStoreService(chain.Store(types.StoreKey)), Authority: chaintest.Authority, VerifyVRF: verifyVRF,
	})
	gov := govkeeper.NewKeeper(chain.Codec, runtime.NewKVStoreService(chain.Store(govtypes.StoreKey)), chain.Accounts, chain.Bank, nil,
		nil, govtypes.DefaultConfig(), chaintest.Authority, k.Tally)
	return &world{t: t, k: k, ctx: chain.Ctx.WithChainID(chainID)}, gov
}

// TestTally lets members vote by power: what counts is the smaller of the weights at the start
// of the voting and at its end.
func TestTally(t *testing.T) {
	w, gov := governance(t)
	a, b, c, late := newMember(1), newMember(2), newMember(3), newMember(4)
	p := smallParams()
	p.WindowEpochs = 1
	w.genesis(p, a, b, c)
	_, err := w.k.Register(w.ctx, late.registration())
	w.must(err)
	w.epoch(1)
	w.epoch(2, share(a, 50), share(b, 30), share(c, 20))

	proposal := govv1.Proposal{Id: 7, Status: govv1.StatusDepositPeriod}
	hooks := w.k.GovHooks(func(context.Context, uint64) (govv1.Proposal, error) { return proposal, nil })
	w.must(hooks.AfterProposalDeposit(w.ctx, 7, a.address))
	proposal.Status = govv1.StatusVotingPeriod
	w.must(hooks.AfterProposalDeposit(w.ctx, 7, a.address))

	vote := func(m member, options ...*govv1.WeightedVoteOption) error {
		v := govv1.NewVote(7, m.address, options, "")
		w.must(gov.Votes.Set(w.ctx, collections.Join(uint64(7), sdk.AccAddress(m.address)), v))
		return hooks.AfterProposalVote(w.ctx, 7, m.address)
	}
	yes, no := govv1.NewNonSplitVoteOption(govv1.OptionYes), govv1.NewNonSplitVoteOption(govv1.OptionNo)
	w.must(vote(a, yes...))
	w.must(vote(b, &govv1.WeightedVoteOption{Option: govv1.OptionNo, Weight: "0.5"}, &govv1.WeightedVoteOption{Option: govv1.OptionAbstain, Weight: "0.5"}))
	if err := vote(late, no...); !errors.Is(err, types.ErrNoWeight) {
		t.Fatalf("vote without weight: %v", err)
	}
	// The message fails, so its vote is not kept.
	w.must(gov.Votes.Remove(w.ctx, collections.Join(uint64(7), sdk.AccAddress(late.address))))

	// A newcomer's power of a later epoch, and what the others gained or lost since.
	w.epoch(3, share(a, 10), share(b, 60), share(late, 30))
	if err := vote(late, no...); !errors.Is(err, types.ErrNoWeight) {
		t.Fatalf("vote with power that came after the start: %v", err)
	}
	w.must(gov.Votes.Remove(w.ctx, collections.Join(uint64(7), sdk.AccAddress(late.address))))

	voted, total, results, err := w.k.Tally(w.ctx, *gov, proposal)
	w.must(err)
	part := func(percent int64) math.LegacyDec {
		return math.LegacyNewDec(int64(types.ShareScale) / 100 * percent)
	}
	for name, c := range map[string]struct{ got, want math.LegacyDec }{
		"voted":   {voted, part(40)},
		"yes":     {results[govv1.OptionYes], part(10)},
		"no":      {results[govv1.OptionNo], part(15)},
		"abstain": {results[govv1.OptionAbstain], part(15)},
		"veto":    {results[govv1.OptionNoWithVeto], part(0)},
		"quorum":  {math.LegacyNewDecFromInt(total), part(100)},
	} {
		if !c.got.Equal(c.want) {
			t.Errorf("%s is %s, want %s", name, c.got, c.want)
		}
	}
	if has, err := gov.Votes.Has(w.ctx, collections.Join(uint64(7), sdk.AccAddress(a.address))); err != nil || has {
		t.Errorf("the votes are still there: %v", err)
	}
	proposal.Status = govv1.StatusPassed
	w.must(hooks.AfterProposalVotingPeriodEnded(w.ctx, 7))
}
