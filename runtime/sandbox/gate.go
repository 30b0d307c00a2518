package sandbox

import (
	"sync"
	"sync/atomic"
)

// gate counts what is using the engine, so that closing waits for it: memory
// that goes away under running code would end the process. Entries may nest.
type gate struct {
	users   atomic.Int64
	closing atomic.Bool
	once    sync.Once
	idle    chan struct{}
}

// enter fails once the gate is closing.
func (g *gate) enter() error {
	g.users.Add(1)
	if g.closing.Load() {
		g.leave()
		return ErrClosed
	}
	return nil
}

func (g *gate) leave() {
	if g.users.Add(-1) == 0 && g.closing.Load() {
		g.once.Do(func() { close(g.idle) })
	}
}

// close lets nobody in any more and waits until everybody has left. Call it once.
func (g *gate) close() {
	g.closing.Store(true)
	if g.users.Load() == 0 {
		g.once.Do(func() { close(g.idle) })
	}
	<-g.idle
}
