package sandbox

import (
	"errors"
	"fmt"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
)

// Errors of the host, wrapped in a *HostError unless said otherwise.
var (
	// ErrClosed: the runtime, module or instance was closed.
	ErrClosed = errors.New("sandbox: closed")
	// ErrStopped: the instance trapped in an earlier call and cannot go on.
	ErrStopped = errors.New("sandbox: instance stopped by an earlier trap")
	// ErrMemory: no room for another instance within Config.MemoryBudget, or
	// the operating system refused the reservation.
	ErrMemory = errors.New("sandbox: no memory for another instance")
	// ErrEngineStack: the engine's own stack ended before the logical one.
	// Engines differ in this limit, so it is never a verdict about a guest.
	ErrEngineStack = errors.New("sandbox: engine stack exhausted below the logical limit")
	// ErrABI: the module was built for another version of the host calls.
	// It comes inside a *meter.InvalidModuleError.
	ErrABI = errors.New("sandbox: wrong ABI version")
	// ErrNoDevice: the guest asked for a tensor and the job has no device.
	ErrNoDevice = errors.New("sandbox: the job has no device")
	// ErrNoExport: the module does not export the function of this call.
	ErrNoExport = errors.New("sandbox: module lacks the export")
)

// HostError is a failure of the host itself: memory, device, disk, a
// cancelled context or a bug. It says nothing about the guest, so it must
// never become a verdict or a penalty. Whoever sees one repeats the work
// elsewhere or stops.
type HostError struct {
	Op  string // what the host was doing: "admit", "start", "call", "kernel"
	Err error
}

func (e *HostError) Error() string { return fmt.Sprintf("sandbox %s: %v", e.Op, e.Err) }
func (e *HostError) Unwrap() error { return e.Err }

func hostErr(op string, err error) error {
	if err == nil {
		return nil
	}
	var h *HostError
	if errors.As(err, &h) {
		return err
	}
	return &HostError{Op: op, Err: err}
}

// ErrOutOfGas is what a *TrapError of that trap is, for errors.Is.
var ErrOutOfGas = errors.New("sandbox: out of gas")

// Fault says who is to blame for an error of this package, and for what.
type Fault uint8

// The zero value is the host's fault: what nobody recognizes must never
// become a verdict.
const (
	FaultHost     Fault = iota // *HostError, and every unknown error
	FaultInvalid               // *meter.InvalidModuleError: no valid module of the profile
	FaultLimit                 // *meter.LimitError: above a bound
	FaultTrap                  // *TrapError: the module stopped
	FaultOutOfGas              // *TrapError of abi.TrapOutOfGas
	FaultNone                  // no error
)

// FaultOf classifies an error of this package, wrapped or not. An error that
// wraps several is the host's if any of them is.
func FaultOf(err error) Fault {
	var host *HostError
	var invalid *meter.InvalidModuleError
	var limit *meter.LimitError
	var trap *TrapError
	switch {
	case err == nil:
		return FaultNone
	case errors.As(err, &host):
		return FaultHost
	case errors.As(err, &invalid):
		return FaultInvalid
	case errors.As(err, &limit):
		return FaultLimit
	case errors.As(err, &trap):
		return trap.fault()
	}
	return FaultHost
}

// fault of a trap; one that says nothing is the host's.
func (e *TrapError) fault() Fault {
	switch e.Outcome.Trap {
	case abi.TrapInvalid, abi.TrapNone:
		return FaultHost
	case abi.TrapOutOfGas:
		return FaultOutOfGas
	}
	return FaultTrap
}
