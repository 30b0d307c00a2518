package types

import (
	"bytes"
	"fmt"

	"cosmossdk.io/errors"

	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// Bounds of the parameters. They keep all arithmetic within 64 bits where it is not in big
// integers, and every block's work bounded.
const (
	maxBlocks       = 10_000_000
	maxUnits        = 1 << 40
	maxClaims       = 100_000
	maxFold         = commit.MaxFold
	maxSample       = sample.MaxSamples
	maxExtensions   = 1_000
	maxEmission     = 1_000_000_000_000_000 // ngnk
	maxHalving      = 10_000
	maxVesting      = 366
	maxPage         = 500
	maxRetain       = 1_000
	maxReleaseOver  = 1_000_000
	maxGrace        = 10_000
	maxInclusion    = BasisPoints / 2     // most of a claim's fee is for its audit
	maxProofNodes   = 2 * commit.MaxProof // a consistency proof holds at most two paths
	rootBytes       = 32
	maxAddress      = 32 // bytes
	gnk             = 1_000_000_000
	dailyEmission   = 310_000 * gnk
	halvingEpochs   = 1461
	blocksPerMinute = 10
)

// DefaultParams suit a development network: about 40 short blocks an epoch.
func DefaultParams() Params {
	return Params{
		EpochBlocks:          40,
		ComputeBlocks:        14,
		CommitBlocks:         17,
		AuditBlocks:          12,
		Fold:                 64,
		SampleMin:            20,
		SampleMax:            300,
		MinClaimUnits:        64,
		MaxClaimUnits:        1 << 32,
		MaxClaims:            10_000,
		MaxExtensions:        64,
		EmissionPerEpoch:     dailyEmission,
		HalvingEpochs:        halvingEpochs,
		VestingEpochs:        4,
		ClaimFee:             gnk / 1000,
		AbsenceBps:           500,
		ReserveReleaseEpochs: 100,
		SettlePage:           250,
		RetainEpochs:         30,
		GraceBlocks:          4,
		InclusionBps:         1_000,
		PromptBps:            1_000,
	}
}

// ProductionParams suit a network with blocks of six seconds and an epoch a day: five minutes of
// computing, five more to commit, one in which what was seen by then may still land, two hours an audit round, and vesting above an evidence age of
// three weeks.
func ProductionParams() Params {
	p := DefaultParams()
	p.EpochBlocks = 24 * 60 * blocksPerMinute
	p.ComputeBlocks = 5 * blocksPerMinute
	p.CommitBlocks = 10 * blocksPerMinute
	p.AuditBlocks = 2 * 60 * blocksPerMinute
	p.GraceBlocks = blocksPerMinute
	p.MinClaimUnits = 4096
	p.ClaimFee = gnk
	p.VestingEpochs = 30
	return p
}

// Validate returns ErrInvalidParams and what is allowed.
func (p Params) Validate() error {
	for _, r := range []struct {
		name             string
		value, low, high uint64
	}{
		{"compute_blocks", p.ComputeBlocks, 1, maxBlocks},
		{"commit_blocks", p.CommitBlocks, p.ComputeBlocks, maxBlocks},
		{"audit_blocks", p.AuditBlocks, 1, maxBlocks},
		{"grace_blocks", p.GraceBlocks, 0, maxGrace},
		{"epoch_blocks", p.EpochBlocks, p.CommitBlocks + p.GraceBlocks + p.AuditBlocks, 3 * maxBlocks},
		{"fold", p.Fold, 1, maxFold},
		{"sample_min", p.SampleMin, 1, maxSample},
		{"sample_max", p.SampleMax, p.SampleMin, maxSample},
		{"min_claim_units", p.MinClaimUnits, p.Fold, maxUnits},
		{"max_claim_units", p.MaxClaimUnits, p.MinClaimUnits, maxUnits},
		{"max_claims", p.MaxClaims, 1, maxClaims},
		{"max_extensions", uint64(p.MaxExtensions), 0, maxExtensions},
		{"emission_per_epoch", p.EmissionPerEpoch, 0, maxEmission},
		{"halving_epochs", p.HalvingEpochs, 1, maxHalving},
		{"vesting_epochs", p.VestingEpochs, 0, maxVesting},
		{"claim_fee", p.ClaimFee, 0, maxEmission},
		{"absence_bps", uint64(p.AbsenceBps), 0, BasisPoints},
		{"inclusion_bps", uint64(p.InclusionBps), 0, maxInclusion},
		{"prompt_bps", uint64(p.PromptBps), 0, maxPrompt},
		{"reserve_release_epochs", p.ReserveReleaseEpochs, 0, maxReleaseOver},
		{"settle_page", uint64(p.SettlePage), 1, maxPage},
		{"retain_epochs", p.RetainEpochs, 1, maxRetain},
	} {
		if r.value < r.low || r.value > r.high {
			return errors.Wrapf(ErrInvalidParams, "%s is %d, allowed is %d to %d", r.name, r.value, r.low, r.high)
		}
	}
	return nil
}

// Open returns the epoch that starts at the given height under these parameters.
func (p Params) Open(number uint64, start int64, seed [32]byte, work Work) Epoch {
	commitEnd := start + int64(p.CommitBlocks)
	return Epoch{
		Number:      number,
		Phase:       PHASE_COMPUTE,
		StartHeight: start,
		ComputeEnd:  start + int64(p.ComputeBlocks),
		CommitEnd:   commitEnd,
		AuditEnd:    commitEnd + int64(p.GraceBlocks+p.AuditBlocks),
		NextStart:   start + int64(p.EpochBlocks),
		Seed:        seed[:],
		Work:        work,
		Params:      p,
	}
}

// CheckCount returns a typed error unless a claim may have this count.
func (p Params) CheckCount(count uint64) error {
	switch {
	case count < p.MinClaimUnits:
		return errors.Wrapf(ErrClaimTooSmall, "%d units, at least %d", count, p.MinClaimUnits)
	case count > p.MaxClaimUnits:
		return errors.Wrapf(ErrClaimTooLarge, "%d units, at most %d", count, p.MaxClaimUnits)
	case count%p.Fold != 0:
		return errors.Wrapf(ErrFoldMismatch, "%d units, the fold is %d", count, p.Fold)
	}
	return nil
}

// AcceptsClaims says whether a claim is in time in a block of the given height.
func (e Epoch) AcceptsClaims(height int64) bool {
	return (e.Phase == PHASE_COMPUTE || e.Phase == PHASE_COMMIT) && height < e.CommitEnd
}

// ClaimsEnd is the first height that may be too late for any claim: CommitEnd and the grace after it, which goes on
// until others than a coalition below a third of the power made a block in it.
func (e Epoch) ClaimsEnd() int64 { return e.CommitEnd + int64(e.Params.GraceBlocks) }

// AcceptsLate says whether a block of the given height takes commitments of which validators have to
// say that they saw them in time.
func (e Epoch) AcceptsLate(height int64) bool {
	return e.Phase == PHASE_COMMIT && height >= e.CommitEnd && e.Params.GraceBlocks > 0
}

// InTime says whether who has just learnt of a claim, on the state of the given height, learnt of it
// in time: before the last block that takes claims without being asked when they were seen.
func (e Epoch) InTime(height int64) bool { return height+1 < e.CommitEnd }

// DrawOf returns how many units the running round of the audit draws of one of the epoch's claims,
// by all validators together.
func (e Epoch) DrawOf(c Claim) uint64 { return e.DrawIn(c, e.Round) }

// DrawIn is DrawOf for any round up to the running one.
func (e Epoch) DrawIn(c Claim, round uint32) uint64 {
	if round == 0 {
		return uint64(sample.Total(c.Count, e.Params.SampleMin, e.Params.SampleMax))
	}
	if c.DrawRound == round {
		return c.Draw
	}
	for _, d := range c.Earlier {
		if d.Round == round {
			return d.Units
		}
	}
	return 0
}

// HasWork says whether there is anything to compute: a network without a proof of work has epochs
// that pay nobody.
func (e Epoch) HasWork() bool {
	for _, b := range e.Work.ModuleHash {
		if b != 0 {
			return true
		}
	}
	return false
}

// Counted is how many of the claim's units count: all, but for late ones that too few validators had
// seen in time. A claim that came late as a whole may count for nothing; it is not void, and no
// fault is found in it.
func (c Claim) Counted() uint64 {
	if c.Unseen {
		return c.Count - c.Late
	}
	return c.Count
}

// Includer is the operator of the validator whose block took the last of the units that count, and
// whom that entitles to a part of the fee. Nil is nobody: one that no record names, or the claimant itself,
// who would only pay itself. Late units that do not count entitle nobody, so that a claimant cannot name
// an accomplice by a commitment that comes too late.
func (c Claim) Includer(claimant []byte) []byte {
	p := c.Proposer
	if c.Late > 0 && !c.Unseen {
		p = c.LateProposer
	}
	if len(p) == 0 || bytes.Equal(p, claimant) {
		return nil
	}
	return p
}

// Void says whether the claim earns nothing.
func (c Claim) Void() bool {
	return c.Status != CLAIM_OPEN && c.Status != CLAIM_PAID
}

// ValidateBasic checks what needs no state.
func (m *MsgCommitWork) ValidateBasic() error {
	if len(m.Root) != rootBytes {
		return errors.Wrapf(ErrInvalidRoot, "%d bytes, not %d", len(m.Root), rootBytes)
	}
	if len(m.Proof) > maxProofNodes {
		return errors.Wrapf(ErrInvalidProof, "%d nodes, at most %d", len(m.Proof), maxProofNodes)
	}
	for i, node := range m.Proof {
		if len(node) != rootBytes {
			return errors.Wrapf(ErrInvalidProof, "node %d has %d bytes, not %d", i, len(node), rootBytes)
		}
	}
	return nil
}

// ShortName is the status without its prefix, for tables.
func (s ClaimStatus) ShortName() string {
	switch s {
	case CLAIM_OPEN:
		return "open"
	case CLAIM_PAID:
		return "paid"
	case CLAIM_VOID_FALSE:
		return "void: false unit"
	case CLAIM_VOID_UNANSWERED:
		return "void: unanswered demand"
	case CLAIM_VOID_VERDICT:
		return "void: false verdict"
	case CLAIM_VOID_EXPELLED:
		return "void: expelled"
	}
	return fmt.Sprintf("unknown (%d)", int32(s))
}
