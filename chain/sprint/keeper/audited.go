package keeper

import (
	"context"
	stderrors "errors"
	"strconv"

	"cosmossdk.io/errors"
	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/sprint/types"
)

// This file is what the audit may do to an epoch.

// AddFalseUnit notes that a unit of the claim was proven false, voids the claim, and returns the
// number of its false units. It fails unless the epoch's claims are fixed and not yet paid.
func (k Keeper) AddFalseUnit(ctx context.Context, miner sdk.AccAddress) (uint32, error) {
	c, err := k.void(ctx, miner, types.CLAIM_VOID_FALSE, func(c *types.Claim) { c.FalseUnits++ })
	return c.FalseUnits, err
}

// VoidClaim voids a claim for another reason; one that is void keeps its first reason.
func (k Keeper) VoidClaim(ctx context.Context, miner sdk.AccAddress, reason types.ClaimStatus) error {
	_, err := k.void(ctx, miner, reason, func(*types.Claim) {})
	return err
}

func (k Keeper) void(ctx context.Context, miner sdk.AccAddress, reason types.ClaimStatus, change func(*types.Claim)) (types.Claim, error) {
	e, err := k.audited(ctx)
	if err != nil {
		return types.Claim{}, err
	}
	c, err := k.Claim(ctx, e.Number, miner)
	if err != nil {
		return c, err
	}
	if c.Status == types.CLAIM_OPEN {
		c.Status = reason
		k.emit(ctx, "claim_void", e.Number, sdk.NewAttribute("miner", c.Miner),
			sdk.NewAttribute("reason", reason.ShortName()))
	}
	change(&c)
	return c, k.setClaim(ctx, miner, c)
}

// Redraw opens a further round of the audit in which the given claims are drawn again. It must
// come from the adjudicate phase.
func (k Keeper) Redraw(ctx context.Context, draws []types.Draw) error {
	e, err := k.audited(ctx)
	if err != nil {
		return err
	}
	if e.Phase != types.PHASE_ADJUDICATE {
		return errors.Wrapf(types.ErrWrongPhase, "redraw in %s", e.Phase)
	}
	e.Round++
	e.AuditEnd = sdk.UnwrapSDKContext(ctx).BlockHeight() + 1 + int64(e.Params.AuditBlocks)
	for _, d := range draws {
		c, err := k.Claim(ctx, e.Number, d.Miner)
		if err != nil {
			return err
		}
		if c.DrawRound != 0 {
			c.Earlier = append(c.Earlier, types.PastDraw{Round: c.DrawRound, Units: c.Draw})
		}
		c.Draw, c.DrawRound = min(d.Units, c.Count), e.Round
		if err := k.setClaim(ctx, d.Miner, c); err != nil {
			return err
		}
	}
	return k.enter(ctx, e, types.PHASE_AUDIT)
}

// Settle takes the audit's result and begins to pay. It must come from the adjudicate phase.
func (k Keeper) Settle(ctx context.Context, r types.AuditResult) error {
	e, err := k.audited(ctx)
	if err != nil {
		return err
	}
	if e.Phase != types.PHASE_ADJUDICATE {
		return errors.Wrapf(types.ErrWrongPhase, "settle in %s", e.Phase)
	}
	return k.beginSettlement(ctx, e, r)
}

// Forfeit takes all rewards of owner that are not released yet. bps/10,000 of them are divided equally among
// the proofs, and each part among its reports; a reporter gets its part less what its report owes to the block that
// took it. The rest burns.
func (k Keeper) Forfeit(ctx context.Context, owner sdk.AccAddress, bps uint32, proofs []types.Proof) (forfeited, rewarded math.Int, err error) {
	none := math.ZeroInt()
	if bps > types.BasisPoints {
		return none, none, errors.Wrapf(types.ErrInvalidParams, "%d basis points", bps)
	}
	account, found, err := k.vestingOf(ctx, owner)
	if err != nil || !found {
		return none, none, err
	}
	chain, err := k.chain.Get(ctx)
	if err != nil {
		return none, none, err
	}
	forfeited = account.Held()
	chain.Vesting = chain.Vesting.Sub(forfeited)
	if err := k.chain.Set(ctx, chain); err != nil {
		return none, none, err
	}
	if err := k.vesting.Remove(ctx, owner); err != nil {
		return none, none, err
	}
	rewarded, included, err := k.reward(ctx, types.Bps(forfeited, bps), proofs)
	if err != nil {
		return none, none, err
	}
	if burn := forfeited.Sub(rewarded).Sub(included); burn.IsPositive() {
		if err := k.bank.BurnCoins(ctx, types.ModuleName, coins(burn)); err != nil {
			return none, none, err
		}
	}
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent("forfeit",
		sdk.NewAttribute("owner", account.Owner), sdk.NewAttribute("amount", forfeited.String()),
		sdk.NewAttribute("rewarded", rewarded.String()),
		sdk.NewAttribute("height", strconv.FormatInt(sdk.UnwrapSDKContext(ctx).BlockHeight(), 10))))
	return forfeited, rewarded, nil
}

