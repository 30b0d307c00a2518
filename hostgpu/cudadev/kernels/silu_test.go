package kernels_test

import (
	"encoding/binary"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/devicetest"
)

// TestSigma walks silu's argument in steps that meet every 2^-n and a spread of
// every denominator, both signs, and the ends.
func TestSigma(t *testing.T) {
	n := 1 << 14
	gate, up := result(device.S32, 1, n), result(device.S32, 1, n)
	for i := range n {
		x := int32(i-n/2) * 181 // ±22.6 in Q16: beyond it the weight is 0 or 1
		switch i {
		case 0:
			x = -1 << 31
		case 1:
			x = 1<<31 - 1
		}
		gate.Bytes = binary.LittleEndian.AppendUint32(gate.Bytes, uint32(x))
		up.Bytes = binary.LittleEndian.AppendUint32(up.Bytes, 1<<31-1-uint32(i)) // large: the last bit of the weight shows
	}
	differ(t, device.New(newEmulated(t, a100)), devicetest.Case{Op: device.OpSiluMul, Tensors: []devicetest.Data{result(device.S32, 1, n), gate, up}})
}
