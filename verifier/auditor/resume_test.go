package auditor_test

import (
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/assaynet/assay/verifier/auditor"
)

// A restart in mid-audit takes up finished claims from the journal, and the
// verdict is the same as that of an auditor that never stopped; a verdict that
// the network loses is sent again.
func TestResume(t *testing.T) {
	n := newNetwork(t)
	n.mine(t, "alice", honest(), nil)
	n.mine(t, "mallory", liar{honest(), func(x uint64) bool { return x%10 == 3 }}, nil)
	gate := make(chan struct{})
	n.mine(t, "slow", honest(), func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-gate:
				h.ServeHTTP(w, r)
			case <-r.Context().Done():
			}
		})
	})
	dir := t.TempDir()
	w, a, stop := n.audit(t, 0, func(c *auditor.Config) { c.Dir = dir })
	held := n.auditEnd - 12
	n.l.Hold(held)
	drawn := w.until(t, "round", func(e auditor.Event) bool { return e.Kind == auditor.EventRound }).Units
	for _, name := range []string{"alice", "mallory"} {
		w.until(t, name, func(e auditor.Event) bool { return e.Kind == auditor.EventClaim && string(e.Claimant) == name })
	}
	w.until(t, "reports", func(e auditor.Event) bool { return e.Kind == auditor.EventReported })
	stop()
	before := a.Stats().Units
	if before < 40 {
		t.Fatalf("%d units before the stop", before)
	}
	// A torn last line, as a crash leaves it.
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 {
		t.Fatalf("%d journals: %v", len(names), err)
	}
	f, err := os.OpenFile(dir+"/"+names[0].Name(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"claimant":"616c`); err != nil {
		t.Fatal(err)
	}
	f.Close()

	close(gate)
	view := n.l.Validator(n.cfg.Seats[0].Validator)
	lost := make(chan struct{}, 2)
	view.LoseVerdicts, view.Lost = 2, func() { lost <- struct{}{} }
	w2, a2, _ := n.audit(t, 0, func(c *auditor.Config) { c.Dir, c.Chain = dir, view })
	w2.until(t, "slow", func(e auditor.Event) bool { return e.Kind == auditor.EventClaim && string(e.Claimant) == "slow" })
	// The chain goes on only as far as the next attempt needs, however slow this machine is.
	for range 2 {
		select {
		case <-lost:
		case <-time.After(60 * time.Second):
			t.Fatal("no verdict was sent")
		}
		held += 2
		n.l.Hold(held)
	}
	n.l.Hold(held + 2)
	w2.until(t, "verdict", func(e auditor.Event) bool { return e.Kind == auditor.EventVerdict })
	if after := a2.Stats().Units; before+after != uint64(drawn) {
		t.Errorf("%d units before the stop and %d after it, %d were drawn", before, after, drawn)
	}
	// The same validator without the journal sees its verdict and checks nothing again.
	w3, a3, _ := n.audit(t, 0)
	w3.until(t, "verdict seen", func(e auditor.Event) bool { return e.Kind == auditor.EventVerdict })
	if s := a3.Stats(); s.Units != 0 || s.Fetches != 0 {
		t.Errorf("%d units were checked again after %d fetches", s.Units, s.Fetches)
	}
	v := n.l.VerdictsOf(1)
	if len(v) != 1 {
		t.Fatalf("%d verdicts", len(v))
	}
	for name, ok := range map[string]bool{"alice": true, "mallory": false, "slow": true} {
		if v[0].Bitmap.Has(n.l.Position(1, []byte(name))) != ok {
			t.Errorf("%s: not %v", name, ok)
		}
	}
}
