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
}

const (
	minI32 = -1 << 31
	maxI32 = 1<<31 - 1
	maxI64 = 1<<63 - 1
	minI64 = -1 << 63
)

// Ops is the table, in order of Op. Formulas: docs/spec/ops.md.
//
// eout: a result with F fraction bits has eout = F + 31 (rescale, linear,
// attention).
var Ops = []OpSpec{
	{OpExpand, "expand", []Operand{
		{Name: "dst", Kind: Out, Type: S8, Rows: "M", Cols: "K"},
		{Name: "seed", Kind: In, Type: U8, Rows: "1", Cols: "32"},
		{Name: "stream", Kind: Imm64, Min: minI64, Max: maxI64, Doc: "nonce: 4 zero bytes, then the stream, little-endian"},
	}, "ChaCha20 (RFC 8439) keystream under key seed, counter from 0, row-major; byte -128 is read as 0"},
	{OpGemm, "gemm", []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "N"},
		{Name: "a", Kind: In, Type: S8, Rows: "M", Cols: "K"},
		{Name: "b", Kind: In, Type: S8, Rows: "N", Cols: "K"},
	}, "dst[i,j] = sum over k of a[i,k]·b[j,k]; K at most 131,072"},
	{OpRescale, "rescale", []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "N", InPlace: "acc"},
		{Name: "acc", Kind: In, Type: S32, Rows: "M", Cols: "N"},
		{Name: "row", Kind: In, Type: ScaleT, Rows: "M", Cols: "1"},
		{Name: "chan", Kind: In, Type: ScaleT, Rows: "N", Cols: "1"},
		{Name: "eout", Kind: Imm32, Min: -1024, Max: 1024},
	}, "fixed-point product of an accumulator with its row and channel scales"},
	{OpLinear, "linear", []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "N", InPlace: "residual"},
		{Name: "a", Kind: In, Type: S8, Rows: "M", Cols: "K"},
		{Name: "arow", Kind: In, Type: ScaleT, Rows: "M", Cols: "1"},
		{Name: "w", Kind: In, Type: S8, Rows: "N", Cols: "K"},
		{Name: "wchan", Kind: In, Type: ScaleT, Rows: "N", Cols: "1"},
		{Name: "bias", Kind: Opt, Type: S32, Rows: "1", Cols: "N"},
		{Name: "residual", Kind: Opt, Type: S32, Rows: "M", Cols: "N"},
		{Name: "eout", Kind: Imm32, Min: -1024, Max: 1024},
	}, "gemm, rescale, saturating add of bias, saturating add of residual, exactly in that order"},
	{OpQuant, "quant", []Operand{
		{Name: "dst", Kind: Out, Type: S8, Rows: "M", Cols: "K"},
		{Name: "scale", Kind: Out, Type: ScaleT, Rows: "M", Cols: "1"},
		{Name: "src", Kind: In, Type: S32, Rows: "M", Cols: "K"},
		{Name: "frac", Kind: Imm32, Min: 0, Max: 31, Doc: "fraction bits of src"},
	}, "symmetric int8 quantization with one scale a row"},
	{OpNorm, "norm", []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "K", InPlace: "src"},
		{Name: "src", Kind: In, Type: S32, Rows: "M", Cols: "K"},
		{Name: "gain", Kind: In, Type: S32, Rows: "1", Cols: "K", Doc: "Q16"},
		{Name: "epsk", Kind: Imm64, Min: 0, Max: 1 << 56, Doc: "floor(eps·K·2^(2·fraction bits of src))"},
	}, "RMSNorm with gain; result Q16"},
	{OpNormQuant, "norm_quant", []Operand{
		{Name: "dst", Kind: Out, Type: S8, Rows: "M", Cols: "K"},
		{Name: "scale", Kind: Out, Type: ScaleT, Rows: "M", Cols: "1"},
		{Name: "src", Kind: In, Type: S32, Rows: "M", Cols: "K"},
		{Name: "gain", Kind: In, Type: S32, Rows: "1", Cols: "K", Doc: "Q16"},
		{Name: "epsk", Kind: Imm64, Min: 0, Max: 1 << 56, Doc: "floor(eps·K·2^(2·fraction bits of src))"},
	}, "RMSNorm with gain, quantized without an intermediate rounding to Q16"},
	{OpRope, "rope", []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "C", InPlace: "src"},
		{Name: "src", Kind: In, Type: S32, Rows: "M", Cols: "C", Doc: "C a multiple of D"},
		{Name: "table", Kind: In, Type: S32, Rows: "P", Cols: "D", Doc: "Q30: D/2 cosines, then D/2 sines, one row a position"},
		{Name: "pos", Kind: In, Type: S32, Rows: "M", Cols: "1", Doc: "clamped to [0, P-1]"},
	}, "rotary embedding of each head of D columns: pairs (i, i+D/2)"},
	{OpAttention, "attention", []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "C"},
		{Name: "q", Kind: In, Type: S8, Rows: "M", Cols: "C"},
		{Name: "qs", Kind: In, Type: ScaleT, Rows: "M", Cols: "H"},
		{Name: "k", Kind: In, Type: S8, Rows: "S", Cols: "E"},
		{Name: "ks", Kind: In, Type: ScaleT, Rows: "S", Cols: "G"},
		{Name: "v", Kind: In, Type: S8, Rows: "S", Cols: "E"},
		{Name: "vs", Kind: In, Type: ScaleT, Rows: "S", Cols: "G"},
		{Name: "seg", Kind: Imm32, Min: 1, Max: MaxDim, Doc: "query rows a segment; M = n·seg, S = n·kseg, kseg >= seg"},
		{Name: "mant", Kind: Imm32, Min: 1 << 30, Max: maxI32, Doc: "mantissa of the scale log2(e)/sqrt(D)"},
		{Name: "exp", Kind: Imm32, Min: -1024, Max: 1024, Doc: "its exponent"},
		{Name: "eout", Kind: Imm32, Min: -1024, Max: 1024},
	}, "causal grouped-query attention: H heads of D = C/H columns, G key heads of D = E/G columns; query i of a segment sees keys 0 .. kseg-seg+i of its segment"},
	{OpSiluMul, "silu_mul", []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "K", InPlace: "gate"},
		{Name: "gate", Kind: In, Type: S32, Rows: "M", Cols: "K", Doc: "Q16"},
		{Name: "up", Kind: In, Type: S32, Rows: "M", Cols: "K", Doc: "Q16"},
	}, "silu(gate)·up, Q16, saturating"},
	{OpAdd, "add", []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "K", InPlace: "a"},
		{Name: "a", Kind: In, Type: S32, Rows: "M", Cols: "K"},
		{Name: "b", Kind: In, Type: S32, Rows: "M", Cols: "K"},
	}, "saturating sum"},
	{OpAddRow, "add_row", []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "K", InPlace: "a"},
		{Name: "a", Kind: In, Type: S32, Rows: "M", Cols: "K"},
		{Name: "row", Kind: In, Type: S32, Rows: "1", Cols: "K"},
	}, "saturating sum of one row to every row"},
	{OpEmbed, "embed", []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "K"},
		{Name: "table", Kind: In, Type: S8, Rows: "V", Cols: "K"},
		{Name: "scale", Kind: In, Type: ScaleT, Rows: "V", Cols: "1"},
		{Name: "ids", Kind: In, Type: S32, Rows: "M", Cols: "1", Doc: "clamped to [0, V-1]"},
		{Name: "frac", Kind: Imm32, Min: 0, Max: 31, Doc: "fraction bits of dst"},
	}, "rows of an int8 table as fixed point"},
	{OpCopy, "copy", []Operand{
		{Name: "dst", Kind: Out, Type: TypeAny, Rows: "M", Cols: "K"},
		{Name: "src", Kind: In, Type: TypeAny, Rows: "M", Cols: "K"},
	}, "copy"},
	{OpSlice, "slice", []Operand{
		{Name: "dst", Kind: Out, Type: TypeAny, Rows: "M", Cols: "N"},
		{Name: "src", Kind: In, Type: TypeAny, Rows: "M", Cols: "K"},
		{Name: "col0", Kind: Imm32, Min: 0, Max: MaxDim, Doc: "col0 + N <= K"},
	}, "columns col0 .. col0+N-1"},
	{OpGather, "gather", []Operand{
		{Name: "dst", Kind: Out, Type: TypeAny, Rows: "M", Cols: "K"},
		{Name: "src", Kind: In, Type: TypeAny, Rows: "S", Cols: "K"},
		{Name: "ids", Kind: In, Type: S32, Rows: "M", Cols: "1", Doc: "clamped to [0, S-1]"},
	}, "rows chosen by a tensor of indexes"},
	{OpSample, "sample", []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "1", Cols: "1", Doc: "token id"},
		{Name: "logits", Kind: In, Type: S32, Rows: "1", Cols: "V", Doc: "Q16"},
		{Name: "history", Kind: Opt, Type: S32, Rows: "L", Cols: "1", Doc: "tokens that the repetition penalty counts; ids outside [0, V) are ignored"},
		{Name: "seed", Kind: In, Type: U8, Rows: "1", Cols: "32"},
		{Name: "step", Kind: Imm64, Min: 0, Max: maxI64, Doc: "ChaCha20 stream number"},
		{Name: "temperature", Kind: Imm32, Min: 0, Max: 16 << 16, Doc: "Q16; 0 is argmax, lowest index on ties"},
		{Name: "topk", Kind: Imm32, Min: 0, Max: MaxDim, Doc: "0 keeps all"},
		{Name: "topp", Kind: Imm32, Min: 0, Max: 1 << 16, Doc: "Q16; 65536 keeps all"},
		{Name: "penalty", Kind: Imm32, Min: 1 << 14, Max: 4 << 16, Doc: "Q16; 65536 is none"},
	}, "penalty, top-k, softmax weights, top-p, then one draw from the exact integer distribution"},
	{OpDigest, "digest", []Operand{
		{Name: "dst", Kind: Out, Type: U8, Rows: "1", Cols: "32"},
		{Name: "src", Kind: In, Type: TypeAny, Rows: "M", Cols: "K"},
		{Name: "key", Kind: Opt, Type: U8, Rows: "1", Cols: "32"},
	}, "BLAKE3 (keyed if key) of: type u8, rows u32, cols u32 (little-endian), element bytes"},
}
