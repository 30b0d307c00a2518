package auditor_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/assaynet/assay/testdata/ledger"
	"github.com/assaynet/assay/verifier/auditor"
	"github.com/assaynet/assay/verifier/commit"
)

// lazy votes ok over every claim without computing anything: its keyed tree is
// invented.
type lazy struct {
	n    *network
	v    int
	tree *commit.KeyedTree
}

func (z *lazy) vote(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	view, addr := z.n.l.Validator(z.n.cfg.Seats[z.v].Validator), z.n.cfg.Seats[z.v].Validator
	info, err := view.Round(ctx, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := view.Claims(ctx, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	proof := z.n.keys[z.v].Prove(info.Input())
	bitmap := commit.NewBitmap(len(claims))
	var items []commit.Keyed
	for i, c := range claims {
		bitmap.Set(i)
		for _, x := range info.Draw(addr, c.Claimant, c.Count, c.Units).Indexes(proof.Output()) {
			items = append(items, commit.Keyed{Claimant: c.Claimant, Index: x, Digest: commit.Digest{byte(x), 1}})
		}
	}
	z.tree = commit.NewKeyedTree(items)
	if err := view.SendVerdict(ctx, auditor.Verdict{Epoch: 1, Proof: proof, Bitmap: bitmap, KeyedRoot: z.tree.Root()}); err != nil {
		t.Fatal(err)
	}
}

// open answers the challenges out of the invented tree.
func (z *lazy) open(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	view, addr := z.n.l.Validator(z.n.cfg.Seats[z.v].Validator), z.n.cfg.Seats[z.v].Validator
	s, err := view.Cross(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range s.Drawn {
		if !bytes.Equal(d.Validator, addr) {
			continue
		}
		m := auditor.KeyedOpenings{Epoch: 1}
		for _, u := range d.Units {
			k, path, err := z.tree.Prove(u.Position)
			if err != nil {
				t.Fatal(err)
			}
			m.Openings = append(m.Openings, auditor.KeyedOpening{Position: u.Position, Digest: k.Digest, Path: path})
		}
		if err := view.SendKeyed(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
}

// Honest validators open what is drawn of them, also after a restart with or
// without their journal, and expose one that voted without computing.
func TestCrossCheck(t *testing.T) {
	n := newNetwork(t, func(c *ledger.Config) { c.Challenges = 6; c.Answer = 30 })
	n.mine(t, "alice", honest(), nil)
	n.mine(t, "bob", honest(), nil)
	dir := t.TempDir()
	withDir := func(c *auditor.Config) { c.Dir = dir }
	w0, _, stop0 := n.audit(t, 0, withDir)
	w1, _, stop1 := n.audit(t, 1)
	n.l.Hold(n.auditEnd - 3)
	for _, w := range []*log{w0, w1} {
		w.until(t, "a verdict", func(e auditor.Event) bool { return e.Kind == auditor.EventVerdict })
	}
	z := &lazy{n: n, v: 2}
	z.vote(t)
	stop0()
	stop1()

	// Both begin anew, after their verdicts.
	w0, a0, _ := n.audit(t, 0, withDir)
	w1, a1, _ := n.audit(t, 1)
	n.l.Hold(n.auditEnd + 4)
	for _, w := range []*log{w0, w1} {
		w.until(t, "a challenge", func(e auditor.Event) bool { return e.Kind == auditor.EventChallenge })
	}
	n.l.Hold(n.auditEnd + 12)
	w0.until(t, "openings of the first", func(e auditor.Event) bool { return e.Kind == auditor.EventOpened })
	w1.until(t, "openings of the second", func(e auditor.Event) bool { return e.Kind == auditor.EventOpened })
	z.open(t)
	n.l.Hold(n.auditEnd + 24)
	var exposed auditor.Event
	for _, w := range []*log{w0, w1} {
		e := w.until(t, "the lazy one exposed, or reported before", func(e auditor.Event) bool {
			return e.Kind == auditor.EventExposed || e.Kind == auditor.EventError && bytes.Contains([]byte(e.Err.Error()), []byte("report of a keyed digest"))
		})
		if e.Kind == auditor.EventExposed {
			exposed = e
		}
	}
	if !bytes.Equal(exposed.Claimant, n.cfg.Seats[2].Validator) {
		t.Errorf("exposed is %q", exposed.Claimant)
	}
	for _, v := range n.l.Exposed(1) {
		if !bytes.Equal(v, n.cfg.Seats[2].Validator) {
			t.Errorf("the honest validator %q was reported", v)
		}
	}
	if left := n.l.Unopened(1); len(left) > 0 {
		t.Errorf("%q left something unopened", left)
	}
	for v, a := range []*auditor.Auditor{a0, a1} {
		s := a.Stats()
		if drawn := n.l.DrawnOf(1, n.cfg.Seats[v].Validator); s.Opened != uint64(drawn) || drawn == 0 || s.Challenges == 0 || s.Crossed == 0 {
			t.Errorf("validator %d: %d were drawn of it, %+v", v, drawn, s)
		}
		if v == 0 && s.Units != 0 {
			t.Errorf("%d units were audited again in spite of the journal", s.Units)
		}
	}
}
