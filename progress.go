package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"cosmossdk.io/math"

	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/runtime/miner"
	"github.com/assaynet/assay/verifier/auditor"
)

// event is one thing that a running miner or network tells: a JSON object, or
// a line. Fields that say nothing about the event are empty.
type event struct {
	Time   time.Time `json:"time"`
	Event  string    `json:"event"`
	Node   string    `json:"node,omitempty"`
	Epoch  uint64    `json:"epoch,omitempty"`
	Height int64     `json:"height,omitempty"`
	Phase  string    `json:"phase,omitempty"`
	Module string    `json:"module,omitempty"`
	Claims int       `json:"claims,omitempty"`
	Units  uint64    `json:"units,omitempty"`
	Root   string    `json:"root,omitempty"`
	Peer   string    `json:"peer,omitempty"`
	Amount string    `json:"amount,omitempty"` // GNK
	Detail string    `json:"detail,omitempty"`
	Error  string    `json:"error,omitempty"`

	reward float64 // GNK, for metrics only
}

// Names of events.
const (
	evReady      = "ready"      // everything listens
	evRegistered = "registered" // the chain knows the miner's keys and endpoint
	evBlock      = "block"      // a block; only as JSON, on a terminal it moves the live line
	evPhase      = "phase"      // a phase of an epoch begins
	evCommitted  = "committed"  // the chain holds a claim
	evServed     = "served"     // units were opened to a validator
	evAnswered   = "answered"   // a demand on chain was answered
	evChecked    = "checked"    // the units drawn of a claim were re-executed
	evFalse      = "false"      // a unit of somebody's claim is false
	evReported   = "reported"   // and that is reported on chain
	evDemanded   = "demanded"   // units that were not served are demanded on chain
	evVerdict    = "verdict"    // the verdict of a round is on chain
	evSettled    = "settled"    // an epoch was paid
	evStopped    = "stopped"    // the end
	evWaiting    = "waiting"    // the node cannot be used; the run goes on when it can
	evBack       = "back"       // it can be used again
	evError      = "error"      // something failed; the run goes on
)

// quietError is how long the same error of the same node is not repeated.
const quietError = 10 * time.Second

// progress tells a person or a program how things go. It is safe for
// concurrent use.
type progress struct {
	con  *console
	enc  *json.Encoder   // nil: lines for a person
	hide map[string]bool // events that are not told
	own  string          // address of the own miner; empty for a whole network
	also func(event)     // is told too, of what is hidden as well; nil: nobody

	mu     sync.Mutex
	units  map[string]uint64 // of the running epoch, by node
	errors map[string]event  // the last error by node
	now    sprinttypes.QueryEpochResponse
}

func newProgress(con *console, output string, w io.Writer) (*progress, error) {
	p := &progress{con: con, units: map[string]uint64{}, errors: map[string]event{}}
	switch output {
	case "text":
	case "json":
		p.enc = json.NewEncoder(w)
	default:
		return nil, fmt.Errorf("--output is text or json, not %q", output)
	}
	return p, nil
}

