package keeper

import (
	"bytes"
	"context"
	"slices"
	"strconv"

	"cosmossdk.io/collections"
	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/verifier/sample"
)

// moreMoot bounds the reports that one block drops without a re-execution.
const moreMoot = 100

// adjudicate decides at most one report, once the time for others to compete with the first in the queue and the
// time to re-execute it have passed. This is where a block waits for the background.
func (k Keeper) adjudicate(ctx context.Context, e sprinttypes.Epoch, r *types.Round, p types.Params) error {
	if err := k.closeReports(ctx, r, p); err != nil {
		return err
	}
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
		if report.Closed == 0 || height < report.Closed+int64(p.ReportDelay+1)/2 {
			return nil
		}
		moot, err := k.moot(ctx, e, *r, p, report)
		if err != nil {
			return err
		}
		if !moot {
			if report, err = k.pick(ctx, report, height-int64(p.ReportDelay+1)/2); err != nil {
				return err
			}
		}
		if err := k.queue.Remove(ctx, sequence); err != nil {
			return err
		}
		if !moot {
			return k.decide(ctx, e, r, p, report)
		}
		report.Status = types.REPORT_MOOT
		if err := k.decided(ctx, report); err != nil {
			return err
		}
	}
	return nil
}

// pick returns the report that is decided instead of the first in the queue: of the reports of units of its claim
// that came until a height, one that a reporter of it drew before one that nobody did, and of these the one with the
// lowest id. So neither the order within a block nor leaving a report out of it decides whose reports condemn a
// claim and are rewarded for it. The first takes the other's place in the queue.
func (k Keeper) pick(ctx context.Context, first types.Report, until int64) (types.Report, error) {
	best := first
	if first.Validator != "" {
		return best, nil
	}
	err := k.queue.Walk(ctx, new(collections.Range[uint64]).StartExclusive(first.Sequence), func(_ uint64, id []byte) (bool, error) {
		r, err := k.reports.Get(ctx, collections.Join(first.Epoch, id))
		if err != nil || r.Height > until {
			return true, err // those behind it came later still
		}
		if r.Claimant == first.Claimant && r.Validator == "" && before(r, best) {
			best = r
		}
		return false, nil
	})
	if err != nil || best.Sequence == first.Sequence {
		return best, err
	}
	first.Sequence, best.Sequence = best.Sequence, first.Sequence
	if err := k.queue.Set(ctx, first.Sequence, first.Id); err != nil {
		return best, err
	}
	return best, k.reports.Set(ctx, collections.Join(first.Epoch, first.Id), first)
}

// closeReports ends the time in which others compete with what waits: half of the delay after the block that took
// it, and not before somebody else than a coalition below a third of the power made a block since. Turns are known
// in advance, and keys can be chosen so that a coalition's follow each other: it could fill any number of blocks
// below a third of the validators' with its own reports alone.
func (k Keeper) closeReports(ctx context.Context, r *types.Round, p types.Params) error {
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	var closing []types.Report
	var to uint64
	var past int64 // height since which others had a block
	err := k.queue.Walk(ctx, new(collections.Range[uint64]).StartExclusive(r.ClosedTo), func(sequence uint64, id []byte) (bool, error) {
		report, err := k.reports.Get(ctx, collections.Join(r.Epoch, id))
		if err != nil {
			return true, err
		}
		if report.Closed == 0 {
			if height < report.Height+int64(p.ReportDelay)/2 {
				return true, nil
			}
			if report.Height+1 != past {
				if others, err := k.others(ctx, report.Height+1); err != nil || !others {
					return true, err
				}
				past = report.Height + 1
			}
			report.Closed = height
			closing = append(closing, report)
		}
		to = sequence
		return false, nil
	})
	if err != nil {
		return err
	}
	for _, report := range closing {
		if err := k.reports.Set(ctx, collections.Join(r.Epoch, report.Id), report); err != nil {
			return err
		}
	}
	r.ClosedTo = max(r.ClosedTo, to)
	return nil
}

// others says whether somebody else made a block since a height than any coalition below a third of the power could
// have made it. Without any power, which an imported genesis may have for a moment, nobody is waited for.
func (k Keeper) others(ctx context.Context, since int64) (bool, error) {
	heard, total, err := k.power.Heard(ctx, since)
	return 3*heard > total || total == 0, err
}

func before(a, b types.Report) bool {
	if drawn := len(a.Rewarded()) > 0; drawn != (len(b.Rewarded()) > 0) {
		return drawn
	}
	return bytes.Compare(a.Id, b.Id) < 0
}

// moot says whether nothing would follow from a report: the accused was condemned meanwhile.
func (k Keeper) moot(ctx context.Context, e sprinttypes.Epoch, r types.Round, p types.Params, report types.Report) (bool, error) {
	if report.Validator != "" {
		return convicted(r, report.Validator), nil
	}
	claimant, err := k.addressOf(report.Claimant)
	if err != nil {
		return false, err
	}
	claim, err := k.epochs.Claim(ctx, e.Number, claimant)
	return claim.FalseUnits >= p.ForfeitUnits, err
}

