package cudadev

import (
	"sync"

	"github.com/assaynet/assay/hostgpu/cudadev/kernels"
	"github.com/assaynet/assay/hostgpu/device"
)

// held is a task that was kept back, with room for its slices: the caller's own
// is used again.
type held struct {
	device.Task
	tensors [device.MaxTensors]device.Tensor
	imms    [4]int64
}

// pending is what a queue keeps back for a launch of several: digests and
// streams are small and many (kernels.Batch). Their order among other work is
// settled when they are added; only the launch comes later. Another queue that
// must follow one of them has it launched, which is what the lock is for: who
// holds it waits for no other queue.
type pending struct {
	mu      sync.Mutex
	tasks   []*device.Task // of all, those that are pending
	all     []*held
	last    uint64 // number of the last one
	need    int64  // bytes of scratch of all of them
	scratch uint64 // its address
	failed  error  // of a launch that another queue asked for
}

// maxPending is how many are kept: what fits one launch.
const maxPending = 240

// batches says which ops may be pending.
func batches(op device.Op) bool { return op == device.OpDigest || op == device.OpExpand }

// room says whether a task may join.
func (p *pending) room(t *device.Task, need, have int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := len(p.tasks)
	return k == 0 || k < maxPending && p.tasks[0].Op == t.Op && p.need+need <= have
}

// add keeps a copy of a task, the operation n, which needs some of the scratch.
func (p *pending) add(t *device.Task, n uint64, need int64, scratch uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.tasks) == len(p.all) {
		p.all = append(p.all, &held{})
	}
	h := p.all[len(p.tasks)]
	h.Op, h.Dims = t.Op, t.Dims
	h.Tensors = h.tensors[:copy(h.tensors[:], t.Tensors)]
	h.Imms = append(h.imms[:0], t.Imms...)
	p.tasks = append(p.tasks, &h.Task)
	p.last, p.scratch = n, scratch
	p.need += need
}

// flush launches what is pending.
func (q *queue) flush() error {
	p := &q.pending
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.failed
	if len(p.tasks) > 0 && err == nil {
		err = q.launchPending(p)
	}
	return err
}

// flushFor is flush on behalf of another queue, whose call it does not fail.
func (q *queue) flushFor() {
	p := &q.pending
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.tasks) > 0 && p.failed == nil {
		p.failed = q.launchPending(p)
	}
}

// launchPending plans and launches; p.mu is held.
func (q *queue) launchPending(p *pending) error {
	q.plan = q.plan[:0]
	for rest := p.tasks; len(rest) > 0; {
		n := kernels.Batch(rest, q.address)
		q.plan = kernels.PlanBatch(q.plan, rest[:n], q.address, p.scratch, q.b.props)
		rest = rest[n:]
	}
	for _, t := range p.tasks {
		clear(t.Tensors) // keeps no memory alive
	}
	p.tasks, p.need = p.tasks[:0], 0
	err := q.launch()
	q.end(p.last)
	return err
}

// hold keeps a task back to share a launch with those that follow.
func (q *queue) hold(t *device.Task) error {
	need := kernels.Scratch(t, q.b.props)
	if !q.pending.room(t, need, q.scratchBytes()) {
		if err := q.flush(); err != nil {
			return err
		}
	}
	// It grows only if nothing is pending.
	scratch, err := q.scratchOf(need)
	if err != nil {
		return err
	}
	n := q.begin()
	if err := q.order(t, n); err != nil {
		return err
	}
	q.pending.add(t, n, need, scratch)
	return nil
}
