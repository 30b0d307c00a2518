package failover

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrExhausted says that no device of the list is left.
	ErrExhausted = errors.New("failover: no device is left")
	// ErrLost says that a space held more than the journal keeps, so that it
	// went with its device.
	ErrLost = errors.New("failover: the journal does not hold this space")
)

// errHollow is why a space is lost that reads a tensor of a lost one.
var errHollow = errors.New("it uses a tensor of a space that was lost")

// EventKind is what happened to the device.
type EventKind uint8

const (
	// Restarted: the device failed and serves again, with all its tensors.
	Restarted EventKind = iota + 1
	// FellBack: the device will not do any more; the next one has taken over.
	FellBack
	// Skipped: a device of the list did not start.
	Skipped
	// Exhausted: no device is left; every space has failed.
	Exhausted
	// Overflowed: a space outgrew the journal. Nothing is wrong yet, but a
	// failure of the device will cost that space.
	Overflowed
	// Returned: a device that had been given up works again.
	Returned
)

// Event is something that a user wants to read in a log.
type Event struct {
	Kind     EventKind
	From, To string        // names of devices; To only if another one works now
	Took     time.Duration // from the failure to the restored state
	Replayed int           // operations repeated
	Err      error         // the cause
}

// String is one line.
func (e Event) String() string {
	cause := ""
	if e.Err != nil {
		cause = ": " + strings.Join(strings.Fields(e.Err.Error()), " ")
	}
	switch e.Kind {
	case Restarted:
		return fmt.Sprintf("device %s failed and was restored in %v (%d operations repeated)%s", e.From, e.Took.Round(time.Millisecond), e.Replayed, cause)
	case FellBack:
		return fmt.Sprintf("device %s is given up, work goes on with %s after %v (%d operations repeated)%s", e.From, e.To, e.Took.Round(time.Millisecond), e.Replayed, cause)
	case Skipped:
		return fmt.Sprintf("device %s is not available%s", e.From, cause)
	case Exhausted:
		return fmt.Sprintf("device %s is given up and no other is left%s", e.From, cause)
	case Returned:
		return fmt.Sprintf("device %s works again, work goes back to it from %s after %v (%d operations repeated)", e.To, e.From, e.Took.Round(time.Millisecond), e.Replayed)
	case Overflowed:
		return fmt.Sprintf("device %s: a space is larger than the journal and would be lost if the device failed", e.From)
	}
	return fmt.Sprintf("device %s: event %d%s", e.From, e.Kind, cause)
}
