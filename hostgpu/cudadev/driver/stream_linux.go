//go:build linux && (amd64 || arm64)

package driver

import (
	"runtime"
	"sync"
	"time"
	"unsafe"
)

type stream struct {
	c *context
	s uintptr

	// The arguments of a launch, so that none is allocated; mu guards them.
	mu     sync.Mutex
	args   [11]uintptr
	params [1]unsafe.Pointer // a kernel has one parameter, a struct
}

// Launch locks the thread and makes the context current once for the batch.
func (s *stream) Launch(batch []Launch) error {
	if len(batch) == 0 {
		return nil
	}
	s.mu.Lock()
	err := s.c.enter()
	for i := range batch {
		if err != nil {
			break
		}
		b := &batch[i]
		// The stream is on Go's heap and so stays where it is; storing the
		// pointer there keeps the bytes alive and in place.
		s.params[0] = unsafe.Pointer(unsafe.SliceData(b.Args))
		s.args = [...]uintptr{b.Function.(*function).f,
			uintptr(b.Grid[0]), uintptr(b.Grid[1]), uintptr(b.Grid[2]), uintptr(b.Block[0]), uintptr(b.Block[1]), uintptr(b.Block[2]),
			uintptr(b.Shared), s.s, uintptr(unsafe.Pointer(&s.params)), 0}
		if r := s.c.l.callSlice(cuLaunchKernel, s.args[:]); r != Success {
			err = s.c.l.check(cuLaunchKernel, r)
		}
	}
	s.params[0] = nil
	runtime.UnlockOSThread()
	s.mu.Unlock()
	return err
}

func (s *stream) CopyIn(dst Ptr, src []byte) error {
	return s.c.do(cuMemcpyHtoDAsync, uintptr(dst), uintptr(unsafe.Pointer(unsafe.SliceData(src))), uintptr(len(src)), s.s)
}

func (s *stream) CopyOut(dst []byte, src Ptr) error {
	return s.c.do(cuMemcpyDtoHAsync, uintptr(unsafe.Pointer(unsafe.SliceData(dst))), uintptr(src), uintptr(len(dst)), s.s)
}

func (s *stream) Copy(dst, src Ptr, n int64) error {
	return s.c.do(cuMemcpyDtoDAsync, uintptr(dst), uintptr(src), uintptr(n), s.s)
}

func (s *stream) Fill(dst Ptr, value byte, n int64) error {
	return s.c.do(cuMemsetD8Async, uintptr(dst), uintptr(value), uintptr(n), s.s)
}

func (s *stream) Record(ev Event) error { return s.c.do(cuEventRecord, ev.(*event).e, s.s) }
func (s *stream) Wait(ev Event) error   { return s.c.do(cuStreamWaitEvent, s.s, ev.(*event).e, 0) }
func (s *stream) Done() (bool, error)   { return ready(s.c.do(cuStreamQuery, s.s)) }
func (s *stream) Sync() error           { return s.c.do(cuStreamSynchronize, s.s) }
func (s *stream) Close() error          { return s.c.do(cuStreamDestroy, s.s) }

// ready makes an answer of the code for "not yet".
func ready(err error) (bool, error) {
	if e, ok := err.(*Error); ok && e.Result == NotReady {
		return false, nil
	}
	return err == nil, err
}

type event struct {
	c *context
	e uintptr
}

func (e *event) Done() (bool, error) { return ready(e.c.do(cuEventQuery, e.e)) }
func (e *event) Sync() error         { return e.c.do(cuEventSynchronize, e.e) }
func (e *event) Close() error        { return e.c.do(cuEventDestroy, e.e) }

func (e *event) Since(start Event) (time.Duration, error) {
	var ms float32
	err := e.c.do(cuEventElapsedTime, uintptr(unsafe.Pointer(&ms)), start.(*event).e, e.e)
	return time.Duration(float64(ms) * float64(time.Millisecond)), err
}
