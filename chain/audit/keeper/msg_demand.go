package keeper

import (
	"context"
	"strconv"

	"cosmossdk.io/collections"
	"cosmossdk.io/errors"
	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

// Demand asks a claimant on chain for units of the validator's own draw, for a deposit that pays
// for the answer.
func (s msgServer) Demand(ctx context.Context, m *types.MsgDemand) (*types.MsgDemandResponse, error) {
	if err := m.ValidateBasic(); err != nil {
		return nil, err
	}
	validator, err := s.addressOf(m.Validator)
	if err != nil {
		return nil, err
	}
	claimant, err := s.addressOf(m.Claimant)
	if err != nil {
		return nil, err
	}
	e, r, err := s.state(ctx, m.Epoch, sprinttypes.PHASE_AUDIT)
	if err != nil {
		return nil, err
	}
	p, err := s.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	if len(m.Indexes) > int(p.MaxDemand) {
		return nil, errors.Wrapf(types.ErrTooManyIndexes, "%d, at most %d", len(m.Indexes), p.MaxDemand)
	}
	i, ok := seatOf(r.Seats, m.Validator)
	if !ok {
		return nil, errors.Wrapf(types.ErrNoSeat, "%s in round %d", m.Validator, e.Round)
	}
	claim, err := s.epochs.Claim(ctx, e.Number, claimant)
	if err != nil {
		return nil, err
	}
	if claim.Void() && !suspect(claim, p) {
		return nil, errors.Wrapf(types.ErrClaimVoid, "of %s in epoch %d", m.Claimant, e.Number)
	}
	pair := collections.Join([]byte(validator), []byte(claimant))
	if id, open, err := get(ctx, s.pairs, pair); err != nil {
		return nil, err
	} else if open {
		return nil, errors.Wrapf(types.ErrDemandOpen, "demand %d", id)
	}
	out, known, err := s.outputOf(ctx, e, r.Seats[i], validator, m.VrfProof)
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, errors.Wrap(types.ErrInvalidProof, "none is given and no verdict of this round is on chain")
	}
	if err := draw(e, r, r.Seats[i], validator, claimant, claim).Contains(out, m.Indexes); err != nil {
		return nil, errors.Wrap(types.ErrNotDrawn, err.Error())
	}
	if err := s.asksForNew(ctx, e, claimant, m); err != nil {
		return nil, err
	}
	amount := p.DemandDeposit * uint64(len(m.Indexes))
	if amount > 0 {
		if err := s.bank.SendCoinsFromAccountToModule(ctx, validator, types.ModuleName, deposit(amount)); err != nil {
			return nil, err
		}
	}

	id, err := s.nextDemand.Next(ctx)
	if err != nil {
		return nil, err
	}
	// The first block in which the claimant can know of the demand is the next one.
	deadline := sdk.UnwrapSDKContext(ctx).BlockHeight() + 1 + int64(p.AnswerBlocks)
	d := types.Demand{
		Id: id, Epoch: e.Number, Validator: m.Validator, Claimant: m.Claimant,
		Indexes: m.Indexes, Deadline: deadline, Deposit: amount,
	}
	if err := s.demands.Set(ctx, id, d); err != nil {
		return nil, err
	}
	if err := s.deadlines.Set(ctx, collections.Join(deadline, id)); err != nil {
		return nil, err
	}
	if err := s.pairs.Set(ctx, pair, id); err != nil {
		return nil, err
	}
	emit(ctx, "demand", e.Number, sdk.NewAttribute("demand", strconv.FormatUint(id, 10)),
		sdk.NewAttribute("claimant", m.Claimant), sdk.NewAttribute("validator", m.Validator),
		sdk.NewAttribute("deadline", strconv.FormatInt(deadline, 10)))
	return &types.MsgDemandResponse{Id: id, Deadline: deadline}, nil
}

// asksForNew refuses a demand of nothing but units that were opened on chain: their digests are there
// to be judged. So the demands against a claim are bounded by what is drawn of it, and nobody makes a
// miner answer the same again until it has used up its transactions.
func (k Keeper) asksForNew(ctx context.Context, e sprinttypes.Epoch, claimant sdk.AccAddress, m *types.MsgDemand) error {
	for _, index := range m.Indexes {
		answered, err := k.answers.Has(ctx, collections.Join3(e.Number, []byte(claimant), index))
		if err != nil || !answered {
			return err
		}
	}
	return errors.Wrapf(types.ErrAnswered, "%d units of %s, from unit %d on", len(m.Indexes), m.Claimant, m.Indexes[0])
}

// suspect says whether more false units of a void claim would still matter.
func suspect(c sprinttypes.Claim, p types.Params) bool {
	return c.Status == sprinttypes.CLAIM_VOID_FALSE && c.FalseUnits < p.ForfeitUnits
}

