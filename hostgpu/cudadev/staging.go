package cudadev

import (
	"errors"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
)

// segments of a ring. While the GPU copies out of one, the others are filled.
const segments = 4

// ring is pinned memory through which bytes pass between host and GPU. It is
// one queue's at a time.
type ring struct {
	buf    []byte
	events [segments]driver.Event // after the last copy out of or into a segment
	busy   [segments]bool         // the event has been recorded and not waited for
	at     int                    // segment that is filled now
	used   int                    // bytes of it
}

func newRing(ctx driver.Context, n int) (*ring, error) {
	r := &ring{}
	var err error
	if r.buf, err = ctx.AllocHost(n / segments * segments); err != nil {
		return nil, err
	}
	for i := range r.events {
		if r.events[i], err = ctx.NewEvent(false); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *ring) free(ctx driver.Context) error {
	err := ctx.FreeHost(r.buf)
	for _, e := range r.events {
		err = errors.Join(err, e.Close())
	}
	return err
}

func (r *ring) segment(i int) []byte {
	n := len(r.buf) / segments
	return r.buf[i*n : (i+1)*n : (i+1)*n]
}

// settle waits until the GPU is done with a segment.
func (r *ring) settle(i int) error {
	if !r.busy[i] {
		return nil
	}
	r.busy[i] = false
	return r.events[i].Sync()
}

// align keeps copies from crossing more lines of memory than they must.
const stagingAlign = 64

// next leaves the segment that is filled and takes the next one, which is free
// when it returns.
func (r *ring) next(s driver.Stream) error {
	if r.used > 0 {
		if err := s.Record(r.events[r.at]); err != nil {
			return err
		}
		r.busy[r.at] = true
	}
	r.at, r.used = (r.at+1)%segments, 0
	return r.settle(r.at)
}

// write queues a copy of p, which is its caller's again at once.
func (r *ring) write(s driver.Stream, dst driver.Ptr, p []byte) error {
	for len(p) > 0 {
		seg := r.segment(r.at)
		if r.used == 0 {
			if err := r.settle(r.at); err != nil {
				return err
			}
		}
		if len(seg)-r.used < min(len(p), stagingAlign) {
			if err := r.next(s); err != nil {
				return err
			}
			continue
		}
		n := copy(seg[r.used:], p)
		if err := s.CopyIn(dst, seg[r.used:r.used+n]); err != nil {
			return err
		}
		r.used = min((r.used+n+stagingAlign-1)&^(stagingAlign-1), len(seg))
		dst, p = dst+driver.Ptr(n), p[n:]
	}
	return nil
}

// read waits for the stream and copies bytes out: while one segment is copied
// to p, the GPU fills the next.
func (r *ring) read(s driver.Stream, p []byte, src driver.Ptr) error {
	type part struct{ seg, n int }
	var pending []part
	take := func() error {
		x := pending[0]
		pending = pending[1:]
		if err := r.settle(x.seg); err != nil {
			return err
		}
		p = p[copy(p, r.segment(x.seg)[:x.n]):]
		return nil
	}
	for left := len(p); left > 0; {
		if len(pending) == segments-1 {
			if err := take(); err != nil {
				return err
			}
		}
		if err := r.next(s); err != nil {
			return err
		}
		seg := r.segment(r.at)
		n := min(left, len(seg))
		if err := s.CopyOut(seg[:n], src); err != nil {
			return err
		}
		if err := s.Record(r.events[r.at]); err != nil {
			return err
		}
		r.busy[r.at] = true
		pending = append(pending, part{r.at, n})
		src, left = src+driver.Ptr(n), left-n
	}
	for len(pending) > 0 {
		if err := take(); err != nil {
			return err
		}
	}
	return nil
}
