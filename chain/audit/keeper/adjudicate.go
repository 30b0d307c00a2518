package keeper

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"
	"strconv"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// moreMoot bounds the reports that one block drops without a re-execution.
const moreMoot = 100

// adjudicate decides at most one report: the first of the queue, once its delay has passed. This
// is where a block waits for the background.
func (k Keeper) adjudicate(ctx context.Context, e sprinttypes.Epoch, r *types.Round, p types.Params) error {
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	for range moreMoot {
		sequence, id, _, err := k.head(ctx)
		if err != nil || id == nil {
			return err
		}
		report, err := k.reports.Get(ctx, collections.Join(e.Number, id))
		if err != nil {
			return err
		}
		if height < report.Height+int64(p.ReportDelay) {
			return nil
		}
		claimant, err := k.addressOf(report.Claimant)
		if err != nil {
			return err
		}
		claim, err := k.epochs.Claim(ctx, e.Number, claimant)
		if err != nil {
			return err
		}
		if err := k.queue.Remove(ctx, sequence); err != nil {
			return err
		}
		if claim.FalseUnits < p.ForfeitUnits {
			return k.decide(ctx, e, r, p, report, claimant, claim)
		}
		report.Status = types.REPORT_MOOT
		if err := k.reports.Set(ctx, collections.Join(e.Number, id), report); err != nil {
			return err
		}
	}
	return nil
}

func job(e sprinttypes.Epoch, report types.Report, claimant sdk.AccAddress) types.Job {
	return types.Job{
		ID: [32]byte(report.Id), ModuleHash: [32]byte(e.Work.ModuleHash), Params: e.Work.Params,
		Seed: [32]byte(e.Seed), Identity: claimant, TensorBytes: e.Work.TensorBytes,
		GasSetup: e.Work.GasSetup, GasUnit: e.Work.GasUnit, Index: report.Index,
	}
}

// decide re-executes the unit and applies what follows.
func (k Keeper) decide(ctx context.Context, e sprinttypes.Epoch, r *types.Round, p types.Params, report types.Report, claimant sdk.AccAddress, claim sprinttypes.Claim) error {
	j := job(e, report, claimant)
	k.rechecker.Queue(j) // a node that restarted since has forgotten the job
	digest, trap := k.rechecker.Wait(j.ID)
	var err error
	switch {
	case abi.Trap(trap) != abi.TrapNone:
		// Gas and shapes of an admitted module do not depend on the input: the module is broken, and
		// no claimant is to blame.
		report.Status = types.REPORT_MODULE_FAILED
		r.Failed = true
	case bytes.Equal(digest[:], report.Digest):
		report.Status = types.REPORT_REFUTED
		err = k.refute(ctx, e, r, report)
	default:
		report.Status = types.REPORT_PROVEN
		err = k.convict(ctx, e, r, p, report, claimant, claim)
	}
	if err != nil {
		return err
	}
	if err := k.reports.Set(ctx, collections.Join(e.Number, report.Id), report); err != nil {
		return err
	}
	emit(ctx, "report_result", e.Number, sdk.NewAttribute("id", hex.EncodeToString(report.Id)),
		sdk.NewAttribute("claimant", report.Claimant), sdk.NewAttribute("index", strconv.FormatUint(report.Index, 10)),
		sdk.NewAttribute("reporter", report.Reporter), sdk.NewAttribute("result", report.Status.String()),
		sdk.NewAttribute("trap", abi.Trap(trap).String()))
	return nil
}

// refute ends the reporter's reports of the epoch and its audit pay.
func (k Keeper) refute(ctx context.Context, e sprinttypes.Epoch, r *types.Round, report types.Report) error {
	reporter, err := k.addressOf(report.Reporter)
	if err != nil {
		return err
	}
	key := collections.Join(e.Number, []byte(reporter))
	sender, err := k.senders.Get(ctx, key)
	if err != nil {
		return err
	}
	sender.Refuted = true
	if i, ok := seatOf(r.Seats, report.Reporter); ok {
		r.Seats[i].Refuted = true
	}
	return k.senders.Set(ctx, key, sender)
}

