package miner

import "github.com/assaynet/assay/verifier/commit"

// Kind of an Event.
type Kind uint8

const (
	// EventEpoch: an epoch was taken up; Units is what the store already held.
	EventEpoch Kind = iota + 1
	// EventReady: the module is set up and units are being computed.
	EventReady
	// EventUnits: Units are computed and stored in all.
	EventUnits
	// EventCommitted: the chain holds a claim of Units under Root.
	EventCommitted
	// EventServed: Units were opened to Peer.
	EventServed
	// EventAnswered: the demand of Number was answered with Units openings.
	EventAnswered
	// EventIdle: the miner has nothing more to do in the epoch's sprint.
	EventIdle
	// EventError: Err happened; the miner goes on.
	EventError
)

// Event is one step of progress.
type Event struct {
	Kind   Kind
	Epoch  uint64
	Height int64
	Units  uint64
	Number uint64
	Root   commit.Root
	Peer   []byte
	Err    error
}

// Observer is told of progress. It is called concurrently and must not block.
type Observer interface {
	Observe(Event)
}

// ObserverFunc is a function as an Observer.
type ObserverFunc func(Event)

// Observe calls the function.
func (f ObserverFunc) Observe(e Event) { f(e) }
