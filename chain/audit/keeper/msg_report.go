package keeper

import (
	"context"
	"encoding/hex"
	"slices"
	"strconv"

	"cosmossdk.io/collections"
	"cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
)

// gasOpening is charged for each opening beside its bytes: hashing a fold and a path.
const gasOpening = 2_000

// Report queues an accused unit for re-execution. While the audit runs any unit may be reported;
// after it only one that was opened on chain since, for as long as the round says.
func (s msgServer) Report(ctx context.Context, m *types.MsgReport) (*types.MsgReportResponse, error) {
	if err := m.ValidateBasic(); err != nil {
		return nil, err
	}
	reporter, err := s.addressOf(m.Reporter)
	if err != nil {
		return nil, err
	}
	claimant, err := s.addressOf(m.Claimant)
	if err != nil {
		return nil, err
	}
	e, r, err := s.state(ctx, m.Epoch, sprinttypes.PHASE_AUDIT, sprinttypes.PHASE_ADJUDICATE)
	if err != nil {
		return nil, err
	}
	p, err := s.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	seat, seated := seatOf(r.Seats, m.Reporter)
	sender, err := s.admitSender(ctx, e, p, m.Reporter, reporter)
	if err != nil {
		return nil, err
	}

	claim, err := s.epochs.Claim(ctx, e.Number, claimant)
	if err != nil {
		return nil, err
	}
	if m.Index >= claim.Count {
		return nil, errors.Wrapf(types.ErrInvalidIndex, "unit %d of a claim of %d", m.Index, claim.Count)
	}
	if claim.FalseUnits >= p.ForfeitUnits {
		return nil, errors.Wrapf(types.ErrCondemned, "%s, %d units were proven false", m.Claimant, claim.FalseUnits)
	}
	id := commit.ReportID(e.Number, claimant, m.Index)
	if known, err := s.reports.Has(ctx, collections.Join(e.Number, id[:])); err != nil {
		return nil, err
	} else if known {
		return nil, errors.Wrapf(types.ErrDuplicateReport, "unit %d of %s", m.Index, m.Claimant)
	}
	digest, err := s.committedDigest(ctx, e, r, height, m, claimant, claim)
	if err != nil {
		return nil, err
	}
	drawn := false
	if seated {
		if drawn, err = s.drew(ctx, e, r, r.Seats[seat], m, reporter, claimant, claim); err != nil {
			return nil, err
		}
	} else if len(m.VrfProof) > 0 {
		return nil, errors.Wrapf(types.ErrNoSeat, "%s in round %d: a report without a draw carries no proof", m.Reporter, e.Round)
	}
	_, _, waiting, err := s.head(ctx)
	if err != nil {
		return nil, err
	}
	room := uint64(p.MaxQueue)
	if !seated {
		room /= 2
	}
	if waiting >= room {
		return nil, errors.Wrapf(types.ErrQueueFull, "%d wait, at most %d; try again in the next block", waiting, room)
	}

	sequence, err := s.nextReport.Next(ctx)
	if err != nil {
		return nil, err
	}
	report := types.Report{
		Id: id[:], Epoch: e.Number, Claimant: m.Claimant, Index: m.Index, Reporter: m.Reporter,
		Digest: digest[:], Drawn: drawn, Height: height, Sequence: sequence,
	}
	if err := s.reports.Set(ctx, collections.Join(e.Number, id[:]), report); err != nil {
		return nil, err
	}
	if err := s.queue.Set(ctx, sequence, id[:]); err != nil {
		return nil, err
	}
	sender.Reports++
	if err := s.senders.Set(ctx, collections.Join(e.Number, []byte(reporter)), sender); err != nil {
		return nil, err
	}
	due := height + int64(p.ReportDelay)
	emit(ctx, "report", e.Number, sdk.NewAttribute("id", hex.EncodeToString(id[:])),
		sdk.NewAttribute("claimant", m.Claimant), sdk.NewAttribute("index", strconv.FormatUint(m.Index, 10)),
		sdk.NewAttribute("reporter", m.Reporter), sdk.NewAttribute("due", strconv.FormatInt(due, 10)))
	return &types.MsgReportResponse{Id: id[:], Due: due}, nil
}

