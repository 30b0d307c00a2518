package types

import (
	"slices"

	"cosmossdk.io/errors"

	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

const (
	basisPoints    = 10_000
	maxReporterBps = 1_000 // a tenth of a forfeit
	maxDelay       = 1_000_000
	maxQueue       = 4_096
	maxDemand      = 64
	maxDeposit     = 1_000_000_000_000
	maxChallenges  = 64
	maxOpenings    = 64 // of one message
	rootBytes      = 32
	gnk            = 1_000_000_000
)

// DefaultParams suit a development network.
func DefaultParams() Params {
	return Params{
		ReportDelay:        2,
		MaxQueue:           256,
		MaxReports:         32,
		MaxRounds:          2,
		CoverageBps:        6_667,
		ExtraDraw:          1_000,
		ForfeitUnits:       3,
		ReporterBps:        maxReporterBps,
		AnswerBlocks:       10,
		AnswerReportBlocks: 5,
		MaxDemand:          8,
		DemandDeposit:      gnk / 1000,
		RetainEpochs:       4,
		Challenges:         4,
		ChallengeBlocks:    6,
		OpenBlocks:         6,
		KeyedReportBlocks:  3,
		ReportDeposit:      gnk / 100,
		MaxPending:         8,
	}
}

// ProductionParams suit a network with blocks of six seconds and an epoch a day.
func ProductionParams() Params {
	p := DefaultParams()
	p.ReportDelay = 20
	p.AnswerBlocks = 50
	p.AnswerReportBlocks = 50
	p.Challenges = 8
	p.ChallengeBlocks, p.OpenBlocks, p.KeyedReportBlocks = 50, 50, 50
	p.ReportDeposit = gnk
	return p
}

// Validate returns ErrInvalidParams and what is allowed.
func (p Params) Validate() error {
	for _, r := range []struct {
		name             string
		value, low, high uint64
	}{
		{"report_delay", p.ReportDelay, 1, maxDelay},
		{"max_queue", uint64(p.MaxQueue), 2, maxQueue},
		{"max_reports", uint64(p.MaxReports), 1, maxQueue},
		{"max_rounds", uint64(p.MaxRounds), 0, 16},
		{"coverage_bps", uint64(p.CoverageBps), 0, basisPoints},
		{"extra_draw", p.ExtraDraw, 0, sample.MaxSamples},
		{"forfeit_units", uint64(p.ForfeitUnits), 1, 1_000},
		{"reporter_bps", uint64(p.ReporterBps), 0, maxReporterBps},
		{"answer_blocks", p.AnswerBlocks, 1, maxDelay},
		{"answer_report_blocks", p.AnswerReportBlocks, 1, maxDelay},
		{"max_demand", uint64(p.MaxDemand), 1, maxDemand},
		{"demand_deposit", p.DemandDeposit, 0, maxDeposit},
		{"retain_epochs", p.RetainEpochs, 1, 1_000},
		{"challenges", uint64(p.Challenges), 0, maxChallenges},
		{"challenge_blocks", p.ChallengeBlocks, 1, maxDelay},
		{"open_blocks", p.OpenBlocks, 1, maxDelay},
		{"keyed_report_blocks", p.KeyedReportBlocks, 1, maxDelay},
		{"report_deposit", p.ReportDeposit, 0, maxDeposit},
		{"max_pending", uint64(p.MaxPending), 1, maxQueue},
	} {
		if r.value < r.low || r.value > r.high {
			return errors.Wrapf(ErrInvalidParams, "%s is %d, allowed is %d to %d", r.name, r.value, r.low, r.high)
		}
	}
	return nil
}

// ValidateBasic checks what needs no state.
func (m *MsgVerdict) ValidateBasic() error {
	if len(m.VrfProof) != sample.ProofSize {
		return errors.Wrapf(ErrInvalidProof, "%d bytes, not %d", len(m.VrfProof), sample.ProofSize)
	}
	if len(m.KeyedRoot) != rootBytes {
		return errors.Wrapf(ErrInvalidRoot, "%d bytes, not %d", len(m.KeyedRoot), rootBytes)
	}
	return nil
}

// ValidateBasic checks what needs no state.
func (m *MsgReport) ValidateBasic() error {
	if len(m.Opening) > commit.MaxOpeningBytes {
		return errors.Wrapf(ErrInvalidOpening, "%d bytes, at most %d", len(m.Opening), commit.MaxOpeningBytes)
	}
	return optionalProof(m.VrfProof)
}

// ValidateBasic checks what needs no state.
func (m *MsgDemand) ValidateBasic() error {
	if len(m.Indexes) == 0 || len(m.Indexes) > maxDemand {
		return errors.Wrapf(ErrTooManyIndexes, "%d, allowed is 1 to %d", len(m.Indexes), maxDemand)
	}
	for i, x := range m.Indexes[1:] {
		if x <= m.Indexes[i] {
			return errors.Wrapf(ErrInvalidIndex, "%d after %d, they must ascend", x, m.Indexes[i])
		}
	}
	return optionalProof(m.VrfProof)
}

// ValidateBasic checks what needs no state.
func (m *MsgAnswer) ValidateBasic() error {
	if len(m.Openings) == 0 || len(m.Openings) > maxDemand {
		return errors.Wrapf(ErrIncompleteAnswer, "%d openings, allowed is 1 to %d", len(m.Openings), maxDemand)
	}
	for i, o := range m.Openings {
		if len(o) > commit.MaxOpeningBytes {
			return errors.Wrapf(ErrInvalidOpening, "opening %d has %d bytes, at most %d", i, len(o), commit.MaxOpeningBytes)
		}
	}
	return nil
}

// ValidateBasic checks what needs no state.
func (m *MsgChallenge) ValidateBasic() error {
	if len(m.VrfProof) != sample.ProofSize {
		return errors.Wrapf(ErrInvalidProof, "%d bytes, not %d", len(m.VrfProof), sample.ProofSize)
	}
	return nil
}

// ValidateBasic checks what needs no state.
func (m *MsgOpenKeyed) ValidateBasic() error {
	if len(m.Openings) == 0 || len(m.Openings) > maxOpenings {
		return errors.Wrapf(ErrInvalidKeyed, "%d openings, allowed is 1 to %d", len(m.Openings), maxOpenings)
	}
	for i, o := range m.Openings {
		if i > 0 && o.Position <= m.Openings[i-1].Position {
			return errors.Wrapf(ErrInvalidKeyed, "position %d after %d, they must ascend", o.Position, m.Openings[i-1].Position)
		}
		if len(o.Digest) != rootBytes {
			return errors.Wrapf(ErrInvalidKeyed, "position %d: digest of %d bytes, not %d", o.Position, len(o.Digest), rootBytes)
		}
		if len(o.Path) > commit.MaxKeyedPath {
			return errors.Wrapf(ErrInvalidKeyed, "position %d: %d hashes, at most %d", o.Position, len(o.Path), commit.MaxKeyedPath)
		}
	}
	return nil
}

// Seated says whether a validator has, or had, a seat in the epoch's audit.
func (r Round) Seated(validator string) bool {
	for _, seats := range [][]Seat{r.Seats, r.Absent} {
		for _, s := range seats {
			if s.Validator == validator {
				return true
			}
		}
	}
	return false
}

// By says whether a validator reported the unit, first or joining.
func (r Report) By(reporter string) bool {
	return r.Reporter == reporter || slices.ContainsFunc(r.Joined, func(j Joined) bool { return j.Reporter == reporter })
}

// Reporters are all who reported the unit, each once, in the order of their reports.
func (r Report) Reporters() []string {
	out := []string{r.Reporter}
	for _, j := range r.Joined {
		out = append(out, j.Reporter)
	}
	return out
}

// Rewarded are the reports of the unit by validators whose own draw held it: those that earn something if it is
// false. A proposer could send any other under its own name once it sees the evidence.
func (r Report) Rewarded() []Joined {
	if r.Drawn {
		return append([]Joined{{Reporter: r.Reporter, Taken: r.Taken}}, r.Joined...)
	}
	return r.Joined
}

// TakenOf returns which blocks took the messages of a verdict: itself, the challenge and the openings, as far as
// they were taken.
func (v Verdict) TakenOf() []sprinttypes.Taken {
	var out []sprinttypes.Taken
	for _, t := range []sprinttypes.Taken{v.Taken, v.ChallengeTaken, v.OpenedTaken} {
		if t.Of > 0 {
			out = append(out, t)
		}
	}
	return out
}

func optionalProof(p []byte) error {
	if len(p) != 0 && len(p) != sample.ProofSize {
		return errors.Wrapf(ErrInvalidProof, "%d bytes, not %d or none", len(p), sample.ProofSize)
	}
	return nil
}
