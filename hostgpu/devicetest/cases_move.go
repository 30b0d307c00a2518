package devicetest

import "github.com/assaynet/assay/hostgpu/device"

func addCases(g *gen, add emit) {
	for _, s := range elementShapes {
		for _, f := range allFills {
			add(f.String(), []Data{out(s32, s[0], s[1]), g.data(s32, s[0], s[1], f), g.data(s32, s[0], s[1], uniform)})
		}
		add("saturate", []Data{out(s32, s[0], s[1]), g.data(s32, s[0], s[1], bottom), g.data(s32, s[0], s[1], bottom)})
		add("saturate", []Data{out(s32, s[0], s[1]), g.data(s32, s[0], s[1], top), g.data(s32, s[0], s[1], top)})
	}
}

func addRowCases(g *gen, add emit) {
	for _, s := range elementShapes {
		for _, f := range allFills {
			add(f.String(), []Data{out(s32, s[0], s[1]), g.data(s32, s[0], s[1], uniform), g.data(s32, 1, s[1], f)})
		}
	}
}

func embedCases(g *gen, add emit) {
	for i, s := range [][3]int{{0, 4, 3}, {2, 0, 3}, {1, 1, 1}, {5, 7, 4}, {9, 33, 20}, {3, 128, 100}} { // M, K, V
		for _, f := range allFills {
			add(f.String(), []Data{out(s32, s[0], s[1]), g.data(s8, s[2], s[1], uniform), g.data(scale, s[2], 1, f),
				g.indexes(s[0], s[2])}, int64(i*7%32))
		}
	}
}

var allTypes = []device.DType{u8, s8, s32, scale}

func copyCases(g *gen, add emit) {
	for _, s := range elementShapes {
		for _, dt := range allTypes {
			add(dt.String(), []Data{out(dt, s[0], s[1]), g.data(dt, s[0], s[1], uniform)})
		}
	}
}

func sliceCases(g *gen, add emit) {
	for _, s := range [][4]int{ // M, K, col0, N
		{0, 5, 1, 2}, {3, 5, 5, 0}, {3, 5, 0, 5}, {4, 9, 3, 1}, {2, 130, 65, 33}, {5, 64, 16, 48}, {7, 3, 2, 1},
	} {
		for _, dt := range allTypes {
			add(dt.String(), []Data{out(dt, s[0], s[3]), g.data(dt, s[0], s[1], uniform)}, int64(s[2]))
		}
	}
}

func gatherCases(g *gen, add emit) {
	for _, s := range [][3]int{{0, 5, 2}, {3, 0, 2}, {1, 1, 1}, {6, 5, 9}, {17, 33, 4}, {4, 128, 70}} { // M, K, S
		for _, dt := range allTypes {
			add(dt.String(), []Data{out(dt, s[0], s[1]), g.data(dt, s[2], s[1], uniform), g.indexes(s[0], s[2])})
		}
	}
}

func digestCases(g *gen, add emit) {
	for _, s := range append(elementShapes, [2]int{1, 1024}, [2]int{3, 1365}, [2]int{17, 511}) {
		for _, dt := range allTypes {
			add(dt.String(), []Data{out(u8, 1, 32), g.data(dt, s[0], s[1], uniform), absent})
			add(dt.String()+" keyed", []Data{out(u8, 1, 32), g.data(dt, s[0], s[1], uniform), g.data(u8, 1, 32, uniform)})
		}
	}
}

// attentionShape is one geometry of attention.
type attentionShape struct{ segments, seg, kseg, heads, kvHeads, d int }

var attentionShapes = []attentionShape{
	{0, 1, 1, 1, 1, 4}, {1, 1, 1, 1, 1, 1}, {1, 1, 5, 2, 1, 3}, {1, 3, 3, 2, 2, 8}, {2, 2, 4, 4, 2, 16},
	{3, 5, 5, 3, 1, 7}, {1, 8, 33, 4, 4, 64}, {1, 1, 100, 8, 2, 32}, {2, 16, 16, 4, 4, 16}, {1, 4, 70, 2, 1, 128},
	{1, 17, 17, 2, 2, 65}, {1, 30, 45, 4, 2, 64}, {2, 13, 13, 2, 2, 128}, {1, 1, 230, 4, 1, 64}, {1, 1, 2, 1, 1, device.MaxHeadDim}, {1, 2, 600, 1, 1, 24},
}

func attentionCases(g *gen, add emit) {
	for i, s := range attentionShapes {
		for _, f := range allFills {
			for _, exp := range []int64{30 + 7, 30 - 4} { // flat and peaked probabilities
				vs := f
				if exp == 37 {
					vs = typical
				}
				add(f.String(), s.operands(g, f, vs), int64(s.seg), 1549082005, exp, []int64{47, 43, 50}[i%3])
			}
		}
		add("limits", s.operands(g, extreme, extreme), int64(s.seg), 1<<30, -1024, 1024)
		add("limits", s.operands(g, uniform, uniform), int64(s.seg), 1<<31-1, 1024, -1024)
	}
	// The bound: one query over the most keys, with the largest sums.
	long := attentionShape{1, 1, device.MaxKeys, 1, 1, 4}
	for _, f := range []fill{top, bottom, typical} {
		add("bound", long.operands(g, f, f), 1, 1549082005, 37, 47)
	}
}

func (s attentionShape) operands(g *gen, f, vs fill) []Data {
	m, keys := s.segments*s.seg, s.segments*s.kseg
	c, e := s.heads*s.d, s.kvHeads*s.d
	vals := uniform
	if f == top || f == bottom || f == zeros || f == spike {
		vals = f
	}
	scales := f
	if f == top || f == bottom {
		scales = typical
	}
	return []Data{out(s32, m, c), g.data(s8, m, c, vals), g.data(scale, m, s.heads, scales),
		g.data(s8, keys, e, vals), g.data(scale, keys, s.kvHeads, scales),
		g.data(s8, keys, e, vals), g.data(scale, keys, s.kvHeads, vs)}
}

func sampleCases(g *gen, add emit) {
	for i, v := range []int{1, 2, 7, 33, 256, 1000, 5000} {
		for _, f := range allFills {
			for j, p := range [][4]int64{ // temperature, top-k, top-p, penalty
				{0, 0, 65536, 65536}, {65536, 0, 65536, 65536}, {52429, 40, 62259, 72090}, {1, 0, 65536, 65536},
				{16 << 16, 5, 30000, 1 << 14}, {65536, 1, 65536, 4 << 16}, {200000, 0, 0, 65536}, {98304, 1 << 24, 58982, 78643},
			} {
				history := absent
				if (i+j)%2 == 1 {
					history = g.indexes((i+j)*3%20, v)
				}
				add(f.String(), []Data{out(s32, 1, 1), g.data(s32, 1, v, f), history, g.data(u8, 1, 32, uniform)},
					int64(i*1000+j), p[0], p[1], p[2], p[3])
			}
		}
	}
}
