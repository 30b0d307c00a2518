package sample

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"lukechampine.com/blake3"
)

const tagDraw = "assay/samples/1"

// MaxSamples bounds the units that one validator draws of one claim.
const MaxSamples = 1 << 12

// Total is how many units of a claim of count units all validators together
// check: the integer square root of count, held between min and max, and
// never more than there are. A faker of a share f passes with (1-f)^Total.
func Total(count, min, max uint64) int {
	n := isqrt(count)
	if n > max {
		n = max
	}
	if n < min {
		n = min
	}
	if n > count {
		n = count
	}
	if n > MaxSamples {
		n = MaxSamples
	}
	return int(n)
}

// isqrt is the largest x with x·x <= n.
func isqrt(n uint64) uint64 {
	if n == 0 {
		return 0
	}
	x := uint64(1) << ((bits.Len64(n) + 1) / 2) // at least the root
	for {
		y := (x + n/x) / 2
		if y >= x {
			return x
		}
		x = y
	}
}

// Share is how many of n units a validator of power pv draws, of a claim by
// somebody with power pClaimant, when all powers sum to total:
// ceil(n·pv / (total - pClaimant)), so that the shares of all others sum to
// at least n. It is 0 when nobody else has power. The claimant itself draws
// nothing, which only its address can tell: use Draw.
func Share(n int, pv, total, pClaimant uint64) int {
	if n <= 0 || pv == 0 || total <= pClaimant {
		return 0
	}
	others := total - pClaimant
	if pv >= others {
		return n
	}
	hi, lo := bits.Mul64(uint64(n), pv)
	quo, rem := bits.Div64(hi, lo, others) // hi < others because pv < others and n < 2^63
	if rem != 0 {
		quo++
	}
	return int(quo)
}

// Samples draws n of the indexes 0 to count-1 without replacement, sorted.
// Every set of n is equally likely over the outputs (Floyd's algorithm over
// BLAKE3's extendable output, with rejection of biased values); n is capped at
// count and MaxSamples.
func Samples(out Output, claimant []byte, count uint64, n int) []uint64 {
	if uint64(max(n, 0)) > count {
		n = int(count)
	}
	n = min(n, MaxSamples)
	if n <= 0 {
		return nil
	}
	stream := drawStream(tagDraw, out, claimant, count)
	return floyd(stream, count, n)
}

// drawStream is the stream that a draw reads: its seed binds the tag, the
// output, an address and the number of things drawn from.
func drawStream(tag string, out Output, address []byte, count uint64) *blake3.OutputReader {
	h := blake3.New(32, nil)
	seed := append([]byte{uint8(len(tag))}, tag...)
	seed = append(seed, out[:]...)
	seed = binary.LittleEndian.AppendUint32(seed, uint32(len(address)))
	seed = append(seed, address...)
	seed = binary.LittleEndian.AppendUint64(seed, count)
	_, _ = h.Write(seed) // hash writes cannot fail
	return h.XOF()
}

// floyd draws n of the indexes 0 to count-1, n <= count, sorted.
func floyd(stream *blake3.OutputReader, count uint64, n int) []uint64 {
	drawn := make(map[uint64]struct{}, n)
	indexes := make([]uint64, 0, n)
	for j := count - uint64(n); j < count; j++ {
		t := uniform(stream.Read, j+1)
		if _, taken := drawn[t]; taken {
			t = j
		}
		drawn[t] = struct{}{}
		indexes = append(indexes, t)
	}
	slices.Sort(indexes)
	return indexes
}

// uniform is a value below n, n > 0, without modulo bias.
func uniform(read func([]byte) (int, error), n uint64) uint64 {
	limit := -n % n // 2^64 mod n: the lowest values are the surplus
	for {
		var b [8]byte
		_, _ = read(b[:]) // the stream has 2^64 bytes
		if v := binary.LittleEndian.Uint64(b[:]); v >= limit {
			return v % n
		}
	}
}

// Draw is everything besides the VRF output that fixes which units of a claim
// a validator checks. Auditor, miner and chain all use it, so that they agree.
type Draw struct {
	Validator     []byte // address of the validator
	Claimant      []byte // address of the miner
	Count         uint64 // units of the claim
	Units         uint64 // that the round draws of the claim in all; Total in the first round
	Power         uint64 // of the validator, frozen for the epoch
	TotalPower    uint64 // of all who draw
	ClaimantPower uint64 // of the miner among them, 0 if it does not draw
}

// Size is how many units the validator draws; 0 of its own claim.
func (d Draw) Size() int {
	if bytes.Equal(d.Validator, d.Claimant) {
		return 0
	}
	most := min(d.Count, MaxSamples)
	return Share(int(min(d.Units, most)), d.Power, d.TotalPower, d.ClaimantPower)
}

// Indexes is the sorted sample that the output gives.
func (d Draw) Indexes(out Output) []uint64 {
	return Samples(out, d.Claimant, d.Count, d.Size())
}

// Contains refuses indexes that are not a strictly increasing subset of the
// validator's sample.
func (d Draw) Contains(out Output, indexes []uint64) error {
	sample := d.Indexes(out)
	for i, x := range indexes {
		if i > 0 && x <= indexes[i-1] {
			return fmt.Errorf("%w: unit %d after %d", ErrOrder, x, indexes[i-1])
		}
		if _, ok := slices.BinarySearch(sample, x); !ok {
			return fmt.Errorf("%w: unit %d", ErrSample, x)
		}
	}
	return nil
}
