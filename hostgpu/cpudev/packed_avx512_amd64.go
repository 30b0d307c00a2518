package cpudev

import "unsafe"

var packed512 = []panelTile{packed1AVX512, packed2AVX512, packed3AVX512, packed4AVX512, packed5AVX512, packed6AVX512}

const (
	// A tile of packed512 fetches at most packedStep bytes while it uses
	// packedQuads quads of its panel.
	packedStep  = 512
	packedQuads = 4
	// packedAhead is how far ahead of its own reads the only tile of few rows
	// fetches, in bytes.
	packedAhead = 8 << 10
)

// gemmPacked512 is gemm512 for b in panels (see layout.go). b may go on beyond
// the n columns: what follows is fetched.
func gemmPacked512(dst sums, a leftRows, b []int8, m, n, k int) {
	count := (m + tileRows - 1) / tileRows
	defer storeFence()
	for j := 0; j < n; j += panelCols {
		out := dst.from(0, j)
		for k0 := 0; k0 < k; k0 += panelDepth {
			depth := min(panelDepth, k-k0)
			quads := depth / 4
			steps := quads / packedQuads
			at := j*k + k0*panelCols
			part := b[at : at+quads*4*panelCols]
			// All tiles of rows pass over the part, and fetch the next one
			// evenly, so that memory and registers work at the same time.
			next := at + len(part)
			size := min(len(part), len(b)-next)
			ahead := min(packedStep, (size/max(1, count*steps)+block512)&^(block512-1))
			if count == 1 {
				next, size, ahead = at+packedAhead, min(len(part), len(b)-at-packedAhead), packedStep
			}
			tiles(m, tileRows, func(i, rows int) {
				fetch, step := &part[0], 0
				if size > 0 {
					fetch, step = &b[next], ahead
					moved := min(steps*ahead, size)
					next, size = next+moved, size-moved
				}
				packed512[rows-1](&out.data[i*out.ld], out.ld*4, &a.data[i*a.ld+k0], a.ld, (*byte)(unsafe.Pointer(&part[0])), quads, &a.init[i], out.mode(k0, depth, k), fetch, step)
			})
		}
	}
}

// pack512Into packs panelCols rows of b, k bytes apart.
func pack512Into(dst []byte, b []int8, k int) {
	s := panelPool.Get().(*panelScratch)
	defer panelPool.Put(s)
	for k0 := 0; k0 < k; k0 += panelDepth {
		depth := min(panelDepth, k-k0)
		s.pack(b[k0:], k, panelCols, depth)
		copy(dst[k0*panelCols:], s.panel[:depth*panelCols])
	}
}
