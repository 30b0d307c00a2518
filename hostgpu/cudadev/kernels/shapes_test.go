package kernels_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/assaynet/assay/hostgpu/cudadev/kernels"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/devicetest"
)

// source makes operands from a fixed stream.
type source struct{ *rand.ChaCha8 }

func newSource(name string) source {
	var seed [32]byte
	copy(seed[:], name)
	return source{rand.NewChaCha8(seed)}
}

// tensor makes an operand of random values; extreme ones lie at the ends of
// their range.
func (g source) tensor(dt device.DType, rows, cols int, extreme bool) devicetest.Data {
	d := devicetest.Data{Type: dt, Shape: device.Shape{Rows: rows, Cols: cols}, Bytes: []byte{}}
	for range rows * cols {
		r := g.Uint64()
		switch {
		case dt == device.S8 && extreme:
			d.Bytes = append(d.Bytes, byte([]int8{127, -127}[r%2]))
		case dt == device.S8:
			d.Bytes = append(d.Bytes, byte(int8(r%255)-127))
		case dt == device.U8:
			d.Bytes = append(d.Bytes, byte(r))
		case dt == device.S32 && extreme:
			d.Bytes = binary.LittleEndian.AppendUint32(d.Bytes, []uint32{1<<31 - 1, 1 << 31, 0, 1}[r%4])
		case dt == device.S32:
			d.Bytes = binary.LittleEndian.AppendUint32(d.Bytes, uint32(int32(r)>>(r>>32&31)))
		case dt == device.ScaleT:
			m, e := uint32(1<<30|r>>2&(1<<30-1)), uint32(36+r>>40&7)
			if extreme {
				m, e = uint32(r), uint32(int32(20+r>>32&63))
			}
			d.Bytes = binary.LittleEndian.AppendUint32(d.Bytes, m)
			d.Bytes = binary.LittleEndian.AppendUint32(d.Bytes, e)
		}
	}
	return d
}

func result(dt device.DType, rows, cols int) devicetest.Data {
	return devicetest.Data{Type: dt, Shape: device.Shape{Rows: rows, Cols: cols}}
}

// differ compares a case on an emulated GPU with the reference.
func differ(t *testing.T, dev device.Device, c devicetest.Case) {
	t.Helper()
	if err := devicetest.Differ(dev, c); err != nil {
		t.Error(err)
	}
}

// TestGemmShapes: whole and cut tiles in every direction, on GPUs with so few
// multiprocessors that small products take the kernels of large ones.
func TestGemmShapes(t *testing.T) {
	const hopper, ampere = 9, 8
	for _, c := range []struct {
		major, sms int
		kernel     string
		m, n, k    int
	}{
		{ampere, 1, "assay_gemm_128x256", 128, 256, 64}, {ampere, 1, "assay_gemm_128x256", 130, 512, 208},
		{ampere, 1, "assay_gemm_128x256", 256, 509, 336}, {ampere, 2, "assay_gemm_128x128", 128, 254, 272}, {ampere, 1, "assay_gemm_128x128", 128, 121, 512},
		{ampere, 8, "assay_gemm_64x64", 64, 64, 1040}, {ampere, 1, "assay_gemm_64x64", 65, 63, 16}, {ampere, 108, "assay_gemm_64x64", 9, 131, 2064},
		{ampere, 4, "assay_gemm_bytes", 70, 67, 131}, {ampere, 40, "assay_gemm_bytes", 3, 5, 2049},
		{ampere, 1, "assay_gemv_1", 1, 33, 1040}, {ampere, 108, "assay_gemv_1", 1, 5, 16384}, {ampere, 1, "assay_gemv_2", 2, 31, 4112},
		{ampere, 2, "assay_gemv_4", 3, 17, 2048}, {ampere, 1, "assay_gemv_8", 8, 40, 528}, {ampere, 20, "assay_gemv_8", 5, 3, 8208}, {ampere, 1, "assay_gemv_1", 1, 2, 16},
		{hopper, 1, "assay_gemm_wgmma_256", 128, 256, 128}, {hopper, 1, "assay_gemm_wgmma_256", 250, 511, 656},
		{hopper, 1, "assay_gemm_wgmma_128", 128, 128, 512}, {hopper, 2, "assay_gemm_wgmma_128", 127, 250, 144}, {hopper, 1, "assay_gemm_wgmma_128", 65, 100, 16},
	} {
		p := kernels.Props{Major: c.major, SMs: c.sms, SharedPerBlock: 227 << 10}
		for variant := range 4 {
			if (variant+c.m+c.k/16)%2 == 0 && variant != 3 {
				continue // three of them a shape
			}
			t.Run(fmt.Sprintf("%s %dx%dx%d %d", c.kernel, c.m, c.n, c.k, variant), func(t *testing.T) {
				e := newEmulated(t, p)
				dev := device.New(e)
				g := newSource(t.Name())
				a, w := g.tensor(device.S8, c.m, c.k, variant == 3), g.tensor(device.S8, c.n, c.k, variant == 3)
				if variant == 0 {
					differ(t, dev, devicetest.Case{Name: "gemm", Op: device.OpGemm, Tensors: []devicetest.Data{result(device.S32, c.m, c.n), a, w}})
				} else {
					var bias, residual devicetest.Data
					if variant != 2 {
						bias = g.tensor(device.S32, 1, c.n, variant == 3)
					}
					if variant != 1 {
						residual = g.tensor(device.S32, c.m, c.n, variant == 3)
					}
					differ(t, dev, devicetest.Case{Name: "linear", Op: device.OpLinear, Imms: []int64{47}, Tensors: []devicetest.Data{
						result(device.S32, c.m, c.n), a, g.tensor(device.ScaleT, c.m, 1, variant == 3),
						w, g.tensor(device.ScaleT, c.n, 1, variant == 3), bias, residual}})
				}
				if e.seen[c.kernel] == 0 {
					t.Errorf("ran %v, not %s", e.seen, c.kernel)
				}
			})
		}
	}
}