// tell reports an event.
func (p *progress) tell(e event) {
	e.Time = time.Now().UTC().Truncate(time.Millisecond)
	if p.also != nil {
		p.also(e)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Event == evError {
		last := p.errors[e.Node]
		if last.Error == e.Error && e.Time.Sub(last.Time) < quietError {
			return
		}
		p.errors[e.Node] = e
	}
	switch {
	case p.enc != nil:
		_ = p.enc.Encode(e) // nobody reads any more: the run goes on
	case e.Event == evBlock, p.hide[e.Event]:
	case e.Event == evPhase && p.con.tty && e.Phase != phaseName(sprinttypes.PHASE_COMPUTE):
		// The live line shows it.
	default:
		p.con.Printf("%s", p.line(e))
	}
}

// line is an event for a person.
func (p *progress) line(e event) string {
	who := ""
	if e.Node != "" {
		who = e.Node + " "
	}
	switch e.Event {
	case evReady:
		return p.con.green("✓ ") + e.Detail
	case evRegistered:
		return p.con.green("✓ ") + who + "registered " + e.Peer + " at " + e.Detail
	case evPhase:
		return fmt.Sprintf("%s height %d: %s (%s)", p.con.bold(fmt.Sprintf("epoch %d", e.Epoch)), e.Height, e.Phase, e.Module)
	case evCommitted:
		return fmt.Sprintf("  %scommitted %d units under root %.12s… at height %d", who, e.Units, e.Root, e.Height)
	case evServed:
		return fmt.Sprintf("  %sopened %d units to %s", who, e.Units, e.Peer)
	case evAnswered:
		return fmt.Sprintf("  %sanswered a demand with %d openings", who, e.Units)
	case evChecked:
		return fmt.Sprintf("  %sre-executed %d units of %s: %s", who, e.Units, e.Peer, e.Detail)
	case evFalse:
		return p.con.red("  ✗ ") + fmt.Sprintf("%sfound a false unit of %s: %s", who, e.Peer, e.Detail)
	case evReported:
		return fmt.Sprintf("  %sreported %s of %s", who, e.Detail, e.Peer)
	case evDemanded:
		return fmt.Sprintf("  %sdemanded %d units of %s on chain", who, e.Units, e.Peer)
	case evVerdict:
		return fmt.Sprintf("  %ssent its verdict: %d claims are good", who, e.Claims)
	case evSettled:
		return p.con.green("  ✓ ") + fmt.Sprintf("epoch %d settled: %s", e.Epoch, e.Detail)
	case evStopped:
		return "stopped"
	case evError:
		return p.con.dim("  ! " + who + e.Error)
	}
	return e.Event
}

// mining returns the observer of a node's miner.
func (p *progress) mining(node string) func(miner.Event) {
	return func(m miner.Event) {
		e := event{Node: node, Epoch: m.Epoch, Height: m.Height, Units: m.Units}
		switch m.Kind {
		case miner.EventEpoch, miner.EventUnits:
			p.mu.Lock()
			p.units[node] = m.Units
			p.mu.Unlock()
			p.redraw()
			return
		case miner.EventCommitted:
			e.Event, e.Root = evCommitted, hex.EncodeToString(m.Root[:])
		case miner.EventServed:
			e.Event, e.Peer = evServed, bech32Text(m.Peer)
		case miner.EventAnswered:
			e.Event = evAnswered
		case miner.EventError:
			e.Event, e.Error = evError, fmt.Sprint(m.Err)
		default:
			return
		}
		p.tell(e)
	}
}

// auditing returns the observer of a node's auditor.
func (p *progress) auditing(node string) func(auditor.Event) {
	return func(a auditor.Event) {
		e := event{Node: node, Epoch: a.Epoch, Height: a.Height, Units: uint64(a.Units), Claims: a.Claims}
		if len(a.Claimant) > 0 {
			e.Peer = bech32Text(a.Claimant)
		}
		switch a.Kind {
		case auditor.EventClaim:
			e.Event, e.Detail = evChecked, "all true"
			if !a.OK {
				e.Detail = "not all true"
			}
		case auditor.EventFalse:
			e.Event, e.Detail = evFalse, fmt.Sprintf("unit %d", a.Index)
		case auditor.EventReported:
			e.Event, e.Detail = evReported, fmt.Sprintf("unit %d", a.Index)
		case auditor.EventDemanded:
			e.Event = evDemanded
		case auditor.EventVerdict:
			e.Event = evVerdict
		case auditor.EventError:
			e.Event, e.Error = evError, fmt.Sprint(a.Err)
		default:
			return
		}
		p.tell(e)
	}
}

// waiting tells on standard error what the run waits for, and programs as an event.
func (p *progress) waiting(why string) {
	p.con.Aside("assay: " + why)
	p.forPrograms(event{Event: evWaiting, Error: why})
}

// nodeBack tells that the node can be used again.
func (p *progress) nodeBack(chainID string, height int64) {
	why := fmt.Sprintf("the node answers: %s, height %d", chainID, height)
	p.con.Aside("assay: " + why)
	p.forPrograms(event{Event: evBack, Height: height, Detail: why})
}

// forPrograms tells an event that people are told in another way.
func (p *progress) forPrograms(e event) {
	if p.enc != nil {
		p.tell(e)
	}
}

// answered tells of requests that this host could not carry out.
func (p *progress) answered(a gateway.Answer) {
	if a.Err != nil {
		p.tell(event{Event: evError, Error: "answer a client: " + a.Err.Error()})
	}
}

// bech32Text is an address for people.
func bech32Text(addr []byte) string {
	s, err := bech32Of(addr)
	if err != nil {
		return hex.EncodeToString(addr)
	}
	return s
}

// follow tells each block, phase and settlement until ctx ends.
func (p *progress) follow(ctx context.Context, l *link) {
	var epoch, settled uint64
	var phase string
	for h := int64(1); ; {
		now, err := waitBlock(ctx, l, h)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			p.tell(event{Event: evError, Error: fmt.Sprintf("no block %d for %s: %v", h, quietChain, err)})
			continue
		}
		h = now + 1
		r, err := l.epoch(ctx)
		if err != nil {
			if ctx.Err() == nil {
				p.tell(event{Event: evError, Error: err.Error()})
			}
			continue
		}
		p.mu.Lock()
		p.now = *r
		var units uint64
		for _, n := range p.units {
			units += n
		}
		p.mu.Unlock()
		e := event{Event: evBlock, Epoch: r.Epoch.Number, Height: r.Height, Phase: phaseName(r.Epoch.Phase),
			Module: moduleName(r.Epoch.Work.ModuleHash), Units: units}
		p.tell(e)
		if r.Epoch.Number != epoch || e.Phase != phase {
			e.Event = evPhase
			p.tell(e)
			if epoch == 0 { // what was settled before this run is no news
				settled = r.Epoch.Number - 1
			}
			epoch, phase = r.Epoch.Number, e.Phase
		}
		settled = p.settlement(ctx, l, settled)
		p.redraw()
	}
}

