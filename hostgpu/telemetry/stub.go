//go:build !cgo || !linux

package telemetry

// Reader reads reports; this build has none.
type Reader struct{}

// Open fails with ErrNotBuilt.
func Open() (*Reader, error) { return nil, ErrNotBuilt }

// Read is never reached: there is no Reader.
func (r *Reader) Read() Report { return Report{} }

// Close is never reached either.
func (r *Reader) Close() error { return nil }
