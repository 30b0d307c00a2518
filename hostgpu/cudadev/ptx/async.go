package ptx

// asyncState is what a warp's asynchronous instructions have under way.
type asyncState struct {
	copies [32]copyQueue
	wgmma  []wgmmaOp
	ends   []int // of the groups of wgmma that were committed
	held   []use // of each row; nil where nobody checks
}

// reset forgets all. Queues keep their memory.
func (a *asyncState) reset(w *warp) {
	for i := range a.copies {
		q := &a.copies[i]
		q.ops, q.ends = q.ops[:0], q.ends[:0]
	}
	a.wgmma, a.ends = a.wgmma[:0], a.ends[:0]
	if w.prog.wgmma && w.checks.Race {
		if a.held == nil {
			a.held = make([]use, w.prog.rows)
		}
		clear(a.held)
	}
}

// A copyQueue is the cp.async of a thread, in order. Data is taken from the
// source when the instruction runs and stored as late as the rules permit, so
// that a wait that is missing is seen.
type copyQueue struct {
	ops  []copyOp
	ends []int // of the groups that were committed
}

type copyOp struct {
	data [16]byte
	dst  uint64
	size int
	time uint32 // for Checks.Race
}

// flush stores the first n copies.
func (w *warp) flush(lane, n int) {
	q := &w.async.copies[lane]
	for i := range q.ops[:n] {
		op := &q.ops[i]
		copy(w.shared[op.dst:], op.data[:op.size])
	}
	q.ops = q.ops[:copy(q.ops, q.ops[n:])]
}

// compileCp handles cp.async, not bulk (PTX ISA: cp.async, cp.async.commit_group,
// cp.async.wait_group, cp.async.wait_all, cp.async.mbarrier.arrive).
func compileCp(c *compiler, s *stmt) {
	c.want("async")
	c.need(70, 80, false)
	switch what := c.opt("ca", "cg", "commit_group", "wait_group", "wait_all", "mbarrier"); what {
	case "ca", "cg":
		c.cpAsync(s, what)
	case "commit_group":
		if c.args(s, 0, 0) {
			c.plain(func(w *warp, m uint32) {
				for ; m != 0; m &= m - 1 {
					q := &w.async.copies[first(m)]
					q.ends = append(q.ends, len(q.ops))
				}
			})
		}
	case "wait_group":
		if !c.args(s, 1, 1) {
			return
		}
		n, _ := c.immediate(s.args[0])
		c.plain(func(w *warp, m uint32) {
			for ; m != 0; m &= m - 1 {
				w.waitGroups(first(m), int(min(n, 1<<20)))
			}
		})
	case "wait_all":
		if c.args(s, 0, 0) {
			c.plain(func(w *warp, m uint32) {
				for ; m != 0; m &= m - 1 {
					w.waitAll(first(m))
				}
			})
		}
	case "mbarrier":
		c.cpArrive(s)
	default:
		c.badMod()
	}
}

// waitGroups completes all committed groups of a lane but the last n.
func (w *warp) waitGroups(lane, n int) {
	q := &w.async.copies[lane]
	done := len(q.ends) - n
	if done <= 0 {
		return
	}
	end := q.ends[done-1]
	w.flush(lane, end)
	q.ends = q.ends[:copy(q.ends, q.ends[done:])]
	for i := range q.ends {
		q.ends[i] -= end
	}
	if w.race != nil {
		w.race.copied(w, lane, q)
	}
}

func (w *warp) waitAll(lane int) {
	q := &w.async.copies[lane]
	w.flush(lane, len(q.ops))
	q.ends = q.ends[:0]
	if w.race != nil {
		w.race.copied(w, lane, q)
	}
}

// cpAsync is the copy itself: 4, 8 or 16 bytes to shared memory, of which the
// first src-size come from global memory and the rest are zero.
func (c *compiler) cpAsync(s *stmt, cache string) {
	if c.want("shared", "shared::cta"); c.err != nil {
		return
	}
	c.want("global")
	c.hints()
	if !c.args(s, 3, 4) {
		return
	}
	size, _ := c.immediate(s.args[2])
	if size != 16 && (cache == "cg" || size != 4 && size != 8) {
		c.fail("cp.async.%s of %d bytes", cache, size)
		return
	}
	n := int(size)
	dst, src, count := c.addr(s.args[0], spaceShared), c.addr(s.args[1], spaceGlobal), -1
	ignore := predSrc{}
	if len(s.args) == 4 {
		if o := s.args[3]; o.kind == opReg && c.inst.f.regs[o.reg].bits == 1 {
			ignore = c.predSrc(o)
		} else {
			count = c.value(o, b32)
		}
	}
	c.plain(func(w *warp, m uint32) {
		skip := ignore.get(w)
		for ; m != 0; m &= m - 1 {
			l := first(m)
			have := n
			if count >= 0 {
				if v := w.rows[count][l]; v <= size {
					have = int(v)
				} else {
					w.fault(ErrOperand, l, "", 0, "source size %d above %d", v, size)
				}
			}
			if skip>>l&1 != 0 {
				have = 0
			}
			op := copyOp{dst: w.rows[dst.row][l] + dst.off, size: n}
			from := w.rows[src.row][l] + src.off
			if from%size != 0 {
				w.fault(ErrMisaligned, l, "global", from, "cp.async of %d bytes", n)
			}
			if have > 0 {
				copy(op.data[:], w.bytes(spaceGlobal, l, from, have, 1, reads))
			}
			w.copyTo(l, op)
		}
	})
}

// copyTo checks the destination of a copy and queues it.
func (w *warp) copyTo(l int, op copyOp) {
	race := w.race
	w.race = nil // the write is the copy's, not the thread's
	w.bytes(spaceShared, l, op.dst, op.size, op.size, writes)
	w.race = race
	if race != nil {
		op.time = race.copyIssued(w, l, op)
	}
	q := &w.async.copies[l]
	q.ops = append(q.ops, op)
}
