package failover

import (
	"errors"
	"fmt"

	"github.com/assaynet/assay/hostgpu/device"
)

// queue is the queue of one space, whatever device runs it at the moment.
type queue struct {
	b     *Backend
	inner device.Queue // of the current life; nil if there is none

	// scratch carries a task to an inner queue that does not keep it.
	transient bool
	scratch   device.Task
	tensors   [device.MaxTensors]device.Tensor

	// Guarded by journal.mu.
	volatile bool  // not in the journal any more
	weight   int64 // scratch of overflow

	lost error // guarded by Backend.mu: why the space has no content any more
}

// transient is a queue that has done with a task, though not its work, when Run
// returns.
type transient interface{ TransientTasks() }

func (q *queue) attach(inner device.Queue) {
	q.inner = inner
	_, q.transient = inner.(transient)
}

// do records an operation and issues it. If the device fails, the operation is
// among those that the recovery repeats, so that it must not be issued again;
// again is true for what only waits, which is not recorded.
func (q *queue) do(e *entry, again bool, issue func(inner device.Queue) error) error {
	b := q.b
	for {
		b.mu.RLock()
		life := b.life
		var err error
		switch {
		case q.lost != nil:
			err = q.lost
		case b.inner == nil:
			err = b.unusable()
		case b.lossy && e != nil && e.kind == entryRun && hollow(e.task):
			// The tensor came from a space that was lost; so is this one now.
			q.lose(errHollow)
			err = q.lost
		}
		if err != nil {
			b.mu.RUnlock()
			return err
		}
		due := false
		if e != nil {
			due = b.record(e)
		}
		err = issue(q.inner)
		b.mu.RUnlock()
		switch {
		case errors.Is(err, device.ErrDeviceMemory):
			// Another device or life would not have more for this space alone.
			return err
		case err != nil:
			if err := b.recover(life, err); err != nil {
				return err
			}
			if again {
				continue
			}
			b.mu.RLock()
			err = q.lost
			b.mu.RUnlock()
			return err
		}
		if due {
			return b.maintain()
		}
		return nil
	}
}

func (q *queue) Alloc(n int64) (device.Mem, error) {
	m := &mem{bytes: n, home: q}
	err := q.do(&entry{kind: entryAlloc, q: q, m: m}, false, func(inner device.Queue) (err error) {
		m.inner, err = inner.Alloc(n)
		return err
	})
	if err != nil {
		q.Free(m) // nobody else will
		return nil, err
	}
	return m, nil
}

// Free has no error: a device that fails here is noticed by the next call.
func (q *queue) Free(x device.Mem) {
	m := x.(*mem)
	b := q.b
	b.mu.RLock()
	defer b.mu.RUnlock()
	b.record(&entry{kind: entryFree, q: q, m: m})
	if q.inner != nil && m.inner != nil {
		q.inner.Free(m.inner)
	}
	m.inner = nil
}

func (q *queue) Write(x device.Mem, off int64, p []byte) error {
	m := x.(*mem)
	return q.do(&entry{kind: entryWrite, q: q, m: m, off: off, data: p}, false, func(inner device.Queue) error {
		return inner.Write(m.inner, off, p)
	})
}

func (q *queue) Run(t *device.Task) error {
	return q.do(&entry{kind: entryRun, q: q, task: t}, false, func(inner device.Queue) error {
		return inner.Run(q.resolved(t))
	})
}

// hollow says whether a task reads memory that was lost with its device.
func hollow(t *device.Task) bool {
	found := false
	operands(t, func(_ *device.Tensor, m *mem, _ bool) { found = found || m.lost != nil })
	return found
}

// resolved is a task with the memory of the current life.
func (q *queue) resolved(t *device.Task) *device.Task {
	x := &q.scratch
	tensors := q.tensors[:len(t.Tensors)]
	if !q.transient {
		x, tensors = new(device.Task), make([]device.Tensor, len(t.Tensors))
	}
	*x = *t
	copy(tensors, t.Tensors)
	for i := range tensors {
		if m, ok := tensors[i].Mem.(*mem); ok {
			tensors[i].Mem = m.inner
		}
	}
	x.Tensors = tensors
	return x
}

func (q *queue) Read(x device.Mem, off int64, p []byte) error {
	m := x.(*mem)
	return q.do(nil, true, func(inner device.Queue) error { return inner.Read(m.inner, off, p) })
}

func (q *queue) Sync() error {
	return q.do(nil, true, func(inner device.Queue) error { return inner.Sync() })
}

// Close gives up what was queued and not waited for: nobody will see it.
func (q *queue) Close() error {
	b := q.b
	b.mu.RLock()
	life := b.life
	var err error
	if b.inner != nil && q.inner != nil {
		err = q.inner.Close()
	}
	b.state.Lock()
	delete(b.queues, q)
	b.state.Unlock()
	b.mu.RUnlock()
	if err == nil || errors.Is(err, device.ErrDeviceMemory) {
		return err
	}
	return b.recover(life, err)
}

// lose marks a space that cannot be rebuilt; b.mu is held for writing.
func (q *queue) lose(cause error) {
	if q.lost == nil {
		q.lost = fmt.Errorf("%w: %w", ErrLost, cause)
	}
}
