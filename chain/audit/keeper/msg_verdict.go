package keeper

import (
	"context"
	"strconv"

	"cosmossdk.io/collections"
	"cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
)

type msgServer struct{ Keeper }

// NewMsgServer returns the handlers of the module's messages.
func NewMsgServer(k Keeper) types.MsgServer { return msgServer{k} }

var _ types.MsgServer = msgServer{}

func verdictKey(epoch uint64, round uint32, validator sdk.AccAddress) roundKey {
	return collections.Join3(epoch, round, []byte(validator))
}

// state returns the running epoch and its round if the epoch is the named one and in one of the
// phases.
func (k Keeper) state(ctx context.Context, epoch uint64, phases ...sprinttypes.Phase) (sprinttypes.Epoch, types.Round, error) {
	e, err := k.epochs.Epoch(ctx)
	if err != nil {
		return e, types.Round{}, err
	}
	if epoch != e.Number {
		return e, types.Round{}, errors.Wrapf(types.ErrWrongEpoch, "message names epoch %d, epoch %d runs", epoch, e.Number)
	}
	for _, p := range phases {
		if e.Phase == p {
			r, err := k.round.Get(ctx)
			return e, r, err
		}
	}
	return e, types.Round{}, errors.Wrapf(types.ErrWrongPhase, "epoch %d is in %s, allowed is %v", e.Number, e.Phase, phases)
}

// Verdict takes a validator's verdict of the running round.
func (s msgServer) Verdict(ctx context.Context, m *types.MsgVerdict) (*types.MsgVerdictResponse, error) {
	if err := m.ValidateBasic(); err != nil {
		return nil, err
	}
	validator, err := s.addressOf(m.Validator)
	if err != nil {
		return nil, err
	}
	e, r, err := s.state(ctx, m.Epoch, sprinttypes.PHASE_AUDIT)
	if err != nil {
		return nil, err
	}
	if m.Round != e.Round {
		return nil, errors.Wrapf(types.ErrWrongRound, "verdict names round %d, round %d runs", m.Round, e.Round)
	}
	i, ok := seatOf(r.Seats, m.Validator)
	if !ok {
		return nil, errors.Wrapf(types.ErrNoSeat, "%s in round %d", m.Validator, e.Round)
	}
	key := verdictKey(e.Number, e.Round, validator)
	if given, err := s.verdicts.Has(ctx, key); err != nil {
		return nil, err
	} else if given {
		return nil, errors.Wrapf(types.ErrDuplicateVerdict, "%s in round %d", m.Validator, e.Round)
	}
	if err := commit.Bitmap(m.Bitmap).Check(int(e.Claims)); err != nil {
		return nil, errors.Wrap(types.ErrInvalidBitmap, err.Error())
	}
	if len(m.Seen) > 0 { // else it saw none in time
		if err := commit.Bitmap(m.Seen).Check(lateIn(e)); err != nil {
			return nil, errors.Wrapf(types.ErrInvalidBitmap, "late units seen: %v", err)
		}
	}
	out, err := s.verifyVRF(ctx, roundInput(ctx, e), r.Seats[i], m.VrfProof)
	if err != nil {
		return nil, err
	}

	taken, err := s.taken(ctx, e.Params.AuditBlocks, e.AuditEnd)
	if err != nil {
		return nil, err
	}
	v := types.Verdict{Taken: taken, Epoch: e.Number, Round: e.Round, Validator: m.Validator, Output: out[:], Bitmap: m.Bitmap, KeyedRoot: m.KeyedRoot, Seen: m.Seen}
	if err := s.verdicts.Set(ctx, key, v); err != nil {
		return nil, err
	}
	r.Seats[i].Present = true
	if err := s.round.Set(ctx, r); err != nil {
		return nil, err
	}
	emit(ctx, "verdict", e.Number, sdk.NewAttribute("validator", m.Validator),
		sdk.NewAttribute("round", strconv.FormatUint(uint64(e.Round), 10)))
	return &types.MsgVerdictResponse{}, nil
}

// UpdateParams replaces the parameters.
func (s msgServer) UpdateParams(ctx context.Context, m *types.MsgUpdateParams) (*types.MsgUpdateParamsResponse, error) {
	if m.Authority != s.authority {
		return nil, errors.Wrapf(types.ErrInvalidAuthority, "%s, not %s", m.Authority, s.authority)
	}
	if err := m.Params.Validate(); err != nil {
		return nil, err
	}
	return &types.MsgUpdateParamsResponse{}, s.params.Set(ctx, m.Params)
}
