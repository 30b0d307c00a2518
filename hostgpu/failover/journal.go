package failover

import (
	"bytes"
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
	id       uint32 // in the journal, 0 for none
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
//
// Entries hold no pointers and few bytes, because a call that nobody waits for
// costs little more than the memory that it goes through: memory and queues
// are numbers in the journal's tables, and what differs in size lies in its
// words from at on.
//
//	write: offset, index in writes
//	run:   its gas or 0 if that is not known yet, tensors, immediates
//
// A tensor is three words: memory | type << 32 | present << 40, offset,
// rows | cols << 32.
type entry struct {
	kind          entryKind
	op            uint8
	tensors, imms uint8
	drop          bool   // scratch of one compaction
	m             uint32 // alloc, free, write
	q             uint32 // write, run
	at            int
}

const (
	entryBytes  = 24 // of an entry alone
	writeWords  = 2
	tensorWords = 3
	// writeBytes is the size of a slice in journal.writes.
	writeBytes = 24
)

// words is how many words an entry has.
func (e *entry) words() int {
	switch e.kind {
	case entryWrite:
		return writeWords
	case entryRun:
		return 1 + tensorWords*int(e.tensors) + int(e.imms)
	}
	return 0
}

// journal is what a new life is built from.
type journal struct {
	mu      sync.Mutex
	entries []entry
	words   []uint64
	writes  [][]byte
	mems    table[mem]
	queues  table[queue]
	bytes   int64 // of writes
	gas     int64 // of the live ops that a checkpoint would make unnecessary
	next    int   // compact when there are this many entries
	limit   int64 // of size, in bytes

	buffer taskBuffer
}

// table gives pointers numbers from 1 on.
type table[T any] struct {
	all  []*T // all[0] is nil
	free []uint32
}

func (t *table[T]) add(x *T) uint32 {
	if n := len(t.free); n > 0 {
		id := t.free[n-1]
		t.free = t.free[:n-1]
		t.all[id] = x
		return id
	}
	if len(t.all) == 0 {
		t.all = append(t.all, nil)
	}
	t.all = append(t.all, x)
	return uint32(len(t.all) - 1)
}

func (t *table[T]) remove(id uint32) {
	t.all[id] = nil
	t.free = append(t.free, id)
}

// size is about what the journal takes, in bytes.
func (j *journal) size() int64 {
	return j.bytes + entryBytes*int64(len(j.entries)) + 8*int64(len(j.words)) + writeBytes*int64(len(j.writes))
}

// due says that the journal needs attention.
func (j *journal) due() bool { return len(j.entries) >= j.next || j.size() > j.limit }

// queueID is the number of a queue.
func (j *journal) queueID(q *queue) uint32 {
	if q.id == 0 {
		q.id = j.queues.add(q)
	}
	return q.id
}

// grown has room for n more. append alone would grow a long slice by quarters,
// and copy it four times as often.
func grown[T any](s []T, n int) []T {
	if cap(s)-len(s) < n {
		s = slices.Grow(s, max(n, len(s), compactEntries))
	}
	return s
}

func (j *journal) add(e entry) {
	e.at = len(j.words)
	j.entries = append(grown(j.entries, 1), e)
}

// alloc, release, write and run record an operation and say whether the
// journal then needs attention. They do not keep their arguments.
func (j *journal) alloc(m *mem) (due bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	m.id = j.mems.add(m)
	j.add(entry{kind: entryAlloc, m: m.id})
	return j.due()
}

// release does nothing for memory that is not in the journal: nobody got it, or
// no device was left since.
func (j *journal) release(m *mem) {
	j.mu.Lock()
	defer j.mu.Unlock()
	m.freed = true
	if m.id != 0 {
		j.add(entry{kind: entryFree, m: m.id})
	}
}

func (j *journal) write(q *queue, m *mem, off int64, p []byte) (due bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if q.volatile {
		m.volatile = true
		return false
	}
	j.addWrite(q, m, off, bytes.Clone(p))
	return j.due()
}

// addWrite keeps data.
func (j *journal) addWrite(q *queue, m *mem, off int64, data []byte) {
	j.add(entry{kind: entryWrite, m: m.id, q: j.queueID(q)})
	j.words = append(grown(j.words, writeWords), uint64(off), uint64(len(j.writes)))
	j.writes = append(j.writes, data)
	j.bytes += int64(len(data))
}

func (j *journal) run(q *queue, t *device.Task) (due bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	kinds := tensorKinds[t.Op]
	if q.volatile {
		for i := range t.Tensors {
			if m, ok := t.Tensors[i].Mem.(*mem); ok && kinds[i] == device.Out {
				m.volatile = true
			}
		}
		return false
	}
	e := entry{kind: entryRun, op: uint8(t.Op), tensors: uint8(len(t.Tensors)), imms: uint8(len(t.Imms)), q: j.queueID(q)}
	j.add(e)
	n := len(j.words)
	j.words = grown(j.words, e.words())[:n+e.words()]
	w := j.words[n:]
	w[0] = 0
	for i := range t.Tensors {
		x, to := &t.Tensors[i], w[1+tensorWords*i:][:tensorWords]
		to[0] = uint64(x.Type) << 32
		if x.Present {
			to[0] |= 1 << 40
		}
		if m, ok := x.Mem.(*mem); ok {
			to[0] |= uint64(m.id)
		}
		to[1] = uint64(x.Off)
		to[2] = uint64(x.Shape.Rows) | uint64(x.Shape.Cols)<<32
	}
	for i, v := range t.Imms {
		w[1+tensorWords*len(t.Tensors)+i] = uint64(v)
	}
	return j.due()
}

// operand is a tensor of an entry that has memory: bytes [lo, hi) of m.
type operand struct {
	m      *mem
	lo, hi int64
	out    bool
}

// operand returns tensor i of a run; ok is false if it has no memory.
func (j *journal) operand(e *entry, i int) (o operand, ok bool) {
	w := j.words[e.at+1+tensorWords*i:][:tensorWords]
	id := uint32(w[0])
	if id == 0 {
		return o, false
	}
	o.m, o.out = j.mems.all[id], tensorKinds[e.op][i] == device.Out
	o.lo = int64(w[1])
	o.hi = o.lo + int64(uint32(w[2]))*int64(w[2]>>32)*int64(device.DType(w[0]>>32).Size())
	return o, true
}

// writesTo calls f for all memory that an entry writes.
func (j *journal) writesTo(e *entry, f func(m *mem)) {
	switch e.kind {
	case entryWrite:
		f(j.mems.all[e.m])
	case entryRun:
		for i := range int(e.tensors) {
			if o, ok := j.operand(e, i); ok && o.out {
				f(o.m)
			}
		}
	}
}

// data is what an entry writes, and where to.
func (j *journal) data(e *entry) (off int64, p []byte) {
	return int64(j.words[e.at]), j.writes[j.words[e.at+1]]
}

// taskBuffer is a task with room for its slices.
type taskBuffer struct {
	device.Task
	tensors [device.MaxTensors]device.Tensor
	imms    [16]int64
}

// task decodes a run into b, whose tensors' Mem are then *mem. Its dimensions
// are left out: Bind makes them.
func (j *journal) task(e *entry, b *taskBuffer) *device.Task {
	b.Op, b.Tensors, b.Imms = device.Op(e.op), b.tensors[:e.tensors], b.imms[:e.imms]
	w := j.words[e.at+1:]
	for i := range b.Tensors {
		b.tensors[i] = device.Tensor{
			Off: int64(w[1]), Type: device.DType(w[0] >> 32), Present: w[0]>>40&1 != 0,
			Shape: device.Shape{Rows: int(uint32(w[2])), Cols: int(w[2] >> 32)},
		}
		if id := uint32(w[0]); id != 0 {
			b.tensors[i].Mem = j.mems.all[id]
		}
		w = w[tensorWords:]
	}
	for i := range b.Imms {
		b.imms[i] = int64(w[i])
	}
	return &b.Task
}

// gasOf is the price of a run.
func (j *journal) gasOf(e *entry) int64 {
	if j.words[e.at] == 0 {
		t := j.task(e, &j.buffer)
		if err := t.Bind(); err != nil {
			panic("failover: a call that was checked fails its checks: " + err.Error())
		}
		j.words[e.at] = uint64(t.Gas())
	}
	return int64(j.words[e.at])
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
