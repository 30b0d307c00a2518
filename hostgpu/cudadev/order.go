package cudadev

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
)

// line is the order of one queue's work: operations have numbers from 1, and
// other queues wait for a number by an event. A line outlives its queue.
type line struct {
	stream driver.Stream
	begun  atomic.Uint64 // operations that the queue has begun to issue
	issued atomic.Uint64 // operations that are all in the stream
	done   atomic.Uint64 // operations known to be done; MaxUint64 once closed

	// launch makes the queue issue what it keeps back.
	launch func()

	mu     sync.Mutex
	event  driver.Event
	marked uint64 // operations that the event's last record follows
}

// close says that everything is done; the stream and the event may go.
func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done.Store(math.MaxUint64)
}

// finished says that the first n operations are done.
func (l *line) finished(n uint64) {
	for {
		old := l.done.Load()
		if old >= n || l.done.CompareAndSwap(old, n) {
			return
		}
	}
}

// follow holds back what s is given from now on until the first n operations of
// l are done. It returns how many of l's operations s now follows.
func (l *line) follow(s driver.Stream, n uint64) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.done.Load(); d >= n {
		return d, nil
	}
	if l.marked < n {
		if l.issued.Load() < n {
			l.launch()
		}
		now := l.issued.Load()
		if err := l.stream.Record(l.event); err != nil {
			return 0, err
		}
		l.marked = now
	}
	return l.marked, s.Wait(l.event)
}

// wait waits for the first n operations.
func (l *line) wait(n uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done.Load() >= n {
		return nil
	}
	if l.issued.Load() < n {
		l.launch()
	}
	upTo := l.issued.Load()
	if err := l.stream.Sync(); err != nil {
		return err
	}
	l.finished(upTo)
	return nil
}

// use is what a line did with some memory: the last operations that wrote and
// that read it, 0 if none.
type use struct {
	line        *line
	wrote, read uint64
}

// last is the newer of the two.
func (u *use) last() uint64 { return max(u.wrote, u.read) }

// over says that nothing has to wait for it any more.
func (u *use) over() bool { return u.line.done.Load() >= u.last() }

// mergeUses is what must be waited for if both lists must; neither is changed.
func mergeUses(a, b []use) []use {
	var out []use
	for _, u := range slices.Concat(a, b) {
		if u.over() {
			continue
		}
		at := slices.IndexFunc(out, func(o use) bool { return o.line == u.line })
		if at < 0 {
			out = append(out, u)
			continue
		}
		out[at].wrote, out[at].read = max(out[at].wrote, u.wrote), max(out[at].read, u.read)
	}
	return out
}

// mem is one allocation.
type mem struct {
	block *block
	addr  driver.Ptr
	n     int64

	// home is the line that alone has used the memory: what it does needs no
	// book. Nil: uses has all that did.
	home atomic.Pointer[line]
	// raw says that the memory holds anything, and must be zeroed before it is
	// read or partly written. Guarded by being home, or by mu.
	raw bool

	mu   sync.Mutex
	uses []use
}

// strangers makes home one of uses, at the first use by another line; m.mu is
// held. What home has begun counts as written: nobody took notes. An operation
// that it is about to issue is not the caller's to wait for, who would have
// waited if it mattered.
func (m *mem) strangers() {
	if h := m.home.Swap(nil); h != nil {
		n := h.begun.Load()
		m.uses = append(m.uses[:0], use{line: h, wrote: n, read: n})
	}
}

// all is every use that is not over.
func (m *mem) all() []use {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.strangers()
	return mergeUses(m.uses, nil)
}