// convict applies a proven false unit: the claim is void; enough of them forfeit and jail; and a
// validator whose draw held the unit while its verdict said ok is punished too.
func (k Keeper) convict(ctx context.Context, e sprinttypes.Epoch, r *types.Round, p types.Params, report types.Report, claimant sdk.AccAddress, claim sprinttypes.Claim) error {
	units, err := k.court.AddFalseUnit(ctx, claimant)
	if err != nil {
		return err
	}
	if err := k.punishFalseVerdicts(ctx, e, r, report, claimant, claim); err != nil {
		return err
	}
	var rewarded sdk.AccAddress
	if report.Drawn {
		if rewarded, err = k.addressOf(report.Reporter); err != nil {
			return err
		}
	}
	return k.condemn(ctx, e, p, report.Claimant, claimant, rewarded, units)
}

// condemn applies the forfeit and the jail with the unit that makes them due; before and after it
// does nothing.
func (k Keeper) condemn(ctx context.Context, e sprinttypes.Epoch, p types.Params, name string, claimant, rewarded sdk.AccAddress, units uint32) error {
	if units != p.ForfeitUnits {
		return nil
	}
	if _, _, err := k.court.Forfeit(ctx, claimant, rewarded, p.ReporterBps); err != nil {
		return err
	}
	if err := k.power.Jail(ctx, claimant); err != nil {
		return err
	}
	emit(ctx, "condemned", e.Number, sdk.NewAttribute("miner", name),
		sdk.NewAttribute("false_units", strconv.FormatUint(uint64(units), 10)))
	return nil
}

// punishFalseVerdicts finds the verdicts of the first and of the running round that say ok over a
// claim although the validator's draw held the false unit. Such a verdict was given without the
// work: re-execution has one result.
func (k Keeper) punishFalseVerdicts(ctx context.Context, e sprinttypes.Epoch, r *types.Round, report types.Report, claimant sdk.AccAddress, claim sprinttypes.Claim) error {
	position, err := k.positionOf(ctx, e.Number, claimant)
	if err != nil {
		return err
	}
	seats := append(append([]types.Seat(nil), r.Seats...), r.Absent...)
	for _, seat := range seats {
		if !seat.Present || seat.FalseOk {
			continue
		}
		validator, err := k.addressOf(seat.Validator)
		if err != nil {
			return err
		}
		for _, round := range slices.Compact([]uint32{0, e.Round}) {
			v, given, err := get(ctx, k.verdicts, verdictKey(e.Number, round, validator))
			if err != nil {
				return err
			}
			if !given || !commit.Bitmap(v.Bitmap).Has(position) {
				continue
			}
			d := draw(e, *r, seat, validator, claimant, claim)
			if round == 0 {
				d = firstDraw(e, *r, seat, validator, claimant, claim)
			}
			if _, held := slices.BinarySearch(d.Indexes(sample.Output(v.Output)), report.Index); !held {
				continue
			}
			v.FalseOk = true
			if err := k.verdicts.Set(ctx, verdictKey(e.Number, round, validator), v); err != nil {
				return err
			}
			if err := k.punishValidator(ctx, e, r, seat.Validator, validator); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

func (k Keeper) punishValidator(ctx context.Context, e sprinttypes.Epoch, r *types.Round, name string, validator sdk.AccAddress) error {
	if i, ok := seatOf(r.Seats, name); ok {
		r.Seats[i].FalseOk = true
	}
	if i, ok := seatOf(r.Absent, name); ok {
		r.Absent[i].FalseOk = true
	}
	if _, err := k.epochs.Claim(ctx, e.Number, validator); err == nil {
		if err := k.court.VoidClaim(ctx, validator, sprinttypes.CLAIM_VOID_VERDICT); err != nil {
			return err
		}
	}
	emit(ctx, "false_verdict", e.Number, sdk.NewAttribute("validator", name))
	return k.power.Jail(ctx, validator)
}

// positionOf returns the claim's position in the order of addresses, -1 if there is none.
func (k Keeper) positionOf(ctx context.Context, epoch uint64, claimant sdk.AccAddress) (int, error) {
	position, i := -1, 0
	err := k.epochs.WalkClaims(ctx, epoch, func(miner sdk.AccAddress, _ sprinttypes.Claim) (bool, error) {
		if bytes.Equal(miner, claimant) {
			position = i
			return true, nil
		}
		i++
		return false, nil
	})
	return position, err
}
