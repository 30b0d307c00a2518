package auditor

import "sync/atomic"

// Kind of an Event.
type Kind uint8

const (
	// EventRound: a round was taken up; Claims are drawn from, Units in all.
	EventRound Kind = iota + 1
	// EventClaim: Units of the claim of Claimant were re-executed and OK says
	// whether all that was drawn is true.
	EventClaim
	// EventFalse: unit Index of Claimant's claim is false, and confirmed so.
	EventFalse
	// EventReported: the report of that unit was accepted by the network.
	EventReported
	// EventDemanded: Units of Claimant's claim were demanded on chain.
	EventDemanded
	// EventVerdict: the verdict is on chain; Claims of it are ok.
	EventVerdict
	// EventChallenge: the draw of what is cross-checked was sent.
	EventChallenge
	// EventOpened: Units keyed digests that others drew were opened.
	EventOpened
	// EventExposed: the keyed digest of unit Index in the verdict of the
	// validator Claimant is wrong, and was reported.
	EventExposed
	// EventError: Err happened; the auditor goes on.
	EventError
)

// Event is one step of progress.
type Event struct {
	Kind     Kind
	Epoch    uint64
	Round    uint64
	Height   int64
	Claimant []byte
	Claims   int
	Units    int
	Index    uint64
	OK       bool
	Err      error
}

// Observer is told of progress. It is called concurrently and must not block.
type Observer interface {
	Observe(Event)
}

// ObserverFunc is a function as an Observer.
type ObserverFunc func(Event)

// Observe calls the function.
func (f ObserverFunc) Observe(e Event) { f(e) }

// Stats counts since the auditor was made.
type Stats struct {
	Rounds    uint64 // taken up
	Claims    uint64 // fully checked
	Units     uint64 // re-executed
	False     uint64 // confirmed false
	Unserved  uint64 // claims that were not served in full when the verdict was due
	Reports   uint64 // accepted
	Demands   uint64 // accepted
	Verdicts  uint64 // seen on chain
	Fetches   uint64
	FetchErrs uint64

	Challenges uint64 // draws of the cross-check that were sent
	Opened     uint64 // own keyed digests that were opened
	Crossed    uint64 // others' units that were re-executed
	Exposed    uint64 // others' keyed digests that were reported
}

type counters struct {
	rounds, claims, units, falses, unserved, reports, demands, verdicts, fetches, fetchErrs,
	challenges, opened, crossed, exposed atomic.Uint64
}

// Stats returns the counters now.
func (a *Auditor) Stats() Stats {
	c := &a.count
	return Stats{c.rounds.Load(), c.claims.Load(), c.units.Load(), c.falses.Load(), c.unserved.Load(),
		c.reports.Load(), c.demands.Load(), c.verdicts.Load(), c.fetches.Load(), c.fetchErrs.Load(),
		c.challenges.Load(), c.opened.Load(), c.crossed.Load(), c.exposed.Load()}
}
