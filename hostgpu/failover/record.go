package failover

import (
	"bytes"
	"errors"
	"time"

	"github.com/assaynet/assay/hostgpu/device"
)

// compactEntries is the least number of entries that is worth a compaction.
const compactEntries = 4096

// checkpointShare is the least time between two checkpoints, in durations of
// the last one: they take at most one per cent.
const checkpointShare = 100

// record adds an operation to the journal and says whether that needs
// attention. b.mu is held for reading.
func (b *Backend) record(e *entry) (due bool) {
	j := &b.j
	j.mu.Lock()
	defer j.mu.Unlock()
	switch e.kind {
	case entryFree:
		e.m.freed = true
	case entryWrite, entryRun:
		if e.q.volatile {
			e.taint()
			return false
		}
	}
	kept := *e
	kept.data = bytes.Clone(e.data)
	j.add(kept)
	return len(j.entries) >= j.next || j.size() > b.cfg.JournalBytes
}

// taint marks what an entry that is not kept writes.
func (e *entry) taint() {
	if e.kind == entryWrite {
		e.m.volatile = true
	} else if e.kind == entryRun {
		operands(e.task, func(_ *device.Tensor, m *mem, out bool) { m.volatile = m.volatile || out })
	}
}

// maintain keeps the journal small. Other spaces go on meanwhile, but for a
// checkpoint.
func (b *Backend) maintain() error {
	j := &b.j
	j.mu.Lock()
	if len(j.entries) < j.next && j.size() <= b.cfg.JournalBytes {
		j.mu.Unlock()
		return nil // another space's goroutine came first
	}
	j.compact()
	// Well below the limit, so that the next time is not soon.
	over := j.size() > b.cfg.JournalBytes/4*3
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
		switch e := &j.entries[i]; {
		case e.kind == entryAlloc && !e.m.freed && !e.m.recipe && !e.m.volatile:
			mems = append(mems, e.m)
			copied += e.m.bytes
		case e.kind == entryWrite && e.m.recipe:
			written += int64(len(e.data))
		}
	}
	if len(mems) == 0 || copied+written > b.cfg.JournalBytes/2 {
		return nil
	}
	copies, err := b.copies(mems)
	if err != nil {
		return err
	}
	kept := j.entries[:0]
	for _, e := range j.entries {
		switch e.kind {
		case entryWrite:
			if !e.m.recipe {
				continue
			}
		case entryRun:
			recipe := false
			operands(e.task, func(_ *device.Tensor, m *mem, out bool) { recipe = recipe || out && m.recipe })
			if !recipe {
				continue
			}
		}
		kept = append(kept, e)
	}
	clear(j.entries[len(kept):])
	j.entries = append(kept, copies...)
	j.compact()
	return nil
}

// copies reads allocations into entries that write them.
func (b *Backend) copies(mems []*mem) ([]entry, error) {
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
	var out []entry
	for _, m := range mems {
		data := make([]byte, m.bytes)
		if err = rq.Read(m.inner, 0, data); err != nil {
			break
		}
		out = append(out, entry{kind: entryWrite, q: m.home, m: m, data: data})
	}
	return out, errors.Join(err, rq.Close())
}

// overflow gives up the largest space of a journal that is still too large:
// it works on, but will be lost with its device. b.mu is held for writing.
func (b *Backend) overflow() {
	j := &b.j
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.size() > b.cfg.JournalBytes/4*3 {
		var largest *queue
		for i := range j.entries {
			if q := j.entries[i].q; q != nil {
				q.weight = 0
			}
		}
		for i := range j.entries {
			e := &j.entries[i]
			if e.kind != entryWrite && e.kind != entryRun || e.q.volatile {
				continue
			}
			e.q.weight += int64(len(e.data)) + entryBytes
			if largest == nil || e.q.weight > largest.weight {
				largest = e.q
			}
		}
		if largest == nil {
			return // only allocations are left, which Space bounds
		}
		largest.volatile = true
		kept := j.entries[:0]
		for _, e := range j.entries {
			if e.q == largest && (e.kind == entryWrite || e.kind == entryRun) {
				e.taint()
				continue
			}
			kept = append(kept, e)
		}
		clear(j.entries[len(kept):])
		j.entries = kept
		j.compact()
		b.cfg.Notify(Event{Kind: Overflowed, From: b.cfg.Candidates[b.at].Name})
	}
}
