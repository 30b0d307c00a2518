package enginetest

import (
	"fmt"

	"github.com/assaynet/assay/runtime/abi"
)

// V8Name begins the names of engines that run V8. It has one text for two
// traps in two places, so there the two count as equal.
const V8Name = "V8"

// same reports whether an engine's trap is the wanted one.
func same(want, got int, v8 bool) bool {
	if want == got || !v8 {
		return want == got
	}
	switch abi.Trap(want) {
	case abi.TrapIntegerOverflow: // of a float: "float unrepresentable in integer range"
		return abi.Trap(got) == abi.TrapInvalidConversion
	case abi.TrapTableOutOfBounds: // a null entry: "null function or function signature mismatch"
		return abi.Trap(got) == abi.TrapIndirectCall
	}
	return false
}

// Differ says where two replies to a case differ; nil if they do not.
func Differ(c *Case, wantName string, want Reply, gotName string, got Reply) error {
	if want.Err != "" || got.Err != "" {
		return fmt.Errorf("case %s: %s: %q; %s: %q", c.ID, wantName, want.Err, gotName, got.Err)
	}
	if len(want.Outcomes) != len(got.Outcomes) {
		return fmt.Errorf("case %s: %s: %d outcomes; %s: %d", c.ID, wantName, len(want.Outcomes), gotName, len(got.Outcomes))
	}
	v8 := len(gotName) >= 2 && gotName[:2] == V8Name
	for i, w := range want.Outcomes {
		g := got.Outcomes[i]
		if same(w.Trap, g.Trap, v8) {
			g.Trap = w.Trap
		}
		if w != g {
			call := ""
			if i < len(c.Calls) {
				call = fmt.Sprintf(" of %q, gas %d", c.Exports[c.Calls[i].Export].Name, c.Calls[i].Gas)
			}
			return fmt.Errorf("case %s, call %d%s:\n%s: %v\n%s: %v", c.ID, i, call, wantName, w, gotName, got.Outcomes[i])
		}
	}
	return nil
}

// Set is the engines that a test compares. The first one's reply is what the
// others are held to.
type Set struct {
	Engines []Engine
	Count   []int // cases that each ran
	// Every makes engine k run only one case of Every[k]; 0 counts as 1.
	Every []int
	seen  int
}

// Run runs a case on all engines and returns the first one's reply.
func (s *Set) Run(c *Case) (Reply, error) {
	replies := make([]*Reply, len(s.Engines))
	runs := func(k int) bool { return k >= len(s.Every) || s.Every[k] < 2 || s.seen%s.Every[k] == 0 }
	if len(s.Count) < len(s.Engines) {
		s.Count = make([]int, len(s.Engines))
	}
	for k, e := range s.Engines {
		if p, ok := e.(*Process); ok && runs(k) {
			if err := p.Send(c); err != nil {
				return Reply{}, fmt.Errorf("%s: %w", e.Name(), err)
			}
		}
	}
	for k, e := range s.Engines {
		if _, ok := e.(*Process); !ok && runs(k) {
			r := e.Run(c)
			replies[k] = &r
		}
	}
	for k, e := range s.Engines {
		if p, ok := e.(*Process); ok && runs(k) {
			r := p.Receive(c)
			replies[k] = &r
		}
	}
	s.seen++
	for k, r := range replies {
		if r == nil {
			continue
		}
		s.Count[k]++
		if err := Differ(c, s.Engines[0].Name(), *replies[0], s.Engines[k].Name(), *r); err != nil {
			return *replies[0], err
		}
	}
	return *replies[0], nil
}

// Close closes all engines.
func (s *Set) Close() {
	for _, e := range s.Engines {
		e.Close()
	}
}
