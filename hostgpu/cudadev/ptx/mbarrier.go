package ptx

// An mbarrier is a barrier object in shared memory (PTX ISA: mbarrier). What it
// holds is opaque to a kernel, so it lives here, under its address. Bulk copies
// are not supported, so nothing but mbarrier instructions changes the count of
// transactions.
type mbarrier struct {
	expected uint64 // arrivals of a phase
	pending  uint64
	tx       int64
	phase    uint64
	now      clock // of the arrivals of this phase, for Checks.Race
	before   clock // of the last phase
}

const maxArrivals = 1<<20 - 1

func compileMbarrier(c *compiler, s *stmt) {
	c.need(70, 80, false)
	switch what := c.want("init", "inval", "arrive", "arrive_drop", "test_wait", "try_wait", "expect_tx", "complete_tx", "pending_count"); what {
	case "init", "inval":
		c.mbarrierInit(s, what)
	case "arrive":
		c.mbarrierArrive(s)
	case "test_wait", "try_wait":
		c.mbarrierWait(s, what)
	case "expect_tx", "complete_tx":
		c.need(80, 90, false)
		c.opt("relaxed")
		c.opt("cta", "cluster")
		c.mbarrierSpace()
		if !c.args(s, 2, 2) {
			return
		}
		a, n := c.addr(s.args[0], c.mbarSpace), c.value(s.args[1], b32)
		sign := map[string]int64{"expect_tx": 1, "complete_tx": -1}[what]
		c.eachLane(a, func(w *warp, l int, b *mbarrier) {
			w.transact(l, b, sign*int64(w.rows[n][l]))
		})
	default:
		c.fail("mbarrier.%s", what)
	}
}

// mbarrierSpace consumes .shared, .shared::cta or nothing, and .b64.
func (c *compiler) mbarrierSpace() {
	c.mbarSpace = spaceGeneric
	if c.opt("shared", "shared::cta") != "" {
		c.mbarSpace = spaceShared
	}
	c.want("b64")
}

// eachLane emits fn for every lane's mbarrier.
func (c *compiler) eachLane(a addr, fn func(w *warp, l int, b *mbarrier)) {
	sp := c.mbarSpace
	c.plain(func(w *warp, m uint32) {
		for ; m != 0; m &= m - 1 {
			l := first(m)
			fn(w, l, w.mbarrier(l, sp, w.rows[a.row][l]+a.off))
		}
	})
}

// mbarrier returns the object at an address.
func (w *warp) mbarrier(l int, sp space, at uint64) *mbarrier {
	at = w.mbarrierAt(l, sp, at, reads|writes|atomics)
	b := w.mbars[at]
	if b == nil {
		w.fault(ErrOperand, l, "shared", at, "no mbarrier has been initialised here")
	}
	return b
}

// mbarrierAt checks the address of an object and returns it within shared memory.
func (w *warp) mbarrierAt(l int, sp space, at uint64, how access) uint64 {
	if sp == spaceGeneric {
		if sp, at = window(at); sp != spaceShared {
			w.fault(ErrBounds, l, sp.String(), at, "mbarrier outside shared memory")
		}
	}
	w.bytes(spaceShared, l, at, 8, 8, how)
	return at
}

func (c *compiler) mbarrierInit(s *stmt, what string) {
	c.mbarrierSpace()
	sp := c.mbarSpace
	n := 2
	if what == "inval" {
		n = 1
	}
	if !c.args(s, n, n) {
		return
	}
	a, count := c.addr(s.args[0], sp), -1
	if n == 2 {
		count = c.value(s.args[1], b32)
	}
	c.plain(func(w *warp, m uint32) {
		for ; m != 0; m &= m - 1 {
			l := first(m)
			at := w.mbarrierAt(l, sp, w.rows[a.row][l]+a.off, writes)
			if count < 0 {
				if w.mbars[at] == nil {
					w.fault(ErrOperand, l, "shared", at, "no mbarrier has been initialised here")
				}
				delete(w.mbars, at)
				continue
			}
			v := w.rows[count][l]
			if v == 0 || v > maxArrivals {
				w.fault(ErrOperand, l, "shared", at, "mbarrier of %d arrivals", v)
			}
			w.mbars[at] = &mbarrier{expected: v, pending: v}
		}
	})
}

// transact changes the count of transactions that a phase waits for.
func (w *warp) transact(l int, b *mbarrier, n int64) {
	if b.tx += n; b.tx > maxArrivals || b.tx < -maxArrivals {
		w.fault(ErrOperand, l, "", 0, "%d transactions pending", b.tx)
	}
	b.complete()
}

