package ptx

import "math/bits"

var warpInstructions = map[string]func(c *compiler, s *stmt){
	"bar": compileBar, "barrier": compileBar, "shfl": compileShfl, "vote": compileVote, "match": compileMatch,
	"activemask": compileActivemask, "redux": compileRedux, "elect": compileElect,
}

// together emits an instruction that the lanes of a mask run together (PTX
// ISA: membermask).
func (c *compiler) together(mask operand, fn func(w *warp, m uint32)) {
	r := c.value(mask, b32)
	c.emit(ins{kind: insSync, fn: fn, mask: func(w *warp, l int) uint32 { return uint32(w.rows[r][l]) }})
}

// compileBarWarp is bar.warp.sync: it orders memory among the lanes.
func compileBarWarp(c *compiler, s *stmt) {
	c.want("sync")
	if s.op != "bar" {
		c.fail("barrier.warp")
	}
	if !c.args(s, 1, 1) {
		return
	}
	c.together(s.args[0], func(w *warp, m uint32) {
		if w.race != nil {
			w.race.warpSync(w, m)
		}
	})
}

// compileShfl handles shfl.sync (PTX ISA: shfl.sync). c holds the clamp in bits
// 0 to 4 and the segment mask in bits 8 to 12.
func compileShfl(c *compiler, s *stmt) {
	c.want("sync")
	mode := c.want("up", "down", "bfly", "idx")
	c.want("b32")
	if !c.args(s, 5, 5) {
		return
	}
	dst, p := s.args[0], -1
	if dst.kind == opPair {
		p = c.predDst(dst.elems[1])
		dst = dst.elems[0]
	}
	d, a := c.result(dst, b32), c.value(s.args[1], b32)
	b, e := c.value(s.args[2], b32), c.value(s.args[3], b32)
	c.together(s.args[4], func(w *warp, m uint32) {
		src := w.rows[a]
		var ok uint32
		for r := m; r != 0; r &= r - 1 {
			l := first(r)
			n, ctl := int(w.rows[b][l]&31), int(w.rows[e][l])
			clamp, seg := ctl&31, ctl>>8&31
			high := l&seg | clamp&^seg
			low := l & seg
			j, in := 0, false
			switch mode {
			case "up":
				j = l - n
				in = j >= high
			case "down":
				j = l + n
				in = j <= high
			case "bfly":
				j = l ^ n
				in = j <= high
			case "idx":
				j = low | n&^seg
				in = j <= high
			}
			if !in {
				j = l
			} else {
				ok |= 1 << l
			}
			v := src[j]
			if m>>j&1 == 0 { // unpredictable
				if w.checks.Sync {
					w.fault(ErrSync, l, "", 0, "value of lane %d, which takes no part", j)
				}
				v = registerPoison
			}
			w.rows[d][l] = v
		}
		if p >= 0 {
			w.preds[p] = w.preds[p]&^m | ok
		}
	})
}

// compileVote handles vote.sync (PTX ISA: vote.sync).
func compileVote(c *compiler, s *stmt) {
	c.want("sync")
	mode := c.want("all", "any", "uni", "ballot")
	if mode == "ballot" {
		c.want("b32")
	} else {
		c.want("pred")
	}
	if !c.args(s, 3, 3) {
		return
	}
	a := c.predSrc(s.args[1])
	if mode == "ballot" {
		d := c.result(s.args[0], b32)
		c.together(s.args[2], func(w *warp, m uint32) {
			v := a.get(w) & m
			for r := m; r != 0; r &= r - 1 {
				w.rows[d][first(r)] = uint64(v)
			}
		})
		return
	}
	d := c.predDst(s.args[0])
	c.together(s.args[2], func(w *warp, m uint32) {
		v := a.get(w) & m
		if d < 0 {
			return
		}
		if mode == "all" && v == m || mode == "any" && v != 0 || mode == "uni" && (v == 0 || v == m) {
			w.preds[d] |= m
		} else {
			w.preds[d] &^= m
		}
	})
}

// compileMatch handles match.sync (PTX ISA: match.sync).
func compileMatch(c *compiler, s *stmt) {
	mode := c.want("any", "all")
	c.want("sync")
	t := c.typ("b32", "b64")
	if !c.args(s, 3, 3) {
		return
	}
	dst, p := s.args[0], -1
	if dst.kind == opPair && mode == "all" {
		p = c.predDst(dst.elems[1])
		dst = dst.elems[0]
	}
	d, a := -1, c.value(s.args[1], t)
	if dst.kind != opSink {
		d = c.result(dst, b32)
	}
	c.together(s.args[2], func(w *warp, m uint32) {
		var equal [32]uint32
		for r := m; r != 0; r &= r - 1 {
			l := first(r)
			for q := m; q != 0; q &= q - 1 {
				if j := first(q); w.rows[a][j] == w.rows[a][l] {
					equal[l] |= 1 << j
				}
			}
		}
		all := equal[first(m)] == m
		for r := m; r != 0; r &= r - 1 {
			l := first(r)
			v := equal[l]
			if mode == "all" && !all {
				v = 0
			}
			if d >= 0 {
				w.rows[d][l] = uint64(v)
			}
		}
		if p >= 0 {
			w.preds[p] &^= m
			if all {
				w.preds[p] |= m
			}
		}
	})
}

func compileActivemask(c *compiler, s *stmt) {
	c.want("b32")
	if !c.args(s, 1, 1) {
		return
	}
	d := c.result(s.args[0], b32)
	c.plain(func(w *warp, m uint32) {
		for r := m; r != 0; r &= r - 1 {
			w.rows[d][first(r)] = uint64(m)
		}
	})
}

// compileRedux handles redux.sync (PTX ISA: redux.sync).
func compileRedux(c *compiler, s *stmt) {
	c.need(70, 80, false)
	c.want("sync")
	op := c.want("add", "min", "max", "and", "or", "xor")
	t := c.typ(map[bool][]string{true: {"u32", "s32"}, false: {"b32"}}[op == "add" || op == "min" || op == "max"]...)
	if !c.args(s, 3, 3) {
		return
	}
	d, a := c.result(s.args[0], t), c.value(s.args[1], t)
	f := atomicOp(op, t)
	c.together(s.args[2], func(w *warp, m uint32) {
		v := w.rows[a][first(m)]
		for r := m & (m - 1); r != 0; r &= r - 1 {
			v = f(v, w.rows[a][first(r)], 0) & t.mask()
		}
		for r := m; r != 0; r &= r - 1 {
			w.rows[d][first(r)] = v
		}
	})
}

// compileElect elects the lowest lane: which one is not specified (PTX ISA:
// elect.sync).
func compileElect(c *compiler, s *stmt) {
	c.need(80, 90, false)
	c.want("sync")
	if !c.args(s, 2, 2) {
		return
	}
	if s.args[0].kind != opPair {
		c.fail("elect.sync needs two destinations")
		return
	}
	d, p := -1, c.predDst(s.args[0].elems[1])
	if o := s.args[0].elems[0]; o.kind != opSink {
		d = c.result(o, b32)
	}
	c.together(s.args[1], func(w *warp, m uint32) {
		leader := bits.TrailingZeros32(m)
		for r := m; d >= 0 && r != 0; r &= r - 1 {
			w.rows[d][first(r)] = uint64(leader)
		}
		if p >= 0 {
			w.preds[p] = w.preds[p]&^m | 1<<leader
		}
	})
}
