package keeper

import (
	"context"
	stderrors "errors"

	"cosmossdk.io/collections"
	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/sprint/types"
)

func (k Keeper) vestingOf(ctx context.Context, owner sdk.AccAddress) (types.VestingAccount, bool, error) {
	a, err := k.vesting.Get(ctx, owner)
	if stderrors.Is(err, collections.ErrNotFound) {
		return a, false, nil
	}
	return a, err == nil, err
}

// credit lets a reward begin to vest. Its coins are in the module's account already.
func (k Keeper) credit(ctx context.Context, e types.Epoch, owner sdk.AccAddress, name string, amount math.Int) error {
	if !amount.IsPositive() {
		return nil
	}
	account, found, err := k.vestingOf(ctx, owner)
	if err != nil {
		return err
	}
	if !found {
		account.Owner = name
	}
	account.Credit(e.Number, e.Params.VestingEpochs, amount)
	chain, err := k.chain.Get(ctx)
	if err != nil {
		return err
	}
	chain.Vesting = chain.Vesting.Add(amount)
	if err := k.chain.Set(ctx, chain); err != nil {
		return err
	}
	return k.vesting.Set(ctx, owner, account)
}

// releasePage pays out what is due of the next vesting accounts, and finishes the epoch after the
// last.
func (k Keeper) releasePage(ctx context.Context, e types.Epoch) error {
	s, err := k.settlements.Get(ctx, e.Number)
	if err != nil {
		return err
	}
	chain, err := k.chain.Get(ctx)
	if err != nil {
		return err
	}
	type entry struct {
		owner   sdk.AccAddress
		account types.VestingAccount
	}
	var page []entry
	rng := new(collections.Range[[]byte])
	if len(s.Cursor) > 0 {
		rng = rng.StartExclusive(s.Cursor)
	}
	err = k.vesting.Walk(ctx, rng, func(owner []byte, a types.VestingAccount) (bool, error) {
		page = append(page, entry{owner, a})
		return len(page) >= int(e.Params.SettlePage), nil
	})
	if err != nil {
		return err
	}
	for _, p := range page {
		s.Cursor = p.owner
		due := p.account.Release(e.Number)
		if due.IsPositive() {
			cached, write := sdk.UnwrapSDKContext(ctx).CacheContext()
			if err := k.bank.SendCoinsFromModuleToAccount(cached, types.ModuleName, p.owner, coins(due)); err != nil {
				// The bank refuses the receiver, as a restriction on sends may: the coins stay
				// where they are, and the account is tried again after the next epoch.
				k.emit(ctx, "release_refused", e.Number, sdk.NewAttribute("owner", p.account.Owner),
					sdk.NewAttribute("error", err.Error()))
				continue
			}
			write()
			chain.Vesting = chain.Vesting.Sub(due)
		}
		if len(p.account.Tranches) == 0 {
			err = k.vesting.Remove(ctx, p.owner)
		} else if due.IsPositive() {
			err = k.vesting.Set(ctx, p.owner, p.account)
		}
		if err != nil {
			return err
		}
	}
	if err := k.chain.Set(ctx, chain); err != nil {
		return err
	}
	if len(page) < int(e.Params.SettlePage) {
		return k.finish(ctx, e, s)
	}
	return k.settlements.Set(ctx, e.Number, s)
}
