package meter

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/assaynet/assay/runtime/wasmbin"
)

// Schedule prices instructions. One unit of gas is about the time of one
// simple integer instruction of compiled code (0.3 ns on a server core of
// 2023). Prices are part of consensus: see Version.
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

	// Stack units: a function's frame weighs FrameBase + its 8-byte slots
	// (locals and greatest operand height). Functions that call nothing and
	// have at most LeafSlots slots are not counted.
	FrameBase int32
	LeafSlots int32
}

// DefaultStack is the number of stack units to start with. With the default
// FrameBase it admits 1,747 frames, below the 2,000 that wazero's interpreter
// allows (internal/engine/interpreter, callStackCeiling).
const DefaultStack int32 = 1 << 20

// MaxGas is the most gas to start with: the counter stays far from wrapping,
// since what can be charged between two checks is below 2^60.
const MaxGas int64 = 1 << 62

const defaultFrameBase = 600

// DefaultSchedule returns the prices of this version.
func DefaultSchedule() *Schedule {
	s := &Schedule{
		Function:    4,
		PerSlots:    4,
		MemoryByte:  4,
		MemoryPage:  16 * 16384,
		TableItem:   16 * 4,
		DataByte:    4,
		ElementItem: 16 * 8,
		InitialPage: 16 * 64,
		FrameBase:   defaultFrameBase,
		LeafSlots:   64,
	}
	for op := range s.Core {
		s.Core[op] = 1
	}
	for op := range s.SIMD {
		s.SIMD[op] = 2
	}
	for i := range s.Misc {
		s.Misc[i] = 4 // saturating conversions
	}
	for i := 8; i < len(s.Misc); i++ {
		s.Misc[i] = 40 // bulk operations leave compiled code
	}
	s.set(0, wasmbin.OpNop, wasmbin.OpBlock, wasmbin.OpElse, wasmbin.OpEnd, wasmbin.OpDrop)
	s.set(2, wasmbin.OpBr, wasmbin.OpBrIf, wasmbin.OpIf, wasmbin.OpReturn)
	s.set(4, wasmbin.OpCall)
	s.set(8, wasmbin.OpBrTable)
	s.set(12, wasmbin.OpCallIndirect)
	s.set(4, wasmbin.OpTableGet, wasmbin.OpTableSet, wasmbin.OpRefFunc)
	s.set(400, wasmbin.OpMemoryGrow)
	s.span(0x28, 0x3E, 2)     // loads and stores
	s.span(0x6D, 0x70, 12)    // i32 division and remainder
	s.span(0x7F, 0x82, 16)    // i64 division and remainder
	s.span(0x6C, 0x6C, 3)     // multiplication
	s.span(0x7E, 0x7E, 3)     //
	s.span(0x5B, 0x66, 2)     // float comparisons
	s.span(0x8B, 0xA6, 4)     // float arithmetic, canonicalization included
	s.span(0x91, 0x91, 14)    // f32.sqrt
	s.span(0x95, 0x95, 16)    // f32.div
	s.span(0x9F, 0x9F, 20)    // f64.sqrt
	s.span(0xA3, 0xA3, 18)    // f64.div
	s.span(0xA8, 0xBB, 4)     // conversions
	s.span(0xAC, 0xAD, 1)     // i64.extend_i32
	s.span(0xFD00, 0xFD0B, 3) // vector loads and stores
	s.span(0xFD54, 0xFD5D, 3) //
	for op := 0xFD00; op <= 0xFDFF; op++ {
		if w, _ := wasmbin.Op(op).FloatShape(); w != 0 {
			s.span(op, op, 6)
		}
	}
	s.set(3, wasmbin.OpShuffle)
	s.span(0xFDE3, 0xFDE3, 24) // f32x4.sqrt
	s.span(0xFDE7, 0xFDE7, 20) // f32x4.div
	s.span(0xFDEF, 0xFDEF, 32) // f64x2.sqrt
	s.span(0xFDF3, 0xFDF3, 24) // f64x2.div
	s.span(0xFDD5, 0xFDD5, 8)  // i64x2.mul has no instruction before AVX-512
	s.span(0xFDF8, 0xFDFF, 8)  // lane conversions
	s.span(0xFD62, 0xFD62, 6)  // i8x16.popcnt
	for _, op := range []int{0x6B, 0x6C, 0x6D} {
		s.span(0xFD00+op, 0xFD00+op, 6) // i8x16 shifts take several instructions
	}
	return s
}

func (s *Schedule) set(price uint16, ops ...wasmbin.Op) {
	for _, op := range ops {
		s.span(int(op), int(op), price)
	}
}

func (s *Schedule) span(from, to int, price uint16) {
	for op := from; op <= to; op++ {
		switch op >> 8 {
		case 0:
			s.Core[op&0xFF] = price
		case 0xFC:
			s.Misc[op&0xFF] = price
		case 0xFD:
			s.SIMD[op&0xFF] = price
		}
	}
}

// Op returns the fixed price of op in gas; operands are priced besides.
func (s *Schedule) Op(op wasmbin.Op) int64 {
	i := int(op & 0xFF)
	switch op >> 8 {
	case 0xFC:
		if i >= len(s.Misc) {
			return 0
		}
		return int64(s.Misc[i])
	case 0xFD:
		return int64(s.SIMD[i])
	}
	return int64(s.Core[i])
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
	b := []byte("assay/schedule/1")
	for _, t := range [][]uint16{s.Core[:], s.Misc[:], s.SIMD[:], {s.Function, s.PerSlots}} {
		for _, v := range t {
			b = binary.LittleEndian.AppendUint16(b, v)
		}
	}
	for _, v := range []uint32{s.MemoryByte, s.MemoryPage, s.TableItem, s.DataByte, s.ElementItem,
		s.InitialPage, uint32(s.FrameBase), uint32(s.LeafSlots)} {
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
	return s.PerSlots > 0 && s.FrameBase > 0 && s.LeafSlots >= 0
}
