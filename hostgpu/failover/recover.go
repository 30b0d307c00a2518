package failover

import (
	"errors"
	"fmt"
	"time"

	"github.com/assaynet/assay/hostgpu/device"
)

// retryAfter is how long a Backend without a device refuses new spaces before
// it tries its candidates again.
const retryAfter = time.Minute

// recover answers a failure of the given life: it begins a new one and
// restores what the journal holds. Nil means that a device works, which is
// also so if another goroutine came first.
func (b *Backend) recover(life uint64, cause error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inner == nil {
		return b.unusable()
	}
	if b.life != life {
		return nil
	}
	return b.renew(time.Now(), b.at, cause)
}

// renew begins new lives, on one device after another, until what the journal
// holds is restored in one. from is the device that failed.
func (b *Backend) renew(begin time.Time, from int, cause error) error {
	first := cause
	for {
		given, err := b.revive(cause)
		if err != nil {
			b.exhaust(err)
			return b.dead
		}
		if given != nil {
			first = given
		}
		n, err := b.restore(cause)
		if err != nil {
			cause = err
			continue
		}
		b.life++
		ev := Event{Kind: Restarted, From: b.cfg.Candidates[from].Name, Took: time.Since(begin), Replayed: n, Err: first}
		if b.at != from {
			ev.Kind, ev.To = FellBack, b.cfg.Candidates[b.at].Name
			b.falls++
			b.fell = time.Now()
		}
		b.cfg.Notify(ev)
		return nil
	}
}

// maxDoublings bounds how often Config.ReturnAfter doubles.
const maxDoublings = 6

// mayReturn says that the devices before the one that works may be tried again.
func (b *Backend) mayReturn() bool {
	return b.inner != nil && b.at > 0 && b.cfg.ReturnAfter > 0 &&
		time.Since(b.fell) >= b.cfg.ReturnAfter<<min(max(0, b.falls-1), maxDoublings)
}

// goBack moves all spaces to a device before the one that works, a while after
// a fallback, if one of them starts. Spaces that the journal does not hold keep
// it from doing so. It fails only if in the end no device is left.
func (b *Backend) goBack() error {
	b.mu.RLock()
	may := b.mayReturn()
	b.mu.RUnlock()
	if !may {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.mayReturn() || b.overflowed() {
		return nil
	}
	begin, from := time.Now(), b.at
	b.fell = begin
	for i := range from {
		inner, err := b.open(i)
		if err != nil {
			continue
		}
		b.detach()
		// Its spaces are on their way to the other.
		_ = b.inner.Close()
		b.inner, b.at = inner, i
		n, err := b.restore(nil)
		if err != nil {
			return b.renew(begin, i, err)
		}
		b.life++
		b.cfg.Notify(Event{Kind: Returned, From: b.cfg.Candidates[from].Name, To: b.cfg.Candidates[i].Name, Took: time.Since(begin), Replayed: n})
		return nil
	}
	b.falls++
	return nil
}

// overflowed says whether a space is not in the journal.
func (b *Backend) overflowed() bool {
	b.j.mu.Lock()
	defer b.j.mu.Unlock()
	for q := range b.queues {
		if q.volatile {
			return true
		}
	}
	for _, m := range b.j.mems.all {
		if m != nil && m.volatile && !m.freed {
			return true
		}
	}
	return false
}

// revive begins a new life of the device, or opens the next one; given is then
// why the former is given up.
func (b *Backend) revive(cause error) (given, err error) {
	if r, ok := b.inner.(Restarter); ok && !errors.Is(cause, device.ErrDeviceMemory) {
		err := r.Restart(cause)
		b.detach()
		if err == nil {
			return nil, nil
		}
		cause = err
	}
	b.detach()
	// Whatever it still has to say, it is given up.
	_ = b.inner.Close()
	b.inner = nil
	for i := b.at + 1; i < len(b.cfg.Candidates); i++ {
		inner, err := b.open(i)
		if err == nil {
			b.inner, b.at = inner, i
			return cause, nil
		}
		cause = errors.Join(cause, err)
	}
	return cause, cause
}

// detach closes the queues of a life that has ended.
func (b *Backend) detach() {
	for q := range b.queues {
		if q.inner != nil {
			_ = q.inner.Close() // it went with its device
			q.inner = nil
		}
	}
}

// restore opens every queue again and repeats the journal.
func (b *Backend) restore(cause error) (int, error) {
	if b.reserved > 0 {
		if err := b.inner.Reserve(b.reserved); err != nil {
			return 0, err
		}
	}
	for q := range b.queues {
		inner, err := b.inner.Open()
		if err != nil {
			return 0, err
		}
		q.attach(inner)
	}
	rq, err := b.inner.Open()
	if err != nil {
		return 0, err
	}
	n, err := b.replay(rq, cause)
	if err == nil {
		err = rq.Sync()
	}
	return n, errors.Join(err, rq.Close())
}

// replay repeats the journal through one queue: its order is that in which the
// spaces' calls were issued.
func (b *Backend) replay(rq device.Queue, cause error) (n int, err error) {
	j := &b.j
	j.mu.Lock()
	defer j.mu.Unlock()
	j.compact()
	for q := range b.queues {
		if q.volatile {
			q.lose(cause)
		}
	}
	r := &queue{}
	r.attach(rq)
	for i := range j.entries {
		e := &j.entries[i]
		switch e.kind {
		case entryAlloc:
			m := j.mems.all[e.m]
			m.inner, err = rq.Alloc(m.bytes)
			if m.volatile && m.lost == nil {
				m.lost, b.lossy = fmt.Errorf("%w: %w", ErrLost, cause), true
			}
		case entryFree:
			m := j.mems.all[e.m]
			rq.Free(m.inner)
			m.inner = nil
		case entryWrite:
			off, p := j.data(e)
			err = rq.Write(j.mems.all[e.m].inner, off, p)
			n++
		case entryRun:
			t := j.task(e, &j.buffer)
			if hollow(t) {
				q := j.queues.all[e.q]
				q.lose(cause)
				j.writesTo(e, func(m *mem) { m.volatile, m.lost = true, q.lost })
				continue
			}
			if err = t.Bind(); err == nil {
				err = rq.Run(r.resolved(t))
			}
			n++
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// exhaust ends every space: no device is left.
func (b *Backend) exhaust(cause error) {
	b.dead = fmt.Errorf("%w: %w", ErrExhausted, cause)
	b.died = time.Now()
	for q := range b.queues {
		if q.lost == nil {
			q.lost = b.dead
		}
	}
	b.j.mu.Lock()
	b.j.clear()
	b.j.mu.Unlock()
	b.life++
	b.cfg.Notify(Event{Kind: Exhausted, From: b.cfg.Candidates[b.at].Name, Err: cause})
}

// reopen tries the candidates again for new spaces, a while after the last one
// was given up.
func (b *Backend) reopen() error {
	b.mu.RLock()
	exhausted := b.inner == nil && !b.closed
	b.mu.RUnlock()
	if !exhausted {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inner != nil {
		return nil
	}
	if b.closed || time.Since(b.died) < retryAfter {
		return b.unusable()
	}
	for i := range b.cfg.Candidates {
		inner, err := b.open(i)
		if err == nil {
			if err = inner.Reserve(b.reserved); err == nil {
				b.inner, b.at, b.fell = inner, i, time.Now()
				b.life++
				return nil
			}
			_ = inner.Close()
		}
	}
	b.died = time.Now()
	return b.dead
}
