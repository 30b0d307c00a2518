package keeper

import (
	"context"
	stderrors "errors"
	"strconv"

	"cosmossdk.io/collections"
	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/sprint/types"
)

// beginSettlement mints the epoch's emission, adds what the reserve releases, and opens the
// account. From here on the pot is fixed.
func (k Keeper) beginSettlement(ctx context.Context, e types.Epoch, r types.AuditResult) error {
	if err := k.markUnseen(ctx, e, r.Unseen); err != nil {
		return err
	}
	chain, err := k.chain.Get(ctx)
	if err != nil {
		return err
	}
	emission := types.Emission(e.Params.EmissionPerEpoch, e.Params.HalvingEpochs, e.Number)
	released := types.Release(chain.Reserve, e.Params.ReserveReleaseEpochs)
	zero := math.ZeroInt()
	s := types.Settlement{
		Epoch: e.Number, Emission: emission, Released: released,
		Paid: zero, AuditPaid: zero, InclusionPaid: zero, Burned: zero, Reserved: zero, Fees: zero,
		Claims: e.Claims, Entropy: r.Entropy[:], Rounds: max(1, r.Rounds),
	}
	if s.Units, err = k.divisor(ctx, e); err != nil {
		return err
	}
	for _, a := range r.Auditors {
		validator, err := k.addresses.BytesToString(a.Validator)
		if err != nil {
			return err
		}
		s.Auditors = append(s.Auditors, types.AuditPay{Validator: validator, Weight: a.Weight, Absent: a.Absent, Amount: zero, Taken: a.Taken})
	}
	if emission.IsPositive() {
		if err := k.bank.MintCoins(ctx, types.ModuleName, coins(emission)); err != nil {
			return err
		}
	}
	chain.Emitted = chain.Emitted.Add(emission)
	chain.Reserve = chain.Reserve.Sub(released)
	chain.Entropy = r.Entropy[:]
	if err := k.chain.Set(ctx, chain); err != nil {
		return err
	}
	if r.ModuleFailed {
		if err := k.registry.ModuleFailed(ctx, e.Number); err != nil {
			return err
		}
	}
	if err := k.settlements.Set(ctx, e.Number, s); err != nil {
		return err
	}
	return k.enter(ctx, e, types.PHASE_SETTLE)
}

// markUnseen takes from claims what came late and was not seen in time.
func (k Keeper) markUnseen(ctx context.Context, e types.Epoch, miners []sdk.AccAddress) error {
	for _, miner := range miners {
		c, err := k.Claim(ctx, e.Number, miner)
		if err != nil {
			return err
		}
		c.Unseen = c.Late > 0
		if err := k.setClaim(ctx, miner, c); err != nil {
			return err
		}
	}
	return nil
}

// divisor returns the units that the epoch's pot is divided by. Every claim's fate is decided when
// it is called.
func (k Keeper) divisor(ctx context.Context, e types.Epoch) (uint64, error) {
	var valid, void uint64
	err := k.WalkClaims(ctx, e.Number, func(_ sdk.AccAddress, c types.Claim) (bool, error) {
		if c.Void() {
			void += c.Counted()
		} else {
			valid += c.Counted()
		}
		return false, nil
	})
	if err != nil {
		return 0, err
	}
	last, err := k.settlements.Get(ctx, e.Number-1)
	if err != nil && !stderrors.Is(err, collections.ErrNotFound) {
		return 0, err
	}
	return types.Divisor(valid, void, last.ValidUnits), nil
}

// settlePage pays the next claims in the order of addresses, and closes the account after the last.
func (k Keeper) settlePage(ctx context.Context, e types.Epoch) error {
	s, err := k.settlements.Get(ctx, e.Number)
	if err != nil {
		return err
	}
	absent := make(map[string]bool, len(s.Auditors)) // looked up only, never iterated
	for _, a := range s.Auditors {
		absent[a.Validator] = a.Absent
	}
	type entry struct {
		miner sdk.AccAddress
		claim types.Claim
	}
	var page []entry
	rng := collections.NewPrefixedPairRange[uint64, []byte](e.Number)
	if len(s.Cursor) > 0 {
		rng = rng.StartExclusive(s.Cursor)
	}
	err = k.claims.Walk(ctx, rng, func(key collections.Pair[uint64, []byte], c types.Claim) (bool, error) {
		page = append(page, entry{key.K2(), c})
		return len(page) >= int(e.Params.SettlePage), nil
	})
	if err != nil {
		return err
	}

	pot := s.Emission.Add(s.Released)
	var includers inclusions
	for _, p := range page {
		s.Cursor = p.miner
		if p.claim.Void() {
			continue // its part stays in the pot and goes to the reserve in the end
		}
		pay := types.PayFor(types.Part(pot, p.claim.Counted(), s.Units), e.Params, absent[p.claim.Miner])
		p.claim.Status = types.CLAIM_PAID
		p.claim.Amount = pay.Net
		p.claim.Withheld = pay.Fee.Add(pay.Inclusion).Add(pay.Deduction)
		if err := k.setClaim(ctx, p.miner, p.claim); err != nil {
			return err
		}
		if err := k.credit(ctx, e, p.miner, p.claim.Miner, pay.Net); err != nil {
			return err
		}
		s.Paid = s.Paid.Add(pay.Net)
		s.Fees = s.Fees.Add(pay.Fee)
		includers.add(p.claim.Includer(p.miner), pay.Inclusion)
		s.ValidUnits += p.claim.Counted()
		s.ValidClaims++
	}
	included, err := k.payInclusions(ctx, e, includers)
	if err != nil {
		return err
	}
	s.InclusionPaid = s.InclusionPaid.Add(included)
	if len(page) < int(e.Params.SettlePage) {
		return k.closeSettlement(ctx, e, s)
	}
	return k.settlements.Set(ctx, e.Number, s)
}

