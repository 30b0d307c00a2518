package kernels_test

import (
	"os"
	"testing"

	"github.com/assaynet/assay/hostgpu/cudadev/kernels"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/devicetest"
)

// TestLarge: what takes a size to reach: a digest's third level, a vocabulary
// for every block of sample, the longest sums at their bound.
func TestLarge(t *testing.T) {
	if os.Getenv("ASSAY_PTX") == "" {
		t.Skip("a minute of emulation: make test-ptx")
	}
	p := kernels.Props{Major: 8, SMs: 16, SharedPerBlock: 163 << 10}
	run := func(name string, want string, c devicetest.Case) {
		t.Run(name, func(t *testing.T) {
			e := newEmulated(t, p)
			differ(t, device.New(e), c)
			if e.seen[want] == 0 {
				t.Errorf("ran %v, not %s", e.seen, want)
			}
		})
	}
	g := newSource(t.Name())
	const s8, s32, u8, scale = device.S8, device.S32, device.U8, device.ScaleT
	run("digest", "assay_digest_tree", devicetest.Case{Op: device.OpDigest,
		Tensors: []devicetest.Data{result(u8, 1, 32), g.tensor(u8, 34, 1<<20, false), g.tensor(u8, 1, 32, false)}})
	for _, v := range []int{128256, 1 << 19} {
		for _, imms := range [][]int64{{7, 0, 0, 65536, 65536}, {1, 52429, 50, 62259, 72090}, {2, 65536, 0, 64000, 65536}, {3, 1 << 20, 100000, 65536, 65536}} {
			logits := g.tensor(s32, 1, v, imms[0] == 2) // 2: four values, so ties everywhere
			run("sample", "assay_sample_top", devicetest.Case{Op: device.OpSample, Imms: imms,
				Tensors: []devicetest.Data{result(s32, 1, 1), logits, g.tensor(s32, 100, 1, false), g.tensor(u8, 1, 32, false)}})
		}
	}
	ends := func(rows, cols int, v int8) devicetest.Data {
		d := g.tensor(s8, rows, cols, false)
		for i := range d.Bytes {
			d.Bytes[i] = byte(v)
		}
		return d
	}
	for _, m := range []struct {
		rows   int
		kernel string
	}{{1, "assay_gemv_1"}, {8, "assay_gemv_8"}, {9, "assay_gemm_64x64"}} {
		for _, v := range []int8{127, -127} {
			run("bound", m.kernel, devicetest.Case{Op: device.OpGemm,
				Tensors: []devicetest.Data{result(s32, m.rows, 5), ends(m.rows, device.MaxK, 127), ends(5, device.MaxK, v)}})
		}
	}
	for _, d := range []int{64, 128} {
		for _, rows := range []int{1, 65} {
			kernel := "assay_attention_64"
			if d == 128 {
				kernel = "assay_attention_128"
				if rows > 1 {
					continue // minutes of the reference, and the same sums
				}
			}
			p.SMs = 16
			if rows > 1 {
				p.SMs = 1 // a warp alone sums all keys
			}
			h := 1
			run("attention", kernel, devicetest.Case{Op: device.OpAttention, Imms: []int64{int64(rows), 1 << 30, 62, 47},
				Tensors: []devicetest.Data{result(s32, rows, d*h), ends(rows, d*h, 127), g.tensor(scale, rows, h, false),
					ends(device.MaxKeys, d, 127), g.tensor(scale, device.MaxKeys, 1, false),
					ends(device.MaxKeys, d, -127), g.tensor(scale, device.MaxKeys, 1, false)}})
		}
	}
}