// Expel takes from a participant that signed two blocks of one height all that it has not been
// paid out yet: its vesting rewards burn, and its claim of the running epoch is void if it is not
// settled yet. It may come at any time.
func (k Keeper) Expel(ctx context.Context, operator sdk.AccAddress) error {
	if _, _, err := k.Forfeit(ctx, operator, 0, nil); err != nil {
		return err
	}
	e, err := k.epoch.Get(ctx)
	if err != nil {
		return err
	}
	c, err := k.Claim(ctx, e.Number, operator)
	switch {
	case stderrors.Is(err, types.ErrNoClaim):
		return nil
	case err != nil:
		return err
	case c.Status != types.CLAIM_OPEN:
		return nil
	}
	c.Status = types.CLAIM_VOID_EXPELLED
	k.emit(ctx, "claim_void", e.Number, sdk.NewAttribute("miner", c.Miner),
		sdk.NewAttribute("reason", c.Status.ShortName()))
	return k.setClaim(ctx, operator, c)
}

// reward divides an amount equally among proofs, and each part equally among the reports of that unit. It returns
// what reporters and proposers were paid; the part of a unit that nobody is rewarded for is paid to nobody.
func (k Keeper) reward(ctx context.Context, amount math.Int, proofs []types.Proof) (rewarded, included math.Int, err error) {
	rewarded, included = math.ZeroInt(), math.ZeroInt()
	if len(proofs) == 0 {
		return rewarded, included, nil
	}
	e, err := k.epoch.Get(ctx)
	if err != nil {
		return rewarded, included, err
	}
	for _, p := range proofs {
		for _, by := range p {
			part := amount.QuoRaw(int64(len(proofs)) * int64(len(p)))
			incl, late := by.Taken.Split(part, e.Params)
			part = part.Sub(incl).Sub(late)
			if err := k.send(ctx, by.Reporter, part); err != nil {
				return rewarded, included, err
			}
			rewarded = rewarded.Add(part)
			entitled, err := k.Entitled(ctx, by.Taken.Proposer, by.Reporter)
			if err != nil {
				return rewarded, included, err
			}
			if !entitled {
				continue
			}
			if err := k.send(ctx, by.Taken.Proposer, incl); err != nil {
				return rewarded, included, err
			}
			included = included.Add(incl)
		}
	}
	return rewarded, included, nil
}

// send pays out of the module's account.
func (k Keeper) send(ctx context.Context, to sdk.AccAddress, amount math.Int) error {
	if !amount.IsPositive() {
		return nil
	}
	return k.bank.SendCoinsFromModuleToAccount(ctx, types.ModuleName, to, coins(amount))
}

// Burn takes coins of another module out of the supply.
func (k Keeper) Burn(ctx context.Context, from string, amount math.Int) error {
	if !amount.IsPositive() {
		return nil
	}
	if err := k.bank.SendCoinsFromModuleToModule(ctx, from, types.ModuleName, coins(amount)); err != nil {
		return err
	}
	return k.bank.BurnCoins(ctx, types.ModuleName, coins(amount))
}

// Reserve moves coins of another module into the reserve, which later epochs release.
func (k Keeper) Reserve(ctx context.Context, from string, amount math.Int) error {
	if !amount.IsPositive() {
		return nil
	}
	chain, err := k.chain.Get(ctx)
	if err != nil {
		return err
	}
	if err := k.bank.SendCoinsFromModuleToModule(ctx, from, types.ModuleName, coins(amount)); err != nil {
		return err
	}
	chain.Reserve = chain.Reserve.Add(amount)
	return k.chain.Set(ctx, chain)
}

// audited returns the running epoch if its claims are fixed and not yet paid.
func (k Keeper) audited(ctx context.Context) (types.Epoch, error) {
	e, err := k.Epoch(ctx)
	if err != nil {
		return e, err
	}
	if e.Phase != types.PHASE_AUDIT && e.Phase != types.PHASE_ADJUDICATE {
		return e, errors.Wrapf(types.ErrWrongPhase, "epoch %d is in %s", e.Number, e.Phase)
	}
	return e, nil
}
