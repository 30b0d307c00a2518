package cpudev_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/devicetest"
)

// operand is a tensor of random bytes; scales are such as ops make.
func operand(r *rand.Rand, t device.DType, rows, cols int) devicetest.Data {
	d := devicetest.Data{Type: t, Shape: device.Shape{Rows: rows, Cols: cols}}
	d.Bytes = make([]byte, rows*cols*t.Size())
	for i := range d.Bytes {
		d.Bytes[i] = byte(r.Uint32())
		if t == device.S8 && d.Bytes[i] == 0x80 {
			d.Bytes[i] = 0x81
		}
	}
	if t == device.ScaleT {
		for i := 0; i < len(d.Bytes); i += 8 {
			d.Bytes[i+3] = d.Bytes[i+3]&0x3F | 0x40 // mantissa in [2^30, 2^31)
			copy(d.Bytes[i+4:], []byte{34 + d.Bytes[i+4]%8, 0, 0, 0})
		}
	}
	return d
}

func result(t device.DType, rows, cols int) devicetest.Data {
	return devicetest.Data{Type: t, Shape: device.Shape{Rows: rows, Cols: cols}}
}

// TestShapes compares every instruction set with the reference at the seams of
// its own kernels: head sizes around the vectors, rows around the tiles and
// around the number from which b is packed, columns around the groups.
func TestShapes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var cases []devicetest.Case
	for _, dim := range []int{1, 8, 15, 16, 24, 32, 40, 48, 56, 63, 72, 80, 96, 112, 120, 160, 192} {
		const heads, kv, seg, kseg = 2, 1, 5, 19
		cases = append(cases, devicetest.Case{Op: device.OpAttention, Name: fmt.Sprintf("head %d", dim), Tensors: []devicetest.Data{
			result(device.S32, seg, heads*dim),
			operand(r, device.S8, seg, heads*dim), operand(r, device.ScaleT, seg, heads),
			operand(r, device.S8, kseg, kv*dim), operand(r, device.ScaleT, kseg, kv),
			operand(r, device.S8, kseg, kv*dim), operand(r, device.ScaleT, kseg, kv),
		}, Imms: []int64{seg, 1549082005, 37, 47}})
	}
	for _, s := range [][3]int{
		{39, 70, 80}, {40, 70, 80}, {41, 65, 257}, {3, 6, 4096}, {2, 131, 1040}, {14, 37, 8200}, {50, 33, 4099}, {100, 96, 48}, {9, 3, 112},
	} {
		m, n, k := s[0], s[1], s[2]
		cases = append(cases, devicetest.Case{Op: device.OpGemm, Name: fmt.Sprintf("%dx%dx%d", m, n, k), Tensors: []devicetest.Data{
			result(device.S32, m, n), operand(r, device.S8, m, k), operand(r, device.S8, n, k)}})
	}
	for _, isa := range cpudev.Available() {
		t.Run(string(isa), func(t *testing.T) {
			dev, err := cpudev.New(cpudev.Config{ISA: isa, Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer dev.Close()
			for _, c := range cases {
				if err := devicetest.Differ(dev, c); err != nil {
					t.Errorf("%s: %v", c.Name, err)
				}
			}
		})
	}
}

// TestConcurrentOps: ops of several spaces share the helpers of a device.
func TestConcurrentOps(t *testing.T) {
	dev, err := cpudev.New(cpudev.Config{Threads: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	for worker := range 4 {
		t.Run(fmt.Sprint(worker), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(3, uint64(worker)))
			c := devicetest.Case{Op: device.OpGemm, Name: "gemm", Tensors: []devicetest.Data{
				result(device.S32, 30, 600), operand(r, device.S8, 30, 256), operand(r, device.S8, 600, 256)}}
			for range 5 {
				if err := devicetest.Differ(dev, c); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
