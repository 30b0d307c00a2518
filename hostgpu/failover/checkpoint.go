package failover

import (
	"errors"
	"time"

	"github.com/assaynet/assay/hostgpu/device"
)

// checkpointShare is the least time between two checkpoints, in durations of
// the last one: they take at most one per cent.
const checkpointShare = 100

// maintain keeps the journal small. Other spaces go on meanwhile, but for a
// checkpoint.
func (b *Backend) maintain() error {
	j := &b.j
	j.mu.Lock()
	if !j.due() {
		j.mu.Unlock()
		return nil // another space's goroutine came first
	}
	j.compact()
	// Well below the limit, so that the next time is not soon.
	over := j.size() > j.limit/4*3
	wanted := j.gas > b.cfg.CheckpointGas || over
	j.mu.Unlock()
	if !wanted {
		return nil
	}
	return b.checkpoint(over)
}

// checkpoint replaces chains of ops by copies of the tensors they made. Unless
// it must, it does not do so while another space waits for the device, nor so
// soon after the last one that it would be felt.
func (b *Backend) checkpoint(must bool) error {
	switch {
	case must:
		b.mu.Lock()
	case !b.rested() || !b.mu.TryLock():
		return nil
	}
	if b.inner == nil {
		defer b.mu.Unlock()
		return b.unusable()
	}
	begin, life := time.Now(), b.life
	err := b.snapshot()
	if must && err == nil {
		b.overflow()
	}
	b.state.Lock()
	b.checkpointed, b.checkpointTook = time.Now(), time.Since(begin)
	b.state.Unlock()
	b.mu.Unlock()
	if err != nil && !errors.Is(err, device.ErrDeviceMemory) {
		return b.recover(life, err)
	}
	return nil
}

func (b *Backend) rested() bool {
	b.state.Lock()
	defer b.state.Unlock()
	return time.Since(b.checkpointed) >= checkpointShare*b.checkpointTook
}

// snapshot reads every tensor that is more than a recipe, if the journal has
// room for them; b.mu is held for writing, so nothing is being issued.
func (b *Backend) snapshot() error {
	j := &b.j
	j.mu.Lock()
	defer j.mu.Unlock()
	j.compact()
	var mems []*mem
	var copied, written int64
	for i := range j.entries {
		switch e := &j.entries[i]; e.kind {
		case entryAlloc:
			if m := j.mems.all[e.m]; !m.freed && !m.recipe && !m.volatile {
				mems = append(mems, m)
				copied += m.bytes
			}
		case entryWrite:
			if j.mems.all[e.m].recipe {
				_, p := j.data(e)
				written += int64(len(p))
			}
		}
	}
	if len(mems) == 0 || copied+written > j.limit/2 {
		return nil
	}
	copies, err := b.copies(mems)
	if err != nil {
		return err
	}
	j.filter(func(e *entry) bool {
		recipe := false
		j.writesTo(e, func(m *mem) { recipe = recipe || m.recipe })
		return recipe
	})
	for i, m := range mems {
		j.addWrite(m.home, m, 0, copies[i])
	}
	j.compact()
	return nil
}

// copies reads allocations.
func (b *Backend) copies(mems []*mem) ([][]byte, error) {
	for q := range b.queues { // of other goroutines, which are kept out by b.mu
		if q.lost != nil {
			continue
		}
		if err := q.inner.Sync(); err != nil {
			return nil, err
		}
	}
	rq, err := b.inner.Open()
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, m := range mems {
		data := make([]byte, m.bytes)
		if err = rq.Read(m.inner, 0, data); err != nil {
			break
		}
		out = append(out, data)
	}
	return out, errors.Join(err, rq.Close())
}

// overflow gives up the largest space of a journal that is still too large:
// it works on, but will be lost with its device. b.mu is held for writing.
func (b *Backend) overflow() {
	j := &b.j
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.size() > j.limit/4*3 {
		var largest *queue
		for _, q := range j.queues.all {
			if q != nil {
				q.weight = 0
			}
		}
		for i := range j.entries {
			e := &j.entries[i]
			if e.kind != entryWrite && e.kind != entryRun {
				continue
			}
			q := j.queues.all[e.q]
			if q.volatile {
				continue
			}
			q.weight += entryBytes + 8*int64(e.words())
			if e.kind == entryWrite {
				_, p := j.data(e)
				q.weight += writeBytes + int64(len(p))
			}
			if largest == nil || q.weight > largest.weight {
				largest = q
			}
		}
		if largest == nil {
			return // only allocations are left, which Space bounds
		}
		largest.volatile = true
		j.filter(func(e *entry) bool {
			if j.queues.all[e.q] != largest {
				return true
			}
			j.writesTo(e, func(m *mem) { m.volatile = true })
			return false
		})
		j.compact()
		b.cfg.Notify(Event{Kind: Overflowed, From: b.cfg.Candidates[b.at].Name})
	}
}
