package devicetest

import (
	"encoding/binary"
	"math/big"
	"sort"

	"golang.org/x/crypto/chacha20"
)

// keystream returns the first n bytes of the ChaCha20 stream of ops expand
// and sample.
func keystream(seed []byte, stream int64, n int) []byte {
	nonce := make([]byte, chacha20.NonceSize)
	binary.LittleEndian.PutUint64(nonce[4:], uint64(stream))
	c, err := chacha20.NewUnauthenticatedCipher(seed, nonce)
	if err != nil {
		panic(err)
	}
	out := make([]byte, n)
	c.XORKeyStream(out, out)
	return out
}

type sampleArgs struct {
	logits, history                  []int64
	seed                             []byte
	step                             int64
	temperature, topK, topP, penalty int64
}

func refSample(x sampleArgs) int64 {
	l := append([]int64(nil), x.logits...)
	seen := map[int64]bool{}
	for _, id := range x.history {
		if id < 0 || id >= int64(len(l)) || seen[id] {
			continue
		}
		seen[id] = true
		if l[id] > 0 {
			l[id] = sat32(floorDiv(num(l[id]<<16+x.penalty/2), num(x.penalty)))
		} else {
			l[id] = shr(mul(num(l[id]), num(x.penalty)), 16)
		}
	}
	rank := make([]int, len(l))
	for i := range rank {
		rank[i] = i
	}
	sort.SliceStable(rank, func(i, j int) bool { return l[rank[i]] > l[rank[j]] })
	if x.temperature == 0 {
		return int64(rank[0])
	}
	if x.topK > 0 && x.topK < int64(len(rank)) {
		rank = rank[:x.topK]
	}
	weights := make([]int64, len(l))
	var total int64
	for _, id := range rank {
		z := mul(num(l[rank[0]]-l[id]), num(1549082005))
		d := floorDiv(z, mul(num(x.temperature), pow2(15)))
		if n := new(big.Int).Rsh(d, 15); n.Cmp(num(32)) < 0 {
			weights[id] = exp2(d.Int64()&32767) << 16 >> n.Int64()
		}
		total += weights[id]
	}
	theta := floorDiv(mul(num(total), num(x.topP)), pow2(16)).Int64()
	var kept int64
	last := 0
	for kept = weights[rank[0]]; kept < theta; {
		last++
		kept += weights[rank[last]]
	}
	rank = rank[:last+1]
	sort.Ints(rank)
	rho := new(big.Int).SetUint64(binary.LittleEndian.Uint64(keystream(x.seed, x.step, 8)))
	r := rho.Mod(rho, num(kept)).Int64()
	for _, id := range rank {
		if r -= weights[id]; r < 0 {
			return int64(id)
		}
	}
	panic("unreachable: r is below the sum of the weights")
}
