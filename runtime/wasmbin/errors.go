package wasmbin

import "fmt"

// FormatError says that bytes are not a valid Core 2.0 module.
type FormatError struct {
	Offset int    // byte offset in the module
	Rule   string // the violated rule, a fixed phrase
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("wasm: offset %#x: %s", e.Offset, e.Rule)
}

// LimitError says that a module is above a bound of Limits; the module may be
// valid otherwise.
type LimitError struct {
	Offset int    // byte offset in the module
	Limit  string // name of the bound
	Value  uint64 // what the module has, at least
	Max    uint64 // what is allowed
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("wasm: offset %#x: %s: %d above the limit of %d", e.Offset, e.Limit, e.Value, e.Max)
}