// TestAttentionShapes: tiles of whole and cut rows and keys, one or four warps a
// tile, keys split between blocks.
func TestAttentionShapes(t *testing.T) {
	for _, c := range []struct {
		sms                                 int
		kernel                              string
		segments, seg, keys, heads, kv, dim int
	}{
		{1, "assay_attention_64", 1, 1, 33, 4, 2, 64}, {1, "assay_attention_64", 2, 9, 40, 6, 2, 64}, {1, "assay_attention_64", 1, 40, 70, 2, 1, 64},
		{2, "assay_attention_128", 1, 1, 2048, 8, 1, 128}, {4, "assay_attention_divide", 2, 1, 2300, 4, 1, 128}, {4, "assay_attention_divide", 3, 2, 3100, 3, 1, 64},
		{1, "assay_attention_128", 2, 35, 36, 2, 1, 128}, {1, "assay_attention_128", 1, 16, 16, 16, 16, 128}, {1, "assay_attention_128", 1, 5, 5, 3, 3, 128},
		{1, "assay_attention", 1, 3, 130, 2, 1, 96},
	} {
		for variant := range 3 {
			if c.keys > 1000 && variant != c.segments%2 {
				continue // the reference takes a second
			}
			t.Run(fmt.Sprintf("%s %d %d %d %d %d %d %d", c.kernel, c.segments, c.seg, c.keys, c.heads, c.kv, c.dim, variant), func(t *testing.T) {
				e := newEmulated(t, kernels.Props{Major: 8, SMs: c.sms, SharedPerBlock: 99 << 10})
				g := newSource(t.Name())
				m, s, extreme := c.segments*c.seg, c.segments*c.keys, variant == 1
				differ(t, device.New(e), devicetest.Case{Name: "attention", Op: device.OpAttention,
					Imms: []int64{int64(c.seg), 1549082005, []int64{37, 37, 27}[variant], 47},
					Tensors: []devicetest.Data{result(device.S32, m, c.heads*c.dim),
						g.tensor(device.S8, m, c.heads*c.dim, extreme), g.tensor(device.ScaleT, m, c.heads, extreme),
						g.tensor(device.S8, s, c.kv*c.dim, extreme), g.tensor(device.ScaleT, s, c.kv, extreme),
						g.tensor(device.S8, s, c.kv*c.dim, false), g.tensor(device.ScaleT, s, c.kv, extreme)}})
				if e.seen[c.kernel] == 0 {
					t.Errorf("ran %v, not %s", e.seen, c.kernel)
				}
			})
		}
	}
}