// job is the re-execution that decides a report. A keyed digest is computed under the key that
// follows from the accused verdict.
func (k Keeper) job(ctx context.Context, e sprinttypes.Epoch, report types.Report, claimant sdk.AccAddress) (types.Job, error) {
	j := types.Job{
		ID: [32]byte(report.Id), ModuleHash: [32]byte(e.Work.ModuleHash), Params: e.Work.Params,
		Seed: [32]byte(e.Seed), Identity: claimant, TensorBytes: e.Work.TensorBytes,
		GasSetup: e.Work.GasSetup, GasUnit: e.Work.GasUnit, MemoryPages: e.Work.MemoryPages, Index: report.Index,
	}
	if report.Validator == "" {
		return j, nil
	}
	validator, err := k.addressOf(report.Validator)
	if err != nil {
		return j, err
	}
	v, err := k.verdicts.Get(ctx, verdictKey(e.Number, report.Round, validator))
	if err != nil {
		return j, err
	}
	key := sample.AuditKey(sample.Output(v.Output))
	j.Key = &key
	return j, nil
}

// decide re-executes the unit and applies what follows.
func (k Keeper) decide(ctx context.Context, e sprinttypes.Epoch, r *types.Round, p types.Params, report types.Report) error {
	claimant, err := k.addressOf(report.Claimant)
	if err != nil {
		return err
	}
	j, err := k.job(ctx, e, report, claimant)
	if err != nil {
		return err
	}
	k.rechecker.Queue(j) // a node that restarted since has forgotten the job
	digest, trap := k.rechecker.Wait(j.ID)
	switch {
	case abi.Trap(trap) != abi.TrapNone:
		// Gas and shapes of an admitted module do not depend on the input: the module is broken, and
		// nobody else is to blame.
		report.Status = types.REPORT_MODULE_FAILED
		r.Failed = true
	case bytes.Equal(digest[:], report.Digest):
		report.Status = types.REPORT_REFUTED
		err = k.refute(ctx, e, r, report)
	case report.Validator != "":
		report.Status = types.REPORT_PROVEN
		err = k.convictVerdict(ctx, e, r, report)
	default:
		report.Status = types.REPORT_PROVEN
		err = k.convict(ctx, e, r, p, report, claimant)
	}
	if err != nil {
		return err
	}
	emit(ctx, "report_result", e.Number, append(accused(report),
		sdk.NewAttribute("result", report.Status.String()), sdk.NewAttribute("trap", abi.Trap(trap).String()))...)
	return k.decided(ctx, report)
}

// decided stores a report's outcome, counts it off those who sent it and pays its deposit back, or into
// the reserve if it is refuted: were it the accused's, a cheat would accuse itself for nothing to
// run out the clock.
func (k Keeper) decided(ctx context.Context, report types.Report) error {
	for _, name := range report.Reporters() {
		reporter, err := k.addressOf(name)
		if err != nil {
			return err
		}
		key := collections.Join(report.Epoch, []byte(reporter))
		sender, err := k.senders.Get(ctx, key)
		if err != nil {
			return err
		}
		sender.Pending -= min(sender.Pending, 1)
		if err := k.senders.Set(ctx, key, sender); err != nil {
			return err
		}
	}
	if report.Deposit > 0 { // the first one's: who joins has a seat
		reporter, err := k.addressOf(report.Reporter)
		if err != nil {
			return err
		}
		if report.Status == types.REPORT_REFUTED {
			err = k.court.Reserve(ctx, types.ModuleName, math.NewIntFromUint64(report.Deposit))
		} else {
			err = k.bank.SendCoinsFromModuleToAccount(ctx, types.ModuleName, reporter, deposit(report.Deposit))
		}
		if err != nil {
			return err
		}
	}
	return k.reports.Set(ctx, collections.Join(report.Epoch, report.Id), report)
}

// refute ends the reports of the epoch and the audit pay of all who reported the unit.
func (k Keeper) refute(ctx context.Context, e sprinttypes.Epoch, r *types.Round, report types.Report) error {
	for _, name := range report.Reporters() {
		reporter, err := k.addressOf(name)
		if err != nil {
			return err
		}
		key := collections.Join(e.Number, []byte(reporter))
		sender, err := k.senders.Get(ctx, key)
		if err != nil {
			return err
		}
		sender.Refuted = true
		for _, seats := range [][]types.Seat{r.Seats, r.Absent} {
			if i, ok := seatOf(seats, name); ok {
				seats[i].Refuted = true
			}
		}
		if err := k.senders.Set(ctx, key, sender); err != nil {
			return err
		}
	}
	return nil
}

