package devicetest

import (
	"fmt"
	"iter"

	"github.com/assaynet/assay/hostgpu/device"
)

const (
	u8    = device.U8
	s8    = device.S8
	s32   = device.S32
	scale = device.ScaleT
)

// Cases is the whole suite of single calls, the same on every machine. It
// stops at nothing that a guest could send: unnormalised scales, extreme
// numbers, empty tensors, odd shapes.
func Cases() iter.Seq[Case] {
	return func(yield func(Case) bool) {
		for _, family := range families {
			g := newGen(family.op.String())
			i := 0
			stopped := false
			family.make(g, func(name string, tensors []Data, imms ...int64) {
				if stopped {
					return
				}
				c := Case{Name: fmt.Sprintf("%s/%d %s", family.op, i, name), Op: family.op, Tensors: tensors, Imms: imms}
				i++
				stopped = !yield(c)
			})
			if stopped {
				return
			}
		}
	}
}

// emit takes one case.
type emit func(name string, tensors []Data, imms ...int64)

var families = []struct {
	op   device.Op
	make func(*gen, emit)
}{
	{device.OpExpand, expandCases},
	{device.OpGemm, gemmCases},
	{device.OpRescale, rescaleCases},
	{device.OpLinear, linearCases},
	{device.OpQuant, quantCases},
	{device.OpNorm, normCases},
	{device.OpNormQuant, normQuantCases},
	{device.OpRope, ropeCases},
	{device.OpAttention, attentionCases},
	{device.OpSiluMul, siluCases},
	{device.OpAdd, addCases},
	{device.OpAddRow, addRowCases},
	{device.OpEmbed, embedCases},
	{device.OpCopy, copyCases},
	{device.OpSlice, sliceCases},
	{device.OpGather, gatherCases},
	{device.OpSample, sampleCases},
	{device.OpDigest, digestCases},
}

// elementShapes are the shapes of the ops that work element by element.
var elementShapes = [][2]int{{0, 0}, {0, 5}, {3, 0}, {1, 1}, {1, 7}, {2, 16}, {3, 31}, {5, 33}, {1, 257}, {7, 64}, {2, 130}}

func expandCases(g *gen, add emit) {
	for i, s := range append(elementShapes, [2]int{3, 4099}, [2]int{1, 600_001}) {
		stream := []int64{0, 1, -1, 1 << 40, -1 << 63, 1<<63 - 1}[i%6]
		add("", []Data{out(s8, s[0], s[1]), g.data(u8, 1, 32, uniform)}, stream)
	}
}

// gemmShapes are M, N, K around the tiles of every known kernel.
var gemmShapes = [][3]int{
	{0, 3, 4}, {3, 0, 4}, {2, 3, 0}, {1, 1, 1}, {1, 5, 3}, {2, 2, 2}, {3, 7, 5}, {1, 16, 64}, {1, 17, 65}, {4, 32, 128},
	{5, 33, 129}, {6, 64, 64}, {7, 65, 63}, {8, 48, 256}, {13, 50, 31}, {16, 96, 192}, {17, 97, 100}, {31, 31, 31}, {1, 300, 515}, {2, 129, 1027}, {12, 130, 260}, {33, 66, 320},
}

func gemmCases(g *gen, add emit) {
	for i, s := range gemmShapes {
		m, n, k := s[0], s[1], s[2]
		add("uniform", []Data{out(s32, m, n), g.data(s8, m, k, uniform), g.data(s8, n, k, uniform)})
		f := allFills[i%len(allFills)]
		add(f.String(), []Data{out(s32, m, n), g.data(s8, m, k, f), g.data(s8, n, k, extreme)})
	}
	for _, f := range [][2]fill{{top, top}, {top, bottom}, {bottom, bottom}} {
		add("bound", []Data{out(s32, 2, 3), g.data(s8, 2, device.MaxK, f[0]), g.data(s8, 3, device.MaxK, f[1])})
	}
	add("uniform long", []Data{out(s32, 1, 5), g.data(s8, 1, device.MaxK-1, uniform), g.data(s8, 5, device.MaxK-1, uniform)})
	add("uniform deep", []Data{out(s32, 110, 40), g.data(s8, 110, 4200, uniform), g.data(s8, 40, 4200, uniform)})
	add("uniform wide", []Data{out(s32, 20, 700), g.data(s8, 20, 600, uniform), g.data(s8, 700, 600, uniform)})
}

func rescaleCases(g *gen, add emit) {
	for _, s := range elementShapes {
		for _, f := range allFills {
			for _, eout := range []int64{47, 31, 62, -1024, 1024, 40} {
				if f != typical && eout == 40 {
					continue
				}
				add(f.String(), []Data{out(s32, s[0], s[1]), g.data(s32, s[0], s[1], uniform),
					g.data(scale, s[0], 1, f), g.data(scale, s[1], 1, f)}, eout)
			}
			add(f.String(), []Data{out(s32, s[0], s[1]), g.data(s32, s[0], s[1], f),
				g.data(scale, s[0], 1, typical), g.data(scale, s[1], 1, extreme)}, 47)
		}
	}
	// Every shift from saturation to zero, on both signs.
	for e := int64(-40); e <= 70; e++ {
		add("shift", []Data{out(s32, 1, 9), values(1, 9, -1<<31, 1<<31-1, -1, 1, 0, 3, -3, 1<<30, -1<<30),
			{scale, device.Shape{Rows: 1, Cols: 1}, []byte{0, 0, 0, 64, 0, 0, 0, 0}},
			g.data(scale, 9, 1, bottom)}, 61-e)
	}
}

