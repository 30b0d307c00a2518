package failover

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/assaynet/assay/hostgpu/device"
)

// Candidate is a device to work on.
type Candidate struct {
	Name string
	Open func() (device.Backend, error)
}

// Restarter is a device that can begin a new life. Restart ends what is left
// of the old one, whose memory and queues are gone; cause is why. An error
// means that the device is given up.
type Restarter interface {
	Restart(cause error) error
}

// Config of New.
type Config struct {
	// Candidates in order of preference, at least one.
	Candidates []Candidate
	// JournalBytes bounds the host memory of the journal: what spaces have
	// written, copies of tensors, some 150 bytes for each op that something
	// live depends on. 0 is 8 GiB; what is not used costs nothing.
	JournalBytes int64
	// CheckpointGas is how much work (device.Task.Gas, a quarter of a nanosecond of the
	// reference device at worst) may have to be repeated after a failure before
	// tensors are copied to the host instead. 0 is 6e10: about a second of one
	// thread of cpudev.
	CheckpointGas int64
	// ReturnAfter is how long after a fallback the devices before it in the list
	// are tried again, when a space is opened: twice as long each further time,
	// up to 64 times. 0 is ten minutes, less is never.
	ReturnAfter time.Duration
	// Notify is called for what a user wants to know, from the goroutine that
	// found out, which waits for it. Nil: nobody is told.
	Notify func(Event)
}

// Backend is a device.Backend over the first candidate that works.
type Backend struct {
	cfg Config

	// mu is held for reading by every use of the inner device, for writing by
	// what replaces it.
	mu     sync.RWMutex
	inner  device.Backend // nil once exhausted
	at     int            // its candidate
	life   uint64
	lossy  bool  // some memory has lost its content
	dead   error // why there is none
	died   time.Time
	falls  int       // fallbacks and vain attempts to return so far
	fell   time.Time // the last one, or the last attempt to return
	closed bool

	state    sync.Mutex // guards what follows
	queues   map[*queue]struct{}
	reserved int64

	j journal
	// The last checkpoint, or attempt of one, and how long it took.
	checkpointed   time.Time
	checkpointTook time.Duration
}

var _ device.Backend = (*Backend)(nil)

// New opens the first candidate that starts. If none does, the error joins
// those of all.
func New(cfg Config) (*Backend, error) {
	if cfg.JournalBytes == 0 {
		cfg.JournalBytes = 8 << 30
	}
	if cfg.CheckpointGas == 0 {
		cfg.CheckpointGas = 6e10
	}
	if cfg.ReturnAfter == 0 {
		cfg.ReturnAfter = 10 * time.Minute
	}
	if cfg.Notify == nil {
		cfg.Notify = func(Event) {}
	}
	b := &Backend{cfg: cfg, queues: map[*queue]struct{}{}}
	b.j.next, b.j.limit = compactEntries, cfg.JournalBytes
	var errs []error
	for i := range cfg.Candidates {
		inner, err := b.open(i)
		if err == nil {
			b.inner, b.at, b.fell = inner, i, time.Now()
			return b, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(append(errs, ErrExhausted)...)
}

func (b *Backend) open(i int) (device.Backend, error) {
	c := &b.cfg.Candidates[i]
	inner, err := c.Open()
	if err != nil {
		if len(b.cfg.Candidates) > 1 {
			b.cfg.Notify(Event{Kind: Skipped, From: c.Name, Err: err})
		}
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	return inner, nil
}

// Name implements device.Backend: the name of the device that works now.
func (b *Backend) Name() string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.cfg.Candidates[b.at].Name
}

// Inner calls f with the device that works now, which stays while f runs.
func (b *Backend) Inner(f func(device.Backend) error) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.inner == nil {
		return b.unusable()
	}
	return f(b.inner)
}

// unusable is why there is no device; b.mu is held.
func (b *Backend) unusable() error {
	if b.closed {
		return device.ErrClosed
	}
	return b.dead
}

// do calls f on the inner device until it works or no device is left. Running
// out of memory is no failure of a device.
func (b *Backend) do(f func(inner device.Backend) error) error {
	for {
		b.mu.RLock()
		life := b.life
		var err error
		if b.inner == nil {
			err = b.unusable()
			b.mu.RUnlock()
			return err
		}
		err = f(b.inner)
		b.mu.RUnlock()
		if err == nil || errors.Is(err, device.ErrDeviceMemory) {
			return err
		}
		if err := b.recover(life, err); err != nil {
			return err
		}
	}
}

// Reserve implements device.Backend.
func (b *Backend) Reserve(limit int64) error {
	if err := b.reopen(); err != nil {
		return err
	}
	if err := b.goBack(); err != nil {
		return err
	}
	return b.do(func(inner device.Backend) error {
		err := inner.Reserve(limit)
		if err == nil {
			b.state.Lock()
			b.reserved += limit
			b.state.Unlock()
		}
		return err
	})
}

// Release implements device.Backend.
func (b *Backend) Release(limit int64) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	b.state.Lock()
	b.reserved -= limit
	b.state.Unlock()
	if b.inner != nil {
		b.inner.Release(limit)
	}
}

// Open implements device.Backend.
func (b *Backend) Open() (device.Queue, error) {
	q := &queue{b: b}
	err := b.do(func(inner device.Backend) error {
		iq, err := inner.Open()
		if err != nil {
			return err
		}
		q.attach(iq)
		b.state.Lock()
		b.queues[q] = struct{}{}
		b.state.Unlock()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return q, nil
}

// Close implements device.Backend.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	if b.inner == nil {
		return nil
	}
	err := b.inner.Close()
	b.inner = nil
	return err
}
