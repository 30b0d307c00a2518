package device

// Bind gives the task the dimensions that follow from its tensors and
// immediates, as the call it came from had them. It fails where such a call
// would fail check 3, 4, 5 or 6 of the spec.
func (t *Task) Bind() error {
	op, err := lookupOp(t.Op, len(t.Tensors), len(t.Imms))
	if err != nil {
		return err
	}
	ops, present := t.operands()
	return op.check(&t.Dims, ops[:len(t.Tensors)], present[:len(t.Tensors)], t.Imms)
}

func (t *Task) operands() (ops [MaxTensors]operandShape, present [MaxTensors]bool) {
	for i := range t.Tensors {
		x := &t.Tensors[i]
		ops[i], present[i] = operandShape{x.Type, x.Shape}, x.Present
	}
	return ops, present
}

// Gas is the price of the call that the task came from, in the unit of the
// function Gas.
func (t *Task) Gas() int64 {
	ops, present := t.operands()
	return compiled[t.Op-1].gas(&t.Dims, ops[:len(t.Tensors)], present[:len(t.Tensors)])
}
