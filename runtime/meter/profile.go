package meter

import (
	"fmt"
	"strings"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// checkProfile checks the rules that need no look at the code.
func checkProfile(m *wasmbin.Module, cfg *Config) error {
	invalid := func(at int, rule string, err error) error {
		return &InvalidModuleError{Offset: at, Rule: rule, Err: err}
	}
	for _, im := range m.Imports {
		if strings.HasPrefix(im.Module, abi.ReservedPrefix) || strings.HasPrefix(im.Name, abi.ReservedPrefix) {
			return invalid(im.Offset, "import uses the reserved prefix", nil)
		}
		if im.Kind != wasmbin.KindFunc {
			return invalid(im.Offset, "only functions may be imported", nil)
		}
		if cfg.Import == nil {
			return invalid(im.Offset, "imports are not allowed", nil)
		}
		if err := cfg.Import(im.Module, im.Name, m.Types[im.Func]); err != nil {
			return invalid(im.Offset, "import is not allowed", fmt.Errorf("import %.64q %.64q: %w", im.Module, im.Name, err))
		}
	}
	for _, e := range m.Exports {
		if strings.HasPrefix(e.Name, abi.ReservedPrefix) {
			return invalid(e.Offset, "export uses the reserved prefix", nil)
		}
		if e.Kind == wasmbin.KindFunc && int(e.Index) < m.ImportedFuncs {
			return invalid(e.Offset, "an imported function may not be exported", nil)
		}
	}
	if m.HasStart && int(m.Start) < m.ImportedFuncs {
		return invalid(0, "the start function may not be imported", nil)
	}
	for _, g := range m.Globals {
		// Engines read it so, and constant expressions are not rewritten.
		if g.Init.Op == wasmbin.OpV128Const && g.Init.Bytes[1] >= 0x80 {
			return invalid(g.Init.Offset, "the opcode of a vector constant takes more bytes than it needs", nil)
		}
	}
	var elements uint64
	for _, t := range m.Tables {
		elements += uint64(t.Range.Min)
	}
	if max := cfg.Limits.TableSize; elements > uint64(max) {
		return &LimitError{Limit: "elements of all tables", Value: elements, Max: uint64(max)}
	}
	for _, r := range m.Memories {
		if max := cfg.memoryPages(); r.Min > max {
			return &LimitError{Limit: "memory pages", Value: uint64(r.Min), Max: uint64(max)}
		}
	}
	return nil
}

func (c *Config) memoryPages() uint32 {
	if c.MemoryPages == 0 || c.MemoryPages > c.Limits.MemoryPages {
		return c.Limits.MemoryPages
	}
	return c.MemoryPages
}

// memoryMax is the most pages that a memory may grow to.
func (c *Config) memoryMax(mem wasmbin.Range) uint32 {
	if max := c.memoryPages(); !mem.HasMax || mem.Max > max {
		return max
	}
	return mem.Max
}

// shape is what the joint limits are about, for one function.
type shape struct {
	offset      int
	locals      int
	slots       int // locals in 8-byte slots
	nesting     int
	labels      int // of all br_tables
	blocks      int // instructions that open a block, branch or end a path
	loops       int
	openLoops   int
	maxOpenLoop int
}

func (s *shape) check(l *Limits, at int) error {
	locals := max(s.locals, 1)
	return within(at, []bound{
		{"block nesting", s.nesting, l.Nesting},
		{"br_table labels", s.labels, l.Labels},
		{"blocks", s.blocks, l.Blocks},
		{"loops", s.loops, l.Loops},
		{"loop nesting", s.maxOpenLoop, l.LoopNesting},
		{"(nesting + br_table) × locals", (s.nesting + s.labels) * locals, l.NestingLocals},
		{"loops × locals", s.loops * locals, l.LoopsLocals},
		{"blocks × locals", s.blocks * locals, l.BlocksLocals},
	})
}

// totals are sums over all functions of a module.
type totals struct {
	squares, blocks, nestingLocals, loopsLocals, blocksLocals, locals int
}

func (t *totals) add(s *shape, l *Limits) error {
	n, locals := s.nesting+s.labels, max(s.locals, 1)
	t.squares += n * n
	t.blocks += s.blocks * s.blocks
	t.locals += s.locals
	t.nestingLocals += n * locals
	t.loopsLocals += s.loops * locals
	t.blocksLocals += s.blocks * locals
	return within(s.offset, []bound{
		{"Σ (nesting + br_table)²", t.squares, l.Squares},
		{"Σ blocks²", t.blocks, l.BlockSquares},
		{"Σ locals", t.locals, l.TotalLocals},
		{"Σ (nesting + br_table) × locals", t.nestingLocals, l.TotalNestingLocals},
		{"Σ loops × locals", t.loopsLocals, l.TotalLoopsLocals},
		{"Σ blocks × locals", t.blocksLocals, l.TotalBlocksLocals},
	})
}

type bound struct {
	name       string
	value, max int
}

func within(at int, bounds []bound) error {
	for _, b := range bounds {
		if b.value > b.max {
			return &LimitError{Offset: at, Limit: b.name, Value: uint64(b.value), Max: uint64(b.max)}
		}
	}
	return nil
}
