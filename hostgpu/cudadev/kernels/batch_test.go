package kernels_test

import (
	"bytes"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/devicetest"
)

// session runs the same calls on an emulated GPU and on the reference.
type session struct {
	t   *testing.T
	sps [2]device.Space
}

func newSession(t *testing.T, e *emulated) *session {
	s := &session{t: t}
	for i, d := range []device.Device{device.New(e), devicetest.Reference()} {
		sp, err := d.NewSpace(1 << 30)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sp.Close() })
		s.sps[i] = sp
	}
	return s
}

func (s *session) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// put allocates a tensor in both spaces: handles are the same in both.
func (s *session) put(d devicetest.Data) device.Handle {
	s.t.Helper()
	var h device.Handle
	for _, sp := range s.sps {
		var err error
		h, err = sp.Alloc(d.Type, d.Shape)
		s.must(err)
		if d.Bytes != nil {
			s.must(sp.Write(h, 0, d.Bytes))
		}
	}
	return h
}

func (s *session) view(h device.Handle, row0, rows, cols int) device.Handle {
	s.t.Helper()
	var v device.Handle
	for _, sp := range s.sps {
		var err error
		v, err = sp.View(h, row0, device.Shape{Rows: rows, Cols: cols})
		s.must(err)
	}
	return v
}

func (s *session) run(op device.Op, tensors []device.Handle, imms ...int64) {
	s.t.Helper()
	for _, sp := range s.sps {
		s.must(sp.Run(device.Call{Op: op, Tensors: tensors, Imms: imms}))
	}
}

func (s *session) same(h device.Handle) {
	s.t.Helper()
	var got [2][]byte
	for i, sp := range s.sps {
		dt, shape, err := sp.Stat(h)
		s.must(err)
		got[i] = make([]byte, shape.Elems()*int64(dt.Size()))
		s.must(sp.Read(h, 0, got[i]))
	}
	if !bytes.Equal(got[0], got[1]) {
		s.t.Errorf("tensor %d differs from the reference's", h)
	}
}

// TestBatch: what a unit's transcript does, digests with and without a key of
// equal pieces of a tensor, and expanding a batch's inputs.
func TestBatch(t *testing.T) {
	for _, rows := range []int{1, 5, 270} { // one chunk, several, several blocks of them
		e := newEmulated(t, a100)
		s := newSession(t, e)
		g := newSource(t.Name())
		const n = 6
		x := s.put(g.tensor(device.S32, n*rows, 129, false))
		key, out := s.put(g.tensor(device.U8, 1, 32, false)), s.put(result(device.U8, 2*n, 32))
		seed, dst := s.put(g.tensor(device.U8, 1, 32, false)), s.put(result(device.S8, n*rows, 300))
		for i := range n {
			src := s.view(x, i*rows, rows, 129)
			s.run(device.OpDigest, []device.Handle{s.view(out, 2*i, 1, 32), src, 0})
			s.run(device.OpDigest, []device.Handle{s.view(out, 2*i+1, 1, 32), src, key})
		}
		for i := range n {
			s.run(device.OpExpand, []device.Handle{s.view(dst, i*rows, rows, 300), seed}, int64(i)*1e15-7)
		}
		s.same(out)
		s.same(dst)
		if e.seen["assay_digest_leaves"] != 1 || e.seen["assay_expands"] != 1 || e.seen["assay_digest_leaf"] != 0 {
			t.Errorf("launches: %v", e.seen)
		}
	}
}

// TestBatchOrder: a task that reads or overwrites another's result is not in
// its batch.
func TestBatchOrder(t *testing.T) {
	e := newEmulated(t, a100)
	s := newSession(t, e)
	g := newSource(t.Name())
	a, b := s.put(g.tensor(device.U8, 3, 32, false)), s.put(g.tensor(device.U8, 2, 32, false))
	row := func(h device.Handle, i int) device.Handle { return s.view(h, i, 1, 32) }
	s.run(device.OpDigest, []device.Handle{row(a, 1), row(a, 0), 0})
	s.run(device.OpDigest, []device.Handle{row(a, 2), row(a, 1), 0}) // reads the first's result
	s.run(device.OpDigest, []device.Handle{row(b, 0), row(a, 2), row(a, 1)})
	s.run(device.OpDigest, []device.Handle{row(b, 0), row(a, 0), 0})         // overwrites
	s.run(device.OpDigest, []device.Handle{row(b, 1), row(a, 0), row(b, 0)}) // key is a result
	s.same(a)
	s.same(b)
	if e.seen["assay_digest_leaf"] != 5 {
		t.Errorf("launches: %v", e.seen)
	}
}
