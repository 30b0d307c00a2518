package emulated

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
)

// stream runs work in order on a goroutine that lives while there is some.
type stream struct {
	c *context

	mu     sync.Mutex
	idle   *sync.Cond
	work   []func() error
	active bool // a goroutine runs
	closed bool
}

func (c *context) NewStream() (driver.Stream, error) {
	if err := c.enter("cuStreamCreate"); err != nil {
		return nil, err
	}
	s := &stream{c: c}
	s.idle = sync.NewCond(&s.mu)
	return s, nil
}

func (s *stream) push(call string, work func() error) error {
	if err := s.c.enter(call); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return &driver.Error{Call: call, Result: driver.InvalidHandle}
	}
	s.work = append(s.work, work)
	if !s.active {
		s.active = true
		go s.run()
	}
	return nil
}

// run does what is queued. A context that has failed drops it.
func (s *stream) run() {
	for {
		s.mu.Lock()
		if len(s.work) == 0 {
			s.active = false
			s.idle.Broadcast()
			s.mu.Unlock()
			return
		}
		work := s.work[0]
		s.work = s.work[1:]
		s.mu.Unlock()
		if s.c.ctx.Err() != nil {
			continue
		}
		if err := work(); err != nil && s.c.ctx.Err() == nil {
			s.c.poison(result(err), err.Error())
		}
	}
}

func (s *stream) Launch(batch []driver.Launch) error {
	for i := range batch {
		l := batch[i]
		f, ok := l.Function.(*function)
		if !ok || f.c != s.c {
			return &driver.Error{Call: "cuLaunchKernel", Result: driver.InvalidHandle}
		}
		if err := f.check(&l); err != nil {
			return err
		}
		l.Args = bytes.Clone(l.Args)
		n := s.c.launches.Add(1)
		if err := s.push("cuLaunchKernel", func() error { return s.launch(f, l, n) }); err != nil {
			return err
		}
	}
	return nil
}

var errProvoked = errors.New("provoked")

// launch runs the nth launch that the context was given.
func (s *stream) launch(f *function, l driver.Launch, n int64) error {
	faults := &s.c.d.cfg.Faults
	switch n {
	case faults.Hang:
		<-s.c.ctx.Done()
		return nil
	case faults.IllegalAddress:
		s.c.poison(driver.IllegalAddress, fmt.Sprintf("%s: %v at launch %d", f.k.Name, errProvoked, n))
		return nil
	}
	return s.c.machine.Launch(s.c.ctx, f.m, f.k.Name, l.Grid, l.Block, l.Shared, l.Args[:f.k.ParamBytes], s.c.d.cfg.Checks)
}

func (s *stream) CopyIn(dst driver.Ptr, src []byte) error {
	return s.push("cuMemcpyHtoDAsync", func() error { return s.c.machine.Write(uint64(dst), src) })
}

func (s *stream) CopyOut(dst []byte, src driver.Ptr) error {
	return s.push("cuMemcpyDtoHAsync", func() error { return s.c.machine.Read(uint64(src), dst) })
}

func (s *stream) Copy(dst, src driver.Ptr, n int64) error {
	return s.push("cuMemcpyDtoDAsync", func() error { return s.c.machine.Copy(uint64(dst), uint64(src), n) })
}

func (s *stream) Fill(dst driver.Ptr, value byte, n int64) error {
	return s.push("cuMemsetD8Async", func() error { return s.c.machine.Fill(uint64(dst), value, n) })
}

func (s *stream) Done() (bool, error) {
	if err := s.c.enter("cuStreamQuery"); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.active, nil
}

func (s *stream) Sync() error {
	if err := s.c.enter("cuStreamSynchronize"); err != nil {
		return err
	}
	s.mu.Lock()
	for s.active {
		s.idle.Wait()
	}
	s.mu.Unlock()
	return s.c.enter("cuStreamSynchronize")
}

func (s *stream) Close() error {
	err := s.c.enter("cuStreamDestroy")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return err
}

// event is the point of its last record.
type event struct {
	c      *context
	timing bool
	mu     sync.Mutex
	last   *point // nil: never recorded
}

type point struct {
	done chan struct{}
	at   time.Time // set before done is closed
}

func (c *context) NewEvent(timing bool) (driver.Event, error) {
	if err := c.enter("cuEventCreate"); err != nil {
		return nil, err
	}
	return &event{c: c, timing: timing}, nil
}

func (e *event) point() *point {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last
}

func (s *stream) Record(ev driver.Event) error {
	e, p := ev.(*event), &point{done: make(chan struct{})}
	// The lock keeps the order of points that of the streams' queues.
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := s.push("cuEventRecord", func() error { p.at = time.Now(); close(p.done); return nil }); err != nil {
		return err
	}
	e.last = p
	return nil
}

func (s *stream) Wait(ev driver.Event) error {
	p := ev.(*event).point()
	return s.push("cuStreamWaitEvent", func() error {
		if p != nil {
			select {
			case <-p.done:
			case <-s.c.ctx.Done():
			}
		}
		return nil
	})
}

func (e *event) Done() (bool, error) {
	if err := e.c.enter("cuEventQuery"); err != nil {
		return false, err
	}
	p := e.point()
	if p == nil {
		return true, nil
	}
	select {
	case <-p.done:
		return true, nil
	default:
		return false, nil
	}
}

func (e *event) Sync() error {
	if err := e.c.enter("cuEventSynchronize"); err != nil {
		return err
	}
	if p := e.point(); p != nil {
		select {
		case <-p.done:
		case <-e.c.ctx.Done():
		}
	}
	return e.c.enter("cuEventSynchronize")
}

func (e *event) Since(start driver.Event) (time.Duration, error) {
	a, b := start.(*event), e
	p, q := a.point(), b.point()
	for _, x := range []*point{p, q} {
		if x == nil || !a.timing || !b.timing {
			return 0, &driver.Error{Call: "cuEventElapsedTime", Result: driver.InvalidHandle}
		}
		select {
		case <-x.done:
		default:
			return 0, &driver.Error{Call: "cuEventElapsedTime", Result: driver.NotReady}
		}
	}
	return q.at.Sub(p.at), nil
}

func (e *event) Close() error { return e.c.enter("cuEventDestroy") }
