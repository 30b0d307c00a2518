package device

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
)

// New makes a Device of a Backend. It owns handles, views, sharing, the
// accounting of memory and every check of docs/spec/ops.md.
func New(b Backend) Device { return &dev{backend: b, spaces: map[*space]struct{}{}} }

type dev struct {
	backend Backend
	mu      sync.Mutex
	spaces  map[*space]struct{}
	closed  bool
}

func (d *dev) Name() string { return d.backend.Name() }

func (d *dev) NewSpace(limit int64) (Space, error) {
	if limit < 0 {
		return nil, fmt.Errorf("%w: negative limit", ErrMemory)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, ErrClosed
	}
	if err := d.backend.Reserve(limit); err != nil {
		return nil, err
	}
	q, err := d.backend.Open()
	if err != nil {
		d.backend.Release(limit)
		return nil, d.internal(err)
	}
	_, transient := q.(TransientQueue)
	s := &space{dev: d, queue: q, transient: transient, limit: limit, table: map[Handle]*tensor{}}
	s.alive.Store(1)
	d.spaces[s] = struct{}{}
	return s, nil
}

func (d *dev) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	open := make([]*space, 0, len(d.spaces))
	for s := range d.spaces {
		open = append(open, s)
	}
	d.mu.Unlock()
	var errs []error
	for _, s := range open {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, d.backend.Close())...)
}

// internal marks an error as the device's own, once.
func (d *dev) internal(err error) error {
	var ie *InternalError
	if err == nil || errors.As(err, &ie) || errors.Is(err, ErrClosed) {
		return err
	}
	return &InternalError{Device: d.Name(), Err: err}
}

// buffer is one allocation, shared by handles of one or more spaces.
type buffer struct {
	mem     Mem
	owner   *space // whose reservation it lives on
	charged int64  // of the owner's limit, until the last reference goes
	refs    atomic.Int64
}

// tensor is what a handle names.
type tensor struct {
	buf      *buffer
	off      int64
	dtype    DType
	shape    Shape
	readOnly bool
	foreign  bool // the buffer belongs to another space
}

func (t *tensor) size() int64 { return t.shape.Elems() * int64(t.dtype.Size()) }

type space struct {
	mu    sync.Mutex // Share reads the table of a space that others use
	dev   *dev
	queue Queue
	// transient says that the queue is a TransientQueue; task is then what
	// every call is made into.
	transient bool
	task      *taskSpace
	limit     int64
	used      atomic.Int64 // users of a share give back what they held last
	table     map[Handle]*tensor
	last      Handle
	closed    bool
	// alive counts the allocations on this space's reservation, and the space
	// itself while it is open: shares may outlive it.
	alive  atomic.Int64
	failed error // first failure of the device, repeated ever after
}

func (s *space) fail(err error) error {
	if err != nil && s.failed == nil {
		s.failed = s.dev.internal(err)
	}
	return s.failed
}

func (s *space) ready() error {
	if s.closed {
		return ErrClosed
	}
	return s.failed
}

func (s *space) get(h Handle) (*tensor, error) {
	t := s.table[h]
	if t == nil {
		return nil, fmt.Errorf("%w: %d", ErrHandle, h)
	}
	return t, nil
}

// add gives a tensor a handle. Numbers are never reused, so that every use
// after free is caught, and are equal on all devices.
func (s *space) add(t *tensor) (Handle, error) {
	if len(s.table) >= MaxHandles || s.last == math.MaxUint32 {
		return 0, fmt.Errorf("%w: more than %d handles", ErrMemory, MaxHandles)
	}
	s.last++
	s.table[s.last] = t
	t.buf.refs.Add(1)
	return s.last, nil
}

func checkTensor(dt DType, sh Shape) error {
	if dt.Size() == 0 {
		return fmt.Errorf("%w: %v", ErrType, dt)
	}
	if !sh.Valid() || sh.Elems() > MaxBytes/int64(dt.Size()) {
		return fmt.Errorf("%w: %v of %v", ErrShape, sh, dt)
	}
	return nil
}

func (s *space) Alloc(dt DType, sh Shape) (Handle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return 0, err
	}
	if err := checkTensor(dt, sh); err != nil {
		return 0, err
	}
	charge := Bytes(dt, sh)
	if used := s.used.Load(); charge > s.limit-used {
		return 0, fmt.Errorf("%w: %d bytes used of %d, %d more asked", ErrMemory, used, s.limit, charge)
	}
	if len(s.table) >= MaxHandles {
		return 0, fmt.Errorf("%w: more than %d handles", ErrMemory, MaxHandles)
	}
	buf := &buffer{owner: s, charged: charge}
	if charge > 0 {
		mem, err := s.queue.Alloc(charge)
		if err != nil {
			return 0, s.fail(err)
		}
		buf.mem = mem
	}
	h, err := s.add(&tensor{buf: buf, dtype: dt, shape: sh})
	if err != nil {
		if buf.mem != nil {
			s.queue.Free(buf.mem)
		}
		return 0, err
	}
	s.used.Add(charge)
	s.alive.Add(1)
	return h, nil
}

func (s *space) View(h Handle, row0 int, sh Shape) (Handle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return 0, err
	}
	t, err := s.get(h)
	if err != nil {
		return 0, err
	}
	if err := checkTensor(t.dtype, sh); err != nil {
		return 0, err
	}
	if row0 < 0 || row0 > t.shape.Rows {
		return 0, fmt.Errorf("%w: view from row %d of %v", ErrShape, row0, t.shape)
	}
	start := int64(row0) * int64(t.shape.Cols)
	if sh.Elems() > t.shape.Elems()-start {
		return 0, fmt.Errorf("%w: view %v from row %d of %v", ErrShape, sh, row0, t.shape)
	}
	v := *t
	v.off += start * int64(t.dtype.Size())
	v.shape = sh
	return s.add(&v)
}

func (s *space) Share(from Space, h Handle) (Handle, error) {
	src, ok := from.(*space)
	if !ok || src.dev != s.dev || src == s {
		return 0, fmt.Errorf("%w: not a space of this device", ErrHandle)
	}
	src.mu.Lock()
	if err := src.ready(); err != nil {
		src.mu.Unlock()
		return 0, err
	}
	t, err := src.get(h)
	if err == nil {
		// What src queued must be done before this space's queue reads it.
		err = src.fail(src.queue.Sync())
	}
	if err != nil {
		src.mu.Unlock()
		return 0, err
	}
	v := *t
	v.buf.refs.Add(1) // held while src is unlocked
	src.mu.Unlock()

	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.drop(v.buf, true)
	if err := s.ready(); err != nil {
		return 0, err
	}
	v.readOnly, v.foreign = true, true
	return s.add(&v)
}

// drop releases one reference to a buffer.
func (s *space) drop(b *buffer, foreign bool) {
	if b.refs.Add(-1) > 0 {
		return
	}
	defer b.owner.settle()
	defer b.owner.used.Add(-b.charged)
	if b.mem == nil {
		return
	}
	if foreign {
		// The owner is gone; nothing of ours may still be queued on it.
		_ = s.fail(s.queue.Sync())
	}
	s.queue.Free(b.mem)
}

func (s *space) Free(h Handle) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	t, err := s.get(h)
	if err != nil {
		return err
	}
	s.remove(h, t)
	return nil
}

func (s *space) remove(h Handle, t *tensor) {
	delete(s.table, h)
	s.drop(t.buf, t.foreign)
}

func (s *space) Stat(h Handle) (DType, Shape, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return DTypeInvalid, Shape{}, ErrClosed
	}
	t, err := s.get(h)
	if err != nil {
		return DTypeInvalid, Shape{}, err
	}
	return t.dtype, t.shape, nil
}

// transfer checks a Write or Read.
func (s *space) transfer(h Handle, off int64, n int) (*tensor, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	t, err := s.get(h)
	if err != nil {
		return nil, err
	}
	elem, size := int64(t.dtype.Size()), t.size()
	if off < 0 || off > size || int64(n) > size-off || off%elem != 0 || int64(n)%elem != 0 {
		return nil, fmt.Errorf("%w: %d bytes at %d of %v %v", ErrShape, n, off, t.shape, t.dtype)
	}
	return t, nil
}

func (s *space) Write(h Handle, off int64, p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.transfer(h, off, len(p))
	if err != nil {
		return err
	}
	if t.readOnly {
		return fmt.Errorf("%w: %d is read-only", ErrHandle, h)
	}
	if len(p) == 0 {
		return nil
	}
	if t.dtype == S8 && bytes.IndexByte(p, 0x80) >= 0 {
		p = bytes.ReplaceAll(p, []byte{0x80}, []byte{0x81}) // -128 is stored as -127
	}
	return s.fail(s.queue.Write(t.buf.mem, t.off+off, p))
}

func (s *space) Read(h Handle, off int64, p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.transfer(h, off, len(p))
	if err != nil {
		return err
	}
	if len(p) == 0 {
		return s.fail(s.queue.Sync())
	}
	return s.fail(s.queue.Read(t.buf.mem, t.off+off, p))
}

func (s *space) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return err
	}
	return s.fail(s.queue.Sync())
}

func (s *space) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	for h, t := range s.table {
		s.remove(h, t)
	}
	err := s.queue.Close()
	s.dev.mu.Lock()
	delete(s.dev.spaces, s)
	s.dev.mu.Unlock()
	s.settle()
	return s.dev.internal(err)
}

// settle gives the reservation back once nothing lives on it any more.
func (s *space) settle() {
	if s.alive.Add(-1) == 0 {
		s.dev.backend.Release(s.limit)
	}
}
