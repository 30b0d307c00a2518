package meter

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/assaynet/assay/runtime/wasmbin"
)

// Schedule prices instructions, in the unit of abi.GasPerNanosecond. Prices
// are part of consensus: see Version.
//
// The tables hold for modules whose memory and code fit the caches nearest to
// a core. Memory and Code say what is added for others: For makes the
// schedule of one module.
type Schedule struct {
	Core [256]uint16 // one-byte opcodes
	Misc [18]uint16  // 0xFC group
	SIMD [256]uint16 // 0xFD group

	Function uint16 // entering a function, beside the call
	PerSlots uint16 // locals of a function that cost one unit to clear, in 8-byte slots; > 0

	// Operand prices, in sixteenths of a unit per item, rounded up.
	MemoryByte uint32 // memory.fill, copy, init: per byte
	MemoryPage uint32 // memory.grow: per page of 64 KiB
	TableItem  uint32 // table.fill, copy, init, grow: per element

	// Instantiation, in sixteenths of a unit per item, rounded up.
	DataByte    uint32
	ElementItem uint32
	InitialPage uint32

	Memory [2]MemoryTier // in ascending order of Pages
	Code   CodeTier

	// Stack units: a function's frame weighs FrameBase + its 8-byte slots
	// (locals and greatest operand height). Functions that call nothing and
	// have at most LeafSlots slots are not counted.
	FrameBase int32
	LeafSlots int32
}

// MemoryTier is what accesses cost more in a memory that may grow beyond
// Pages pages of 64 KiB: a stranger makes each miss the caches.
type MemoryTier struct {
	Pages uint32
	Load  uint16
	Store uint16
	Bulk  uint16 // memory.fill, copy, init
}

// CodeTier is what instructions cost more in a module with more than Bytes
// bytes of instructions: a stranger runs each of them cold.
type CodeTier struct {
	Bytes    int
	Each     uint16 // every instruction that has a price
	Wide     uint16 // constants of 8 bytes
	Vector   uint16 // constants of 16 bytes
	Call     uint16
	Indirect uint16
	Table    uint16 // br_table
}

// DefaultStack is the number of stack units to start with. A unit is about 8
// bytes of an engine's stack: 32 MiB, below the 80 MB of wazero's compiler
// (internal/engine/wazevo: doubled from 10 KiB until above callStackCeiling, 50
// MB). With the default FrameBase it admits 43,690 frames at most, below the
// 50,000 that runtime/internal/frames makes wazero's interpreter allow.
const DefaultStack int32 = 1 << 22

// MaxGas is the most gas to start with: the counter stays far from wrapping,
// since what can be charged between two checks is below 2^60.
const MaxGas int64 = 1 << 62

// defaultFrameBase covers what a call takes on an engine's stack beside locals
// and operands: return address, saved registers, outgoing arguments (768
// bytes); and it keeps the interpreter, which takes up to 8 KiB a frame, below
// the 512 MiB that a Go stack can have.
const defaultFrameBase = 96

// For returns the prices of a module whose memory may grow to pages pages and
// whose functions hold code bytes of instructions together: those of s, with
// what its tiers add.
func (s *Schedule) For(pages uint32, code int) *Schedule {
	out := *s
	out.Memory, out.Code = [2]MemoryTier{}, CodeTier{}
	var tier MemoryTier
	for _, t := range s.Memory {
		if t.Pages > 0 && pages > t.Pages {
			tier = t
		}
	}
	far := s.Code.Bytes > 0 && code > s.Code.Bytes
	for _, base := range []wasmbin.Op{0, 0xFC00, 0xFD00} {
		for op := base; op < base+0x100; op++ {
			p := out.price(op)
			if p == nil {
				break
			}
			if far && *p > 0 {
				*p += s.Code.extra(op)
			}
			*p += tier.extra(op)
		}
	}
	return &out
}

// Of returns the prices of module m under configuration cfg: see For.
func (s *Schedule) Of(m *wasmbin.Module, cfg *Config) *Schedule {
	var pages uint32
	for _, mem := range m.Memories {
		pages = cfg.memoryMax(mem)
	}
	code := 0
	for _, b := range m.Bodies {
		code += b.To - b.From
	}
	return s.For(pages, code)
}

