package device

import "fmt"

// Run makes the checks of docs/spec/ops.md, section 3, in their order, and
// queues the task.
func (s *space) Run(c Call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return err
	}
	op, err := lookupOp(c.Op, len(c.Tensors), len(c.Imms))
	if err != nil {
		return err
	}
	n := len(c.Tensors)
	var bound [MaxTensors]*tensor
	var ops [MaxTensors]operandShape
	var present [MaxTensors]bool
	for i, h := range c.Tensors {
		if h == 0 && op.tensors[i].Kind == Opt {
			continue
		}
		t, err := s.get(h)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", op.spec.Name, op.tensors[i].Name, err)
		}
		if t.readOnly && op.tensors[i].Kind == Out {
			return fmt.Errorf("%w: %s: %s is read-only", ErrHandle, op.spec.Name, op.tensors[i].Name)
		}
		bound[i], ops[i], present[i] = t, operandShape{t.dtype, t.shape}, true
	}
	task := s.newTask(c.Op, n)
	if err := op.check(&task.Dims, ops[:n], present[:n], c.Imms); err != nil {
		return err
	}
	if err := op.checkAlias(bound[:n]); err != nil {
		return err
	}
	task.Imms = append(task.Imms, c.Imms...)
	empty := true
	for i, t := range bound[:n] {
		if t == nil {
			continue
		}
		task.Tensors[i] = Tensor{Off: t.off, Type: t.dtype, Shape: t.shape, Present: true}
		if t.size() > 0 {
			task.Tensors[i].Mem = t.buf.mem
			empty = empty && op.tensors[i].Kind != Out
		}
	}
	if empty {
		return nil
	}
	return s.fail(s.queue.Run(task))
}

// taskSpace is a task with room for its slices.
type taskSpace struct {
	Task
	tensors [MaxTensors]Tensor
	imms    [maxImms]int64
}

// newTask makes a task with room for its tensors: the space's own, whose
// content the queue has done with, or a new one.
func (s *space) newTask(op Op, tensors int) *Task {
	t := s.task
	if t == nil {
		t = &taskSpace{}
		if s.transient {
			s.task = t
		}
	}
	clear(t.tensors[:tensors])
	t.Op, t.Tensors, t.Imms = op, t.tensors[:tensors:tensors], t.imms[:0]
	return &t.Task
}

// checkAlias is check 7: an output overlaps no other operand, except the very
// same bytes of the input it may replace.
func (c *compiledOp) checkAlias(bound []*tensor) error {
	for i, t := range bound {
		if t == nil || c.tensors[i].Kind != Out {
			continue
		}
		for j, o := range bound {
			if i == j || o == nil || !overlap(t, o) {
				continue
			}
			if c.tensors[i].inPlace == j && t.off == o.off && t.size() == o.size() {
				continue
			}
			return fmt.Errorf("%w: %s: %s and %s", ErrAlias, c.spec.Name, c.tensors[i].Name, c.tensors[j].Name)
		}
	}
	return nil
}

func overlap(a, b *tensor) bool {
	return a.buf == b.buf && a.size() > 0 && b.size() > 0 &&
		a.off < b.off+b.size() && b.off < a.off+a.size()
}
