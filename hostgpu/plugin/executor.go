package plugin

import (
	"errors"
	"sync"

	"github.com/assaynet/assay/hostgpu/device"
)

// memory is what the host has named with a number.
type memory struct {
	mem  device.Mem
	size int64
}

// memories are shared by the queues of a process.
type memories struct {
	mu  sync.RWMutex
	all map[uint64]memory
}

func (m *memories) get(id uint64) (memory, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	x, ok := m.all[id]
	if !ok {
		return memory{}, malformed("unknown memory %d", id)
	}
	return x, nil
}

func (m *memories) put(id uint64, x memory) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.all[id]; ok || id == 0 {
		return malformed("memory %d is named twice", id)
	}
	m.all[id] = x
	return nil
}

func (m *memories) take(id uint64) (memory, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	x, ok := m.all[id]
	delete(m.all, id)
	return x, ok
}

// within checks a range of n bytes at off.
func (m memory) within(off, n int64) error {
	if off < 0 || n < 0 || off > m.size || n > m.size-off {
		return malformed("%d bytes at %d of %d", n, off, m.size)
	}
	return nil
}

// executor applies the records of one queue. After the first failure it only
// frees, so that nothing leaks.
type executor struct {
	mems   *memories
	queue  device.Queue
	task   *task // what every task is decoded into; nil if queue may keep it
	failed error
}

func newExecutor(mems *memories, q device.Queue) executor {
	e := executor{mems: mems, queue: q}
	if _, ok := q.(device.TransientQueue); ok {
		e.task = &task{}
	}
	return e
}

// apply runs one record; sink receives what a read returns.
func (e *executor) apply(r record, sink func(n int64, read func(p []byte) error) error) error {
	if r.kind == recFree {
		if m, ok := e.mems.take(r.id); ok {
			e.queue.Free(m.mem)
		}
		return e.failed
	}
	if e.failed == nil {
		e.failed = e.do(r, sink)
	}
	return e.failed
}

func (e *executor) do(r record, sink func(n int64, read func(p []byte) error) error) error {
	switch r.kind {
	case recAlloc:
		if r.n <= 0 {
			return malformed("allocation of %d bytes", r.n)
		}
		mem, err := e.queue.Alloc(r.n)
		if err != nil {
			return err
		}
		if err := e.mems.put(r.id, memory{mem, r.n}); err != nil {
			e.queue.Free(mem)
			return err
		}
		return nil
	case recWrite:
		m, err := e.mems.get(r.id)
		if err == nil {
			err = m.within(r.off, r.n)
		}
		if err != nil {
			return err
		}
		return e.queue.Write(m.mem, r.off, r.data)
	case recRead:
		m, err := e.mems.get(r.id)
		if err == nil {
			err = m.within(r.off, r.n)
		}
		if err != nil {
			return err
		}
		return sink(r.n, func(p []byte) error { return e.queue.Read(m.mem, r.off, p) })
	case recSync:
		return e.queue.Sync()
	case recRun:
		for i := range r.task.Tensors {
			t := &r.task.Tensors[i]
			if r.mems[i] == 0 {
				continue
			}
			m, err := e.mems.get(r.mems[i])
			if err == nil {
				err = m.within(t.Off, t.Bytes())
			}
			if err != nil {
				return err
			}
			t.Mem = m.mem
		}
		return e.queue.Run(r.task)
	}
	return malformed("kind %d", r.kind)
}

// isMemory tells the failures that the protocol keeps apart.
func isMemory(err error) bool   { return errors.Is(err, device.ErrDeviceMemory) }
func isProtocol(err error) bool { return errors.Is(err, ErrProtocol) }
