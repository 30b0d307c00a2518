package kernels

import "github.com/assaynet/assay/hostgpu/device"

// maxBatch is the most tasks of a batch (BATCH of chacha.cuh).
const maxBatch = 240

// Batch says how many of the tasks, from the first on, one plan may serve: n ≥ 1
// for at least one task. More than one are digests of one shape, or streams of
// one seed expanded into one shape, none of which reads or overwrites what
// another writes. They are small and many, a launch each would cost more than
// the work. The tasks must be queued one behind the other.
func Batch(tasks []*device.Task, addr func(device.Tensor) uint64) int {
	first := tasks[0]
	if first.Op != device.OpDigest && first.Op != device.OpExpand {
		return 1
	}
	var all operands
	n := 0
	for _, t := range tasks[:min(len(tasks), maxBatch)] {
		next := all
		if t.Op != first.Op || !next.add(first, t, addr) || n > 0 && next.conflict() {
			break
		}
		all = next
		n++
	}
	return max(n, 1)
}

// operands bound the memory that a batch's tasks touch. Bounds may enclose
// memory between tensors: then tasks are kept apart that need not be.
type operands struct{ out, in, key region }

type region struct {
	from, to uint64
	overlap  bool // a later tensor lay over earlier ones
}

func (r *region) add(from uint64, bytes int64) {
	to := from + uint64(bytes)
	if r.to == 0 {
		r.from, r.to = from, to
		return
	}
	r.overlap = r.overlap || from < r.to && r.from < to
	r.from, r.to = min(r.from, from), max(r.to, to)
}

func (r *region) meets(o region) bool { return r.to > 0 && o.to > 0 && r.from < o.to && o.from < r.to }

// add takes the operands of t, if it is of the batch's shape, seed and key.
func (o *operands) add(first, t *device.Task, addr func(device.Tensor) uint64) bool {
	o.out.add(addr(t.Tensors[0]), t.Tensors[0].Bytes())
	if t.Op == device.OpExpand {
		o.in.add(addr(t.Tensors[1]), t.Tensors[1].Bytes())
		return t.Tensors[0].Shape == first.Tensors[0].Shape && addr(t.Tensors[1]) == addr(first.Tensors[1])
	}
	if in := t.Tensors[1]; in.Mem != nil {
		o.in.add(addr(in), in.Bytes())
	}
	if key := t.Tensors[2]; key.Present {
		at := addr(key)
		if o.key.to > 0 && o.key.from != at {
			return false
		}
		o.key.from, o.key.to = at, at+uint64(key.Bytes())
	}
	a, b := first.Tensors[1], t.Tensors[1]
	return a.Type == b.Type && a.Shape == b.Shape
}

// conflict says whether a task might touch another's result.
func (o *operands) conflict() bool { return o.out.overlap || o.out.meets(o.in) || o.out.meets(o.key) }

// PlanBatch appends the launches of tasks that Batch counted; a batch of one is
// what Plan appends. scratch has at least n times Scratch of the first task.
func PlanBatch(dst []Launch, tasks []*device.Task, addr func(device.Tensor) uint64, scratch uint64, p Props) []Launch {
	if len(tasks) == 1 {
		return Plan(dst, tasks[0], addr, scratch, p)
	}
	c := planner{Task: tasks[0], out: dst, addr: addr, scratch: scratch, props: p}
	if c.Op == device.OpDigest {
		c.digest(tasks)
	} else {
		c.expand(tasks)
	}
	return c.out
}

// items appends a batch's pairs of words to a kernel's arguments, in room for
// one or for maxBatch.
func (a *args) items(pairs [][2]uint64) *args {
	for _, p := range pairs {
		a.u64(p[0], p[1])
	}
	if len(pairs) > 1 {
		a.b = append(a.b, make([]byte, 16*(maxBatch-len(pairs)))...)
	}
	return a
}

// expandBlock threads make one ChaCha20 block of 64 bytes each.
const expandBlock = 128

func (c *planner) expand(tasks []*device.Task) {
	n := uint32(c.Tensors[0].Bytes())
	blocks := ceilDiv(n, 64*expandBlock)
	var items [][2]uint64
	for _, t := range tasks {
		items = append(items, [2]uint64{c.ptr(t.Tensors[0]), uint64(t.Imms[0])})
	}
	kernel := "assay_expand"
	if len(items) > 1 {
		kernel = "assay_expands"
	}
	c.launch(kernel, blocks*uint32(len(items)), expandBlock, 0, newArgs(c.ptr(c.Tensors[1])).u32(n, blocks).items(items))
}