// quietChain is how long the chain may stand still before that is told.
const quietChain = time.Minute

func waitBlock(ctx context.Context, l *link, h int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, quietChain)
	defer cancel()
	return l.WaitHeight(ctx, h)
}

// settlement tells an epoch's payment once, and returns the last one told.
func (p *progress) settlement(ctx context.Context, l *link, told uint64) uint64 {
	r, err := sprinttypes.NewQueryClient(l.c.Conn()).Settlement(ctx, &sprinttypes.QuerySettlementRequest{})
	if err != nil || r.Settlement.Height == 0 || r.Settlement.Epoch <= told {
		return told
	}
	s := r.Settlement
	e := event{Event: evSettled, Epoch: s.Epoch, Height: s.Height, Claims: len(r.Lines), Units: s.ValidUnits, Amount: gnk(s.Paid)}
	e.Detail = fmt.Sprintf("%s GNK to miners for %d units of %d claims, %s to auditors, %s to proposers, %s to the reserve",
		gnk(s.Paid), s.ValidUnits, s.ValidClaims, gnk(s.AuditPaid), gnk(s.InclusionPaid), gnk(s.Reserved))
	if p.own != "" {
		e.Units, e.Amount, e.Detail = 0, gnk(math.ZeroInt()), "no claim of this miner"
		for _, line := range r.Lines {
			if line.Miner == p.own {
				e.Units, e.Amount = line.Units, gnk(line.Amount)
				e.reward, _ = strconv.ParseFloat(e.Amount, 64)
				e.Detail = fmt.Sprintf("%s GNK for %d units (%s), %s", e.Amount, line.Units, percent(line.Share), outcomeName(line.Status))
			}
		}
	}
	p.tell(e)
	return s.Epoch
}

// redraw moves the live line.
func (p *progress) redraw() {
	if p.enc != nil || !p.con.tty {
		return
	}
	p.mu.Lock()
	r := p.now
	var units uint64
	for _, n := range p.units {
		units += n
	}
	p.mu.Unlock()
	e := r.Epoch
	if r.Height == 0 {
		return
	}
	p.con.Live("  height %d  epoch %d %s %-10s  %s  %d units", r.Height, e.Number,
		bar(r.Height-e.StartHeight, max(1, e.NextStart-e.StartHeight), 24), phaseName(e.Phase), moduleName(e.Work.ModuleHash), units)
}
