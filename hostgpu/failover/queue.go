package failover

import (
	"errors"
	"fmt"
	"slices"

	"github.com/assaynet/assay/hostgpu/device"
)

// queue is the queue of one space, whatever device runs it at the moment. Tasks
// are copied to the journal, so none is kept but by an inner queue.
type queue struct {
	b         *Backend
	inner     device.Queue // of the current life; nil if there is none
	transient bool         // inner is a device.TransientQueue

	// Guarded by journal.mu.
	id       uint32 // in the journal, 0 for none
	volatile bool   // not in the journal any more
	closed   bool
	used     bool  // scratch of compact
	weight   int64 // scratch of overflow

	lost error // guarded by Backend.mu: why the space has no content any more
}

var _ device.TransientQueue = (*queue)(nil)

// TransientTasks implements device.TransientQueue.
func (q *queue) TransientTasks() {}

func (q *queue) attach(inner device.Queue) {
	q.inner = inner
	_, q.transient = inner.(device.TransientQueue)
}

// usable is why the space or the device can do no more; b.mu is held.
func (q *queue) usable() error {
	switch {
	case q.lost != nil:
		return q.lost
	case q.b.inner == nil:
		return q.b.unusable()
	}
	return nil
}

// do issues an operation that record, if there is one, put into the journal. If
// the device fails, the operation is among those that the recovery repeats, so
// that it must not be issued again; what only waits is not recorded and is
// issued again.
func (q *queue) do(record func() (due bool), issue func(inner device.Queue) error) error {
	b := q.b
	for {
		b.mu.RLock()
		life := b.life
		err := q.usable()
		if err != nil {
			b.mu.RUnlock()
			return err
		}
		due := record != nil && record()
		err = issue(q.inner)
		b.mu.RUnlock()
		if repeat, err := q.settle(life, err, due); !repeat || record != nil {
			return err
		}
	}
}

// settle answers what the device said in the given life. repeat says that the
// device failed and is restored.
func (q *queue) settle(life uint64, err error, due bool) (repeat bool, _ error) {
	b := q.b
	switch {
	case err == nil && due:
		return false, b.maintain()
	case err == nil:
		return false, nil
	case errors.Is(err, device.ErrDeviceMemory):
		// Another device or life would not have more for this space alone.
		return false, err
	}
	if err := b.recover(life, err); err != nil {
		return false, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	return q.lost == nil, q.lost
}

func (q *queue) Alloc(n int64) (device.Mem, error) {
	m := &mem{bytes: n, home: q}
	err := q.do(func() bool { return q.b.j.alloc(m) }, func(inner device.Queue) (err error) {
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
	b.j.release(m)
	if q.inner != nil && m.inner != nil {
		q.inner.Free(m.inner)
	}
	m.inner = nil
}

func (q *queue) Write(x device.Mem, off int64, p []byte) error {
	m := x.(*mem)
	return q.do(func() bool { return q.b.j.write(q, m, off, p) },
		func(inner device.Queue) error { return inner.Write(m.inner, off, p) })
}

func (q *queue) Run(t *device.Task) error {
	b := q.b
	b.mu.RLock()
	life := b.life
	err := q.usable()
	if err == nil && b.lossy && hollow(t) {
		// The tensor came from a space that was lost; so is this one now.
		q.lose(errHollow)
		err = q.lost
	}
	if err != nil {
		b.mu.RUnlock()
		return err
	}
	due := b.j.run(q, t)
	err = q.inner.Run(q.resolved(t))
	b.mu.RUnlock()
	if err != nil || due {
		_, err = q.settle(life, err, due)
	}
	return err
}

// hollow says whether a task uses memory that was lost with its device.
func hollow(t *device.Task) bool {
	for i := range t.Tensors {
		if m, ok := t.Tensors[i].Mem.(*mem); ok && m.lost != nil {
			return true
		}
	}
	return false
}

// resolved is a task with the memory of the current life: itself, unless the
// inner queue may keep it.
func (q *queue) resolved(t *device.Task) *device.Task {
	if !q.transient {
		kept := *t
		kept.Tensors, kept.Imms = slices.Clone(t.Tensors), slices.Clone(t.Imms)
		t = &kept
	}
	for i := range t.Tensors {
		if m, ok := t.Tensors[i].Mem.(*mem); ok {
			t.Tensors[i].Mem = m.inner
		}
	}
	return t
}

func (q *queue) Read(x device.Mem, off int64, p []byte) error {
	m := x.(*mem)
	return q.do(nil, func(inner device.Queue) error { return inner.Read(m.inner, off, p) })
}

func (q *queue) Sync() error {
	return q.do(nil, func(inner device.Queue) error { return inner.Sync() })
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
	b.j.mu.Lock()
	q.closed = true
	b.j.mu.Unlock()
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