func linearCases(g *gen, add emit) {
	for i, s := range gemmShapes {
		m, n, k := s[0], s[1], s[2]
		for variant := range 4 {
			bias, residual := absent, absent
			if variant&1 != 0 {
				bias = g.data(s32, 1, n, allFills[i%len(allFills)])
			}
			if variant&2 != 0 {
				residual = g.data(s32, m, n, allFills[(i+variant)%len(allFills)])
			}
			f := typical
			if variant == 3 && i%2 == 0 {
				f = uniform
			}
			add(f.String(), []Data{out(s32, m, n), g.data(s8, m, k, uniform), g.data(scale, m, 1, f),
				g.data(s8, n, k, uniform), g.data(scale, n, 1, f), bias, residual}, 47+int64(i%3)*6)
		}
	}
}

func quantCases(g *gen, add emit) {
	for _, s := range elementShapes {
		for _, f := range allFills {
			add(f.String(), []Data{out(s8, s[0], s[1]), out(scale, s[0], 1), g.data(s32, s[0], s[1], f)}, int64(len(f.String())*3%32))
		}
	}
	for bit := range 32 { // rows whose maximum is at, below and above each power of two
		x := int32(1) << bit
		add("power", []Data{out(s8, 3, 4), out(scale, 3, 1), values(3, 4, x, x/2, -x, 1, x-1, 0, -x/3, 2, x+1, -x-1, x/2, -3)}, 16)
	}
	for a := int32(1); a <= 300; a += 13 { // every value of a small row: all ties
		row := make([]int32, 2*a+1)
		for i := range row {
			row[i] = int32(i) - a
		}
		add("ties", []Data{out(s8, 1, len(row)), out(scale, 1, 1), values(1, len(row), row...)}, 0)
	}
}

func normOperands(g *gen, rows, cols int, f, gain fill) (Data, Data) {
	return g.data(s32, rows, cols, f), g.data(s32, 1, cols, gain)
}

// normInputs calls use for the operands of norm and norm_quant alike.
func normInputs(g *gen, use func(name string, src, gain Data, epsk int64)) {
	for i, s := range append(elementShapes, [2]int{2, 1000}) {
		for _, f := range allFills {
			src, gain := normOperands(g, s[0], s[1], f, allFills[(i+int(f))%len(allFills)])
			use(f.String(), src, gain, []int64{0, 1, 42949, 1 << 40, 1 << 56}[(i+int(f))%5])
			src, gain = normOperands(g, s[0], s[1], f, typical)
			use(f.String(), src, gain, 42949*int64(s[1]))
		}
	}
	for bit := range 32 { // every shift t and every normalisation of the sum
		src := values(2, 3, int32(1)<<bit, 5, -7, -int32(1)<<bit, int32(1)<<bit-1, 1<<bit/3)
		use("power", src, values(1, 3, 65536, -70000, 1<<31-1), 3)
	}
	src, gain := normOperands(g, 1, device.MaxK, bottom, bottom)
	use("bound", src, gain, 1<<56)
	src, gain = normOperands(g, 1, device.MaxK, spike, top)
	use("bound spike", src, gain, 0)
}

func normCases(g *gen, add emit) {
	normInputs(g, func(name string, src, gain Data, epsk int64) {
		add(name, []Data{out(s32, src.Shape.Rows, src.Shape.Cols), src, gain}, epsk)
	})
}

func normQuantCases(g *gen, add emit) {
	normInputs(g, func(name string, src, gain Data, epsk int64) {
		rows, cols := src.Shape.Rows, src.Shape.Cols
		add(name, []Data{out(s8, rows, cols), out(scale, rows, 1), src, gain}, epsk)
	})
}

func ropeCases(g *gen, add emit) {
	for i, s := range [][4]int{ // M, C, P, D
		{0, 4, 2, 2}, {3, 0, 1, 2}, {1, 2, 1, 2}, {4, 8, 5, 4}, {5, 30, 9, 6}, {7, 128, 16, 32}, {3, 192, 3, 64}, {2, 34, 40, 34}, {6, 256, 8, 128},
	} {
		for _, f := range allFills {
			add(f.String(), []Data{out(s32, s[0], s[1]), g.data(s32, s[0], s[1], f),
				g.data(s32, s[2], s[3], allFills[(i+int(f))%len(allFills)]), g.indexes(s[0], s[2])})
		}
	}
}

func siluCases(g *gen, add emit) {
	for i, s := range elementShapes {
		for _, f := range allFills {
			add(f.String(), []Data{out(s32, s[0], s[1]), g.data(s32, s[0], s[1], f), g.data(s32, s[0], s[1], allFills[(i+int(f))%len(allFills)])})
		}
	}
	const n = 4096
	gate, up := make([]int32, n), make([]int32, n)
	for i := range gate {
		gate[i], up[i] = int32(i-n/2)*733, 65536 // about ±23 in even steps
	}
	add("sweep", []Data{out(s32, 1, n), values(1, n, gate...), values(1, n, up...)})
}
