package driver

import (
	"errors"
	"fmt"
)

// What can be wrong, in the order in which a miner meets it. Every *Error wraps
// one of these.
var (
	ErrNoDriver    = errors.New("no NVIDIA driver")
	ErrOldDriver   = errors.New("the NVIDIA driver is too old")
	ErrNoDevice    = errors.New("no GPU that CUDA may use")
	ErrUnavailable = errors.New("the GPU cannot be used now")
	ErrPTXVersion  = errors.New("the driver does not know this version of PTX")
	ErrImage       = errors.New("the driver refuses the kernels")
	ErrNotFound    = errors.New("no such kernel")
	ErrOutOfMemory = errors.New("out of GPU memory")
	ErrResources   = errors.New("a launch asks for more than the GPU has")
	ErrFault       = errors.New("a kernel failed")
	ErrHardware    = errors.New("the GPU reports a hardware error")
	ErrTimeout     = errors.New("a kernel took longer than the system permits")
	ErrCall        = errors.New("a call that the driver does not accept")
)

// Error is a call of the driver that failed.
type Error struct {
	Call   string // "cuMemAlloc_v2"
	Result Result
	Detail string // what more is known: the compiler's log, the dynamic linker's message
}

// Error is one line but for the compiler's log.
func (e *Error) Error() string {
	info := e.Result.info()
	s := "cuda: " + info.is.Error()
	if e.Call != "" {
		s += fmt.Sprintf(": %s: %v", e.Call, e.Result)
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if info.advice != "" {
		s += " (" + info.advice + ")"
	}
	return s
}

// Unwrap is one of the Err values.
func (e *Error) Unwrap() error { return e.Result.info().is }

// Advice is what a miner can do, one line, "" if there is nothing.
func (e *Error) Advice() string { return e.Result.info().advice }

// Sticky says that an error left the context without use: only another process
// can go on with the GPU.
func Sticky(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Result.info().sticky
}

// Result is a CUresult. Negative ones are this package's own.
type Result int32

// Results that code decides on, numbered as in cuda.h.
const (
	Success                Result = 0
	InvalidValue           Result = 1
	OutOfMemory            Result = 2
	NotInitialized         Result = 3
	Deinitialized          Result = 4
	StubLibrary            Result = 34
	DeviceUnavailable      Result = 46
	NoDevice               Result = 100
	InvalidDevice          Result = 101
	InvalidImage           Result = 200
	InvalidContext         Result = 201
	NoBinaryForGPU         Result = 209
	ECCUncorrectable       Result = 214
	InvalidPTX             Result = 218
	NVLinkUncorrectable    Result = 220
	JITCompilerNotFound    Result = 221
	UnsupportedPTXVersion  Result = 222
	JITCompilationDisabled Result = 223
	InvalidHandle          Result = 400
	NotFound               Result = 500
	NotReady               Result = 600
	IllegalAddress         Result = 700
	LaunchOutOfResources   Result = 701
	LaunchTimeout          Result = 702
	ContextIsDestroyed     Result = 709
	HardwareStackError     Result = 714
	IllegalInstruction     Result = 715
	MisalignedAddress      Result = 716
	LaunchFailed           Result = 719
	NotSupported           Result = 801
	SystemNotReady         Result = 802
	DriverMismatch         Result = 803
	Unknown                Result = 999

	// noLibrary: libcuda.so.1 was not found; missingSymbol: it lacks a function
	// that this package uses.
	noLibrary     Result = -1
	missingSymbol Result = -2
	notBuilt      Result = -3
)

// MinVersion is the oldest driver whose functions suffice: CUDA 11.0 (450.36),
// the first that knows compute capability 8.0.
const MinVersion = 11000
