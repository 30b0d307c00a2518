package failover

import (
	"errors"
	"math/rand/v2"
	"sync"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
)

var errDied = errors.New("died")

// mortal is cpudev with an end: it fails at random calls, and then in every
// one, with all it held, until it is restarted.
type mortal struct {
	mu     sync.Mutex
	rng    *rand.Rand
	mean   int // calls between two ends; 0: never
	lives  int // that are left
	life   int
	dead   bool
	inner  device.Backend
	closed int // queues that were closed
	opened int
}

func newMortal(seed uint64, mean, lives int) (*mortal, error) {
	m := &mortal{rng: rand.New(rand.NewPCG(seed, 1)), mean: mean, lives: lives}
	return m, m.begin()
}

func (m *mortal) begin() (err error) {
	m.inner, err = cpudev.NewBackend(cpudev.Config{Threads: 1, Memory: 1 << 31})
	m.life++
	m.dead = false
	return err
}

// touch fails for what belongs to an earlier life, and now and then ends this one.
func (m *mortal) touch(life int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mean > 0 && m.rng.IntN(m.mean) == 0 {
		m.dead = true
	}
	if m.dead || life != m.life {
		return errDied
	}
	return nil
}

func (m *mortal) now() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.life
}

func (m *mortal) Restart(error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lives--; m.lives < 0 {
		return errors.New("too often")
	}
	return m.begin()
}

func (m *mortal) Name() string { return "mortal" }
func (m *mortal) Close() error { return nil }
func (m *mortal) Reserve(n int64) error {
	if err := m.touch(m.now()); err != nil {
		return err
	}
	return m.inner.Reserve(n)
}

func (m *mortal) Release(n int64) {
	if m.touch(m.now()) == nil {
		m.inner.Release(n)
	}
}

func (m *mortal) Open() (device.Queue, error) {
	life := m.now()
	if err := m.touch(life); err != nil {
		return nil, err
	}
	q, err := m.inner.Open()
	m.mu.Lock()
	m.opened++
	m.mu.Unlock()
	return &mortalQueue{m, life, q}, err
}

type mortalQueue struct {
	m    *mortal
	life int
	device.Queue
}

// mortalMem catches memory of one life that is used in another.
type mortalMem struct {
	life int
	mem  device.Mem
}

func (q *mortalQueue) own(m device.Mem) device.Mem {
	x := m.(*mortalMem)
	if x.life != q.life {
		panic("memory of another life")
	}
	return x.mem
}

func (q *mortalQueue) Alloc(n int64) (device.Mem, error) {
	if err := q.m.touch(q.life); err != nil {
		return nil, err
	}
	x, err := q.Queue.Alloc(n)
	return &mortalMem{q.life, x}, err
}

func (q *mortalQueue) Free(m device.Mem) {
	if q.m.touch(q.life) == nil {
		q.Queue.Free(q.own(m))
	}
}

func (q *mortalQueue) Write(m device.Mem, off int64, p []byte) error {
	if err := q.m.touch(q.life); err != nil {
		return err
	}
	return q.Queue.Write(q.own(m), off, p)
}

func (q *mortalQueue) Read(m device.Mem, off int64, p []byte) error {
	if err := q.m.touch(q.life); err != nil {
		clear(p)
		return err
	}
	return q.Queue.Read(q.own(m), off, p)
}

func (q *mortalQueue) Run(t *device.Task) error {
	if err := q.m.touch(q.life); err != nil {
		return err
	}
	x := *t
	x.Tensors = append([]device.Tensor(nil), t.Tensors...)
	for i := range x.Tensors {
		if x.Tensors[i].Mem != nil {
			x.Tensors[i].Mem = q.own(x.Tensors[i].Mem)
		}
	}
	return q.Queue.Run(&x)
}

func (q *mortalQueue) Sync() error { return q.m.touch(q.life) }

func (q *mortalQueue) Close() error {
	q.m.mu.Lock()
	q.m.closed++
	q.m.mu.Unlock()
	return q.m.touch(q.life)
}
