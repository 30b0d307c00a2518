package meter

import "github.com/assaynet/assay/runtime/wasmbin"

// RewriterVersion identifies the injected code. It changes whenever the same
// module, configuration and schedule would give another binary.
const RewriterVersion = 10

// Limits is what a module may have at most. The bounds of the embedded
// wasmbin.Limits hold for the format; the others keep an optimizing compiler
// from taking more than linear time and are joint, because stock Go emits
// functions with thousands of nested blocks but few locals.
type Limits struct {
	wasmbin.Limits

	Nesting       int // open blocks in a function
	Labels        int // of the br_tables of a function together
	Blocks        int // instructions of a function that open a block, branch or end a path
	FrameSlots    int // locals and operands of a function, in 8-byte slots
	Loops         int // in one function
	LoopNesting   int // open loops in a function
	NestingLocals int // (nesting + labels) × locals of a function
	LoopsLocals   int // loops × locals of a function
	BlocksLocals  int // blocks × locals of a function

	// The same for the sum over all functions, so that many bad functions are
	// no better than one.
	BlockSquares       int // Σ blocks²
	TotalLocals        int // Σ locals
	Squares            int // Σ (nesting + labels)²
	TotalNestingLocals int // Σ (nesting + labels) × locals
	TotalLoopsLocals   int // Σ loops × locals
	TotalBlocksLocals  int // Σ blocks × locals

	TableSize uint32 // elements of all tables together; a table's maximum is lowered to its share
}

// DefaultLimits admits real Go guests and refuses the known compiler bombs.
// docs/spec/sandbox.md gives the source of each number.
func DefaultLimits() Limits {
	return Limits{
		Limits: wasmbin.Limits{
			ModuleBytes:   16 << 20,
			Types:         4096,
			Params:        64,
			Results:       16,
			Imports:       256,
			Functions:     50_000,
			Tables:        16,
			TableElements: 1 << 16,
			Memories:      1,
			MemoryPages:   8192,
			Globals:       1024,
			Exports:       1024,
			NameBytes:     256,
			Elements:      4096,
			ElementItems:  1 << 18,
			DataSegments:  100_000,
			BodyBytes:     1 << 20,
			Locals:        2048,
			CustomBytes:   8 << 20,
		},
		Nesting:       8192,
		Labels:        8192,
		Blocks:        16_384,
		FrameSlots:    4096,
		Loops:         1024,
		LoopNesting:   64,
		NestingLocals: 1 << 19,
		LoopsLocals:   8192,
		BlocksLocals:  1 << 19,

		BlockSquares:       1 << 28,
		TotalLocals:        1 << 20,
		Squares:            1 << 26,
		TotalNestingLocals: 1 << 23,
		TotalLoopsLocals:   1 << 19,
		TotalBlocksLocals:  1 << 22,

		TableSize: 1 << 16,
	}
}

// Config is the configuration of Rewrite. The zero value admits nothing:
// start from DefaultLimits.
type Config struct {
	Limits Limits

	// Costs is the cost schedule; nil means DefaultSchedule.
	Costs *Schedule

	// MemoryPages is the greatest memory the module may grow to, in pages of
	// 64 KiB; 0 means Limits.MemoryPages. A greater declared maximum is
	// lowered to it, a greater initial size is refused.
	MemoryPages uint32

	// SliceGas is how much gas a guest gets at a time; 0 means DefaultSlice.
	// Between two slices it leaves compiled code. No result depends on it.
	SliceGas int64

	// Import decides about an imported function: nil admits it. A nil Import
	// admits no imports at all. The error becomes the cause of an
	// InvalidModuleError.
	Import func(module, name string, t wasmbin.FuncType) error

	// ExportGlobals exports every mutable global of the module under
	// GlobalPrefix and its index, for snapshots.
	ExportGlobals bool
}

// DefaultSlice is a millisecond of the reference machine at most.
const DefaultSlice = 4_000_000

func (c *Config) slice() int64 {
	if c.SliceGas > 0 {
		return c.SliceGas
	}
	return DefaultSlice
}

// GlobalPrefix and the decimal index of a mutable global form the name under
// which Config.ExportGlobals exports it.
const GlobalPrefix = "assay:global:"
