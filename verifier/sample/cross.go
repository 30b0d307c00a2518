package sample

import (
	"encoding/binary"
	"math/bits"

	"github.com/assaynet/assay/verifier/commit"
)

const (
	tagCross      = "assay/cross/1"
	tagCrossInput = "assay/vrf-cross/1"
)

// CrossInput is what every validator evaluates to cross-check a round's
// verdicts: it is fixed once the last of them is given.
func CrossInput(chainID string, epoch, round uint64, verdictsRoot commit.Root) []byte {
	return roundInput(tagCrossInput, chainID, epoch, round, verdictsRoot)
}

// CrossDraw is everything besides the VRF output that fixes which leaves of a
// validator's keyed tree another one checks.
type CrossDraw struct {
	Target      []byte // address of the validator whose verdict is checked
	Leaves      uint64 // of its keyed tree
	Challenges  uint64 // leaves of it that all others check together, on average
	Power       uint64 // of the challenger, which is not the target
	TargetPower uint64
	TotalPower  uint64 // of all who gave a verdict, target and challenger among them
}

// Positions are the leaves that the output draws, sorted. Their number is
// Challenges·Power/(TotalPower - TargetPower), rounded up or down at random so
// that this is its mean exactly: others of small power draw nothing most of
// the time, and the work does not grow with their number. It is at most the
// leaves there are, and MaxSamples.
func (d CrossDraw) Positions(out Output) []uint64 {
	if d.Leaves == 0 || d.Power == 0 || d.TotalPower <= d.TargetPower {
		return nil
	}
	others := d.TotalPower - d.TargetPower
	power := min(d.Power, others)
	hi, lo := bits.Mul64(min(d.Challenges, MaxSamples), power)
	n, rem := bits.Div64(hi, lo, others) // hi < others because power <= others and Challenges < 2^64
	stream := drawStream(tagCross, out, d.Target, d.Leaves)
	if uniform(stream.Read, others) < rem {
		n++
	}
	return floyd(stream, d.Leaves, int(min(n, d.Leaves, MaxSamples)))
}

// roundInput is the VRF input of a kind of draw in a round.
func roundInput(tag, chainID string, epoch, round uint64, root commit.Root) []byte {
	b := make([]byte, 0, 128)
	b = append(b, uint8(len(tag)))
	b = append(b, tag...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(chainID)))
	b = append(b, chainID...)
	b = binary.LittleEndian.AppendUint64(b, epoch)
	b = binary.LittleEndian.AppendUint64(b, round)
	return append(b, root[:]...)
}
