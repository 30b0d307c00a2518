package ptx

import (
	"errors"
	"fmt"
)

// What a *ParseError wraps.
var (
	ErrSyntax      = errors.New("ptx: syntax error")
	ErrUnsupported = errors.New("ptx: not supported")
)

// What the methods of Machine return before anything has run.
var (
	ErrKernel  = errors.New("ptx: no such kernel")
	ErrTarget  = errors.New("ptx: module is for another GPU")
	ErrLaunch  = errors.New("ptx: invalid launch")
	ErrMemory  = errors.New("ptx: out of device memory")
	ErrAddress = errors.New("ptx: not an address of device memory")
)

// What a *Fault wraps.
var (
	ErrBounds        = errors.New("ptx: access out of bounds")
	ErrMisaligned    = errors.New("ptx: misaligned access")
	ErrFreed         = errors.New("ptx: access to freed memory")
	ErrUninitialised = errors.New("ptx: read of uninitialised memory")
	ErrRace          = errors.New("ptx: race on shared memory")
	ErrAsync         = errors.New("ptx: registers used while an asynchronous instruction holds them")
	ErrSync          = errors.New("ptx: invalid synchronisation")
	ErrOperand       = errors.New("ptx: invalid operand value")
	ErrTrap          = errors.New("ptx: trap")
	ErrSteps         = errors.New("ptx: step budget exhausted")
)

// A ParseError says where a text stopped being PTX that this package knows.
type ParseError struct {
	Line int // 1-based
	Msg  string
	Err  error // ErrSyntax or ErrUnsupported
}

func (e *ParseError) Error() string { return fmt.Sprintf("%v: line %d: %s", e.Err, e.Line, e.Msg) }
func (e *ParseError) Unwrap() error { return e.Err }

// A Fault is an error of a running kernel. The launch ends at the first one;
// which of several is first is not defined. Memory keeps what was stored.
type Fault struct {
	Err           error // one of the sentinels above
	Kernel        string
	Line          int // of the PTX text, 1-based
	Block, Thread [3]uint32
	Addr          uint64 // of the access, in Space; 0 where there is none
	Space         string // "global", "shared", "local", "param" or ""
	Detail        string
}

func (f *Fault) Error() string {
	s := fmt.Sprintf("%v: %s line %d block (%d,%d,%d) thread (%d,%d,%d)", f.Err, f.Kernel, f.Line,
		f.Block[0], f.Block[1], f.Block[2], f.Thread[0], f.Thread[1], f.Thread[2])
	if f.Space != "" {
		s += fmt.Sprintf(" %s address %#x", f.Space, f.Addr)
	}
	if f.Detail != "" {
		s += ": " + f.Detail
	}
	return s
}
func (f *Fault) Unwrap() error { return f.Err }
