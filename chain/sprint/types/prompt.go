package types

import (
	"cosmossdk.io/errors"
	"cosmossdk.io/math"
)

// Of what a message loses for each block that it waits, includedOf/includedIn go to the proposer who takes it.
// With a part σ of the power, leaving a stranger's message out must cost more than it brings, and keeping one's
// own for an accomplice's block too: any fraction between 0 and 1 does that, as what a message loses burns.
// Three fifths keeps both above zero by a margin if what burns were handed out to all by power instead, at the
// highest σ of a third: 3/5·(1 − σ) > σ and 1 − σ > 3/5 (docs/spec/audit.md, section 9).
const (
	includedOf = 3
	includedIn = 5
	// maxPrompt bounds what one message may lose: a round has three that a validator earns by.
	maxPrompt = BasisPoints / 4
)

// Proof is a unit of a claim that was proven false: the reports of it that are rewarded, in equal parts. None:
// nobody is rewarded for the unit.
type Proof []ProvenBy

// ProvenBy is one report of a unit that was proven false.
type ProvenBy struct {
	Reporter []byte
	Taken    Taken
}

// TakenIn says that a block took a message of a phase of so many blocks, of which left are left, the running
// one included. Less than none are none: it may be taken after the phase, as late as can be.
func TakenIn(proposer []byte, blocks uint64, left int64) Taken {
	t := Taken{Proposer: proposer, Of: max(1, blocks)}
	t.Late = t.Of - min(t.Of, uint64(max(0, left)))
	return t
}

// Split returns what of a message's pay the proposer of its block gets, and what is lost because it did not come
// earlier. The pay is not negative, and together they are less than a quarter of it and one block's part:
//
//	block = pay · prompt_bps / 10,000 / of
//	late  = ⌊block · late⌋
//	incl  = ⌊block · 3/5 · (of − late) / of⌋
//
// The proposer's part falls too, so that who makes several blocks in a row gains nothing by waiting with it.
func (t Taken) Split(pay math.Int, p Params) (incl, late math.Int) {
	if t.Of == 0 {
		return math.ZeroInt(), math.ZeroInt()
	}
	whole := pay.MulRaw(int64(p.PromptBps))
	of, gone := math.NewIntFromUint64(t.Of), math.NewIntFromUint64(t.Late)
	late = whole.Mul(gone).Quo(of.MulRaw(BasisPoints))
	incl = whole.Mul(of.Sub(gone)).MulRaw(includedOf).Quo(of.Mul(of).MulRaw(BasisPoints * includedIn))
	return incl, late
}

// Validate returns ErrInvalidGenesis unless the values belong together.
func (t Taken) Validate() error {
	if len(t.Proposer) > maxAddress || t.Late > t.Of || t.Of > 2*maxBlocks {
		return errors.Wrapf(ErrInvalidGenesis, "a message was taken %d of %d blocks late, by an address of %d bytes", t.Late, t.Of, len(t.Proposer))
	}
	return nil
}
