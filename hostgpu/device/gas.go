package device

// Term is one term of a price: Rate/1024 nanoseconds for each of the product
// of the symbols in Of, such as "MNK"; an empty product is 1. The letter z
// stands for the bytes of an element of the type that the call's TypeAny
// operands share. If names an optional operand whose absence drops the term.
//
// Nanoseconds are those of the reference device on one core of the reference
// machine, with the values that take it longest; "make bench-gas" measures them.
type Term struct {
	Rate int64
	Of   string
	If   string
}

// GasPerNanosecond is abi.GasPerNanosecond, which a leaf cannot import; a test
// keeps them equal.
const GasPerNanosecond = 4

// GasBase is the price of a call before its work: the host call, checking,
// queueing and the reference device's call into its kernels, 500 ns.
const GasBase = 500 * GasPerNanosecond

// gasOne is 1024/GasPerNanosecond as a shift: what a rate is divided by.
const gasOne = 8

// Gas is the price of a call, from shapes alone. It makes the checks 1 to 6 of the spec
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
	var dims Dims
	if err := op.check(&dims, ops[:len(c.Tensors)], present[:], c.Imms); err != nil {
		return 0, err
	}
	return op.gas(&dims, ops[:], present[:]), nil
}

// DigestGas is the price of op digest over a tensor of n bytes; assay.record
// is charged the same.
func DigestGas(n int64) int64 {
	sum := int64(1<<gasOne - 1)
	for _, t := range compiled[OpDigest-1].price {
		if t.elem { // M·K·z, the bytes
			sum += t.rate * n
		} else {
			sum += t.rate
		}
	}
	return GasBase + sum>>gasOne
}

// compiledTerm is a Term parsed.
type compiledTerm struct {
	rate    int64
	symbols []byte // of Dims
	elem    bool   // times the element size
	opt     int    // tensor operand that must be present, or -1
}

func (c *compiledOp) compilePrice() {
	for _, t := range c.spec.Price {
		p := compiledTerm{rate: t.Rate, opt: -1}
		for i := range len(t.Of) {
			if t.Of[i] == 'z' {
				p.elem = true
				continue
			}
			p.symbols = append(p.symbols, t.Of[i])
		}
		for i, o := range c.tensors {
			if t.If == o.Name {
				p.opt = i
			}
		}
		if t.Rate < 1 || t.Rate > maxRate && t.Of != "" || t.If != "" && p.opt < 0 {
			panic("device: bad price of " + c.spec.Name)
		}
		c.price = append(c.price, p)
	}
}

// maxRate keeps the sum of a price far from wrapping: products of dimensions
// that occur in prices are below 2^46 (docs/spec/ops.md, section 5).
const maxRate = 1 << 16

// gas prices a checked call.
func (c *compiledOp) gas(d *Dims, ops []operandShape, present []bool) int64 {
	sum := int64(1<<gasOne - 1)
	for i := range c.price {
		t := &c.price[i]
		if t.opt >= 0 && !present[t.opt] {
			continue
		}
		n := t.rate
		for _, s := range t.symbols {
			n *= int64(d.Get(s))
		}
		if t.elem {
			n *= c.elemSize(ops)
		}
		sum += n
	}
	return GasBase + sum>>gasOne
}

// elemSize is the size of the type that the TypeAny operands share.
func (c *compiledOp) elemSize(ops []operandShape) int64 {
	for i := range c.tensors {
		if c.tensors[i].Type == TypeAny {
			return int64(ops[i].dtype.Size())
		}
	}
	return 0
}
