package devicetest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
)

// same fails unless the two tensors hold the same bytes.
func (x *env) same(what string, a, b device.Handle) {
	x.t.Helper()
	if !bytes.Equal(x.bytes(a), x.bytes(b)) {
		x.t.Errorf("%s: bytes differ", what)
	}
}

// runFused compares linear with gemm, rescale, add_row and add.
func runFused(t *testing.T, dev device.Device) {
	for _, s := range [][3]int{{1, 1, 1}, {1, 70, 130}, {5, 33, 65}, {16, 200, 96}, {40, 129, 300}} {
		x := newEnv(t, dev, spaceBytes)
		m, n, k := s[0], s[1], s[2]
		a, arow := x.put(s8, m, k, uniform), x.put(scale, m, 1, typical)
		w, wchan := x.put(s8, n, k, uniform), x.put(scale, n, 1, extreme)
		bias, residual := x.put(s32, 1, n, typical), x.put(s32, m, n, typical)
		fused := x.alloc(s32, m, n)
		x.run(device.OpLinear, []device.Handle{fused, a, arow, w, wchan, bias, residual}, 55)
		acc := x.alloc(s32, m, n)
		x.run(device.OpGemm, []device.Handle{acc, a, w})
		x.run(device.OpRescale, []device.Handle{acc, acc, arow, wchan}, 55)
		x.run(device.OpAddRow, []device.Handle{acc, acc, bias})
		x.run(device.OpAdd, []device.Handle{acc, acc, residual})
		x.same(fmt.Sprint("linear ", s), fused, acc)
		// In place over the residual.
		x.run(device.OpLinear, []device.Handle{residual, a, arow, w, wchan, bias, residual}, 55)
		x.same(fmt.Sprint("linear in place ", s), fused, residual)
	}
}

// runBatch checks that no result depends on the rows beside it: every op over
// many rows against the same op row by row, and attention over segments and
// as a prefill against token by token.
func runBatch(t *testing.T, dev device.Device) {
	t.Run("linear", func(t *testing.T) {
		x := newEnv(t, dev, spaceBytes)
		const m, n, k = 37, 150, 200
		a, arow := x.put(s8, m, k, uniform), x.put(scale, m, 1, typical)
		w, wchan := x.put(s8, n, k, uniform), x.put(scale, n, 1, typical)
		all, single := x.alloc(s32, m, n), x.alloc(s32, m, n)
		x.run(device.OpLinear, []device.Handle{all, a, arow, w, wchan, 0, 0}, 47)
		for i := range m {
			x.run(device.OpLinear, []device.Handle{x.view(single, i, 1, n), x.view(a, i, 1, k),
				x.view(arow, i, 1, 1), w, wchan, 0, 0}, 47)
		}
		x.same("rows", all, single)
	})
	t.Run("rows", func(t *testing.T) {
		x := newEnv(t, dev, spaceBytes)
		const m, k = 19, 130
		src, gain := x.put(s32, m, k, typical), x.put(s32, 1, k, typical)
		q1, sc1 := x.alloc(s8, m, k), x.alloc(scale, m, 1)
		q2, sc2 := x.alloc(s8, m, k), x.alloc(scale, m, 1)
		x.run(device.OpNormQuant, []device.Handle{q1, sc1, src, gain}, 9)
		for i := range m {
			x.run(device.OpNormQuant, []device.Handle{x.view(q2, i, 1, k), x.view(sc2, i, 1, 1), x.view(src, i, 1, k), gain}, 9)
		}
		x.same("norm_quant", q1, q2)
		x.same("norm_quant scale", sc1, sc2)
	})
	t.Run("attention", func(t *testing.T) { attentionBatch(t, dev) })
}

