package auditor

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// ErrRefused: the chain refused a message for good; sending it again does not
// help. A Chain wraps it; every other error is transient.
var ErrRefused = errors.New("auditor: refused by the chain")

// Epoch is what an auditor must know of the running epoch.
type Epoch struct {
	Number   uint64
	Round    uint64
	Auditing bool // claims are fixed and verdicts of Round are taken
	// Adjudicating: verdicts of Round are no longer taken, and cross-checked.
	Adjudicating bool
	Height       int64 // of the state that was read: a message sent now lands at Height+1 or later
	AuditEnd     int64 // first height too late for verdicts and demands of Round

	Seed        [32]byte
	Module      [32]byte
	Params      []byte
	TensorBytes int64
	MemoryPages uint32 // most memory of an instance; 0: what the module says
	GasSetup    int64
	GasUnit     int64
	Fold        uint64
	MaxDemand   int // most indexes of one demand
}

// Claim is a claim under audit.
type Claim struct {
	commit.Claim
	Units    uint64 // that the round draws of it in all
	Endpoint string // the miner's registered address
}

// Verdict is the content of a MsgVerdict.
type Verdict struct {
	Epoch     uint64
	Round     uint64
	Proof     sample.Proof
	Bitmap    commit.Bitmap // over the claims sorted by address
	KeyedRoot commit.Root
}

// Report is the content of a MsgReport.
type Report struct {
	Epoch    uint64
	Claimant []byte
	Index    uint64
	Opening  []byte // encoded; empty if the unit was opened on chain
	Proof    sample.Proof
}

// Demand is the content of a MsgDemand.
type Demand struct {
	Epoch    uint64
	Claimant []byte
	Indexes  []uint64
	Proof    sample.Proof
}

// Answer is a unit that a miner opened on chain.
type Answer struct {
	Index  uint64
	Digest commit.Digest
}

// Stage of the cross-check of a round's verdicts.
type Stage uint8

const (
	StageNone      Stage = iota // there is none, or not yet
	StageChallenge              // those who gave a verdict draw leaves of the others' keyed trees
	StageOpen                   // those who were drawn open them
	StageReport                 // wrong ones are reported
	StageDone
)

// Cross is the cross-check of the running round.
type Cross struct {
	ChainID      string
	Epoch        uint64
	Round        uint64
	Stage        Stage
	VerdictsRoot commit.Root
	Challenges   uint64         // see sample.CrossDraw
	Verdicts     []CrossVerdict // of the round
	Drawn        []CrossDrawn   // fixed with StageOpen
}

func (c Cross) verdictOf(validator []byte) (CrossVerdict, bool) {
	i := slices.IndexFunc(c.Verdicts, func(v CrossVerdict) bool { return bytes.Equal(v.Validator, validator) })
	if i < 0 {
		return CrossVerdict{}, false
	}
	return c.Verdicts[i], true
}

// CrossVerdict is a verdict as the cross-check sees it.
type CrossVerdict struct {
	Validator []byte
	Power     uint64 // in the round
	Output    sample.Output
	Bitmap    commit.Bitmap
	KeyedRoot commit.Root
	Leaves    uint64         // of its keyed tree
	Challenge *sample.Output // with which it draws of the others; nil if it posted none
}

// CrossDrawn is what was drawn of one verdict's keyed tree.
type CrossDrawn struct {
	Validator []byte
	Units     []CrossUnit // by position
}

// CrossUnit is a leaf that was drawn.
type CrossUnit struct {
	Position uint64
	Claimant []byte // Claimant and Index name the unit
	Index    uint64
	Digest   *commit.Digest // nil until it is opened
}

// Challenge is the content of a MsgChallenge.
type Challenge struct {
	Epoch uint64
	Round uint64
	Proof sample.Proof
}

// KeyedOpenings is the content of a MsgOpenKeyed.
type KeyedOpenings struct {
	Epoch    uint64
	Round    uint64
	Openings []KeyedOpening // by position, at most 64
}

// KeyedOpening leads from a keyed digest to the verdict's root.
type KeyedOpening struct {
	Position uint64
	Digest   commit.Digest
	Path     [][]byte
}

// KeyedReport is the content of a MsgReportKeyed.
type KeyedReport struct {
	Epoch     uint64
	Round     uint64
	Validator []byte // whose verdict it is
	Position  uint64
}

// Chain is what the auditor needs of the chain, for one validator account.
// Methods are called concurrently.
type Chain interface {
	// Epoch returns the running epoch at the newest height.
	Epoch(ctx context.Context) (Epoch, error)
	// WaitHeight returns the newest height once it is at least height.
	WaitHeight(ctx context.Context, height int64) (int64, error)
	// Module returns the module's bytes; the caller checks their hash.
	Module(ctx context.Context, hash [32]byte) ([]byte, error)
	// Round returns who draws in a round of the running audit.
	Round(ctx context.Context, epoch, round uint64) (sample.Round, error)
	// Claims returns every claim of the epoch, sorted by address.
	Claims(ctx context.Context, epoch, round uint64) ([]Claim, error)
	// Voted says whether this validator's verdict of the round is on chain.
	Voted(ctx context.Context, epoch, round uint64) (bool, error)
	// Answers lists the units of a claim that were opened on chain.
	Answers(ctx context.Context, epoch uint64, claimant []byte) ([]Answer, error)
	// SendVerdict, SendReport and SendDemand hand a message to the network
	// and return when it was accepted, or with ErrRefused.
	SendVerdict(ctx context.Context, v Verdict) error
	SendReport(ctx context.Context, r Report) error
	SendDemand(ctx context.Context, d Demand) error
	// Cross returns the cross-check of the running round.
	Cross(ctx context.Context) (Cross, error)
	// SendChallenge, SendKeyed and SendKeyedReport are like SendVerdict.
	SendChallenge(ctx context.Context, c Challenge) error
	SendKeyed(ctx context.Context, o KeyedOpenings) error
	SendKeyedReport(ctx context.Context, r KeyedReport) error
}
