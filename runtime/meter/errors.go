package meter

import (
	"errors"
	"fmt"

	"github.com/assaynet/assay/runtime/wasmbin"
)

// InvalidModuleError says that a module is malformed, invalid or outside the
// profile. Every node refuses such a module alike.
type InvalidModuleError struct {
	Offset int    // byte offset in the module
	Rule   string // the violated rule, a fixed phrase
	Err    error  // cause, or nil
}

// Error names the rule, and the cause where it says more: which import, for instance.
func (e *InvalidModuleError) Error() string {
	s := fmt.Sprintf("invalid module: offset %#x: %s", e.Offset, e.Rule)
	var same *wasmbin.FormatError
	if e.Err == nil || errors.As(e.Err, &same) {
		return s
	}
	return s + ": " + e.Err.Error()
}

func (e *InvalidModuleError) Unwrap() error { return e.Err }

// LimitError says that a module is above a bound of Limits.
type LimitError struct {
	Offset int    // byte offset in the module
	Limit  string // name of the bound
	Value  uint64 // what the module has, at least
	Max    uint64 // what is allowed
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("module limit: offset %#x: %s: %d above %d", e.Offset, e.Limit, e.Value, e.Max)
}

// wrap turns the codec's errors into this package's.
func wrap(err error) error {
	switch e := err.(type) {
	case nil:
		return nil
	case *wasmbin.FormatError:
		return &InvalidModuleError{Offset: e.Offset, Rule: e.Rule, Err: err}
	case *wasmbin.LimitError:
		return &LimitError{Offset: e.Offset, Limit: e.Limit, Value: e.Value, Max: e.Max}
	}
	return err
}
