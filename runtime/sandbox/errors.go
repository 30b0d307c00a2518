package sandbox

import "errors"

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

func (e *HostError) Error() string { return "sandbox " + e.Op + ": " + e.Err.Error() }
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
