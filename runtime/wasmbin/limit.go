package wasmbin

import "errors"

// ErrNoMemory says that a module has no memory of its own.
var ErrNoMemory = errors.New("wasmbin: the module has no memory")

// LimitMemory returns the module with its memory's maximum set to the given
// number of pages of 64 KiB, and all else as it was found. It fails with
// ErrNoMemory, or with a *LimitError if the memory begins with more pages or
// may not have so many as it is: a maximum can only be lowered.
func (m *Module) LimitMemory(pages uint32) ([]byte, error) {
	if len(m.Memories) != 1 {
		return nil, ErrNoMemory
	}
	mem, at := m.Memories[0], 0
	w := &Writer{}
	w.Header()
	for _, s := range m.Sections {
		if s.ID != SecMemory {
			w.padded(s)
			continue
		}
		at = len(w.out)
		w.Memories([]Range{{Min: mem.Min, Max: pages, HasMax: true}})
	}
	switch {
	case mem.Min > pages:
		return nil, &LimitError{Offset: at, Limit: "initial memory pages", Value: uint64(mem.Min), Max: uint64(pages)}
	case mem.HasMax && mem.Max < pages:
		return nil, &LimitError{Offset: at, Limit: "memory pages", Value: uint64(pages), Max: uint64(mem.Max)}
	}
	return w.Bytes(), nil
}
