package ptx

import "math/bits"

// A barrier is one of the sixteen of a block (PTX ISA: bar, barrier). Threads
// are counted; an aligned arrival counts the whole warp, 32 threads where the
// instruction names a count.
type barrier struct {
	want    int // 0: all threads of the block; -1: nobody has arrived
	used    bool
	arrived int
	waits   []barWait
	joined  []uint32 // lanes of each warp that have arrived
	clock   clock    // what they have done, for Checks.Race
	popc    int      // of the predicates of bar.red
	threads int      // that gave one
}

// barWait is lanes of a warp that wait, and where bar.red's result goes.
type barWait struct {
	w     *warp
	lanes uint32
	done  func(w *warp, lanes uint32, popc, threads int)
}

// compileBar handles bar, barrier and their .sync, .arrive and .red.
func compileBar(c *compiler, s *stmt) {
	c.opt("cta")
	what := c.want("sync", "arrive", "red", "warp", "cluster")
	if c.err != nil {
		return
	}
	if what == "warp" {
		compileBarWarp(c, s)
		return
	}
	if what == "cluster" {
		c.fail("clusters")
		return
	}
	aligned := s.op == "bar"
	args, done, pred := s.args, (func(*warp, uint32, int, int))(nil), predSrc{}
	if what == "red" {
		op := c.want("popc", "and", "or")
		if s.op == "barrier" {
			aligned = c.opt("aligned") != ""
		}
		if op == "popc" {
			c.want("u32")
		} else {
			c.want("pred")
		}
		if !c.args(s, 3, 4) {
			return
		}
		done = c.barResult(op, args[0])
		pred = c.predSrc(args[len(args)-1])
		args = args[1 : len(args)-1]
	} else if s.op == "barrier" {
		aligned = c.opt("aligned") != ""
	}
	if len(args) < 1 || len(args) > 2 || what == "arrive" && len(args) != 2 {
		c.fail("%s.%s with %d operands", s.op, what, len(s.args))
		return
	}
	id, count := c.value(args[0], b32), -1
	if len(args) == 2 {
		count = c.value(args[1], b32)
	}
	fn := func(w *warp, m uint32) { w.arrive(m, id, count, what != "arrive", aligned, pred, done) }
	if aligned {
		c.emit(ins{kind: insSync, fn: fn})
	} else {
		c.plain(fn)
	}
}

// barResult stores bar.red's result in each thread.
func (c *compiler) barResult(op string, o operand) func(*warp, uint32, int, int) {
	if op == "popc" {
		d := c.result(o, b32)
		return func(w *warp, lanes uint32, popc, _ int) {
			for ; lanes != 0; lanes &= lanes - 1 {
				w.rows[d][first(lanes)] = uint64(popc)
			}
		}
	}
	d := c.predDst(o)
	return func(w *warp, lanes uint32, popc, threads int) {
		if d < 0 {
			return
		}
		if op == "and" && popc == threads || op == "or" && popc > 0 {
			w.preds[d] |= lanes
		} else {
			w.preds[d] &^= lanes
		}
	}
}

// arrive lets the lanes m arrive at a barrier; the row id names it, the row
// count, unless it is -1, how many threads it takes.
func (w *warp) arrive(m uint32, id, count int, wait, aligned bool, pred predSrc, done func(*warp, uint32, int, int)) {
	l := first(m)
	n := w.rows[id][l]
	if n >= uint64(len(w.bars)) {
		w.fault(ErrOperand, l, "", 0, "barrier %d", n)
	}
	want := 0
	if count >= 0 {
		want = int(w.rows[count][l])
		if want == 0 || want%32 != 0 || want > maxThreads {
			w.fault(ErrOperand, l, "", 0, "barrier of %d threads", want)
		}
	}
	for r := m; r != 0; r &= r - 1 {
		if i := first(r); w.rows[id][i] != n || count >= 0 && w.rows[count][i] != w.rows[count][l] {
			w.fault(ErrSync, i, "", 0, "lanes of a warp at different barriers")
		}
	}
	b := &w.bars[n]
	if b.used && b.want != want {
		w.fault(ErrSync, l, "", 0, "barrier %d of %d threads where others wait for %d", n, want, b.want)
	}
	if !b.used {
		*b = barrier{used: true, want: want, joined: make([]uint32, len(w.warps))}
	}
	if b.joined[w.id]&m != 0 && w.checks.Sync {
		w.fault(ErrSync, l, "", 0, "threads arrive twice at barrier %d", n)
	}
	b.joined[w.id] |= m
	if aligned && want > 0 {
		b.arrived += 32
	} else {
		b.arrived += bits.OnesCount32(m)
	}
	if w.race != nil {
		w.race.release(&b.clock, w, m)
	}
	if done != nil {
		b.popc += bits.OnesCount32(pred.get(w) & m)
		b.threads += bits.OnesCount32(m)
	}
	if wait {
		b.waits = append(b.waits, barWait{w, m, done})
		w.barred |= m
		w.again = true
	}
	if want > 0 && b.arrived > want {
		w.fault(ErrSync, l, "", 0, "%d threads at barrier %d of %d", b.arrived, n, want)
	}
	b.check(w, int(n))
}

// check completes the barrier if all it waits for have come. One without a
// count waits for the threads that have not exited (CUDA: __syncthreads),
// which Checks.Sync reports.
func (b *barrier) check(w *warp, id int) {
	if !b.used {
		return
	}
	want := b.want
	if want == 0 {
		want = w.threads
		if w.exits > 0 && b.arrived == want-w.exits {
			if w.checks.Sync {
				w.fault(ErrSync, 0, "", 0, "barrier %d: %d threads wait, %d have exited", id, b.arrived, w.exits)
			}
			want -= w.exits
		}
	}
	if b.arrived < want {
		return
	}
	if w.race != nil {
		w.race.barrier(b)
	}
	for _, x := range b.waits {
		x.w.barred &^= x.lanes
		if x.done != nil {
			x.done(x.w, x.lanes, b.popc, b.threads)
		}
	}
	*b = barrier{}
}
