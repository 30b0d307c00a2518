package ptx

import (
	"slices"
	"sync"
)

// A clock says, for every agent of a block, up to which of its own times its
// accesses are known to have happened (a vector clock). Slices are shared
// between threads and never changed once published.
type clock struct {
	seen []uint32 // accesses that have happened before
	// async is seen as of the last fence.proxy.async on the way here: accesses
	// through the generic proxy that the asynchronous one sees (PTX ISA: Async
	// Proxy).
	async []uint32
}

// A race finds unordered accesses to the shared memory of a block. What orders
// is barriers, bar.warp.sync, mbarriers and the waits for asynchronous work; not
// atomics, and not that lanes of a warp happen to run together.
//
// An agent makes accesses in a time of its own: a thread, its cp.async, or the
// wgmma of its warp. Agents come in groups of 32, so that a read by a warp is
// one entry.
//
//	[0, T)       threads, T rounded up to a multiple of 32
//	[T, 2T)      cp.async of thread agent−T
//	[2T, 2T+32)  wgmma of warp agent−2T
type race struct {
	threads int
	agents  int
	own     []uint32 // time of each agent, from 1
	done    []uint32 // up to when those who issued asynchronous work have waited
	clocks  []clock  // of each thread
	wrote   []event  // last plain write of each byte of shared memory
	others  [][]group
	split   []bool // of each word: bytes have entries of their own, else the first has the word's
}

// event is an access at an agent's time; 0 is none.
type event struct {
	agent uint32
	time  uint32
	async bool // through the asynchronous proxy
	line  int32
}

// group is accesses, alike and at the same time, by agents of one group.
type group struct {
	index  uint32 // agent/32
	mask   uint32
	time   uint32
	line   int32
	write  bool // an atomic one: plain writes are in wrote
	atomic bool // or volatile, or with a memory order
	async  bool
}

// racePool keeps races of blocks that have ended. Times only grow, so what they
// remember is known to every thread of the next block and need not be cleared.
var racePool sync.Pool

func takeRace(l *launch) *race {
	threads := (l.threads + 31) &^ 31
	if r, ok := racePool.Get().(*race); ok && r.threads == threads && len(r.wrote) >= l.sharedEnd {
		return r
	}
	return newRace(l, threads)
}

// reusable says whether times are far from their end.
func (r *race) reusable() bool { return slices.Max(r.own) < 1<<31 }

func newRace(l *launch, threads int) *race {
	r := &race{threads: threads, agents: 2*threads + 32}
	r.own, r.done = make([]uint32, r.agents), make([]uint32, r.agents)
	for i := range r.own {
		r.own[i] = 1
	}
	r.clocks = make([]clock, threads)
	r.wrote = make([]event, (l.sharedEnd+3)&^3)
	r.others = make([][]group, len(r.wrote))
	r.split = make([]bool, len(r.wrote)/4)
	for i, room := 0, make([]group, len(r.wrote)/2); i < len(r.others); i += 4 {
		r.others[i] = room[i/2 : i/2 : i/2+2]
	}
	return r
}

// reset makes everything so far known to all: a new block begins.
func (r *race) reset() {
	seen := make([]uint32, r.agents)
	copy(seen, r.own)
	copy(r.done, r.own)
	for i := range r.clocks {
		r.clocks[i] = clock{seen, seen}
	}
	for i := range r.own {
		r.own[i]++
	}
	clear(r.split)
}

// join adds what a thread knows to c, and the thread's own accesses.
func (r *race) join(c *clock, t int) {
	from := &r.clocks[t]
	if c.seen == nil {
		c.seen, c.async = make([]uint32, r.agents), make([]uint32, r.agents)
	}
	merge(c.seen, from.seen)
	merge(c.async, from.async)
}

func merge(to, from []uint32) {
	from = from[:len(to)]
	for i, v := range from {
		to[i] = max(to[i], v)
	}
}

// release adds to c what the lanes m know and have done, and starts a new time
// for each.
func (r *race) release(c *clock, w *warp, m uint32) {
	var last *uint32
	var lastAsync *uint32
	for ; m != 0; m &= m - 1 {
		t := w.id*32 + first(m)
		k := &r.clocks[t]
		if &k.seen[0] != last || &k.async[0] != lastAsync || c.seen == nil {
			r.join(c, t)
			last, lastAsync = &k.seen[0], &k.async[0]
		}
		r.self(c.seen, t)
		r.own[t]++
	}
}

// self adds to seen what thread t has done itself, and what it has waited for.
func (r *race) self(seen []uint32, t int) {
	seen[t] = max(seen[t], r.own[t])
	for _, agent := range []int{r.threads + t, 2*r.threads + t/32} {
		seen[agent] = max(seen[agent], r.done[agent])
	}
}

// acquire makes c known to the lanes m, in addition to what they know.
func (r *race) acquire(c clock, w *warp, m uint32) {
	if c.seen == nil {
		return
	}
	var last, lastAsync *uint32
	var joined clock
	for ; m != 0; m &= m - 1 {
		t := w.id*32 + first(m)
		k := &r.clocks[t]
		if &k.seen[0] != last || &k.async[0] != lastAsync {
			last, lastAsync = &k.seen[0], &k.async[0]
			joined = clock{append([]uint32(nil), c.seen...), append([]uint32(nil), c.async...)}
			merge(joined.seen, k.seen)
			merge(joined.async, k.async)
		}
		*k = joined
	}
}

// publish is acquire for threads that all have released to c: they know nothing
// more.
func (r *race) publish(c clock, w *warp, m uint32) {
	for ; m != 0; m &= m - 1 {
		r.clocks[w.id*32+first(m)] = c
	}
}

// barrier orders what was before a barrier's arrivals before what comes behind
// its waits.
func (r *race) barrier(bar *barrier) {
	for _, x := range bar.waits {
		r.publish(bar.clock, x.w, x.lanes)
	}
}

// warpSync is bar.warp.sync.
func (r *race) warpSync(w *warp, m uint32) {
	var c clock
	r.release(&c, w, m)
	r.publish(c, w, m)
}

// proxyFence is fence.proxy.async: all that a thread has seen and done through
// the generic proxy is visible to the asynchronous one.
func (r *race) proxyFence(w *warp, m uint32) {
	var last *uint32
	var shared []uint32
	for q := m; q != 0; q &= q - 1 {
		t := w.id*32 + first(q)
		k := &r.clocks[t]
		if &k.seen[0] != last {
			last = &k.seen[0]
			shared = append([]uint32(nil), k.seen...)
			// The lanes' own accesses count from here on; those of other lanes
			// in m do too, which a barrier must follow for anyway.
			for p := m; p != 0; p &= p - 1 {
				o := w.id*32 + first(p)
				if s := r.clocks[o].seen; &s[0] == last {
					r.self(shared, o)
				}
			}
		}
		k.async = shared
	}
	for ; m != 0; m &= m - 1 {
		r.own[w.id*32+first(m)]++
	}
}
