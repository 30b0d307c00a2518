//go:build !unix

package sandbox

// region without mmap: plain memory, allocated in full.
type region struct{ addr []byte }

func reserve(n uint64) (region, error) { return region{make([]byte, n)}, nil }

func (r region) commit(from, to uint64) error { return nil }

func (r *region) release() { r.addr = nil }
