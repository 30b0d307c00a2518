package failover

import (
	"bytes"
	"errors"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
)

// TestOverflow: a space that outgrows the journal works until its device ends,
// and then fails alone.
func TestOverflow(t *testing.T) {
	m, err := newMortal(1, 0, 1<<30)
	d, ev := open(t, Config{Candidates: []Candidate{candidate("mortal", m, err)}, JournalBytes: 1 << 20})
	small, err := d.NewSpace(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer small.Close()
	w, err := model(small, 48)
	if err != nil {
		t.Fatal(err)
	}
	big, err := d.NewSpace(8 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer big.Close()
	h, err := big.Alloc(device.U8, device.Shape{Rows: 1, Cols: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	in := bytes.Repeat([]byte("assay!"), 4<<20/6)
	if err := big.Write(h, 0, in); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(in))
	if err := big.Read(h, 0, got); err != nil || !bytes.Equal(got, in) {
		t.Fatalf("a space without a journal does not work: %v", err)
	}
	if ev.count(Overflowed) != 1 {
		t.Errorf("events %v", ev.all)
	}
	before := make([]byte, 48*48)
	if err := small.Read(w, 0, before); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	m.dead = true
	m.mu.Unlock()
	after := make([]byte, 48*48)
	if err := small.Read(w, 0, after); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the small space did not survive: %v", err)
	}
	if err := big.Read(h, 0, got); !errors.Is(err, ErrLost) {
		t.Errorf("the large space: %v", err)
	}
	if err := big.Sync(); !errors.Is(err, ErrLost) {
		t.Errorf("again: %v", err)
	}
}

// TestJournalBounded: what a long job leaves in the journal does not grow with
// its length, though each step depends on all before it.
func TestJournalBounded(t *testing.T) {
	m, err := newMortal(1, 0, 0)
	ev := &events{}
	const limit = 8 << 20
	b, err := New(Config{Candidates: []Candidate{candidate("mortal", m, err)}, JournalBytes: limit, Notify: ev.add})
	if err != nil {
		t.Fatal(err)
	}
	d := device.New(b)
	defer d.Close()
	if _, err := play(d, 1, 16, 5000); err != nil {
		t.Fatal(err)
	}
	b.j.mu.Lock()
	defer b.j.mu.Unlock()
	if n := b.j.size(); n > limit || ev.count(Overflowed) != 0 {
		t.Errorf("%d bytes, events %v", n, ev.all)
	}
	b.j.compact()
	if n := len(b.j.entries); n != 0 || b.j.bytes != 0 {
		t.Errorf("%d entries, %d bytes of closed spaces", n, b.j.bytes)
	}
}

// BenchmarkCompact is the cost of an entry of a journal of which all is needed.
func BenchmarkCompact(b *testing.B) {
	m, err := newMortal(1, 0, 0)
	f, err2 := New(Config{Candidates: []Candidate{candidate("mortal", m, err)}})
	if err2 != nil {
		b.Fatal(err2)
	}
	d := device.New(f)
	defer d.Close()
	sp, err := d.NewSpace(1 << 20)
	if err != nil {
		b.Fatal(err)
	}
	w, err := model(sp, 16)
	if err != nil {
		b.Fatal(err)
	}
	f.j.next = 1 << 30
	p := &program{sp: sp, w: w, width: 16}
	p.x, p.cache, p.log = p.alloc(device.S32, 1, 16), p.alloc(device.S32, programRows, 16), p.alloc(device.U8, programRows, 32)
	for s := range 2000 {
		p.step(s)
	}
	n := len(f.j.entries)
	for b.Loop() {
		f.j.compact()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/entry")
}