func (t *MemoryTier) extra(op wasmbin.Op) uint16 {
	switch {
	case op == wasmbin.OpMemoryFill, op == wasmbin.OpMemoryCopy, op == wasmbin.OpMemoryInit:
		return t.Bulk
	case !op.Memory():
		return 0
	}
	if _, out, _ := op.Signature(); out != 0 {
		return t.Load
	}
	return t.Store
}

func (c *CodeTier) extra(op wasmbin.Op) uint16 {
	switch op {
	case wasmbin.OpI64Const, wasmbin.OpF64Const:
		return c.Wide
	case wasmbin.OpV128Const:
		return c.Vector
	case wasmbin.OpCall:
		return c.Call
	case wasmbin.OpCallIndirect:
		return c.Indirect
	case wasmbin.OpBrTable:
		return c.Table
	}
	return c.Each
}

// price returns where the price of op is kept; nil if there is no such op.
func (s *Schedule) price(op wasmbin.Op) *uint16 {
	i := int(op & 0xFF)
	switch op >> 8 {
	case 0:
		return &s.Core[i]
	case 0xFC:
		if i < len(s.Misc) {
			return &s.Misc[i]
		}
	case 0xFD:
		return &s.SIMD[i]
	}
	return nil
}

// Op returns the fixed price of op in gas; operands are priced besides.
func (s *Schedule) Op(op wasmbin.Op) int64 {
	if p := s.price(op); p != nil {
		return int64(*p)
	}
	return 0
}

// Operand returns the price of one item that op moves or makes, in sixteenths
// of a unit of gas; 0 for instructions that are not priced by an operand. The
// number of items is the topmost operand, read as unsigned.
func (s *Schedule) Operand(op wasmbin.Op) uint32 {
	switch op {
	case wasmbin.OpMemoryFill, wasmbin.OpMemoryCopy, wasmbin.OpMemoryInit:
		return s.MemoryByte
	case wasmbin.OpMemoryGrow:
		return s.MemoryPage
	case wasmbin.OpTableFill, wasmbin.OpTableCopy, wasmbin.OpTableInit, wasmbin.OpTableGrow:
		return s.TableItem
	}
	return 0
}

// Sixteenths returns n items at rate sixteenths of a unit each, rounded up.
func Sixteenths(n uint64, rate uint32) int64 { return int64((n*uint64(rate) + 15) >> 4) }

// Version is the SHA-256 of all prices in a fixed order.
func (s *Schedule) Version() [32]byte {
	b := []byte("assay/schedule/2")
	for _, t := range [][]uint16{s.Core[:], s.Misc[:], s.SIMD[:], {s.Function, s.PerSlots}} {
		for _, v := range t {
			b = binary.LittleEndian.AppendUint16(b, v)
		}
	}
	words := []uint32{s.MemoryByte, s.MemoryPage, s.TableItem, s.DataByte, s.ElementItem,
		s.InitialPage, uint32(s.FrameBase), uint32(s.LeafSlots)}
	for _, t := range s.Memory {
		words = append(words, t.Pages, uint32(t.Load), uint32(t.Store), uint32(t.Bulk))
	}
	c := s.Code
	words = append(words, uint32(c.Bytes), uint32(c.Each), uint32(c.Wide), uint32(c.Vector), uint32(c.Call), uint32(c.Indirect), uint32(c.Table))
	for _, v := range words {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return sha256.Sum256(b)
}

// valid reports whether the schedule can be used: a frame must weigh
// something and prices must leave the counter far from wrapping.
func (s *Schedule) valid() bool {
	const maxRate = 1 << 24
	for _, r := range []uint32{s.MemoryByte, s.MemoryPage, s.TableItem, s.DataByte, s.ElementItem, s.InitialPage} {
		if r > maxRate {
			return false
		}
	}
	// A price and all that may be added to it fit 16 bits.
	const maxPrice = 1 << 14
	for _, t := range [][]uint16{s.Core[:], s.Misc[:], s.SIMD[:], {s.Memory[0].Load, s.Memory[0].Store, s.Memory[0].Bulk,
		s.Memory[1].Load, s.Memory[1].Store, s.Memory[1].Bulk, s.Code.Wide, s.Code.Vector, s.Code.Call, s.Code.Indirect, s.Code.Table, s.Code.Each}} {
		for _, v := range t {
			if v > maxPrice {
				return false
			}
		}
	}
	return s.Code.Bytes >= 0 && s.PerSlots > 0 && s.FrameBase > 0 && s.LeafSlots >= 0
}
