package enginetest

import "github.com/assaynet/assay/runtime/abi"

// HostPrice is what the generic host charges for a call, in gas.
const HostPrice = 100

// guest is what a host function touches.
type guest interface {
	gas() int64
	setGas(int64)
	memory() []byte // nil: none
}

// host plays the host functions of a case: it mixes what it is given into a
// digest, answers from it, changes a byte of memory and sometimes stops the
// guest. The JavaScript runner does the same.
type host struct {
	events, digest uint32
}

func newHost() *host { return &host{digest: 2166136261} }

// mix is FNV-1a.
func (h *host) mix(b byte) { h.digest = (h.digest ^ uint32(b)) * 16777619 }

// call runs host function k. It writes results, 16 bytes each, and returns the
// trap that ends the guest, 0 for none.
func (h *host) call(g guest, k int, args, results []byte) (trap int) {
	left := g.gas() - HostPrice
	g.setGas(left)
	if left < 0 {
		return int(abi.TrapOutOfGas)
	}
	h.events++
	h.mix(byte(k))
	for _, b := range args {
		h.mix(b)
	}
	if mem := g.memory(); len(mem) > 0 {
		mem[h.digest%uint32(len(mem))] ^= byte(h.digest >> 8)
	}
	if h.digest%64 == 63 {
		return int(abi.TrapAbort)
	}
	for j := range results {
		results[j] = byte(h.digest>>(8*(j%4))) ^ byte(j)
	}
	return 0
}
