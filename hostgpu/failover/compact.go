package failover

import "slices"

// compactEntries is the least number of entries that is worth a compaction.
const compactEntries = 4096

// compact drops every entry that no live byte depends on. It walks backwards,
// keeping for each allocation the bytes that something later still needs.
func (j *journal) compact() {
	for _, m := range j.mems.all {
		if m != nil {
			m.begin()
		}
	}
	for i := len(j.entries) - 1; i >= 0; i-- {
		switch e := &j.entries[i]; e.kind {
		case entryWrite:
			off, p := j.data(e)
			m, end := j.mems.all[e.m], off+int64(len(p))
			if e.drop = !m.need.intersects(off, end); !e.drop {
				m.need.remove(off, end)
				m.used = true
			}
		case entryRun:
			e.drop = !j.needed(e)
		}
	}
	j.filter(func(e *entry) bool { return !e.drop })
	j.recipes()
	j.next = 2*len(j.entries) + compactEntries
}

// begin sets what compact starts from: all bytes of a live allocation.
func (m *mem) begin() {
	m.used = false
	m.need = m.need[:0]
	if !m.freed {
		m.need = append(m.need, span{0, m.bytes})
	}
}

// needed says whether an op made bytes that are needed, and if so replaces
// them by the bytes that the op read.
func (j *journal) needed(e *entry) bool {
	live := false
	n := int(e.tensors)
	for i := range n {
		o, ok := j.operand(e, i)
		live = live || ok && o.out && o.m.need.intersects(o.lo, o.hi)
	}
	if !live {
		return false
	}
	for i := range n {
		if o, ok := j.operand(e, i); ok {
			o.m.used = true
			if o.out {
				o.m.need.remove(o.lo, o.hi)
			}
		}
	}
	for i := range n {
		if o, ok := j.operand(e, i); ok && !o.out {
			o.m.need.add(o.lo, o.hi)
		}
	}
	return true
}

// filter drops the writes and runs for which keep is false, and, by what the
// last compaction found, memory that is freed and not used.
func (j *journal) filter(keep func(e *entry) bool) {
	for _, q := range j.queues.all {
		if q != nil {
			q.used = !q.closed
		}
	}
	kept, words, writes := 0, 0, 0
	j.bytes = 0
	for i := range j.entries {
		e := &j.entries[i]
		switch e.kind {
		case entryAlloc, entryFree:
			m := j.mems.all[e.m]
			if m == nil {
				continue // it went with its allocation
			}
			if m.freed && !m.used {
				j.mems.remove(m.id)
				m.id = 0
				continue
			}
		default:
			if !keep(e) {
				continue
			}
			j.queues.all[e.q].used = true
		}
		n := e.words()
		copy(j.words[words:], j.words[e.at:e.at+n])
		e.at = words
		words += n
		if e.kind == entryWrite {
			p := j.writes[j.words[e.at+1]]
			j.writes[writes], j.words[e.at+1] = p, uint64(writes)
			writes++
			j.bytes += int64(len(p))
		}
		j.entries[kept] = *e
		kept++
	}
	clear(j.writes[writes:])
	j.entries, j.words, j.writes = shrunk(j.entries[:kept]), shrunk(j.words[:words]), shrunk(j.writes[:writes])
	for id, q := range j.queues.all {
		if q != nil && !q.used {
			j.queues.remove(uint32(id))
			q.id = 0
		}
	}
}

// shrunk gives memory back after a time of plenty.
func shrunk[T any](s []T) []T {
	if cap(s) > 16*compactEntries && cap(s) > 8*len(s) {
		return slices.Clone(s)
	}
	return s
}

// maxDepth bounds how many ops a recipe applies one after another to what the
// caller wrote: weights are expanded from a seed, or quantized from that.
const maxDepth = 4

// recipes finds the allocations that a few ops make from what the caller
// wrote, for good: they need no copy in a checkpoint. It also sums up the work
// of all other ops.
func (j *journal) recipes() {
	for _, m := range j.mems.all {
		if m != nil {
			m.recipe, m.depth, m.last = !m.volatile, 0, -1
		}
	}
	for i := range j.entries {
		j.writesTo(&j.entries[i], func(m *mem) { m.last = i })
	}
	j.gas = 0
	for i := range j.entries {
		e := &j.entries[i]
		if e.kind != entryRun {
			continue
		}
		depth, ok := j.recipe(i)
		if !ok {
			j.gas += j.gasOf(e)
		}
		j.writesTo(e, func(m *mem) {
			m.recipe = m.recipe && ok
			m.depth = max(m.depth, depth)
		})
	}
}

// recipe says whether the op at position i only reads what has its final value
// by then, and how many ops deep its result is.
func (j *journal) recipe(i int) (depth int, ok bool) {
	e := &j.entries[i]
	ok = true
	for k := range int(e.tensors) {
		if o, has := j.operand(e, k); has && !o.out {
			ok = ok && o.m.recipe && o.m.last < i
			depth = max(depth, o.m.depth)
		}
	}
	return depth + 1, ok && depth < maxDepth
}

// clear forgets everything.
func (j *journal) clear() {
	for _, m := range j.mems.all {
		if m != nil {
			m.id = 0
		}
	}
	for _, q := range j.queues.all {
		if q != nil {
			q.id = 0
		}
	}
	j.entries, j.words, j.writes, j.bytes, j.gas = nil, nil, nil, 0, 0
	j.mems, j.queues = table[mem]{}, table[queue]{}
}
