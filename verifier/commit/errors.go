package commit

import (
	"errors"
	"fmt"
)

// Classes of refusal, for errors.Is. Every error of this package wraps one.
var (
	// ErrEncoding: bytes that are not the canonical encoding of a value.
	ErrEncoding = errors.New("commit: not a canonical encoding")
	// ErrBounds: a field outside its bounds.
	ErrBounds = errors.New("commit: outside bounds")
	// ErrShape: a tree, proof or opening of the wrong shape for its claim.
	ErrShape = errors.New("commit: wrong shape")
	// ErrProof: a proof of the right shape that does not lead to the root.
	ErrProof = errors.New("commit: proof does not match the root")
	// ErrStore: the leaf storage behind a Builder failed; a host failure,
	// never a statement about somebody's work.
	ErrStore = errors.New("commit: leaf storage failed")
)

func refuse(class error, format string, args ...any) error {
	return fmt.Errorf("%w: %s", class, fmt.Sprintf(format, args...))
}