// admitSender says whether somebody may report once more in the epoch.
func (k Keeper) admitSender(ctx context.Context, e sprinttypes.Epoch, p types.Params, name string, addr sdk.AccAddress) (types.Sender, error) {
	registered, jailed, err := k.power.Miner(ctx, addr)
	if err != nil {
		return types.Sender{}, err
	}
	if !registered || jailed {
		return types.Sender{}, errors.Wrapf(types.ErrUnknownReporter, "%s is not registered, or jailed", name)
	}
	sender, _, err := get(ctx, k.senders, collections.Join(e.Number, []byte(addr)))
	if err != nil {
		return sender, err
	}
	sender.Address = name
	if sender.Refuted {
		return sender, errors.Wrapf(types.ErrRefutedReporter, "%s may report again in epoch %d", name, e.Number+1)
	}
	if sender.Reports >= p.MaxReports {
		return sender, errors.Wrapf(types.ErrTooManyReports, "%s in epoch %d, at most %d", name, e.Number, p.MaxReports)
	}
	return sender, nil
}

// committedDigest returns what the claim commits to for the reported unit.
func (k Keeper) committedDigest(ctx context.Context, e sprinttypes.Epoch, r types.Round, height int64, m *types.MsgReport, claimant sdk.AccAddress, claim sprinttypes.Claim) (commit.Digest, error) {
	answer, answered, err := get(ctx, k.answers, collections.Join3(e.Number, []byte(claimant), m.Index))
	if err != nil {
		return commit.Digest{}, err
	}
	if e.Phase != sprinttypes.PHASE_AUDIT && (!answered || height >= r.ReportEnd) {
		return commit.Digest{}, errors.Wrapf(types.ErrWrongPhase,
			"the audit is over; only units opened on chain may be reported, below height %d", r.ReportEnd)
	}
	if len(m.Opening) == 0 {
		if !answered {
			return commit.Digest{}, errors.Wrapf(types.ErrInvalidOpening, "none is given and unit %d was not opened on chain", m.Index)
		}
		return commit.Digest(answer.Digest), nil
	}
	return opened(ctx, e, claim, m.Index, m.Opening)
}

// opened verifies an opening of the unit and returns its digest.
func opened(ctx context.Context, e sprinttypes.Epoch, claim sprinttypes.Claim, index uint64, bz []byte) (commit.Digest, error) {
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(gasOpening, "opening")
	var o commit.Opening
	if err := o.UnmarshalBinary(bz); err != nil {
		return commit.Digest{}, errors.Wrap(types.ErrInvalidOpening, err.Error())
	}
	if o.Index != index {
		return commit.Digest{}, errors.Wrapf(types.ErrInvalidOpening, "of unit %d, not %d", o.Index, index)
	}
	digest, err := o.Verify(commit.Root(claim.Root), claim.Count, e.Params.Fold)
	if err != nil {
		return digest, errors.Wrap(types.ErrInvalidOpening, err.Error())
	}
	return digest, nil
}

// drew says whether the reporter's own draw of the running round holds the unit.
func (k Keeper) drew(ctx context.Context, e sprinttypes.Epoch, r types.Round, seat types.Seat, m *types.MsgReport, reporter, claimant sdk.AccAddress, claim sprinttypes.Claim) (bool, error) {
	out, known, err := k.outputOf(ctx, e, seat, reporter, m.VrfProof)
	if err != nil || !known {
		return false, err
	}
	_, found := slices.BinarySearch(draw(e, r, seat, reporter, claimant, claim).Indexes(out), m.Index)
	if !found && len(m.VrfProof) > 0 {
		return false, errors.Wrapf(types.ErrNotDrawn, "unit %d; report it without a proof", m.Index)
	}
	return found, nil
}
