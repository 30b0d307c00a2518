package plugin

import "errors"

var (
	// ErrExited says that the device's process has ended. What its spaces held
	// is lost; NewSpace starts the process again.
	ErrExited = errors.New("plugin: the device process has exited")
	// ErrChecksum says that the executable is not the one expected.
	ErrChecksum = errors.New("plugin: the executable does not have the expected SHA-256")
	// ErrVersion says that the process speaks another version of the protocol
	// or of the op table.
	ErrVersion = errors.New("plugin: the device process has another version")
	// ErrCrashLoop says that the process crashed too often to be started again.
	ErrCrashLoop = errors.New("plugin: the device process keeps crashing")
	// ErrHung says that the process made no progress for Config.HangTimeout and
	// was killed. It comes with ErrExited.
	ErrHung = errors.New("plugin: the device process makes no progress")
	// ErrProtocol says that host and device disagree about what is in a record,
	// in shared memory or in an answer: a bug in one of them, or a process that
	// is not what it should be.
	ErrProtocol = errors.New("plugin: malformed record")
)

// LaunchError is a process that could not be started; nothing of it remains.
type LaunchError struct {
	Path string
	Err  error // wraps ErrChecksum, ErrVersion or ErrCrashLoop where it is one of these
}

func (e *LaunchError) Error() string { return "plugin: start " + e.Path + ": " + e.Err.Error() }
func (e *LaunchError) Unwrap() error { return e.Err }
