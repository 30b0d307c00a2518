package device

const (
	minI32 = -1 << 31
	maxI32 = 1<<31 - 1
	maxI64 = 1<<63 - 1
	minI64 = -1 << 63
)

// Ops is the table, in order of Op. Formulas: docs/spec/ops.md. Host and guest
// bindings, checks, prices, the reference kernels' prototypes and the tables of
// the spec all come from here; how to add an op is section 7 of the spec.
//
// eout: a result with F fraction bits has eout = F + 31 (rescale, linear,
// attention).
var Ops = []OpSpec{
	{Op: OpExpand, Name: "expand", Operands: []Operand{
		{Name: "dst", Kind: Out, Type: S8, Rows: "M", Cols: "K"},
		{Name: "seed", Kind: In, Type: U8, Rows: "1", Cols: "32"},
		{Name: "stream", Kind: Imm64, Min: minI64, Max: maxI64, Doc: "nonce: 4 zero bytes, then the stream, little-endian"},
	}, Doc: "ChaCha20 (RFC 8439) keystream under key seed, counter from 0, row-major; byte -128 is read as 0",
		Price: []Term{{200 << 10, "", ""}, {1600, "MK", ""}}},
	{Op: OpGemm, Name: "gemm", Operands: []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "N"},
		{Name: "a", Kind: In, Type: S8, Rows: "M", Cols: "K"},
		{Name: "b", Kind: In, Type: S8, Rows: "N", Cols: "K"},
	}, Doc: "dst[i,j] = sum over k of a[i,k]·b[j,k]; K at most 131,072",
		Rules: ruleK, Requires: "K ≤ 131,072",
		Price: []Term{{52, "MNK", ""}, {704, "MK", ""}, {80, "NK", ""}, {1800, "MN", ""}}},
	{Op: OpRescale, Name: "rescale", Operands: []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "N", InPlace: "acc"},
		{Name: "acc", Kind: In, Type: S32, Rows: "M", Cols: "N"},
		{Name: "row", Kind: In, Type: ScaleT, Rows: "M", Cols: "1"},
		{Name: "chan", Kind: In, Type: ScaleT, Rows: "N", Cols: "1"},
		{Name: "eout", Kind: Imm32, Min: -1024, Max: 1024},
	}, Doc: "fixed-point product of an accumulator with its row and channel scales",
		Price: []Term{{20480, "M", ""}, {6200, "MN", ""}}},
	{Op: OpLinear, Name: "linear", Operands: []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "N", InPlace: "residual"},
		{Name: "a", Kind: In, Type: S8, Rows: "M", Cols: "K"},
		{Name: "arow", Kind: In, Type: ScaleT, Rows: "M", Cols: "1"},
		{Name: "w", Kind: In, Type: S8, Rows: "N", Cols: "K"},
		{Name: "wchan", Kind: In, Type: ScaleT, Rows: "N", Cols: "1"},
		{Name: "bias", Kind: Opt, Type: S32, Rows: "1", Cols: "N"},
		{Name: "residual", Kind: Opt, Type: S32, Rows: "M", Cols: "N"},
		{Name: "eout", Kind: Imm32, Min: -1024, Max: 1024},
	}, Doc: "gemm, rescale, saturating add of bias, saturating add of residual, exactly in that order",
		Rules: ruleK, Requires: "K ≤ 131,072",
		Price: []Term{{52, "MNK", ""}, {704, "MK", ""}, {80, "NK", ""}, {7000, "MN", ""}, {640, "MN", "bias"}, {640, "MN", "residual"}}},
	{Op: OpQuant, Name: "quant", Operands: []Operand{
		{Name: "dst", Kind: Out, Type: S8, Rows: "M", Cols: "K"},
		{Name: "scale", Kind: Out, Type: ScaleT, Rows: "M", Cols: "1"},
		{Name: "src", Kind: In, Type: S32, Rows: "M", Cols: "K"},
		{Name: "frac", Kind: Imm32, Min: 0, Max: 31, Doc: "fraction bits of src"},
	}, Doc: "symmetric int8 quantization with one scale a row",
		Price: []Term{{18000, "M", ""}, {1040, "MK", ""}}},
	{Op: OpNorm, Name: "norm", Operands: []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "K", InPlace: "src"},
		{Name: "src", Kind: In, Type: S32, Rows: "M", Cols: "K"},
		{Name: "gain", Kind: In, Type: S32, Rows: "1", Cols: "K", Doc: "Q16"},
		{Name: "epsk", Kind: Imm64, Min: 0, Max: 1 << 56, Doc: "floor(eps·K·2^(2·fraction bits of src))"},
	}, Doc: "RMSNorm with gain; result Q16",
		Rules: ruleK, Requires: "K ≤ 131,072",
		Price: []Term{{37900, "M", ""}, {3980, "MK", ""}}},
	{Op: OpNormQuant, Name: "norm_quant", Operands: []Operand{
		{Name: "dst", Kind: Out, Type: S8, Rows: "M", Cols: "K"},
		{Name: "scale", Kind: Out, Type: ScaleT, Rows: "M", Cols: "1"},
		{Name: "src", Kind: In, Type: S32, Rows: "M", Cols: "K"},
		{Name: "gain", Kind: In, Type: S32, Rows: "1", Cols: "K", Doc: "Q16"},
		{Name: "epsk", Kind: Imm64, Min: 0, Max: 1 << 56, Doc: "floor(eps·K·2^(2·fraction bits of src))"},
	}, Doc: "RMSNorm with gain, quantized without an intermediate rounding to Q16",
		Rules: ruleK, Requires: "K ≤ 131,072",
		Price: []Term{{42000, "M", ""}, {4100, "MK", ""}}},
	{Op: OpRope, Name: "rope", Operands: []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "C", InPlace: "src"},
		{Name: "src", Kind: In, Type: S32, Rows: "M", Cols: "C", Doc: "C a multiple of D"},
		{Name: "table", Kind: In, Type: S32, Rows: "P", Cols: "D", Doc: "Q30: D/2 cosines, then D/2 sines, one row a position"},
		{Name: "pos", Kind: In, Type: S32, Rows: "M", Cols: "1", Doc: "clamped to [0, P-1]"},
	}, Doc: "rotary embedding of each head of D columns: pairs (i, i+D/2)",
		Rules: ruleRope, Requires: "D even, D ≥ 2, C a multiple of D, P ≥ 1",
		Price: []Term{{2220, "MC", ""}, {7300, "MH", ""}}},
	{Op: OpAttention, Name: "attention", Operands: []Operand{
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
	}, Doc: "causal grouped-query attention: H heads of D = C/H columns, G key heads of D = E/G columns; query i of a segment sees keys 0 .. kseg-seg+i of its segment",
		Rules: ruleAttention, Requires: "H ≥ 1, G ≥ 1, C = H·D, E = G·D for one D in [1, 1,024], H a multiple of G, M a multiple of seg; if M > 0, with n = M/seg: S = n·T, seg ≤ T ≤ 65,536",
		Price: []Term{{22, "MTC", ""}, {11500, "MTH", ""}, {15200, "MC", ""}, {900, "SE", ""}}},
	{Op: OpSiluMul, Name: "silu_mul", Operands: []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "K", InPlace: "gate"},
		{Name: "gate", Kind: In, Type: S32, Rows: "M", Cols: "K", Doc: "Q16"},
		{Name: "up", Kind: In, Type: S32, Rows: "M", Cols: "K", Doc: "Q16"},
	}, Doc: "silu(gate)·up, Q16, saturating",
		Price: []Term{{10200, "MK", ""}}},
	{Op: OpAdd, Name: "add", Operands: []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "K", InPlace: "a"},
		{Name: "a", Kind: In, Type: S32, Rows: "M", Cols: "K"},
		{Name: "b", Kind: In, Type: S32, Rows: "M", Cols: "K"},
	}, Doc: "saturating sum",
		Price: []Term{{740, "MK", ""}}},
	{Op: OpAddRow, Name: "add_row", Operands: []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "K", InPlace: "a"},
		{Name: "a", Kind: In, Type: S32, Rows: "M", Cols: "K"},
		{Name: "row", Kind: In, Type: S32, Rows: "1", Cols: "K"},
	}, Doc: "saturating sum of one row to every row",
		Price: []Term{{4400, "M", ""}, {840, "MK", ""}}},
	{Op: OpEmbed, Name: "embed", Operands: []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "M", Cols: "K"},
		{Name: "table", Kind: In, Type: S8, Rows: "V", Cols: "K"},
		{Name: "scale", Kind: In, Type: ScaleT, Rows: "V", Cols: "1"},
		{Name: "ids", Kind: In, Type: S32, Rows: "M", Cols: "1", Doc: "clamped to [0, V-1]"},
		{Name: "frac", Kind: Imm32, Min: 0, Max: 31, Doc: "fraction bits of dst"},
	}, Doc: "rows of an int8 table as fixed point",
		Rules: ruleEmbed, Requires: "V ≥ 1",
		Price: []Term{{10240, "M", ""}, {1400, "MK", ""}}},
	{Op: OpCopy, Name: "copy", Operands: []Operand{
		{Name: "dst", Kind: Out, Type: TypeAny, Rows: "M", Cols: "K"},
		{Name: "src", Kind: In, Type: TypeAny, Rows: "M", Cols: "K"},
	}, Doc: "copy",
		Price: []Term{{40, "MKz", ""}}},
	{Op: OpSlice, Name: "slice", Operands: []Operand{
		{Name: "dst", Kind: Out, Type: TypeAny, Rows: "M", Cols: "N"},
		{Name: "src", Kind: In, Type: TypeAny, Rows: "M", Cols: "K"},
		{Name: "col0", Kind: Imm32, Min: 0, Max: MaxDim, Doc: "col0 + N <= K"},
	}, Doc: "columns col0 .. col0+N-1",
		Rules: ruleSlice, Requires: "col0 + N ≤ K",
		Price: []Term{{15700, "M", ""}, {40, "MNz", ""}}},
	{Op: OpGather, Name: "gather", Operands: []Operand{
		{Name: "dst", Kind: Out, Type: TypeAny, Rows: "M", Cols: "K"},
		{Name: "src", Kind: In, Type: TypeAny, Rows: "S", Cols: "K"},
		{Name: "ids", Kind: In, Type: S32, Rows: "M", Cols: "1", Doc: "clamped to [0, S-1]"},
	}, Doc: "rows chosen by a tensor of indexes",
		Rules: ruleGather, Requires: "S ≥ 1",
		Price: []Term{{15800, "M", ""}, {40, "MKz", ""}}},
	{Op: OpSample, Name: "sample", Operands: []Operand{
		{Name: "dst", Kind: Out, Type: S32, Rows: "1", Cols: "1", Doc: "token id"},
		{Name: "logits", Kind: In, Type: S32, Rows: "1", Cols: "V", Doc: "Q16"},
		{Name: "history", Kind: Opt, Type: S32, Rows: "L", Cols: "1", Doc: "tokens that the repetition penalty counts; ids outside [0, V) are ignored"},
		{Name: "seed", Kind: In, Type: U8, Rows: "1", Cols: "32"},
		{Name: "step", Kind: Imm64, Min: 0, Max: maxI64, Doc: "ChaCha20 stream number"},
		{Name: "temperature", Kind: Imm32, Min: 0, Max: 16 << 16, Doc: "Q16; 0 is argmax, lowest index on ties"},
		{Name: "topk", Kind: Imm32, Min: 0, Max: MaxDim, Doc: "0 keeps all"},
		{Name: "topp", Kind: Imm32, Min: 0, Max: 1 << 16, Doc: "Q16; 65536 keeps all"},
		{Name: "penalty", Kind: Imm32, Min: 1 << 14, Max: 4 << 16, Doc: "Q16; 65536 is none"},
	}, Doc: "penalty, top-k, softmax weights, top-p, then one draw from the exact integer distribution",
		Rules: ruleSample, Requires: "1 ≤ V ≤ 4,194,304",
		Price: []Term{{3100 << 10, "", ""}, {28200, "V", ""}, {3072, "L", "history"}}},
	{Op: OpDigest, Name: "digest", Operands: []Operand{
		{Name: "dst", Kind: Out, Type: U8, Rows: "1", Cols: "32"},
		{Name: "src", Kind: In, Type: TypeAny, Rows: "M", Cols: "K"},
		{Name: "key", Kind: Opt, Type: U8, Rows: "1", Cols: "32"},
	}, Doc: "BLAKE3 (keyed if key) of: type u8, rows u32, cols u32 (little-endian), element bytes",
		Price: []Term{{700 << 10, "", ""}, {2600, "MKz", ""}}},
}
