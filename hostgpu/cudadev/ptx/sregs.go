package ptx

import "time"

// An sreg is a special register (PTX ISA: Special Registers) that stays the same
// while a block runs.
type sreg struct {
	bits int
	get  func(w *warp, lane int) uint64
}

var sregs = map[string]sreg{}

func init() {
	u32 := func(name string, get func(w *warp, lane int) uint32) {
		sregs[name] = sreg{32, func(w *warp, lane int) uint64 { return uint64(get(w, lane)) }}
	}
	for i, axis := range []string{".x", ".y", ".z"} {
		u32("%tid"+axis, func(w *warp, lane int) uint32 {
			t, n := uint32(w.id*32+lane), w.launch.block
			return [3]uint32{t % n[0], t / n[0] % n[1], t / n[0] / n[1]}[i]
		})
		u32("%ntid"+axis, func(w *warp, _ int) uint32 { return w.launch.block[i] })
		u32("%ctaid"+axis, func(w *warp, _ int) uint32 { return w.index[i] })
		u32("%nctaid"+axis, func(w *warp, _ int) uint32 { return w.grid[i] })
		// Every block is a cluster of its own.
		u32("%clusterid"+axis, func(w *warp, _ int) uint32 { return w.index[i] })
		u32("%nclusterid"+axis, func(w *warp, _ int) uint32 { return w.grid[i] })
		u32("%cluster_ctaid"+axis, func(*warp, int) uint32 { return 0 })
		u32("%cluster_nctaid"+axis, func(*warp, int) uint32 { return 1 })
	}
	u32("%cluster_ctarank", func(*warp, int) uint32 { return 0 })
	u32("%cluster_nctarank", func(*warp, int) uint32 { return 1 })
	u32("%laneid", func(_ *warp, lane int) uint32 { return uint32(lane) })
	u32("%warpid", func(w *warp, _ int) uint32 { return uint32(w.id) })
	u32("%nwarpid", func(*warp, int) uint32 { return maxThreads / 32 })
	u32("%smid", func(w *warp, _ int) uint32 { return w.index[0] % uint32(w.m.cfg.SMs) })
	u32("%nsmid", func(w *warp, _ int) uint32 { return uint32(w.m.cfg.SMs) })
	u32("%dynamic_smem_size", func(w *warp, _ int) uint32 { return uint32(w.dynamic) })
	u32("%total_smem_size", func(w *warp, _ int) uint32 { return uint32(w.sharedEnd - sharedBase) })
	u32("%lanemask_eq", func(_ *warp, lane int) uint32 { return 1 << lane })
	u32("%lanemask_lt", func(_ *warp, lane int) uint32 { return 1<<lane - 1 })
	u32("%lanemask_le", func(_ *warp, lane int) uint32 { return 2<<lane - 1 })
	u32("%lanemask_gt", func(_ *warp, lane int) uint32 { return -(2 << lane) })
	u32("%lanemask_ge", func(_ *warp, lane int) uint32 { return -(1 << lane) })
	sregs["%gridid"] = sreg{64, func(w *warp, _ int) uint64 { return w.number }}
}

// A dynamicReg changes while a block runs, so that it is read when the
// instruction runs, by mov alone.
type dynamicReg struct {
	bits int
	get  func(w *warp) uint64
}

func dynamicSreg(name string) *dynamicReg {
	ticks := func(w *warp) uint64 { return w.spent.Load() + w.steps }
	switch name {
	case "%clock":
		return &dynamicReg{32, ticks}
	case "%clock64":
		return &dynamicReg{64, ticks}
	case "%clock_hi":
		return &dynamicReg{32, func(w *warp) uint64 { return ticks(w) >> 32 }}
	case "%globaltimer":
		return &dynamicReg{64, func(*warp) uint64 { return uint64(time.Now().UnixNano()) }}
	}
	return nil
}

// sreg returns the row of a special register.
func (c *compiler) sreg(o operand, low, high int) int {
	s, ok := sregs[o.name]
	if !ok {
		c.fail("special register %s", o.name)
		return 0
	}
	if s.bits < low || s.bits > high {
		c.fail("%s: %s has %d bits", c.stmt.op, o.name, s.bits)
		return 0
	}
	if r, ok := c.sregs[o.name]; ok {
		return r
	}
	r := c.newRow()
	c.sregs[o.name] = r
	c.prog.special = append(c.prog.special, special{row: r, name: o.name})
	return r
}
