package cpudev

import (
	"sync"
	"unsafe"
)

func avx512Kernels() *kernels {
	k := avx2Kernels()
	k.isa, k.prepare, k.gemm = AVX512, prepare512, gemm512
	k.gemmPacked, k.pack = gemmPacked512, pack512Into
	k.rescaleRow, k.addRow = rescale512, addRow512
	k.rowMax, k.quant = rowMax512, quant512
	k.sumSquares, k.normRow = sumSquares512, norm512
	k.maxProduct, k.quantProduct = maxProduct512, quantProduct512
	k.rotate, k.siluRow = rotate512, silu512
	k.expand = expand512
	k.attend, k.attendRows = attention512.attend, attendRowsVector
	return k
}

// block512 is the bytes of one vector.
const block512 = 64

// setBytes is the distance of addresses that share a set of the first-level cache.
const setBytes = 4096

// prepare512 pads the rows with zeros to whole vectors, and apart where all
// would fall on the same cache set as the rows of b. It computes what undoes
// the bias of the right operand: it enters as b+128.
func prepare512(a []int8, m, k int) leftRows {
	x := leftRows{data: a, ld: k, init: make([]int32, m)}
	if k%block512 != 0 || k%setBytes == 0 && m > len(streams512) {
		x.ld = k&^(block512-1) + block512
		x.data = make([]int8, m*x.ld)
		for i := range m {
			copy(x.data[i*x.ld:], a[i*k:(i+1)*k])
		}
	}
	for i := range m {
		x.init[i] = int32(-128 * sumAVX512(&x.data[i*x.ld], x.ld/block512))
	}
	return x
}

const (
	panelCols  = 64   // columns of a packed panel
	panelDepth = 4096 // k of a packed panel: 256 KiB, a quarter of the second-level cache
	tileRows   = 6
)

// panelRows is the least number of rows for which packing b pays. It costs
// about k/16 cycles a column, as much as the products of four rows; the other
// way sums across lanes for each result, about a tenth.
const panelRows = 40

func gemm512(dst sums, a leftRows, b []int8, m, n, k int) {
	if m >= panelRows && n >= panelCols/2 {
		gemmPanels512(dst, a, b, m, n, k)
		storeFence()
		return
	}
	dotRows512(dst.data, dst.ld, a, b, k, m, n, k)
}

// A kernel fetches fetchStep bytes while it uses fetchQuads quads of a panel, or
// one block of a group of columns.
const (
	fetchStep  = 128
	fetchQuads = 4
)

type dotTile512 func(c *int32, ldc int, a *int8, lda int, b *int8, ldb int, blocks int, tail uint64, init *int32, groups int, fetch *int8, ahead int)

// dots512[r-1] takes r rows by groups of 4 columns, then of 1.
var dots512 = [][2]dotTile512{
	{dot1x4AVX512, dot1x1AVX512}, {dot2x4AVX512, dot2x1AVX512}, {dot3x4AVX512, dot3x1AVX512},
	{dot4x4AVX512, dot4x1AVX512}, {dot5x4AVX512, dot5x1AVX512}, {dot6x4AVX512, dot6x1AVX512},
}

// streams512[r-1] is dots512[r-1][0] for memory that is read for the first time.
var streams512 = []func(c *int32, ldc int, a *int8, lda int, b *int8, ldb int, blocks int, tail uint64, init *int32, groups int){
	stream1AVX512, stream2AVX512,
}

// dotBytes is how much of b all tiles of rows pass over, one after another,
// before the next part: an eighth of the second-level cache, so that the part
// that is fetched meanwhile has its place beside it.
const dotBytes = 128 << 10

