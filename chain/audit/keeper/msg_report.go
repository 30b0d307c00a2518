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

const (
	// gasOpening is charged for each opening beside its bytes: hashing a fold and a path.
	gasOpening = 2_000
	// strangersPart is the part of the queue that is open to senders without a seat.
	strangersPart = 8
)

// Report queues an accused unit for re-execution. While the audit runs any unit may be reported;
// after it only one that was opened on chain since, for as long as the round says. Of a unit whose
// report waits, only a validator whose own draw holds it may send another one, which joins that.
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
	sender, err := s.admitSender(ctx, e, p, m.Reporter, reporter, seated)
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
	first, known, err := get(ctx, s.reports, collections.Join(e.Number, id[:]))
	if err != nil {
		return nil, err
	}
	if known && (first.Status != types.REPORT_QUEUED || first.By(m.Reporter) || !seated) {
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
	if known && !drawn {
		return nil, errors.Wrapf(types.ErrDuplicateReport, "unit %d of %s; who drew it may still join", m.Index, m.Claimant)
	}
	var taken sprinttypes.Taken
	if e.Phase == sprinttypes.PHASE_AUDIT {
		taken, err = s.taken(ctx, e.Params.AuditBlocks, e.AuditEnd)
	} else { // one that was opened on chain since
		taken, err = s.taken(ctx, p.AnswerReportBlocks, r.ReportEnd)
	}
	if err != nil {
		return nil, err
	}
	if known {
		due, err := s.join(ctx, p, first, types.Joined{Reporter: m.Reporter, Taken: taken}, sender, reporter)
		if err != nil {
			return nil, err
		}
		return &types.MsgReportResponse{Id: id[:], Due: due}, nil
	}
	report := types.Report{
		Id: id[:], Epoch: e.Number, Claimant: m.Claimant, Index: m.Index, Reporter: m.Reporter,
		Digest: digest[:], Drawn: drawn, Taken: taken,
	}
	due, err := s.enqueue(ctx, p, report, sender, reporter, seated)
	if err != nil {
		return nil, err
	}
	return &types.MsgReportResponse{Id: id[:], Due: due}, nil
}

// enqueue puts a report into the queue if there is room, takes the deposit of a sender without a
// seat, and returns the earliest height at which the result applies.
func (k Keeper) enqueue(ctx context.Context, p types.Params, report types.Report, sender types.Sender, reporter sdk.AccAddress, seated bool) (int64, error) {
	_, _, waiting, err := k.head(ctx)
	if err != nil {
		return 0, err
	}
	room := uint64(p.MaxQueue)
	if !seated {
		room = max(1, room/strangersPart)
	}
	if waiting >= room {
		return 0, errors.Wrapf(types.ErrQueueFull, "%d wait, at most %d; try again in the next block", waiting, room)
	}
	if !seated && p.ReportDeposit > 0 {
		report.Deposit = p.ReportDeposit
		if err := k.bank.SendCoinsFromAccountToModule(ctx, reporter, types.ModuleName, deposit(p.ReportDeposit)); err != nil {
			return 0, err
		}
	}
	if report.Sequence, err = k.nextReport.Next(ctx); err != nil {
		return 0, err
	}
	report.Height = sdk.UnwrapSDKContext(ctx).BlockHeight()
	if err := k.reports.Set(ctx, collections.Join(report.Epoch, report.Id), report); err != nil {
		return 0, err
	}
	if err := k.queue.Set(ctx, report.Sequence, report.Id); err != nil {
		return 0, err
	}
	sender.Reports++
	sender.Pending++
	if err := k.senders.Set(ctx, collections.Join(report.Epoch, []byte(reporter)), sender); err != nil {
		return 0, err
	}
	due := report.Height + int64(p.ReportDelay)
	emit(ctx, "report", report.Epoch, append(accused(report), sdk.NewAttribute("due", strconv.FormatInt(due, 10)))...)
	return due, nil
}

// join adds the report of a validator that drew the unit to one that waits, whose outcome it shares. It takes no
// room in the queue and no re-execution: so it may come as long as the unit is not decided, and to be the first
// is worth nothing. There are no more of a unit than seats.
func (k Keeper) join(ctx context.Context, p types.Params, report types.Report, by types.Joined, sender types.Sender, reporter sdk.AccAddress) (int64, error) {
	report.Joined = append(report.Joined, by)
	if err := k.reports.Set(ctx, collections.Join(report.Epoch, report.Id), report); err != nil {
		return 0, err
	}
	sender.Reports++
	sender.Pending++
	if err := k.senders.Set(ctx, collections.Join(report.Epoch, []byte(reporter)), sender); err != nil {
		return 0, err
	}
	due := report.Height + int64(p.ReportDelay)
	report.Reporter = by.Reporter
	emit(ctx, "report", report.Epoch, append(accused(report), sdk.NewAttribute("due", strconv.FormatInt(due, 10)))...)
	return due, nil
}

// accused are the attributes of an event about a report.
func accused(r types.Report) []sdk.Attribute {
	out := []sdk.Attribute{
		sdk.NewAttribute("id", hex.EncodeToString(r.Id)), sdk.NewAttribute("claimant", r.Claimant),
		sdk.NewAttribute("index", strconv.FormatUint(r.Index, 10)), sdk.NewAttribute("reporter", r.Reporter),
	}
	if r.Validator != "" {
		out = append(out, sdk.NewAttribute("validator", r.Validator))
	}
	return out
}

// admitSender says whether somebody may report once more in the epoch.
func (k Keeper) admitSender(ctx context.Context, e sprinttypes.Epoch, p types.Params, name string, addr sdk.AccAddress, seated bool) (types.Sender, error) {
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
	// Whoever reports what is correct reports no more: so nobody keeps the queue busy for longer than
	// what waited when the first of its reports was refuted.
	pending := uint32(1)
	if seated {
		pending = p.MaxPending
	}
	if sender.Pending >= pending {
		return sender, errors.Wrapf(types.ErrPendingReports, "%d of %s, at most %d; try again when one is decided", sender.Pending, name, pending)
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
