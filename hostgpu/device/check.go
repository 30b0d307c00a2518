package device

import (
	"fmt"
	"strconv"
)

// MaxTensors is the largest number of tensor operands in the table.
const MaxTensors = 8

// maxImms is above the largest number of immediates in the table.
const maxImms = 8

// Dims are the values of a call's shape symbols, one for each letter A to Z;
// -1 for a symbol that the op does not have.
type Dims [26]int

// Get returns the value of a symbol, for instance Get('M').
func (d *Dims) Get(symbol byte) int { return d[symbol-'A'] }

func (d *Dims) set(symbol byte, v int) { d[symbol-'A'] = v }

// Operand of a call as a device sees it.
type operandShape struct {
	dtype DType
	shape Shape
}

// Spec returns the table entry of op, nil for an unknown number.
func (op Op) Spec() *OpSpec {
	if op == OpInvalid || int(op) > len(Ops) {
		return nil
	}
	return &Ops[op-1]
}

// String is the op's name as in its import, "tensor." left out.
func (op Op) String() string {
	if s := op.Spec(); s != nil {
		return s.Name
	}
	return "op(" + strconv.Itoa(int(op)) + ")"
}

// IsTensor reports whether operands of the kind are handles.
func (k Kind) IsTensor() bool { return k == In || k == Opt || k == Out }

// Tensors returns the tensor operands of the op in order.
func (s *OpSpec) Tensors() []Operand { return s.filter(true) }

// Imms returns the immediate operands of the op in order.
func (s *OpSpec) Imms() []Operand { return s.filter(false) }

func (s *OpSpec) filter(tensors bool) []Operand {
	var out []Operand
	for _, o := range s.Operands {
		if o.Kind.IsTensor() == tensors {
			out = append(out, o)
		}
	}
	return out
}

// compiledOp is an OpSpec with its shape strings parsed, made once.
type compiledOp struct {
	spec    *OpSpec
	tensors []compiledTensor
	imms    []Operand
	price   []compiledTerm
}

type compiledTensor struct {
	Operand
	rows, cols dim
	inPlace    int // index of the tensor operand it may coincide with, or -1
}

// dim is a literal (symbol 0) or a symbol.
type dim struct {
	symbol  byte
	literal int
}

var compiled = compileTable()

func compileTable() []compiledOp {
	out := make([]compiledOp, len(Ops))
	for i := range Ops {
		spec := &Ops[i]
		if spec.Op != Op(i+1) {
			panic("device: table out of order at " + spec.Name)
		}
		c := compiledOp{spec: spec, imms: spec.Imms()}
		for _, o := range spec.Tensors() {
			t := compiledTensor{Operand: o, rows: parseDim(o.Rows), cols: parseDim(o.Cols), inPlace: -1}
			for j, other := range spec.Tensors() {
				if o.InPlace == other.Name {
					t.inPlace = j
				}
			}
			c.tensors = append(c.tensors, t)
		}
		if len(c.tensors) > MaxTensors || len(c.imms) > maxImms {
			panic("device: too many operands in " + spec.Name)
		}
		c.compilePrice()
		out[i] = c
	}
	return out
}

func parseDim(s string) dim {
	if len(s) == 1 && s[0] >= 'A' && s[0] <= 'Z' {
		return dim{symbol: s[0]}
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		panic("device: bad dimension " + s)
	}
	return dim{literal: n}
}

// bind matches a dimension with its value, giving its symbol that value where
// it had none.
func (d dim) bind(dims *Dims, v int) bool {
	if d.symbol == 0 {
		return d.literal == v
	}
	p := &dims[d.symbol-'A']
	if *p < 0 {
		*p = v
	}
	return *p == v
}

func newDims() (d Dims) {
	for i := range d {
		d[i] = -1
	}
	return d
}

// lookupOp checks number and operand counts: check 1 of the spec.
func lookupOp(op Op, tensors, imms int) (*compiledOp, error) {
	if op == OpInvalid || int(op) > len(compiled) {
		return nil, fmt.Errorf("%w: %d", ErrOp, op)
	}
	c := &compiled[op-1]
	if tensors != len(c.tensors) || imms != len(c.imms) {
		return nil, fmt.Errorf("%w: %s takes %d tensors and %d immediates, got %d and %d",
			ErrOp, c.spec.Name, len(c.tensors), len(c.imms), tensors, imms)
	}
	return c, nil
}

// check does checks 3 to 6 of the spec; present[i] is false for an absent
// optional operand, whose entry in ops is ignored. It fills in dims, which the
// caller owns: they escape through the rules.
func (c *compiledOp) check(dims *Dims, ops []operandShape, present []bool, imms []int64) error {
	*dims = newDims()
	anyType := DTypeInvalid
	for i, t := range c.tensors {
		if !present[i] {
			continue
		}
		got := ops[i].dtype
		want := t.Type
		if want == TypeAny {
			if anyType == DTypeInvalid {
				anyType = got
			}
			want = anyType
		}
		if got != want {
			return fmt.Errorf("%w: %s: %s is %v, want %v", ErrType, c.spec.Name, t.Name, got, want)
		}
	}
	for i, t := range c.tensors {
		if !present[i] {
			continue
		}
		s := ops[i].shape
		if !t.rows.bind(dims, s.Rows) || !t.cols.bind(dims, s.Cols) {
			return fmt.Errorf("%w: %s: %s is %v, want [%s,%s]", ErrShape, c.spec.Name, t.Name, s, t.Rows, t.Cols)
		}
	}
	for i, o := range c.imms {
		if imms[i] < o.Min || imms[i] > o.Max {
			return fmt.Errorf("%w: %s: %s = %d is outside [%d, %d]", ErrShape, c.spec.Name, o.Name, imms[i], o.Min, o.Max)
		}
	}
	if c.spec.Rules != nil {
		if err := c.spec.Rules(dims, imms); err != nil {
			return fmt.Errorf("%w: %s: %s", ErrShape, c.spec.Name, err.Error())
		}
	}
	return nil
}
