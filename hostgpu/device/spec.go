package device

// Op is the number of a tensor op. Numbers are part of the ABI and never reused.
type Op uint16

const (
	OpInvalid   Op = 0
	OpExpand    Op = 1
	OpGemm      Op = 2
	OpRescale   Op = 3
	OpLinear    Op = 4
	OpQuant     Op = 5
	OpNorm      Op = 6
	OpNormQuant Op = 7
	OpRope      Op = 8
	OpAttention Op = 9
	OpSiluMul   Op = 10
	OpAdd       Op = 11
	OpAddRow    Op = 12
	OpEmbed     Op = 13
	OpCopy      Op = 14
	OpSlice     Op = 15
	OpGather    Op = 16
	OpSample    Op = 17
	OpDigest    Op = 18
)

// Kind of an operand.
type Kind uint8

const (
	In    Kind = iota + 1 // tensor, read
	Opt                   // tensor, read, handle 0 means absent
	Out                   // tensor, written
	Imm32                 // i32 immediate
	Imm64                 // i64 immediate
)

// TypeAny as an operand's DType stands for one type that all TypeAny operands
// of the call share.
const TypeAny DType = 0xFF

// Operand of an op. Rows and Cols are "1", another literal, or a symbol ("M",
// "N", "K", ...) that must be equal wherever it occurs in the call.
// InPlace marks an output that may be the very same tensor as the named input;
// any other overlap of an output with another operand is ErrAlias.
type Operand struct {
	Name       string
	Kind       Kind
	Type       DType
	Rows, Cols string
	InPlace    string
	Min, Max   int64 // bounds of an immediate, inclusive
	Doc        string
}

// OpSpec is one entry of the table.
type OpSpec struct {
	Op       Op
	Name     string // tensor.<Name> is the import
	Operands []Operand
	Doc      string
	// Rules is check 6 of the spec: what the symbols alone cannot say. It may
	// also give a value to a symbol that no operand has. Nil: nothing to check.
	Rules    func(d *Dims, imms []int64) error
	Requires string // Rules in words
	Price    []Term // see Gas
}
