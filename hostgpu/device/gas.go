package device

// gasBase is the price of a call before its work: checking, queueing and the
// reference device's call into its kernels, about 0.4 µs.
const gasBase = 400

// Gas is the price of a call, from shapes alone; one unit is about one
// nanosecond of the reference device. It makes the checks 1 to 6 of the spec
// and returns the error that Run would. Handles are looked up in sp.
func Gas(sp Space, c Call) (int64, error) {
	op, err := lookupOp(c.Op, len(c.Tensors), len(c.Imms))
	if err != nil {
		return 0, err
	}
	var ops [MaxTensors]operandShape
	var present [MaxTensors]bool
	for i, h := range c.Tensors {
		if h == 0 && op.tensors[i].Kind == Opt {
			continue
		}
		dt, s, err := sp.Stat(h)
		if err != nil {
			return 0, err
		}
		ops[i], present[i] = operandShape{dt, s}, true
	}
	dims, err := op.check(ops[:len(c.Tensors)], present[:], c.Imms)
	if err != nil {
		return 0, err
	}
	return op.gas(&dims, ops[:], present[:], c.Imms), nil
}

// DigestGas is the price of op digest over a tensor of n bytes; assay.record
// is charged the same.
func DigestGas(n int64) int64 { return gasBase + 2*n }

// gas prices a checked call. The formulas are docs/spec/ops.md, section 5.
func (c *compiledOp) gas(d *Dims, ops []operandShape, present []bool, imms []int64) int64 {
	dim := func(symbol byte) int64 { return int64(d.Get(symbol)) }
	var work int64
	switch c.spec.Op {
	case OpExpand:
		work = 2 * dim('M') * dim('K')
	case OpGemm:
		work = gasGemm(dim('M'), dim('N'), dim('K'))
	case OpRescale:
		work = 4 * dim('M') * dim('N')
	case OpLinear:
		mn := dim('M') * dim('N')
		work = gasGemm(dim('M'), dim('N'), dim('K')) + 4*mn
		for i, t := range c.tensors {
			if t.Kind == Opt && present[i] {
				work += mn
			}
		}
	case OpQuant:
		work = 3 * dim('M') * dim('K')
	case OpNorm:
		work = 6 * dim('M') * dim('K')
	case OpNormQuant:
		work = 8 * dim('M') * dim('K')
	case OpRope:
		work = 4 * dim('M') * dim('C')
	case OpAttention:
		work = gasAttention(dim, imms[0])
	case OpSiluMul:
		work = 12 * dim('M') * dim('K')
	case OpAdd, OpAddRow:
		work = dim('M') * dim('K')
	case OpEmbed:
		work = 4 * dim('M') * dim('K')
	case OpCopy, OpSlice, OpGather:
		work = ops[0].shape.Elems() * int64(ops[0].dtype.Size()) / 4
	case OpSample:
		work = 32 * dim('V')
		if l := dim('L'); l > 0 {
			work += 4 * l
		}
	case OpDigest:
		return DigestGas(ops[1].shape.Elems() * int64(ops[1].dtype.Size()))
	}
	return gasBase + work
}

func gasGemm(m, n, k int64) int64 { return m*n*k/16 + (m+n)*k/4 + m*n }

func gasAttention(dim func(byte) int64, seg int64) int64 {
	m, s, c, e, h := dim('M'), dim('S'), dim('C'), dim('E'), dim('H')
	if m == 0 {
		return 0
	}
	kseg := s / (m / seg)
	return 3*m*kseg*c/16 + 12*m*kseg*h + 12*m*c + s*e
}
