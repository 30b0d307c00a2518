package driver

import (
	"fmt"
	"time"
)

// Ptr is an address in a GPU's memory.
type Ptr uint64

// Driver is an initialised CUDA driver. Safe for concurrent use.
type Driver interface {
	// Version is the newest CUDA that the driver speaks, 1000·major + 10·minor.
	Version() int
	// Count is how many GPUs CUDA may use, at least 1. Where GPUs are split
	// (MIG), CUDA sees one instance a process.
	Count() int
	// Info describes a GPU; ordinals count from 0.
	Info(ordinal int) (Info, error)
	// Context takes the primary context of a GPU. Making it takes a few hundred
	// milliseconds and some hundred MiB of the GPU's memory.
	Context(ordinal int, w Wait) (Context, error)
}

// Wait is how a thread waits for the GPU.
type Wait uint8

const (
	WaitAuto  Wait = iota // the driver decides: it spins while there are idle processors
	WaitSpin              // least latency, a processor each
	WaitYield             // spins, but lets others run
	WaitBlock             // sleeps; adds tens of microseconds
)

// Info describes a GPU. Numbers that the driver does not tell are 0.
type Info struct {
	Ordinal      int
	Name         string
	UUID         string // "GPU-..." as nvidia-smi prints it, or "MIG-..."
	Major, Minor int    // compute capability
	SMs          int
	Memory       int64 // bytes
	// SharedPerBlock is the most shared memory that a block may ask for, bytes.
	SharedPerBlock int
	L2             int   // bytes
	ClockKHz       int   // of the SMs, at most
	MemoryPeak     int64 // bytes a second: clock × 2 × width of the bus
	ECC            bool
	Exclusive      bool // one process at a time (compute mode)
	PCI            string
}

// Context is a GPU's memory and queues in this process. Safe for concurrent
// use. After a sticky error (Sticky) every call fails, Close too.
type Context interface {
	Info() Info
	// Load compiles a module from PTX, or takes the driver's cached result of
	// it. It fails with ErrPTXVersion where the driver is older than the PTX,
	// with ErrImage and the compiler's log where it is wrong.
	Load(ptx []byte) (Module, error)
	// MemInfo is the memory that is free, and all of it, in bytes; other
	// processes share it.
	MemInfo() (free, total int64, err error)
	// Alloc returns n > 0 bytes, aligned to at least 256, with any content, or
	// fails with ErrOutOfMemory.
	Alloc(n int64) (Ptr, error)
	// Free waits for whatever uses the memory.
	Free(p Ptr) error
	// AllocHost returns n > 0 bytes of this process's memory that the GPU copies
	// from and to by itself. It is not Go's: FreeHost ends it.
	AllocHost(n int) ([]byte, error)
	FreeHost(p []byte) error
	// NewStream makes a queue of its own order: nothing else, the default
	// stream neither, waits for it.
	NewStream() (Stream, error)
	// NewEvent makes an event; one without timing costs less.
	NewEvent(timing bool) (Event, error)
	// Close gives the context back. What was made of it must be closed before.
	Close() error
}

// Module is compiled code.
type Module interface {
	// Function finds a kernel by its name, ErrNotFound if there is none.
	Function(name string) (Function, error)
	Unload() error
}

// Function is a kernel.
type Function interface {
	Info() (FunctionInfo, error)
	// AllowShared lets launches ask for up to this many bytes of dynamic shared
	// memory, which beyond 48 KiB they may not by themselves.
	AllowShared(bytes int) error
}

// FunctionInfo is what the compiler made of a kernel.
type FunctionInfo struct {
	MaxThreads int // in a block
	Shared     int // static shared memory, bytes
	Local      int // spilled registers and arrays of a thread, bytes
	Registers  int
}

// Launch is one run of a kernel. Args are the bytes of its parameters as the
// kernel declares them: one struct by value. They are read before Stream.Launch
// returns.
type Launch struct {
	Function    Function
	Grid, Block [3]uint32
	Shared      uint32 // dynamic shared memory, bytes
	Args        []byte
}

// Stream runs what it is given in order. Only Sync waits; an error may belong
// to something queued long before. Safe for concurrent use.
type Stream interface {
	// Launch queues kernels, in order. It does not allocate.
	Launch(batch []Launch) error
	// CopyIn copies src, memory of AllocHost, which must stay as it is until
	// the copy is done.
	CopyIn(dst Ptr, src []byte) error
	// CopyOut copies into dst, memory of AllocHost.
	CopyOut(dst []byte, src Ptr) error
	Copy(dst, src Ptr, n int64) error
	Fill(dst Ptr, value byte, n int64) error
	// Record makes ev happen when what is queued now is done.
	Record(ev Event) error
	// Wait holds back what is queued from now on until ev, as it was last
	// recorded, has happened. ev may belong to another stream.
	Wait(ev Event) error
	// Done says whether everything queued is done.
	Done() (bool, error)
	Sync() error
	// Close releases the stream, at once; what is queued still runs.
	Close() error
}

// Event is a point in a stream.
type Event interface {
	// Done says whether it has happened; one that was never recorded has.
	Done() (bool, error)
	Sync() error
	// Since is the time between two events with timing that have happened.
	Since(start Event) (time.Duration, error)
	Close() error
}

// VersionString writes a version as "12.4".
func VersionString(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }
