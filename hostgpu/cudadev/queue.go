package cudadev

import (
	"errors"
	"fmt"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
	"github.com/assaynet/assay/hostgpu/cudadev/kernels"
	"github.com/assaynet/assay/hostgpu/device"
)

// queue is a stream with what a space needs beside it.
type queue struct {
	b         *Backend
	line      *line
	ring      *ring // nil until the first write or read
	scratch   *mem  // nil until a kernel needs some
	functions map[string]*fn
	waited    map[*line]uint64 // operations of other lines that the stream already follows
	pending   pending

	// Reused by every task.
	plan    []kernels.Launch
	batch   []driver.Launch
	address func(device.Tensor) uint64
}

var _ device.TransientQueue = (*queue)(nil)

// TransientTasks implements device.TransientQueue: what a launch needs of a
// task is copied into its arguments.
func (q *queue) TransientTasks() {}

// begin numbers an operation; end says that it is in the stream.
func (q *queue) begin() uint64 { return q.line.begun.Add(1) }
func (q *queue) end(n uint64)  { q.line.issued.Store(n) }

// maxWaited is when the lines of queues that are closed are forgotten.
const maxWaited = 64

// follow makes the stream wait for the first n operations of another line.
func (q *queue) follow(l *line, n uint64) error {
	if l == q.line || l.done.Load() >= n || q.waited[l] >= n {
		return nil
	}
	upTo, err := l.follow(q.line.stream, n)
	if err != nil {
		return err
	}
	if len(q.waited) >= maxWaited {
		clear(q.waited) // at worst it waits for an event once more
	}
	q.waited[l] = upTo
	return nil
}

// access is what an operation does with memory.
type access uint8

const (
	reads access = iota
	writes
	overwrites // every byte that a tensor could show
)

// touch orders the operation n, about to be issued, after whatever has used m
// in a way that it must not overtake, and zeroes memory that holds anything.
func (q *queue) touch(m *mem, n uint64, a access) error {
	if m.home.Load() != q.line {
		m.mu.Lock()
		defer m.mu.Unlock()
		if err := q.share(m, n, a != reads || m.raw); err != nil {
			return err
		}
	}
	if !m.raw {
		return nil
	}
	m.raw = false
	if a == overwrites {
		return nil
	}
	// What is pending may still need what the memory held before.
	if err := q.flush(); err != nil {
		return err
	}
	return q.line.stream.Fill(m.addr, 0, m.n)
}

// share waits for the other lines that have used m, and books the operation n;
// m.mu is held.
func (q *queue) share(m *mem, n uint64, write bool) error {
	m.strangers()
	mine, others := -1, false
	for i := range m.uses {
		u := &m.uses[i]
		if u.line == q.line {
			mine = i
			continue
		}
		last := u.wrote
		if write {
			last = u.last()
		}
		if err := q.follow(u.line, last); err != nil {
			return err
		}
		others = others || !u.over()
	}
	if !others { // what they did is done: the memory is this line's
		m.uses = m.uses[:0]
		m.home.Store(q.line)
		return nil
	}
	if mine < 0 {
		m.uses = append(m.uses, use{line: q.line})
		mine = len(m.uses) - 1
	}
	m.uses[mine].read = n
	if write {
		m.uses[mine].wrote = n
	}
	return nil
}

// writing is the access of writing size bytes from off on: allocations are
// rounded up to 64 bytes, which no tensor shows.
func writing(m *mem, off, size int64) access {
	if off == 0 && (size+63)&^63 >= m.n {
		return overwrites
	}
	return writes
}

// Alloc implements device.Queue. Memory is zeroed when something would see that
// it is not: most of it is written whole, first.
func (q *queue) Alloc(n int64) (device.Mem, error) {
	if err := q.b.usable(); err != nil {
		return nil, err
	}
	m, err := q.alloc(n)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (q *queue) alloc(n int64) (*mem, error) {
	b := q.b
	b.mu.Lock()
	blk := b.pool.alloc(n)
	if blk == nil {
		// What was set aside is in pieces.
		if err := b.grow(roundSize(n)); err != nil {
			total := b.pool.total
			b.mu.Unlock()
			return nil, fmt.Errorf("%w (%d bytes are set aside, in pieces too small for %d)", err, total, n)
		}
		blk = b.pool.alloc(n)
	}
	after := blk.after
	blk.after = nil
	b.mu.Unlock()
	m := &mem{block: blk, addr: blk.addr(), n: n, raw: true}
	m.home.Store(q.line)
	if len(after) == 0 {
		return m, nil
	}
	// An operation of its own: freed unused, the memory must still wait for
	// those who had it before.
	err := q.flush()
	op := q.begin()
	for _, u := range after {
		if err == nil {
			err = q.follow(u.line, u.last())
		}
	}
	q.end(op)
	if err != nil {
		q.Free(m)
		return nil, b.fail(err)
	}
	return m, nil
}

// Free implements device.Queue: whoever gets the memory next waits on the GPU
// for what still uses it.
func (q *queue) Free(x device.Mem) {
	m := x.(*mem)
	var after []use
	n := q.line.begun.Load() // what is pending may use it
	if m.home.Load() == q.line {
		after = []use{{line: q.line, wrote: n}}
	} else {
		after = mergeUses(m.all(), []use{{line: q.line, wrote: n, read: n}})
	}
	b := q.b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pool.release(m.block, after)
}

func (q *queue) staging() (*ring, error) {
	if q.ring != nil {
		return q.ring, nil
	}
	b := q.b
	b.mu.Lock()
	if n := len(b.rings); n > 0 {
		q.ring, b.rings = b.rings[n-1], b.rings[:n-1]
	}
	b.mu.Unlock()
	var err error
	if q.ring == nil {
		q.ring, err = newRing(b.ctx, b.cfg.StagingBytes)
	}
	return q.ring, err
}

// Write implements device.Queue.
func (q *queue) Write(x device.Mem, off int64, p []byte) error {
	if err := q.b.usable(); err != nil {
		return err
	}
	r, err := q.staging()
	if err == nil {
		err = q.flush()
	}
	if err != nil {
		return q.b.fail(err)
	}
	m, n := x.(*mem), q.begin()
	if err = q.touch(m, n, writing(m, off, int64(len(p)))); err == nil {
		err = r.write(q.line.stream, m.addr+driver.Ptr(off), p)
	}
	q.end(n)
	return q.b.fail(err)
}

// Read implements device.Queue.
func (q *queue) Read(x device.Mem, off int64, p []byte) error {
	if err := q.b.usable(); err != nil {
		return err
	}
	r, err := q.staging()
	if err == nil {
		err = q.flush()
	}
	if err != nil {
		return q.b.fail(err)
	}
	m, n := x.(*mem), q.begin()
	if err = q.touch(m, n, reads); err == nil {
		err = r.read(q.line.stream, p, m.addr+driver.Ptr(off))
	}
	q.end(n)
	if err == nil {
		q.line.finished(n)
	}
	return q.b.fail(err)
}

// outputs says which tensor operands of each op are written.
var outputs = func() [][]bool {
	out := make([][]bool, len(device.Ops)+1)
	for i := range device.Ops {
		for _, o := range device.Ops[i].Tensors() {
			out[i+1] = append(out[i+1], o.Kind == device.Out)
		}
	}
	return out
}()

// order makes the operands of a task ready for the operation n.
func (q *queue) order(t *device.Task, n uint64) error {
	out := outputs[t.Op]
	// Inputs first: an output may be the same memory.
	for _, pass := range [...]bool{false, true} {
		for i := range t.Tensors {
			x := &t.Tensors[i]
			m, ok := x.Mem.(*mem)
			if !ok || out[i] != pass {
				continue
			}
			a := reads
			if pass {
				a = writing(m, x.Off, x.Bytes())
			}
			if err := q.touch(m, n, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// Run implements device.Queue.
func (q *queue) Run(t *device.Task) error {
	b := q.b
	if err := b.usable(); err != nil {
		return err
	}
	if batches(t.Op) {
		return b.fail(q.hold(t))
	}
	if err := q.flush(); err != nil {
		return b.fail(err)
	}
	scratch, err := q.scratchOf(kernels.Scratch(t, b.props))
	if err != nil {
		return b.fail(err)
	}
	n := q.begin()
	if err = q.order(t, n); err == nil {
		q.plan = kernels.Plan(q.plan[:0], t, q.address, scratch, b.props)
		err = q.launch()
	}
	q.end(n)
	return b.fail(err)
}

// launch issues what is planned.
func (q *queue) launch() (err error) {
	q.batch = q.batch[:0]
	for i := range q.plan {
		l := &q.plan[i]
		f := q.functions[l.Kernel]
		if f == nil {
			if f, err = q.b.function(l.Kernel); err != nil {
				return err
			}
			q.functions[l.Kernel] = f
		}
		if err := f.allow(int(l.Shared)); err != nil {
			return err
		}
		q.batch = append(q.batch, driver.Launch{Function: f.f, Grid: l.Grid, Block: l.Block, Shared: l.Shared, Args: l.Args})
	}
	return q.line.stream.Launch(q.batch)
}

// scratchBytes is what there is.
func (q *queue) scratchBytes() int64 {
	if q.scratch == nil {
		return 0
	}
	return q.scratch.n
}

// scratchOf is the address of n bytes for the next task: tasks of a queue run
// one after another, so that they may share it.
func (q *queue) scratchOf(n int64) (uint64, error) {
	if n == 0 {
		return 0, nil
	}
	if q.scratch == nil || q.scratch.n < n {
		if q.scratch != nil {
			q.Free(q.scratch)
			q.scratch = nil
		}
		m, err := q.alloc(max(roundSize(n+n/4), 64<<10)) // at least 256-byte aligned
		if err != nil {
			return 0, err
		}
		q.scratch = m
	}
	return uint64(q.scratch.addr), nil
}

// Sync implements device.Queue.
func (q *queue) Sync() error {
	if err := q.b.usable(); err != nil {
		return err
	}
	err := q.flush()
	if err == nil {
		n := q.line.issued.Load()
		if err = q.line.stream.Sync(); err == nil {
			q.line.finished(n)
		}
	}
	return q.b.fail(err)
}

// Close implements device.Queue.
func (q *queue) Close() error {
	err := q.Sync()
	if q.scratch != nil {
		q.Free(q.scratch)
		q.scratch = nil
	}
	q.line.close()
	b := q.b
	b.mu.Lock()
	b.queues--
	if q.ring != nil {
		b.rings = append(b.rings, q.ring)
		q.ring = nil
	}
	b.mu.Unlock()
	if b.usable() != nil {
		return err // the streams went with the context
	}
	return errors.Join(err, b.fail(q.line.event.Close()), b.fail(q.line.stream.Close()))
}
