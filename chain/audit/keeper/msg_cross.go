package keeper

import (
	"context"
	"slices"
	"strconv"

	"cosmossdk.io/collections"
	"cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// gasKeyed is charged for each opened keyed digest beside its bytes: a path of SHA-256 hashes.
const gasKeyed = 1_000

// crossState returns the running epoch and round if they are the named ones and the cross-check is
// in one of the stages.
func (k Keeper) crossState(ctx context.Context, epoch uint64, round uint32, stages ...types.CrossStage) (sprinttypes.Epoch, types.Round, error) {
	e, r, err := k.state(ctx, epoch, sprinttypes.PHASE_ADJUDICATE)
	if err != nil {
		return e, r, err
	}
	if round != e.Round {
		return e, r, errors.Wrapf(types.ErrWrongRound, "message names round %d, round %d runs", round, e.Round)
	}
	if !slices.Contains(stages, r.Cross) {
		return e, r, errors.Wrapf(types.ErrWrongStage, "the cross-check is in %s, allowed is %v", r.Cross, stages)
	}
	return e, r, nil
}

// ownVerdict returns the sender's verdict of the running round if it counts.
func (k Keeper) ownVerdict(ctx context.Context, e sprinttypes.Epoch, r types.Round, name string) (types.Seat, sdk.AccAddress, types.Verdict, error) {
	validator, err := k.addressOf(name)
	if err != nil {
		return types.Seat{}, nil, types.Verdict{}, err
	}
	i, ok := seatOf(r.Seats, name)
	if !ok {
		return types.Seat{}, nil, types.Verdict{}, errors.Wrapf(types.ErrNoSeat, "%s in round %d", name, e.Round)
	}
	v, given, err := get(ctx, k.verdicts, verdictKey(e.Number, e.Round, validator))
	if err != nil {
		return types.Seat{}, nil, v, err
	}
	if !given || v.FalseOk || v.Dropped {
		return types.Seat{}, nil, v, errors.Wrapf(types.ErrNoVerdict, "%s in round %d", name, e.Round)
	}
	return r.Seats[i], validator, v, nil
}

// Challenge takes a validator's draw of what it checks of the others' verdicts.
func (s msgServer) Challenge(ctx context.Context, m *types.MsgChallenge) (*types.MsgChallengeResponse, error) {
	if err := m.ValidateBasic(); err != nil {
		return nil, err
	}
	e, r, err := s.crossState(ctx, m.Epoch, m.Round, types.CROSS_CHALLENGE)
	if err != nil {
		return nil, err
	}
	seat, validator, v, err := s.ownVerdict(ctx, e, r, m.Validator)
	if err != nil {
		return nil, err
	}
	if len(v.Challenge) > 0 {
		return nil, errors.Wrapf(types.ErrDuplicateChallenge, "%s in round %d", m.Validator, e.Round)
	}
	input := sample.CrossInput(sdk.UnwrapSDKContext(ctx).ChainID(), e.Number, uint64(e.Round), commit.Root(r.VerdictsRoot))
	out, err := s.verifyVRF(ctx, input, seat, m.VrfProof)
	if err != nil {
		return nil, err
	}
	p, err := s.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	if v.ChallengeTaken, err = s.taken(ctx, p.ChallengeBlocks, r.CrossEnd); err != nil {
		return nil, err
	}
	v.Challenge = out[:]
	if err := s.verdicts.Set(ctx, verdictKey(e.Number, e.Round, validator), v); err != nil {
		return nil, err
	}
	emit(ctx, "challenge", e.Number, sdk.NewAttribute("validator", m.Validator),
		sdk.NewAttribute("round", strconv.FormatUint(uint64(e.Round), 10)))
	return &types.MsgChallengeResponse{}, nil
}

// OpenKeyed takes openings of challenged leaves; all of them must lead to the verdict's keyed root.
func (s msgServer) OpenKeyed(ctx context.Context, m *types.MsgOpenKeyed) (*types.MsgOpenKeyedResponse, error) {
	if err := m.ValidateBasic(); err != nil {
		return nil, err
	}
	e, r, err := s.crossState(ctx, m.Epoch, m.Round, types.CROSS_OPEN)
	if err != nil {
		return nil, err
	}
	_, validator, v, err := s.ownVerdict(ctx, e, r, m.Validator)
	if err != nil {
		return nil, err
	}
	key := verdictKey(e.Number, e.Round, validator)
	c, found, err := get(ctx, s.challenged, key)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errors.Wrapf(types.ErrNotChallenged, "nothing of %s in round %d", m.Validator, e.Round)
	}
	for _, o := range m.Openings {
		i, found := slices.BinarySearchFunc(c.Units, o.Position, func(u types.KeyedUnit, position uint64) int {
			switch {
			case u.Position < position:
				return -1
			case u.Position > position:
				return 1
			}
			return 0
		})
		if !found {
			return nil, errors.Wrapf(types.ErrNotChallenged, "position %d", o.Position)
		}
		if len(c.Units[i].Digest) > 0 {
			return nil, errors.Wrapf(types.ErrDuplicateOpening, "position %d", o.Position)
		}
		claimant, err := s.addressOf(c.Units[i].Claimant)
		if err != nil {
			return nil, err
		}
		sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(gasKeyed, "keyed digest")
		keyed := commit.Keyed{Claimant: claimant, Index: c.Units[i].Index, Digest: commit.Digest(o.Digest)}
		if err := commit.VerifyKeyed(keyed, o.Position, v.Leaves, o.Path, commit.Root(v.KeyedRoot)); err != nil {
			return nil, errors.Wrap(types.ErrInvalidKeyed, err.Error())
		}
		c.Units[i].Digest = o.Digest
	}
	if err := s.challenged.Set(ctx, key, c); err != nil {
		return nil, err
	}
	if !incomplete(c) {
		p, err := s.params.Get(ctx)
		if err != nil {
			return nil, err
		}
		if v.OpenedTaken, err = s.taken(ctx, p.OpenBlocks, r.CrossEnd); err != nil {
			return nil, err
		}
		if err := s.verdicts.Set(ctx, key, v); err != nil {
			return nil, err
		}
	}
	emit(ctx, "keyed_opened", e.Number, sdk.NewAttribute("validator", m.Validator),
		sdk.NewAttribute("leaves", strconv.Itoa(len(m.Openings))))
	return &types.MsgOpenKeyedResponse{}, nil
}

