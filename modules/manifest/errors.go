package manifest

import (
	"errors"
	"fmt"
)

// Classes of a FormatError; test with errors.Is.
var (
	ErrSyntax    = errors.New("malformed")          // not the format at all
	ErrBound     = errors.New("outside its bounds") // a value the format does not allow
	ErrCanonical = errors.New("not canonical")      // a second encoding of the same value
	ErrDigest    = errors.New("digest mismatch")    // content is not what its address says
)

// FormatError says what was wrong with a blob, and where.
type FormatError struct {
	What  string // "model", "module manifest", "chunk", "archive"
	Field string // the field or tensor, with its value where that helps
	Err   error  // one of the classes above, perhaps wrapped with the allowed range
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("manifest: %s: %s: %v", e.What, e.Field, e.Err)
}

func (e *FormatError) Unwrap() error { return e.Err }

func bad(what, field string, err error) error {
	return &FormatError{What: what, Field: field, Err: err}
}
