package device

// Gas is the price of the call that the task came from, in the unit of the
// function Gas.
func (t *Task) Gas() int64 {
	var ops [MaxTensors]operandShape
	var present [MaxTensors]bool
	for i := range t.Tensors {
		x := &t.Tensors[i]
		ops[i], present[i] = operandShape{x.Type, x.Shape}, x.Present
	}
	return compiled[t.Op-1].gas(&t.Dims, ops[:len(t.Tensors)], present[:len(t.Tensors)])
}
