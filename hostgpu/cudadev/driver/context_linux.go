//go:build linux && (amd64 || arm64)

package driver

import (
	"bytes"
	"fmt"
	"runtime"
	"unsafe"
)

// context is a primary context, retained.
type context struct {
	l    *library
	info Info
	dev  int32
	ctx  [1]uintptr // an array, so that it is the arguments of cuCtxSetCurrent
}

func (l *library) Context(ordinal int, w Wait) (Context, error) {
	info, err := l.Info(ordinal)
	if err != nil {
		return nil, err
	}
	c := &context{l: l, info: info}
	if err := l.check(cuDeviceGet, l.call(cuDeviceGet, uintptr(unsafe.Pointer(&c.dev)), uintptr(ordinal))); err != nil {
		return nil, err
	}
	// CU_CTX_SCHED_AUTO, _SPIN, _YIELD, _BLOCKING_SYNC. They bind a context that
	// is made now; one that exists keeps its own.
	flags := [...]uintptr{WaitAuto: 0, WaitSpin: 1, WaitYield: 2, WaitBlock: 4}[w]
	if r := l.call(cuDevicePrimaryCtxSetFlags, uintptr(c.dev), flags); r != Success && r != 708 {
		return nil, l.check(cuDevicePrimaryCtxSetFlags, r)
	}
	if err := l.check(cuDevicePrimaryCtxRetain, l.call(cuDevicePrimaryCtxRetain, uintptr(unsafe.Pointer(&c.ctx[0])), uintptr(c.dev))); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *context) Info() Info { return c.info }

// enter makes the context current on this thread and keeps the goroutine on
// it; the caller calls runtime.UnlockOSThread, after an error too.
func (c *context) enter() error {
	runtime.LockOSThread()
	if r := c.l.callSlice(cuCtxSetCurrent, c.ctx[:]); r != Success {
		return c.l.check(cuCtxSetCurrent, r)
	}
	return nil
}

// do makes one call with the context current.
//
//go:uintptrescapes
func (c *context) do(fn int, args ...uintptr) error {
	err := c.enter()
	if err == nil {
		if r := c.l.call(fn, args...); r != Success {
			err = c.l.check(fn, r)
		}
	}
	runtime.UnlockOSThread()
	return err
}

// Options of the compiler, numbered as in cuda.h (CUjit_option).
const (
	jitInfoLog      = 3
	jitInfoLogSize  = 4
	jitErrorLog     = 5
	jitErrorLogSize = 6
)

// maxLog bounds the compiler's log.
const maxLog = 8 << 10

func (c *context) Load(ptx []byte) (Module, error) {
	text := append(bytes.TrimRight(ptx, "\x00"), 0)
	log := make([]byte, maxLog)
	keys := [...]int32{jitErrorLog, jitErrorLogSize}
	values := [...]uintptr{uintptr(unsafe.Pointer(&log[0])), maxLog}
	m := &module{c: c}
	err := c.do(cuModuleLoadDataEx, uintptr(unsafe.Pointer(&m.mod)), uintptr(unsafe.Pointer(&text[0])),
		uintptr(len(keys)), uintptr(unsafe.Pointer(&keys)), uintptr(unsafe.Pointer(&values)))
	runtime.KeepAlive(log) // values holds its address as a number
	if err != nil {
		if e, ok := err.(*Error); ok {
			e.Detail = cString(log)
		}
		return nil, err
	}
	return m, nil
}

func (c *context) MemInfo() (free, total int64, err error) {
	var f, t uintptr
	err = c.do(cuMemGetInfo, uintptr(unsafe.Pointer(&f)), uintptr(unsafe.Pointer(&t)))
	return int64(f), int64(t), err
}

func (c *context) Alloc(n int64) (Ptr, error) {
	var p uint64
	err := c.do(cuMemAlloc, uintptr(unsafe.Pointer(&p)), uintptr(n))
	if e, ok := err.(*Error); ok && e.Result == OutOfMemory {
		e.Detail = fmt.Sprintf("%d bytes asked", n)
		if free, total, merr := c.MemInfo(); merr == nil {
			e.Detail += fmt.Sprintf(", %d of %d free", free, total)
		}
	}
	return Ptr(p), err
}

func (c *context) Free(p Ptr) error { return c.do(cuMemFree, uintptr(p)) }

// hostPortable is CU_MEMHOSTALLOC_PORTABLE: pinned for every context.
const hostPortable = 1

func (c *context) AllocHost(n int) ([]byte, error) {
	var p unsafe.Pointer
	if err := c.do(cuMemHostAlloc, uintptr(unsafe.Pointer(&p)), uintptr(n), hostPortable); err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(p), n), nil
}

func (c *context) FreeHost(p []byte) error {
	return c.do(cuMemFreeHost, uintptr(unsafe.Pointer(unsafe.SliceData(p))))
}

// streamNonBlocking is CU_STREAM_NON_BLOCKING: no order with the default stream.
const streamNonBlocking = 1

func (c *context) NewStream() (Stream, error) {
	s := &stream{c: c}
	if err := c.do(cuStreamCreate, uintptr(unsafe.Pointer(&s.s)), streamNonBlocking); err != nil {
		return nil, err
	}
	return s, nil
}

// eventNoTiming is CU_EVENT_DISABLE_TIMING.
const eventNoTiming = 2

func (c *context) NewEvent(timing bool) (Event, error) {
	e := &event{c: c}
	flags := uintptr(eventNoTiming)
	if timing {
		flags = 0
	}
	if err := c.do(cuEventCreate, uintptr(unsafe.Pointer(&e.e)), flags); err != nil {
		return nil, err
	}
	return e, nil
}

func (c *context) Close() error {
	return c.l.check(cuDevicePrimaryCtxRelease, c.l.call(cuDevicePrimaryCtxRelease, uintptr(c.dev)))
}

type module struct {
	c   *context
	mod uintptr
}

func (m *module) Function(name string) (Function, error) {
	f := &function{c: m.c}
	text := append([]byte(name), 0)
	err := m.c.do(cuModuleGetFunction, uintptr(unsafe.Pointer(&f.f)), m.mod, uintptr(unsafe.Pointer(&text[0])))
	if err != nil {
		if e, ok := err.(*Error); ok {
			e.Detail = name
		}
		return nil, err
	}
	return f, nil
}

func (m *module) Unload() error { return m.c.do(cuModuleUnload, m.mod) }

type function struct {
	c *context
	f uintptr
}

// Function attributes, numbered as in cuda.h (CUfunction_attribute).
const (
	funcMaxThreads = 0
	funcShared     = 1
	funcLocal      = 3
	funcRegisters  = 4
	funcMaxDynamic = 8
)

func (f *function) Info() (i FunctionInfo, err error) {
	for _, a := range []struct {
		id  uintptr
		dst *int
	}{{funcMaxThreads, &i.MaxThreads}, {funcShared, &i.Shared}, {funcLocal, &i.Local}, {funcRegisters, &i.Registers}} {
		var v int32
		if err := f.c.do(cuFuncGetAttribute, uintptr(unsafe.Pointer(&v)), a.id, f.f); err != nil {
			return i, err
		}
		*a.dst = int(v)
	}
	return i, nil
}

func (f *function) AllowShared(bytes int) error {
	return f.c.do(cuFuncSetAttribute, f.f, funcMaxDynamic, uintptr(bytes))
}