// arrive counts n arrivals.
func (w *warp) arriveAt(l int, b *mbarrier, n uint64) {
	if n > b.pending {
		w.fault(ErrOperand, l, "", 0, "%d arrivals at an mbarrier that waits for %d", n, b.pending)
	}
	b.pending -= n
	b.complete()
}

func (b *mbarrier) complete() {
	if b.pending == 0 && b.tx == 0 {
		b.phase++
		b.pending = b.expected
		b.before, b.now = b.now, clock{}
	}
}

// mbarrierArrive handles mbarrier.arrive{.expect_tx}{.noComplete}. The state
// that it returns is the number of the phase.
func (c *compiler) mbarrierArrive(s *stmt) {
	expect := c.opt("expect_tx") != ""
	if expect {
		c.need(80, 90, false)
	}
	release := c.opt("release", "relaxed") != "relaxed"
	c.opt("cta", "cluster")
	c.mbarrierSpace()
	low, high := 2, 3
	if expect {
		low = 3
	}
	if !c.args(s, low, high) {
		return
	}
	d := -1
	if s.args[0].kind != opSink {
		d = c.result(s.args[0], b64)
	}
	a, n := c.addr(s.args[1], c.mbarSpace), c.constant(1, nil)
	if len(s.args) == 3 {
		n = c.value(s.args[2], b32)
	}
	c.eachLane(a, func(w *warp, l int, b *mbarrier) {
		state := b.phase
		if w.race != nil && release {
			w.race.release(&b.now, w, 1<<l)
		}
		count := w.rows[n][l]
		if expect {
			b.tx += int64(count) // completed by nothing but complete_tx
			count = 1
		}
		if count == 0 || count > maxArrivals {
			w.fault(ErrOperand, l, "", 0, "%d arrivals", count)
		}
		w.arriveAt(l, b, count)
		if d >= 0 {
			w.rows[d][l] = state
		}
	})
}

// mbarrierWait handles test_wait and try_wait, by state or parity. A warp whose
// wait fails lets others run.
func (c *compiler) mbarrierWait(s *stmt, what string) {
	if what == "try_wait" {
		c.need(78, 90, false)
	}
	parity := c.opt("parity") != ""
	acquire := c.opt("acquire", "relaxed") != "relaxed"
	c.opt("cta", "cluster")
	c.mbarrierSpace()
	high := 3
	if what == "try_wait" {
		high = 4 // a hint for how long to wait
	}
	if !c.args(s, 3, high) {
		return
	}
	p, a := c.predDst(s.args[0]), c.addr(s.args[1], c.mbarSpace)
	t := b64
	if parity {
		t = b32
	}
	state := c.value(s.args[2], t)
	if len(s.args) == 4 {
		c.value(s.args[3], b32)
	}
	c.eachLane(a, func(w *warp, l int, b *mbarrier) {
		v := w.rows[state][l]
		done := b.phase > v
		if parity {
			if v > 1 {
				w.fault(ErrOperand, l, "", 0, "parity %d", v)
			}
			done = b.phase&1 != v
		} else if v > b.phase || b.phase-v > 1 {
			w.fault(ErrOperand, l, "", 0, "state is of phase %d, the mbarrier in phase %d", v, b.phase)
		}
		if p >= 0 {
			w.preds[p] &^= 1 << l
			if done {
				w.preds[p] |= 1 << l
			}
		}
		if !done {
			w.yield, w.again = true, true
		} else if w.race != nil && acquire {
			w.race.acquire(b.before, w, 1<<l)
		}
	})
}

// cpArrive handles cp.async.mbarrier.arrive: it completes the thread's copies
// and arrives for them.
func (c *compiler) cpArrive(s *stmt) {
	c.want("arrive")
	noinc := c.opt("noinc") != ""
	c.mbarrierSpace()
	if !c.args(s, 1, 1) {
		return
	}
	a := c.addr(s.args[0], c.mbarSpace)
	c.eachLane(a, func(w *warp, l int, b *mbarrier) {
		q := &w.async.copies[l]
		w.flush(l, len(q.ops))
		for i := range q.ends {
			q.ends[i] = 0
		}
		if w.race != nil {
			w.race.copiesArrive(&b.now, w, l)
		}
		if !noinc {
			b.pending++
		}
		w.arriveAt(l, b, 1)
	})
}