// Answer opens all units of a demand. Their digests stay readable, so that anybody can re-execute
// the units and report a false one.
func (s msgServer) Answer(ctx context.Context, m *types.MsgAnswer) (*types.MsgAnswerResponse, error) {
	if err := m.ValidateBasic(); err != nil {
		return nil, err
	}
	miner, err := s.addressOf(m.Miner)
	if err != nil {
		return nil, err
	}
	d, found, err := get(ctx, s.demands, m.Demand)
	if err != nil {
		return nil, err
	}
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	if !found {
		return nil, errors.Wrapf(types.ErrNoDemand, "demand %d at height %d", m.Demand, height)
	}
	if d.Claimant != m.Miner {
		return nil, errors.Wrapf(types.ErrNotAddressed, "demand %d is for %s", d.Id, d.Claimant)
	}
	e, r, err := s.state(ctx, d.Epoch, sprinttypes.PHASE_AUDIT, sprinttypes.PHASE_ADJUDICATE)
	if err != nil {
		return nil, err
	}
	if len(m.Openings) != len(d.Indexes) {
		return nil, errors.Wrapf(types.ErrIncompleteAnswer, "%d openings for %d indexes", len(m.Openings), len(d.Indexes))
	}
	claim, err := s.epochs.Claim(ctx, e.Number, miner)
	if err != nil {
		return nil, err
	}
	p, err := s.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	answers := make([]types.Answer, len(d.Indexes))
	for i, index := range d.Indexes {
		digest, err := opened(ctx, e, claim, index, m.Openings[i])
		if err != nil {
			return nil, err
		}
		answers[i] = types.Answer{Epoch: e.Number, Claimant: m.Miner, Index: index, Digest: digest[:]}
	}

	for _, a := range answers {
		if err := s.answers.Set(ctx, collections.Join3(e.Number, []byte(miner), a.Index), a); err != nil {
			return nil, err
		}
	}
	r.ReportEnd = max(r.ReportEnd, height+1+int64(p.AnswerReportBlocks))
	r.ReportSince = max(r.ReportSince, height+1+int64(p.AnswerReportBlocks)/2)
	if err := s.round.Set(ctx, r); err != nil {
		return nil, err
	}
	if err := s.closeDemand(ctx, d); err != nil {
		return nil, err
	}
	if err := s.payAnswer(ctx, e, p, d, miner); err != nil {
		return nil, err
	}
	if err := s.power.Answered(ctx, miner); err != nil {
		return nil, err
	}
	emit(ctx, "answer", e.Number, sdk.NewAttribute("demand", strconv.FormatUint(d.Id, 10)),
		sdk.NewAttribute("claimant", m.Miner), sdk.NewAttribute("validator", d.Validator))
	return &types.MsgAnswerResponse{}, nil
}

// closeDemand removes a demand; its deposit stays to be paid out.
func (k Keeper) closeDemand(ctx context.Context, d types.Demand) error {
	validator, err := k.addressOf(d.Validator)
	if err != nil {
		return err
	}
	claimant, err := k.addressOf(d.Claimant)
	if err != nil {
		return err
	}
	if err := k.demands.Remove(ctx, d.Id); err != nil {
		return err
	}
	if err := k.deadlines.Remove(ctx, collections.Join(d.Deadline, d.Id)); err != nil {
		return err
	}
	return k.pairs.Remove(ctx, collections.Join([]byte(validator), []byte(claimant)))
}

// payDeposit pays from a demand's deposit.
func (k Keeper) payDeposit(ctx context.Context, to sdk.AccAddress, amount math.Int) error {
	if !amount.IsPositive() {
		return nil
	}
	return k.bank.SendCoinsFromModuleToAccount(ctx, types.ModuleName, to, sdk.NewCoins(sdk.NewCoin(types.BaseDenom, amount)))
}

// payAnswer divides the deposit of a demand among the miner that answered, the proposer whose block took the
// answer, and what is lost because it came late. What nobody is entitled to goes to the reserve.
func (k Keeper) payAnswer(ctx context.Context, e sprinttypes.Epoch, p types.Params, d types.Demand, miner sdk.AccAddress) error {
	taken, err := k.taken(ctx, p.AnswerBlocks, d.Deadline)
	if err != nil {
		return err
	}
	pay := math.NewIntFromUint64(d.Deposit)
	incl, late := taken.Split(pay, e.Params)
	if err := k.payDeposit(ctx, miner, pay.Sub(incl).Sub(late)); err != nil {
		return err
	}
	if err := k.court.Burn(ctx, types.ModuleName, late); err != nil {
		return err
	}
	entitled, err := k.court.Entitled(ctx, taken.Proposer, miner)
	if err != nil {
		return err
	}
	if entitled {
		return k.payDeposit(ctx, taken.Proposer, incl)
	}
	return k.court.Reserve(ctx, types.ModuleName, incl)
}

// taken says which proposer takes a message now, in a phase of so many blocks that ends before a height.
func (k Keeper) taken(ctx context.Context, blocks uint64, end int64) (sprinttypes.Taken, error) {
	c := sdk.UnwrapSDKContext(ctx)
	proposer, err := k.power.Operator(ctx, c.BlockHeader().ProposerAddress)
	return sprinttypes.TakenIn(proposer, blocks, end-c.BlockHeight()), err
}
