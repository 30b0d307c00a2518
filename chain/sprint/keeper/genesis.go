package keeper

import (
	"context"

	"cosmossdk.io/collections"
	"cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/sprint/types"
)

// InitGenesis takes over a genesis. It must run after the bank's: the coins that the state speaks
// of must be in the module's account, and what exists beside mined coins must leave four fifths of
// the supply to mining.
func (k Keeper) InitGenesis(ctx context.Context, g types.GenesisState) error {
	if err := g.Validate(); err != nil {
		return err
	}
	if err := k.params.Set(ctx, g.Params); err != nil {
		return err
	}
	if err := k.epoch.Set(ctx, g.Epoch); err != nil {
		return err
	}
	if err := k.chain.Set(ctx, g.Chain); err != nil {
		return err
	}
	for _, c := range g.Claims {
		miner, err := k.addressOf(c.Miner)
		if err != nil {
			return err
		}
		if err := k.setClaim(ctx, miner, c); err != nil {
			return err
		}
	}
	for _, s := range g.Settlements {
		if err := k.settlements.Set(ctx, s.Epoch, s); err != nil {
			return err
		}
	}
	for _, a := range g.Vesting {
		owner, err := k.addressOf(a.Owner)
		if err != nil {
			return err
		}
		if err := k.vesting.Set(ctx, owner, a); err != nil {
			return err
		}
	}
	if err := k.CheckInvariants(ctx); err != nil {
		return err
	}
	supply := k.bank.GetSupply(ctx, types.BaseDenom).Amount
	allowed := types.GenesisAllowance(g.Params.EmissionPerEpoch, g.Params.HalvingEpochs).Add(g.Chain.Emitted)
	if supply.GT(allowed) {
		return errors.Wrapf(types.ErrInvalidGenesis, "supply is %s%s, at most %s: four fifths are to be mined",
			supply, types.BaseDenom, allowed)
	}
	return nil
}

// ExportGenesis returns the whole state.
func (k Keeper) ExportGenesis(ctx context.Context) (*types.GenesisState, error) {
	g := &types.GenesisState{}
	var err error
	if g.Params, err = k.params.Get(ctx); err != nil {
		return nil, err
	}
	if g.Epoch, err = k.epoch.Get(ctx); err != nil {
		return nil, err
	}
	if g.Chain, err = k.chain.Get(ctx); err != nil {
		return nil, err
	}
	err = k.claims.Walk(ctx, nil, func(_ collections.Pair[uint64, []byte], c types.Claim) (bool, error) {
		g.Claims = append(g.Claims, c)
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	err = k.settlements.Walk(ctx, nil, func(_ uint64, s types.Settlement) (bool, error) {
		g.Settlements = append(g.Settlements, s)
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	err = k.vesting.Walk(ctx, nil, func(_ []byte, a types.VestingAccount) (bool, error) {
		g.Vesting = append(g.Vesting, a)
		return false, nil
	})
	return g, err
}

// CheckInvariants says whether the module's books and its account agree: the account holds the
// reserve, what is vesting, and the undistributed rest of a pot that is being paid, and no coin
// less. It walks all vesting accounts: for tests and genesis.
func (k Keeper) CheckInvariants(ctx context.Context) error {
	chain, err := k.chain.Get(ctx)
	if err != nil {
		return err
	}
	e, err := k.epoch.Get(ctx)
	if err != nil {
		return err
	}
	held := chain.Vesting
	err = k.vesting.Walk(ctx, nil, func(_ []byte, a types.VestingAccount) (bool, error) {
		held = held.Sub(a.Held())
		return false, nil
	})
	if err != nil {
		return err
	}
	if !held.IsZero() {
		return errors.Wrapf(types.ErrInvalidGenesis, "vesting accounts and their total differ by %s", held)
	}
	owed := chain.Reserve.Add(chain.Vesting)
	if e.Phase == types.PHASE_SETTLE {
		s, err := k.settlements.Get(ctx, e.Number)
		if err != nil {
			return err
		}
		owed = owed.Add(s.Emission).Add(s.Released).Sub(s.Paid).Sub(s.InclusionPaid)
	}
	if has := k.bank.GetBalance(ctx, k.account, types.BaseDenom).Amount; has.LT(owed) {
		return errors.Wrapf(types.ErrInvalidGenesis, "the module account holds %s%s and owes %s",
			has, types.BaseDenom, owed)
	}
	return nil
}

// Account is the address of the module's account.
func (k Keeper) Account() sdk.AccAddress { return k.account }
