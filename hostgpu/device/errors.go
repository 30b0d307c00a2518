package device

import "errors"

// Errors of a job: the same on every device, each maps to one trap code.
var (
	ErrShape  = errors.New("device: shape or immediate outside its bounds")  // abi.TrapTensorShape
	ErrType   = errors.New("device: wrong element type")                     // abi.TrapTensorShape
	ErrHandle = errors.New("device: unknown, freed or read-only handle")     // abi.TrapTensorHandle
	ErrAlias  = errors.New("device: output overlaps another operand")        // abi.TrapTensorHandle
	ErrMemory = errors.New("device: tensor memory above the job's limit")    // abi.TrapTensorMemory
	ErrOp     = errors.New("device: unknown op or wrong number of operands") // abi.TrapTensorShape
)

// Errors of the host: never a verdict about a job.
var (
	ErrDeviceMemory = errors.New("device: not enough memory on this device")
	ErrClosed       = errors.New("device: closed")
)

// InternalError is a failure of the device itself (crash, driver, memory).
type InternalError struct {
	Device string
	Err    error
}

func (e *InternalError) Error() string { return "device " + e.Device + ": " + e.Err.Error() }
func (e *InternalError) Unwrap() error { return e.Err }
