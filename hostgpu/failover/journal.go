package failover

import (
	"slices"
	"sync"

	"github.com/assaynet/assay/hostgpu/device"
)

// mem is one allocation, whatever device holds it at the moment.
type mem struct {
	bytes int64
	home  *queue // whose space allocated it
	// Guarded by Backend.mu.
	inner device.Mem // of the current life
	lost  error      // its content went with an earlier life

	// Guarded by journal.mu.
	freed    bool
	volatile bool // an entry that wrote it was not kept

	// Scratch of one compaction.
	need   ranges
	used   bool
	last   int // position of the last entry that writes it
	depth  int // of its recipe, 0 before its first writer is seen
	recipe bool
}

type entryKind uint8

const (
	entryAlloc entryKind = iota + 1
	entryFree
	entryWrite
	entryRun
)

// entry is one operation, in the order in which callers issued them. That
// order is a legal one for repeating them one after another: who depends on
// another space's work has waited for it.
type entry struct {
	kind entryKind
	q    *queue
	m    *mem         // alloc, free, write
	off  int64        // write
	data []byte       // write
	task *device.Task // run; its tensors' Mem are *mem
}

// journal is what a new life is built from.
type journal struct {
	mu      sync.Mutex
	entries []entry
	bytes   int64 // of data
	gas     int64 // of the live ops that a checkpoint would make unnecessary
	next    int   // compact when there are this many entries
}

// entryBytes is about what an entry without data takes: itself and its task.
const entryBytes = 700

func (j *journal) size() int64 { return j.bytes + int64(len(j.entries))*entryBytes }

func (j *journal) add(e entry) {
	if n := len(j.entries); n == cap(j.entries) {
		// append alone would grow a long journal by quarters, and copy it four
		// times as often.
		j.entries = slices.Grow(j.entries, max(n, compactEntries))
	}
	j.entries = append(j.entries, e)
	j.bytes += int64(len(e.data))
}

// operands calls f for every tensor of a task that has memory.
func operands(t *device.Task, f func(x *device.Tensor, m *mem, out bool)) {
	kinds := tensorKinds[t.Op]
	for i := range t.Tensors {
		if m, ok := t.Tensors[i].Mem.(*mem); ok {
			f(&t.Tensors[i], m, kinds[i] == device.Out)
		}
	}
}

// tensorKinds are the kinds of each op's tensor operands.
var tensorKinds = func() [][]device.Kind {
	out := make([][]device.Kind, len(device.Ops)+1)
	for i := range device.Ops {
		for _, o := range device.Ops[i].Tensors() {
			out[device.Ops[i].Op] = append(out[device.Ops[i].Op], o.Kind)
		}
	}
	return out
}()

// compact drops every entry that no live byte depends on. It walks backwards,
// keeping for each allocation the bytes that something later still needs.
func (j *journal) compact() {
	for i := range j.entries {
		if e := &j.entries[i]; e.kind == entryAlloc {
			e.m.begin()
		}
	}
	keep := make([]bool, len(j.entries))
	for i := len(j.entries) - 1; i >= 0; i-- {
		switch e := &j.entries[i]; e.kind {
		case entryWrite:
			lo, hi := e.off, e.off+int64(len(e.data))
			if keep[i] = e.m.need.intersects(lo, hi); keep[i] {
				e.m.need.remove(lo, hi)
				e.m.used = true
			}
		case entryRun:
			keep[i] = needed(e.task)
		}
	}
	kept := j.entries[:0]
	j.bytes, j.gas = 0, 0
	for i, e := range j.entries {
		switch {
		case e.kind == entryAlloc, e.kind == entryFree:
			if e.m.freed && !e.m.used {
				continue
			}
		case !keep[i]:
			continue
		}
		kept = append(kept, e)
		j.bytes += int64(len(e.data))
	}
	clear(j.entries[len(kept):])
	j.entries = kept
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
func needed(t *device.Task) bool {
	live := false
	operands(t, func(x *device.Tensor, m *mem, out bool) {
		live = live || out && m.need.intersects(x.Off, x.Off+x.Bytes())
	})
	if !live {
		return false
	}
	operands(t, func(x *device.Tensor, m *mem, out bool) {
		m.used = true
		if out {
			m.need.remove(x.Off, x.Off+x.Bytes())
		}
	})
	operands(t, func(x *device.Tensor, m *mem, out bool) {
		if !out {
			m.need.add(x.Off, x.Off+x.Bytes())
		}
	})
	return true
}

// maxDepth bounds how many ops a recipe applies one after another to what the
// caller wrote: weights are expanded from a seed, or quantized from that.
const maxDepth = 4

// recipes finds the allocations that a few ops make from what the caller
// wrote, for good: they need no copy in a checkpoint. It also sums up the work
// of all other ops.
func (j *journal) recipes() {
	for i := range j.entries {
		if e := &j.entries[i]; e.kind == entryAlloc {
			e.m.recipe, e.m.depth, e.m.last = !e.m.volatile, 0, -1
		}
	}
	writers := func(e *entry, f func(m *mem)) {
		switch e.kind {
		case entryWrite:
			f(e.m)
		case entryRun:
			operands(e.task, func(_ *device.Tensor, m *mem, out bool) {
				if out {
					f(m)
				}
			})
		}
	}
	for i := range j.entries {
		writers(&j.entries[i], func(m *mem) { m.last = i })
	}
	for i := range j.entries {
		e := &j.entries[i]
		if e.kind != entryRun {
			continue
		}
		depth, ok := e.recipe(i)
		if !ok {
			j.gas += e.task.Gas()
		}
		writers(e, func(m *mem) {
			m.recipe = m.recipe && ok
			m.depth = max(m.depth, depth)
		})
	}
}

// recipe says whether the op at position i only reads what has its final value
// by then, and how many ops deep its result is.
func (e *entry) recipe(i int) (depth int, ok bool) {
	ok = true
	operands(e.task, func(_ *device.Tensor, m *mem, out bool) {
		if !out {
			ok = ok && m.recipe && m.last < i
			depth = max(depth, m.depth)
		}
	})
	return depth + 1, ok && depth < maxDepth
}
