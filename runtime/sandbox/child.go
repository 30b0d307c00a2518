package sandbox

import (
	"errors"
	"fmt"
	"time"

	"github.com/assaynet/assay/runtime/meter"
)

// CompileLimits bound the process that compiles a module nobody vouches for.
// Processor time, not time on the clock: a busy machine refuses nothing.
type CompileLimits struct {
	CPU    time.Duration // of all its threads together, in whole seconds, rounded up
	Memory uint64        // bytes of address space beyond those of the bare process
}

// An upload is tried under bounds far below those under which an admitted
// module is compiled for execution, so that a slower machine, or a compiler
// that has become slower, still compiles what others admitted.
var (
	// UploadCompile is what the worst admissible module stays within
	// (docs/spec/sandbox.md, "Compilation").
	UploadCompile = CompileLimits{CPU: 20 * time.Second, Memory: 1 << 30}
	// ExecutionCompile is the default of Config.Compile.
	ExecutionCompile = CompileLimits{CPU: 240 * time.Second, Memory: 4 << 30}
)

// Compilation beyond its bounds, from Admit wrapped in a *HostError: another
// machine may manage, so it is never a verdict. CheckUpload turns it into a
// *meter.LimitError instead.
var (
	ErrCompileTime   = errors.New("sandbox: compilation takes too much processor time")
	ErrCompileMemory = errors.New("sandbox: compilation takes too much memory")
)

// CompileCost is what a compilation took.
type CompileCost struct {
	CPU    time.Duration // of all threads
	Memory uint64        // peak resident bytes of the process, the bare process included
}

// childName is the zeroth argument by which a process knows that it is the
// compiler of another. No user can give it to a command by accident.
const childName = "assay: compile a module"

// uploadRefusal turns a compilation beyond its bounds into the module's fault.
func uploadRefusal(err error, l CompileLimits) error {
	switch {
	case errors.Is(err, ErrCompileTime):
		ms := uint64(l.CPU.Milliseconds())
		return &meter.LimitError{Limit: "milliseconds to compile", Value: ms, Max: ms}
	case errors.Is(err, ErrCompileMemory):
		return &meter.LimitError{Limit: "bytes to compile", Value: l.Memory, Max: l.Memory}
	}
	return err
}

// seconds is the processor time in whole seconds, at least one.
func (l CompileLimits) seconds() uint64 {
	return max(1, uint64((l.CPU+time.Second-1)/time.Second))
}

func (l CompileLimits) String() string {
	return fmt.Sprintf("%d s of processor time, %d bytes", l.seconds(), l.Memory)
}
