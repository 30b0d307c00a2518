package ptx

var memoryInstructions = map[string]func(c *compiler, s *stmt){
	"ld": compileLd, "ldu": compileLd, "st": compileSt, "cvta": compileCvta, "isspacep": compileIsspacep,
	"atom": compileAtom, "red": compileAtom, "prefetch": compilePrefetch,
	"membar": compileFence, "fence": compileFence,
}

var scopes = []string{"cta", "cluster", "gpu", "sys"}

// order consumes .volatile, .weak or a memory order with its scope, and says
// whether accesses are ordered: then they are atomic.
func (c *compiler) order(words ...string) bool {
	o := c.opt(words...)
	switch o {
	case "", "weak":
		return false
	case "volatile":
		return true
	}
	c.want(scopes...)
	return true
}

// space consumes a state space; none is generic.
func (c *compiler) space(allowed ...space) space {
	if len(c.mods) > 0 {
		if sp, ok := spaceOf(c.mods[0]); ok {
			for _, a := range allowed {
				if a == sp {
					c.mods = c.mods[1:]
					return sp
				}
			}
			c.badMod()
		}
	}
	return spaceGeneric
}

// hints consumes what only advises the caches (PTX ISA: Cache Operators, Cache
// Eviction Priority Hints).
func (c *compiler) hints(words ...string) {
	c.opt(words...)
	for len(c.mods) > 0 {
		switch m := c.mods[0]; m {
		case "L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last", "L1::no_allocate",
			"L2::64B", "L2::128B", "L2::256B":
			c.need(74, 75, false)
			c.mods = c.mods[1:]
		default:
			return
		}
	}
}

var memTypes = []string{"b8", "u8", "s8", "b16", "u16", "s16", "b32", "u32", "s32", "b64", "u64", "s64"}

// compileLd handles ld and ld.global.nc (PTX ISA: ld). Narrow values are
// extended by the sign of the type to the register's width.
func compileLd(c *compiler, s *stmt) {
	ordered := s.op == "ld" && c.order("weak", "volatile", "relaxed", "acquire")
	sp := c.space(spaceGlobal, spaceShared, spaceLocal, spaceParam, spaceConst)
	c.hints("ca", "cg", "cs", "lu", "cv")
	if c.opt("nc") != "" && sp != spaceGlobal {
		c.fail("ld.nc from .%v", sp)
	}
	c.hints()
	n, t := c.vecType()
	if !c.args(s, 2, 2) {
		return
	}
	a := c.addr(s.args[1], sp)
	var rows []int
	var masks []uint64
	for _, o := range c.vector(s.args[0], n) {
		r, mask := -1, uint64(0)
		if o.kind != opSink || n == 1 {
			r, mask = c.dst(o, max(t.bits, 16), 64)
		}
		rows, masks = append(rows, r), append(masks, mask)
	}
	size := t.bits / 8
	c.plain(func(w *warp, m uint32) {
		base := &w.rows[a.row]
		// The address register may be a destination too: all lanes read it
		// before any is written, since each lane writes only its own.
		for l := range base {
			if m>>l&1 == 0 {
				continue
			}
			at := base[l] + a.off
			if ordered {
				w.ordered(sp, l, at, size*n, size*n, reads, func(p []byte) {
					for i, r := range rows {
						if r >= 0 {
							w.rows[r][l] = extend64(get(p[i*size:], size), t) & masks[i]
						}
					}
				})
				continue
			}
			p := w.bytes(sp, l, at, size*n, size*n, reads)
			for i, r := range rows {
				if r >= 0 {
					v := get(p[i*size:], size)
					if t.kind == 's' {
						v = uint64(sext(v, t.bits))
					}
					w.rows[r][l] = v & masks[i]
				}
			}
		}
	})
}

// vecType consumes {.v2, .v4} and the type; at most 16 bytes.
func (c *compiler) vecType() (int, typ) {
	n := map[string]int{"": 1, "v2": 2, "v4": 4}[c.opt("v2", "v4")]
	t := c.typ(memTypes...)
	if n*t.bits > 128 {
		c.fail("%s: vector of %d bits", c.stmt.op, n*t.bits)
	}
	return n, t
}

func compileSt(c *compiler, s *stmt) {
	ordered := c.order("weak", "volatile", "relaxed", "release")
	sp := c.space(spaceGlobal, spaceShared, spaceLocal, spaceParam)
	c.hints("wb", "cg", "cs", "wt")
	n, t := c.vecType()
	if !c.args(s, 2, 2) {
		return
	}
	a := c.addr(s.args[0], sp)
	var rows []int
	for _, o := range c.vector(s.args[1], n) {
		rows = append(rows, c.src(o, max(t.bits, 16), 64))
	}
	size := t.bits / 8
	c.plain(func(w *warp, m uint32) {
		base := &w.rows[a.row]
		for l := range base {
			if m>>l&1 == 0 {
				continue
			}
			at := base[l] + a.off
			if ordered {
				w.ordered(sp, l, at, size*n, size*n, writes, func(p []byte) {
					for i, r := range rows {
						poke(p[i*size:], size, w.rows[r][l])
					}
				})
				continue
			}
			p := w.bytes(sp, l, at, size*n, size*n, writes)
			for i, r := range rows {
				poke(p[i*size:], size, w.rows[r][l])
			}
		}
	})
}

// compileCvta adds or takes away where a space lies (PTX ISA: cvta).
func compileCvta(c *compiler, s *stmt) {
	to := c.opt("to") != ""
	sp := c.space(spaceGlobal, spaceShared, spaceLocal, spaceParam, spaceConst)
	if sp == spaceGeneric {
		c.fail("cvta without a space")
	}
	c.want("u64")
	if !c.args(s, 2, 2) {
		return
	}
	d, a := c.result(s.args[0], b64), c.value(s.args[1], b64)
	start := map[space]uint64{spaceShared: sharedStart, spaceLocal: localStart, spaceParam: paramStart, spaceConst: constStart}[sp]
	if o := s.args[1]; o.kind == opVar && o.vari.space != sp {
		c.fail("cvta: %s is in .%v", o.vari.name, o.vari.space)
	}
	switch {
	case start == 0:
		c.copyRow(d, a)
	case to:
		c.lanes1(d, a, ^uint64(0), func(a uint64) uint64 { return a - start })
	default:
		c.lanes1(d, a, ^uint64(0), func(a uint64) uint64 { return a + start })
	}
}

func compileIsspacep(c *compiler, s *stmt) {
	sp := c.space(spaceGlobal, spaceShared, spaceLocal, spaceParam, spaceConst)
	if sp == spaceGeneric {
		c.fail("isspacep without a space")
	}
	if !c.args(s, 2, 2) {
		return
	}
	p, a := c.predDst(s.args[0]), c.value(s.args[1], b64)
	c.plain(func(w *warp, m uint32) {
		var r uint32
		for l, v := range w.rows[a] {
			if at, _ := window(v); at == sp {
				r |= 1 << l
			}
		}
		if p >= 0 {
			w.preds[p] = w.preds[p]&^m | r&m
		}
	})
}

// compilePrefetch checks the address's form alone: a prefetch has no effect,
// wherever it points.
func compilePrefetch(c *compiler, s *stmt) {
	sp := c.space(spaceGlobal, spaceLocal)
	c.want("L1", "L2", "L2::evict_last", "L2::evict_normal")
	if c.args(s, 1, 1) {
		c.addr(s.args[0], sp)
		c.plain(func(*warp, uint32) {})
	}
}

// compileFence handles membar and fence (PTX ISA: membar, fence). Memory is
// sequentially consistent here, so they order nothing more; fence.proxy.async
// matters to Checks.Race.
func compileFence(c *compiler, s *stmt) {
	if s.op == "membar" {
		c.want("cta", "gl", "sys")
	} else if c.opt("proxy") != "" {
		which := c.want("async", "alias")
		var sp string
		if which == "async" {
			c.need(80, 90, false)
			sp = c.opt("global", "shared::cta", "shared::cluster")
		}
		if c.args(s, 0, 0) {
			c.plain(func(w *warp, m uint32) {
				if w.race != nil && which == "async" && sp != "global" {
					w.race.proxyFence(w, m)
				}
			})
		}
		return
	} else if c.opt("mbarrier_init") != "" {
		c.need(80, 90, false)
		c.want("release")
		c.want("cluster")
	} else {
		c.opt("sc", "acq_rel", "acquire", "release")
		c.want(scopes...)
	}
	if c.args(s, 0, 0) {
		c.plain(func(*warp, uint32) {})
	}
}