// dotRows512 reads b where it lies, ldb bytes a row. The first rows are few, so
// that reading b keeps as many cache lines in flight as memory gives: a product
// that waits for its line holds a place in the scheduler. The other rows find b
// in the second-level cache, and fetch what comes next.
func dotRows512(dst []int32, ldc int, a leftRows, b []int8, ldb, m, n, k int) {
	blocks, tail := k/block512, uint64(1)<<(k%block512)-1
	if n < 4 {
		tiles(m, tileRows, func(i, rows int) {
			dots512[rows-1][1](&dst[i*ldc], ldc*4, &a.data[i*a.ld], a.ld, &b[0], ldb, blocks, tail, &a.init[i], n, &b[0], 0)
		})
		return
	}
	width := max(4, dotBytes/ldb&^3)
	first := min(m, len(streams512))
	for j := 0; j < n; {
		cols := min(width, n-j)
		if cols < 4 { // overlaps columns already done: same values
			j, cols = n-4, 4
		}
		cols &^= 3
		part, groups := b[j*ldb:], cols/4
		streams512[first-1](&dst[j], ldc*4, &a.data[0], a.ld, &part[0], ldb, blocks, tail, &a.init[0], groups)
		next := part[min(cols*ldb, len(part)):]
		next = next[:min(len(next), width*ldb)]
		tiles(m-first, tileRows, func(i, rows int) {
			i += first
			fetch, ahead := &b[0], 0
			if len(next) > 0 {
				fetch, ahead = &next[0], fetchStep
				next = next[min(len(next), groups*blocks*fetchStep):]
			}
			dots512[rows-1][0](&dst[i*ldc+j], ldc*4, &a.data[i*a.ld], a.ld, &part[0], ldb, blocks, tail, &a.init[i], groups, fetch, ahead)
		})
		j += cols
	}
}

// mode of a tile; see internal/genasm/panel.go.
const (
	modeAdd  = 1
	modePast = 2
)

// mode is that of tiles for depth of k from k0 on.
func (s sums) mode(k0, depth, k int) (mode int) {
	if k0 > 0 {
		mode |= modeAdd
	}
	lines := uintptr(unsafe.Pointer(&s.data[0]))%block512 == 0 && s.ld*4%block512 == 0
	if s.past && lines && k0+depth == k {
		mode |= modePast
	}
	return mode
}

type panelTile func(c *int32, ldc int, a *int8, lda int, b *byte, quads int, init *int32, mode int, fetch *int8, ahead int)

var panels512 = []panelTile{panel1AVX512, panel2AVX512, panel3AVX512, panel4AVX512, panel5AVX512, panel6AVX512}

// panelScratch is the working memory of gemmPanels512.
type panelScratch struct {
	panel [panelDepth * panelCols]byte
	edge  [16 * block512]int8 // the part of b at its edges, padded with zeros
	out   []int32             // a panel of results narrower than a tile
}

var panelPool = sync.Pool{New: func() any { return new(panelScratch) }}

func gemmPanels512(dst sums, a leftRows, b []int8, m, n, k int) {
	s := panelPool.Get().(*panelScratch)
	defer panelPool.Put(s)
	for j := 0; j < n; j += panelCols {
		cols := min(panelCols, n-j)
		out := dst.from(0, j)
		if cols < panelCols {
			if len(s.out) < m*panelCols {
				s.out = make([]int32, m*panelCols)
			}
			out = sums{data: s.out, ld: panelCols}
		}
		for k0 := 0; k0 < k; k0 += panelDepth {
			depth := min(panelDepth, k-k0)
			s.pack(b[j*k+k0:], k, cols, depth)
			mode := out.mode(k0, depth, k)
			// The rows of the next panel lie one after another.
			next := b[min((j+cols)*k, len(b)):]
			if depth < k {
				next = nil
			}
			quads := (depth + 3) / 4
			tiles(m, tileRows, func(i, rows int) {
				fetch, ahead := &b[0], 0
				if len(next) > 0 {
					fetch, ahead = &next[0], fetchStep
					next = next[min(len(next), quads/fetchQuads*fetchStep):]
				}
				panels512[rows-1](&out.data[i*out.ld], out.ld*4, &a.data[i*a.ld+k0], a.ld, &s.panel[0], quads, &a.init[i], mode, fetch, ahead)
			})
		}
		if cols < panelCols {
			for i := range m {
				copy(dst.data[i*dst.ld+j:][:cols], out.data[i*out.ld:])
			}
		}
	}
}

// pack makes the panel of cols rows of b, ld bytes apart.
func (s *panelScratch) pack(b []int8, ld, cols, depth int) {
	whole := depth / block512
	for g := 0; g < cols; g += 16 {
		rows := min(16, cols-g)
		done := 0
		if rows == 16 && whole > 0 {
			pack16AVX512(&s.panel[g*4], &b[g*ld], ld, whole)
			done = whole
		}
		for blk := done; blk*block512 < depth; blk++ {
			clear(s.edge[:])
			from, to := blk*block512, min(depth, (blk+1)*block512)
			for r := range rows {
				copy(s.edge[r*block512:], b[(g+r)*ld+from:(g+r)*ld+to])
			}
			pack16AVX512(&s.panel[blk*block512*panelCols+g*4], &s.edge[0], block512, 1)
		}
	}
}