func attentionBatch(t *testing.T, dev device.Device) {
	x := newEnv(t, dev, spaceBytes)
	const segments, seg, heads, kv, d = 3, 9, 4, 2, 16
	const m = segments * seg
	q, qs := x.put(s8, m, heads*d, uniform), x.put(scale, m, heads, typical)
	k, ks := x.put(s8, m, kv*d, uniform), x.put(scale, m, kv, typical)
	v, vs := x.put(s8, m, kv*d, uniform), x.put(scale, m, kv, extreme)
	tail := []int64{1549082005, 37, 47}
	all := x.alloc(s32, m, heads*d)
	x.run(device.OpAttention, []device.Handle{all, q, qs, k, ks, v, vs}, append([]int64{seg}, tail...)...)
	one := x.alloc(s32, m, heads*d)
	for s := range segments {
		x.run(device.OpAttention, []device.Handle{x.view(one, s*seg, seg, heads*d), x.view(q, s*seg, seg, heads*d), x.view(qs, s*seg, seg, heads),
			x.view(k, s*seg, seg, kv*d), x.view(ks, s*seg, seg, kv), x.view(v, s*seg, seg, kv*d), x.view(vs, s*seg, seg, kv)},
			append([]int64{seg}, tail...)...)
	}
	x.same("segments", all, one)
	step := x.alloc(s32, m, heads*d)
	for s := range segments {
		for i := range seg {
			at := s*seg + i
			x.run(device.OpAttention, []device.Handle{x.view(step, at, 1, heads*d), x.view(q, at, 1, heads*d), x.view(qs, at, 1, heads),
				x.view(k, s*seg, i+1, kv*d), x.view(ks, s*seg, i+1, kv), x.view(v, s*seg, i+1, kv*d), x.view(vs, s*seg, i+1, kv)},
				append([]int64{1}, tail...)...)
		}
	}
	x.same("token by token", all, step)
}

// runConcurrent runs the same chain in several spaces at once, over shared
// weights, and wants the same digest from each.
func runConcurrent(t *testing.T, dev device.Device) {
	weights := newEnv(t, dev, spaceBytes)
	const m, n, k = 8, 96, 128
	w, wchan := weights.put(s8, n, k, uniform), weights.put(scale, n, 1, typical)
	results := make([][]byte, 6)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			out, err := chain(dev, weights.sp, w, wchan, m, n, k)
			if err != nil {
				t.Error(err)
				return
			}
			results[i] = out
		})
	}
	wg.Wait()
	for i, r := range results {
		if !bytes.Equal(r, results[0]) {
			t.Errorf("space %d: another digest", i)
		}
	}
}

// chain runs a few dependent ops in a space of its own and digests the end.
func chain(dev device.Device, from device.Space, w, wchan device.Handle, m, n, k int) ([]byte, error) {
	sp, err := dev.NewSpace(1 << 20)
	if err != nil {
		return nil, err
	}
	defer sp.Close()
	var first error
	check := func(h device.Handle, err error) device.Handle {
		if err != nil && first == nil {
			first = err
		}
		return h
	}
	alloc := func(dt device.DType, r, c int) device.Handle {
		return check(sp.Alloc(dt, device.Shape{Rows: r, Cols: c}))
	}
	run := func(op device.Op, tensors []device.Handle, imms ...int64) {
		check(0, sp.Run(device.Call{Op: op, Tensors: tensors, Imms: imms}))
	}
	w, wchan = check(sp.Share(from, w)), check(sp.Share(from, wchan))
	a, acc, row, sum := alloc(s8, m, k), alloc(s32, m, n), alloc(scale, m, 1), alloc(u8, 1, 32)
	q, seed := alloc(s8, m, n), alloc(u8, 1, 32)
	run(device.OpExpand, []device.Handle{a, seed}, 7)
	for range 20 {
		run(device.OpGemm, []device.Handle{acc, a, w})
		run(device.OpQuant, []device.Handle{q, row, acc}, 16)
		run(device.OpLinear, []device.Handle{acc, a, row, w, wchan, 0, acc}, 47)
		run(device.OpDigest, []device.Handle{sum, acc, 0})
		run(device.OpExpand, []device.Handle{a, sum}, 9)
	}
	out := make([]byte, 32)
	check(0, sp.Read(sum, 0, out))
	return out, first
}