// ReportKeyed queues an opened keyed digest for re-execution. Only validators may: they alone have
// drawn it, and what they lose by a false accusation bounds them.
func (s msgServer) ReportKeyed(ctx context.Context, m *types.MsgReportKeyed) (*types.MsgReportKeyedResponse, error) {
	reporter, err := s.addressOf(m.Reporter)
	if err != nil {
		return nil, err
	}
	validator, err := s.addressOf(m.Validator)
	if err != nil {
		return nil, err
	}
	e, r, err := s.crossState(ctx, m.Epoch, m.Round, types.CROSS_OPEN, types.CROSS_REPORT)
	if err != nil {
		return nil, err
	}
	p, err := s.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	if !r.Seated(m.Reporter) {
		return nil, errors.Wrapf(types.ErrNoSeat, "%s in epoch %d", m.Reporter, e.Number)
	}
	sender, err := s.admitSender(ctx, e, p, m.Reporter, reporter, true)
	if err != nil {
		return nil, err
	}
	c, found, err := get(ctx, s.challenged, verdictKey(e.Number, e.Round, validator))
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(c.Units, func(u types.KeyedUnit) bool { return u.Position == m.Position })
	if !found || i < 0 || len(c.Units[i].Digest) == 0 {
		return nil, errors.Wrapf(types.ErrNotOpened, "position %d of %s in round %d", m.Position, m.Validator, e.Round)
	}
	if convicted(r, m.Validator) {
		return nil, errors.Wrapf(types.ErrCondemned, "%s, in epoch %d", m.Validator, e.Number)
	}
	id := commit.KeyedReportID(e.Number, uint64(e.Round), validator, m.Position)
	if known, err := s.reports.Has(ctx, collections.Join(e.Number, id[:])); err != nil {
		return nil, err
	} else if known {
		return nil, errors.Wrapf(types.ErrDuplicateReport, "position %d of %s", m.Position, m.Validator)
	}
	report := types.Report{
		Id: id[:], Epoch: e.Number, Claimant: c.Units[i].Claimant, Index: c.Units[i].Index, Reporter: m.Reporter,
		Digest: c.Units[i].Digest, Validator: m.Validator, Round: e.Round, Position: m.Position,
	}
	due, err := s.enqueue(ctx, p, report, sender, reporter, true)
	if err != nil {
		return nil, err
	}
	return &types.MsgReportKeyedResponse{Id: id[:], Due: due}, nil
}

// convicted says whether a validator of the epoch was convicted in it.
func convicted(r types.Round, validator string) bool {
	for _, seats := range [][]types.Seat{r.Seats, r.Absent} {
		if i, ok := seatOf(seats, validator); ok && seats[i].FalseOk {
			return true
		}
	}
	return false
}
