package cpudev

import (
	"fmt"

	"github.com/assaynet/assay/hostgpu/device"
)

// engine computes tasks.
type engine struct {
	threads int
	k       *kernels
	team    *team
}

// kernels are the functions that have more than one implementation.
type kernels struct {
	isa ISA
	// prepare makes what gemm wants of the left operand, once for an op.
	prepare func(a []int8, m, k int) leftRows
	// gemm writes dst[i,j] = Σ_l a[i,l]·b[j*k+l] for i < m, j < n; k > 0.
	gemm func(dst sums, a leftRows, b []int8, m, n, k int)

	// gemmPacked is gemm for a right operand in panels, pack what makes one of
	// them; nil where rows are as good.
	gemmPacked func(dst sums, a leftRows, b []int8, m, n, k int)
	pack       func(dst []byte, b []int8, k int)

	// Rows of equal length; see the portable function of each.
	rescaleRow   func(dst, acc []int32, ch channels, m int64, e int)
	addRow       func(dst, a, b []int32)
	rowMax       func(v []int32) uint32
	quant        func(q []int8, v []int32, r int64, s uint)
	sumSquares   func(x []int32, t uint) uint64
	normRow      func(dst, x, gain []int32, m int64, s int)
	maxProduct   func(x, gain []int32) uint64
	quantProduct func(q []int8, x, gain []int32, w uint, r int64, s uint)
	rotate       func(y0, y1, x0, x1, cos, sin []int32)
	siluRow      func(dst, gate, up []int32)
	// expand fills p with op expand's bytes from a block of 64 on.
	expand func(p, seed []byte, number int64, block uint32)
	// attend computes some query rows of one head.
	attend func(a *attention, s *scratch, b attentionBlock)
	// attendRows is how many query rows attend takes best at once.
	attendRows int
}

// sums is where a product goes: element i, j is data[i*ld+j].
type sums struct {
	data []int32
	ld   int
	// past says that the whole result is larger than the caches of a core: what
	// is written need not take the place of operands there.
	past bool
}

// from is the part that starts at element i, j.
func (s sums) from(i, j int) sums { return sums{s.data[i*s.ld+j:], s.ld, s.past} }

// leftRows is a left operand as a kernel wants it: rows ld bytes apart.
type leftRows struct {
	data []int8
	ld   int
	init []int32 // what the kernel adds to every sum of a row; nil for 0
}

// from is the rows from i on.
func (l leftRows) from(i int) leftRows {
	if i == 0 {
		return l // there may be none
	}
	r := leftRows{data: l.data[i*l.ld:], ld: l.ld}
	if l.init != nil {
		r.init = l.init[i:]
	}
	return r
}

func preparePortable(a []int8, m, k int) leftRows { return leftRows{data: a, ld: k} }

func portableKernels() *kernels {
	return &kernels{
		isa: Portable, prepare: preparePortable, gemm: gemmPortable,
		rescaleRow: rescaleRow, addRow: addRow, rowMax: rowMax, quant: quantRow,
		sumSquares: sumSquares, normRow: normRow, maxProduct: maxProduct, quantProduct: quantProduct,
		rotate: rotate, siluRow: siluRow, expand: expand, attend: attendPortable, attendRows: 1,
	}
}

func (e *engine) run(t *device.Task) error {
	x := t.Tensors
	switch t.Op {
	case device.OpExpand:
		return e.expand(bytesOf(x[0]), bytesOf(x[1]), t.Imms[0])
	case device.OpGemm:
		e.gemm(s32Of(x[0]), s8Of(x[1]), e.rightOf(x[2]), t.Dims.Get('M'), t.Dims.Get('N'), t.Dims.Get('K'))
	case device.OpRescale:
		e.rescale(s32Of(x[0]), s32Of(x[1]), scalesOf(x[2]), scalesOf(x[3]), int(t.Imms[0]))
	case device.OpLinear:
		e.linear(linearArgs{
			dst: s32Of(x[0]), a: s8Of(x[1]), arow: scalesOf(x[2]), w: e.rightOf(x[3]), wchan: scalesOf(x[4]),
			bias: s32Of(x[5]), residual: s32Of(x[6]), eout: int(t.Imms[0]),
			m: t.Dims.Get('M'), n: t.Dims.Get('N'), k: t.Dims.Get('K'),
		})
	case device.OpQuant:
		e.quant(s8Of(x[0]), scalesOf(x[1]), s32Of(x[2]), t.Dims.Get('K'), int(t.Imms[0]))
	case device.OpNorm:
		e.norm(s32Of(x[0]), s32Of(x[1]), s32Of(x[2]), t.Imms[0])
	case device.OpNormQuant:
		e.normQuant(s8Of(x[0]), scalesOf(x[1]), s32Of(x[2]), s32Of(x[3]), t.Imms[0])
	case device.OpRope:
		e.rope(s32Of(x[0]), s32Of(x[1]), s32Of(x[2]), s32Of(x[3]), t.Dims.Get('C'), t.Dims.Get('D'))
	case device.OpAttention:
		e.attention(newAttention(t))
	case device.OpSiluMul:
		e.siluMul(s32Of(x[0]), s32Of(x[1]), s32Of(x[2]))
	case device.OpAdd, device.OpAddRow:
		e.add(s32Of(x[0]), s32Of(x[1]), s32Of(x[2]))
	case device.OpEmbed:
		e.embed(s32Of(x[0]), s8Of(x[1]), scalesOf(x[2]), s32Of(x[3]), t.Dims.Get('K'), int(t.Imms[0]))
	case device.OpCopy:
		copy(bytesOf(x[0]), bytesOf(x[1]))
	case device.OpSlice:
		size := x[0].Type.Size()
		e.slice(bytesOf(x[0]), bytesOf(x[1]), x[0].Shape.Cols*size, x[1].Shape.Cols*size, int(t.Imms[0])*size)
	case device.OpGather:
		e.gather(bytesOf(x[0]), bytesOf(x[1]), s32Of(x[2]), x[0].Shape.Cols*x[0].Type.Size(), x[1].Shape.Rows)
	case device.OpSample:
		return e.sample(newSample(t))
	case device.OpDigest:
		e.digest(bytesOf(x[0]), x[1], bytesOf(x[2]))
	default:
		return fmt.Errorf("cpudev: no kernel for op %v", t.Op)
	}
	return nil
}