// convictVerdict punishes a validator whose keyed tree holds a digest that it did not compute.
func (k Keeper) convictVerdict(ctx context.Context, e sprinttypes.Epoch, r *types.Round, report types.Report) error {
	validator, err := k.addressOf(report.Validator)
	if err != nil {
		return err
	}
	return k.convictOf(ctx, e, r, report.Round, report.Validator, validator)
}

// convictOf marks a verdict as false and punishes who gave it.
func (k Keeper) convictOf(ctx context.Context, e sprinttypes.Epoch, r *types.Round, round uint32, name string, validator sdk.AccAddress) error {
	key := verdictKey(e.Number, round, validator)
	v, err := k.verdicts.Get(ctx, key)
	if err != nil {
		return err
	}
	v.FalseOk = true
	if err := k.verdicts.Set(ctx, key, v); err != nil {
		return err
	}
	return k.punishValidator(ctx, e, r, name, validator)
}

// convict applies a proven false unit: the claim is void; enough of them forfeit and jail; and a
// validator whose draw held the unit while its verdict said ok is punished too.
func (k Keeper) convict(ctx context.Context, e sprinttypes.Epoch, r *types.Round, p types.Params, report types.Report, claimant sdk.AccAddress) error {
	units, err := k.court.AddFalseUnit(ctx, claimant)
	if err != nil {
		return err
	}
	if err := k.punishFalseVerdicts(ctx, e, r, report, claimant); err != nil {
		return err
	}
	if err := k.proven.Set(ctx, collections.Join3(e.Number, []byte(claimant), report.Index), report.Id); err != nil {
		return err
	}
	return k.condemn(ctx, e, *r, p, report.Claimant, claimant, units)
}

// condemn applies the forfeit and the jail with the unit that makes them due; before and after it
// does nothing.
func (k Keeper) condemn(ctx context.Context, e sprinttypes.Epoch, r types.Round, p types.Params, name string, claimant sdk.AccAddress, units uint32) error {
	if units != p.ForfeitUnits {
		return nil
	}
	proofs, err := k.proofsOf(ctx, e.Number, r, claimant, units)
	if err != nil {
		return err
	}
	if _, _, err := k.court.Forfeit(ctx, claimant, p.ReporterBps, proofs); err != nil {
		return err
	}
	if err := k.power.Jail(ctx, claimant); err != nil {
		return err
	}
	emit(ctx, "condemned", e.Number, sdk.NewAttribute("miner", name),
		sdk.NewAttribute("false_units", strconv.FormatUint(uint64(units), 10)))
	return nil
}

// proofsOf lists who proved a claim's false units, one for each of so many: first those that were reported, in
// the order of the units, then those that nobody opened. Who did not draw its unit earns nothing by it: else a
// proposer could report under its own name what others' reports show it. Nor does who was convicted, as one that
// said ok over the claim before it joined another's report.
func (k Keeper) proofsOf(ctx context.Context, epoch uint64, r types.Round, claimant sdk.AccAddress, units uint32) ([]sprinttypes.Proof, error) {
	proofs := make([]sprinttypes.Proof, 0, units)
	err := k.proven.Walk(ctx, collections.NewSuperPrefixedTripleRange[uint64, []byte, uint64](epoch, claimant),
		func(_ unitKey, id []byte) (bool, error) {
			report, err := k.reports.Get(ctx, collections.Join(epoch, id))
			if err != nil {
				return true, err
			}
			var proof sprinttypes.Proof
			for _, by := range report.Rewarded() {
				if convicted(r, by.Reporter) {
					continue
				}
				reporter, err := k.addressOf(by.Reporter)
				if err != nil {
					return true, err
				}
				proof = append(proof, sprinttypes.ProvenBy{Reporter: reporter, Taken: by.Taken})
			}
			proofs = append(proofs, proof)
			return false, nil
		})
	return append(proofs, make([]sprinttypes.Proof, int(units)-len(proofs))...), err
}

// punishFalseVerdicts finds the verdicts that say ok over a claim although the validator's draw of
// their round held the false unit. Such a verdict was given without the work: re-execution has one
// result.
func (k Keeper) punishFalseVerdicts(ctx context.Context, e sprinttypes.Epoch, r *types.Round, report types.Report, claimant sdk.AccAddress) error {
	position, err := k.positionOf(ctx, e.Number, claimant)
	if err != nil {
		return err
	}
	claim, err := k.epochs.Claim(ctx, e.Number, claimant)
	if err != nil {
		return err
	}
	for round := range e.Round + 1 {
		h, err := k.roundHeld(ctx, e, *r, round)
		if err != nil {
			return err
		}
		for _, s := range h.seats {
			if !s.vouches(position) || convicted(*r, s.Validator) {
				continue
			}
			indexes := h.draw(e, s, claimant, claim).Indexes(sample.Output(s.verdict.Output))
			if _, drew := slices.BinarySearch(indexes, report.Index); !drew {
				continue
			}
			if err := k.convictOf(ctx, e, r, round, s.Validator, s.address); err != nil {
				return err
			}
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
