package ptx

import "math/bits"

// access checks and records an access to shared memory by a thread.
func (r *race) access(w *warp, lane int, a uint64, n int, how access) {
	r.record(w, lane, uint32(w.id*32+lane), a, n, how, false)
}

// before says whether what agent did at a time is known to thread t, or to the
// asynchronous work that t issues. The asynchronous proxy sees what the generic
// one did only behind a fence.
func (r *race) before(t int, agent, time uint32, fenced bool) bool {
	c := &r.clocks[t]
	switch {
	case fenced:
		return time <= c.async[agent]
	case int(agent) == t:
		return true
	case int(agent) == r.threads+t || int(agent) == 2*r.threads+t/32:
		return time <= max(r.done[agent], c.seen[agent])
	}
	return time <= c.seen[agent]
}

// record checks and notes an access by an agent that thread t issues. async is
// for accesses through the asynchronous proxy. Whole words are one entry until
// somebody touches a part of one.
func (r *race) record(w *warp, lane int, agent uint32, a uint64, n int, how access, async bool) {
	e := touch{lane: lane, agent: agent, how: how, async: async, line: w.prog.code[w.cur].line}
	for i, end := a, a+uint64(n); i < end; {
		if i%4 == 0 && end-i >= 4 && !r.split[i/4] {
			r.check(w, &e, i)
			i += 4
			continue
		}
		if !r.split[i/4] {
			r.split[i/4] = true
			for first, j := i&^3, uint64(1); j < 4; j++ {
				r.wrote[first+j] = r.wrote[first]
				r.others[first+j] = append(r.others[first+j][:0], r.others[first]...)
			}
		}
		r.check(w, &e, i)
		i++
	}
}

// touch is an access that is being recorded.
type touch struct {
	lane  int
	agent uint32
	how   access
	async bool
	line  int32
}

// check compares an access with those before it to the same byte, or word.
func (r *race) check(w *warp, e *touch, i uint64) {
	t := w.id*32 + e.lane
	atomic, write := e.how&atomics != 0, e.how&writes != 0
	last := &r.wrote[i]
	if last.time != 0 && !r.before(t, last.agent, last.time, e.async && !last.async) {
		r.report(w, e.lane, i, e.how, "written", last.agent, last.line, e.async && !last.async)
	}
	list := r.others[i]
	if len(list) > 0 {
		keep := list[:0]
		for _, g := range list {
			conflict := (write || g.write) && !(atomic && g.atomic)
			ordered := true
			for m := g.mask; m != 0; m &= m - 1 {
				who := g.index*32 + uint32(bits.TrailingZeros32(m))
				if r.before(t, who, g.time, e.async && !g.async) {
					continue
				}
				ordered = false
				if !conflict {
					break
				}
				what := "read"
				if g.write {
					what = "changed"
				}
				r.report(w, e.lane, i, e.how, what, who, g.line, false)
			}
			// A write matters to those who do not know of it, whoever has read
			// it since.
			if !ordered || !write && g.write {
				keep = append(keep, g)
			}
		}
		list = keep
	}
	time := r.own[e.agent]
	if write && !atomic {
		*last = event{agent: e.agent, time: time, async: e.async, line: e.line}
		r.others[i] = list[:0]
		return
	}
	r.others[i] = addTo(list, group{index: e.agent / 32, mask: 1 << (e.agent % 32), time: time, line: e.line,
		write: write, atomic: atomic, async: e.async})
}

// addTo joins an access to the entry of its group, if there is one.
func addTo(list []group, g group) []group {
	for i := range list {
		if e := &list[i]; e.index == g.index && e.time == g.time && e.atomic == g.atomic && e.write == g.write {
			e.mask |= g.mask
			return list
		}
	}
	return append(list, g)
}

func (r *race) report(w *warp, lane int, a uint64, how access, what string, agent uint32, line int32, proxy bool) {
	verb := "read"
	if how&writes != 0 {
		verb = "write"
	}
	who, hint := "thread", ""
	switch n := agent; {
	case int(n) >= 2*r.threads:
		who, agent = "wgmma of warp", agent-uint32(2*r.threads)
	case int(n) >= r.threads:
		who, agent = "cp.async of thread", agent-uint32(r.threads)
	}
	if proxy {
		hint = "; fence.proxy.async is missing between"
	}
	w.fault(ErrRace, lane, "shared", a, "%s of a byte %s by %s %d at line %d without order%s", verb, what, who, agent, line, hint)
}

// copyIssued notes the write that a cp.async will do, and returns its time.
func (r *race) copyIssued(w *warp, lane int, op copyOp) uint32 {
	agent := r.threads + w.id*32 + lane
	r.record(w, lane, uint32(agent), op.dst, op.size, writes, false)
	r.own[agent]++
	return r.own[agent] - 1
}

// copied is called when a thread has waited for all of its copies but those
// that are still in q.
func (r *race) copied(w *warp, lane int, q *copyQueue) {
	agent := r.threads + w.id*32 + lane
	r.done[agent] = r.own[agent] - 1
	if len(q.ops) > 0 {
		r.done[agent] = q.ops[0].time - 1
	}
}

// copiesArrive makes a thread's copies, but not the thread, part of c.
func (r *race) copiesArrive(c *clock, w *warp, lane int) {
	t := w.id*32 + lane
	r.join(c, t)
	agent := r.threads + t
	c.seen[agent] = max(c.seen[agent], r.own[agent]-1)
}
