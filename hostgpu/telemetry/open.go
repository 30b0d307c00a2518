package telemetry

import "errors"

// Reader reads reports. It is safe for concurrent use.
type Reader interface {
	// Read reads the state of every GPU, a few milliseconds each. A closed
	// Reader reports nothing.
	Read() Report
	// Close is idempotent.
	Close() error
}

// Open reads NVML itself where that is built in, else through the program
// HelperName. ErrNoDriver if the machine has no driver, ErrNotBuilt if there is
// neither way.
func Open() (Reader, error) {
	r, err := OpenNVML()
	if err == nil {
		return r, nil
	}
	if !errors.Is(err, ErrNotBuilt) {
		return nil, err
	}
	path, err := findHelper()
	if err != nil {
		return nil, err
	}
	h, err := OpenHelper(path)
	if err != nil {
		return nil, err
	}
	return h, nil
}
