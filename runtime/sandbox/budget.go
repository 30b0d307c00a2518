package sandbox

import (
	"container/list"
	"context"
	"fmt"
	"sync"
)

// Share is a part of a Runtime's memory budget: the sum of the greatest sizes
// that the memories of its instances may grow to stays within it. It counts
// promises, not pages in use, so an instance that was started never fails for
// what others take. It is safe for concurrent use.
type Share struct {
	from *Share // what Close gives the bytes back to; nil: the Runtime's own

	mu      sync.Mutex
	limit   uint64 // bytes; 0: no limit
	used    uint64
	waiting list.List // of *waiter, the first to come in front
	closed  bool
}

type waiter struct {
	n    uint64
	free chan struct{} // closed when n bytes were taken for it
}

// Reserve sets a part of the memory budget aside, for instances that must be
// able to start whatever else runs: those that a verdict depends on. It fails
// with ErrMemory if that much is not free now. Close gives it back.
func (r *Runtime) Reserve(bytes uint64) (*Share, error) {
	if err := r.gate.enter(); err != nil {
		return nil, hostErr("reserve", err)
	}
	defer r.gate.leave()
	if bytes == 0 {
		return nil, &HostError{Op: "reserve", Err: fmt.Errorf("%w: nothing asked", ErrMemory)}
	}
	if err := r.budget.take(bytes); err != nil {
		return nil, hostErr("reserve", err)
	}
	return &Share{from: &r.budget, limit: bytes}, nil
}

// Close gives the share back once its last instance is closed. Idempotent.
func (s *Share) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.settle()
	}
}

// settle gives an unused, closed share back. The caller holds the lock.
func (s *Share) settle() {
	if s.closed && s.used == 0 && s.from != nil {
		s.from.give(s.limit)
		s.from = nil
	}
}

// take takes n bytes, or fails with ErrMemory.
func (s *Share) take(n uint64) error {
	if s == nil || n == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok, err := s.try(n); ok || err != nil {
		return err
	}
	return fmt.Errorf("%w: it takes %d bytes, %d of %d are free", ErrMemory, n, s.limit-s.used, s.limit)
}

// try takes n bytes if they are free and nobody waits for them. It fails if
// they never will be. The caller holds the lock.
func (s *Share) try(n uint64) (bool, error) {
	switch {
	case s.closed:
		return false, ErrClosed
	case s.limit != 0 && n > s.limit:
		return false, fmt.Errorf("%w: it takes %d bytes, there are %d in all", ErrMemory, n, s.limit)
	case s.fits(n) && s.waiting.Len() == 0:
		s.used += n
		return true, nil
	}
	return false, nil
}

// wait takes n bytes when it is its turn, or fails with ErrMemory when ctx
// ends before.
func (s *Share) wait(ctx context.Context, n uint64) error {
	if s == nil || n == 0 {
		return nil
	}
	s.mu.Lock()
	if ok, err := s.try(n); ok || err != nil {
		s.mu.Unlock()
		return err
	}
	w := &waiter{n, make(chan struct{})}
	at := s.waiting.PushBack(w)
	s.mu.Unlock()
	select {
	case <-w.free:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-w.free: // at the same moment
		s.used -= n
	default:
		s.waiting.Remove(at)
	}
	s.admit() // those behind may fit
	s.settle()
	return fmt.Errorf("%w: %w", ErrMemory, context.Cause(ctx))
}

func (s *Share) fits(n uint64) bool { return s.limit == 0 || n <= s.limit-s.used }

// admit lets in who waits, in order. The caller holds the lock.
func (s *Share) admit() {
	for e := s.waiting.Front(); e != nil; e = s.waiting.Front() {
		w := e.Value.(*waiter)
		if !s.fits(w.n) {
			return
		}
		s.used += w.n
		s.waiting.Remove(e)
		close(w.free)
	}
}

func (s *Share) give(n uint64) {
	if s == nil || n == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= n
	s.admit()
	s.settle()
}