// closeSettlement pays the auditors, and who took what they sent, out of the fees and puts the rest of the pot
// into the reserve.
func (k Keeper) closeSettlement(ctx context.Context, e types.Epoch, s types.Settlement) error {
	var weights uint64
	for _, a := range s.Auditors {
		weights += a.Weight
	}
	var includers inclusions
	for i, a := range s.Auditors {
		s.Auditors[i].Taken = nil
		if a.Weight == 0 {
			continue
		}
		validator, err := k.addressOf(a.Validator)
		if err != nil {
			return err
		}
		amount, late := includers.split(validator, types.Part(s.Fees, a.Weight, weights), a.Taken, s.Rounds, e.Params)
		s.Auditors[i].Amount = amount
		s.Burned = s.Burned.Add(late)
		s.AuditPaid = s.AuditPaid.Add(amount)
		if err := k.credit(ctx, e, validator, a.Validator, amount); err != nil {
			return err
		}
	}
	included, err := k.payInclusions(ctx, e, includers)
	if err != nil {
		return err
	}
	s.InclusionPaid = s.InclusionPaid.Add(included)
	if s.Burned.IsPositive() {
		if err := k.bank.BurnCoins(ctx, types.ModuleName, coins(s.Burned)); err != nil {
			return err
		}
	}
	s.Reserved = s.Emission.Add(s.Released).Sub(s.Paid).Sub(s.AuditPaid).Sub(s.InclusionPaid).Sub(s.Burned)
	s.Cursor = nil
	chain, err := k.chain.Get(ctx)
	if err != nil {
		return err
	}
	chain.Reserve = chain.Reserve.Add(s.Reserved)
	if err := k.chain.Set(ctx, chain); err != nil {
		return err
	}
	if err := k.settlements.Set(ctx, e.Number, s); err != nil {
		return err
	}
	return k.enter(ctx, e, types.PHASE_RELEASE)
}

// prepare lets power do its next page towards the epoch after this one, whose account is closed, and says
// whether that epoch may open. No claim's units or fate changes any more.
func (k Keeper) prepare(ctx context.Context, e types.Epoch) (ready bool, err error) {
	s, err := k.settlements.Get(ctx, e.Number)
	if err != nil {
		return false, err
	}
	return k.power.PrepareEpoch(ctx, types.Settled{Epoch: e.Number, Units: s.ValidUnits,
		Next: func(ctx context.Context, after []byte, most int) ([]types.Share, error) {
			return k.sharesAfter(ctx, e.Number, after, most)
		}}, e.Params.SettlePage)
}

// sharesAfter returns the units of the next claims in the order of addresses, 0 of void ones: a page must
// not become longer by them.
func (k Keeper) sharesAfter(ctx context.Context, epoch uint64, after []byte, most int) ([]types.Share, error) {
	rng := collections.NewPrefixedPairRange[uint64, []byte](epoch)
	if len(after) > 0 {
		rng = rng.StartExclusive(after)
	}
	var shares []types.Share
	err := k.claims.Walk(ctx, rng, func(key collections.Pair[uint64, []byte], c types.Claim) (bool, error) {
		share := types.Share{Miner: key.K2()}
		if !c.Void() {
			share.Units = c.Counted()
		}
		shares = append(shares, share)
		return len(shares) >= most, nil
	})
	return shares, err
}

// finish ends the epoch's account after all releases.
func (k Keeper) finish(ctx context.Context, e types.Epoch, s types.Settlement) error {
	s.Cursor = nil
	s.Height = sdk.UnwrapSDKContext(ctx).BlockHeight()
	if err := k.settlements.Set(ctx, e.Number, s); err != nil {
		return err
	}
	k.emit(ctx, "epoch_settled", e.Number,
		sdk.NewAttribute("emission", s.Emission.String()), sdk.NewAttribute("released", s.Released.String()),
		sdk.NewAttribute("paid", s.Paid.String()), sdk.NewAttribute("audit_paid", s.AuditPaid.String()),
		sdk.NewAttribute("inclusion_paid", s.InclusionPaid.String()), sdk.NewAttribute("burned", s.Burned.String()),
		sdk.NewAttribute("reserved", s.Reserved.String()),
		sdk.NewAttribute("valid_claims", strconv.FormatUint(s.ValidClaims, 10)))
	return k.enter(ctx, e, types.PHASE_DONE)
}
