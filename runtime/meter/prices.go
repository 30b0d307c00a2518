package meter

import "github.com/assaynet/assay/runtime/wasmbin"

// DefaultSchedule returns the prices of this version. docs/bench/prices.md has
// the measurements that they come from: a price is about the nanoseconds of
// the slowest way to run the instruction, operands included, over 0.35.
func DefaultSchedule() *Schedule {
	s := &Schedule{
		Function:    4,
		PerSlots:    4,
		MemoryByte:  4,
		MemoryPage:  16 * 90_000, // sixteen page faults
		TableItem:   16 * 2,
		DataByte:    4,
		ElementItem: 16 * 8,
		InitialPage: 16 * 90_000,
		Memory: [2]MemoryTier{
			{Pages: 16, Load: 550, Store: 60, Bulk: 300},     // beyond 1 MiB, the second-level cache
			{Pages: 1024, Load: 1100, Store: 180, Bulk: 500}, // beyond 64 MiB: misses of the address caches too
		},
		Code:      CodeTier{Bytes: 128 << 10, Each: 3, Wide: 8, Vector: 16, Call: 40, Indirect: 300, Table: 100},
		FrameBase: defaultFrameBase,
		LeafSlots: 64,
	}
	for op := range s.Core {
		s.Core[op] = 1
	}
	for op := range s.SIMD {
		s.SIMD[op] = 1
	}
	for _, p := range prices {
		for _, r := range p.ops {
			for op := r[0]; op <= r[1]; op++ {
				*s.price(op) = p.price
			}
		}
	}
	return s
}

// prices of all instructions that do not cost 1, as ranges of opcodes.
var prices = []struct {
	price uint16
	ops   [][2]wasmbin.Op
}{
	{0, [][2]wasmbin.Op{{0x01, 0x02}, {0x05, 0x05}, {0x0B, 0x0B}, {0x1A, 0x1A}}}, // nop block else end drop

	// Control: branches may be mispredicted, targets of br_table and
	// call_indirect always are.
	{3, [][2]wasmbin.Op{{0x04, 0x04}, {0x0D, 0x0D}, {0x1B, 0x1C}}}, // if br_if select
	{2, [][2]wasmbin.Op{{0x0C, 0x0C}, {0x0F, 0x0F}}},               // br return
	{24, [][2]wasmbin.Op{{0x0E, 0x0E}}},                            // br_table
	{4, [][2]wasmbin.Op{{0x10, 0x10}}},                             // call
	{100, [][2]wasmbin.Op{{0x11, 0x11}}},                           // call_indirect

	// Memory: within 1 MiB, across pages, over stores in flight.
	{30, [][2]wasmbin.Op{{0x28, 0x35}, {0xFD00, 0xFD0A}, {0xFD5C, 0xFD5D}, {0xFD54, 0xFD57}}},
	{26, [][2]wasmbin.Op{{0x36, 0x3E}, {0xFD0B, 0xFD0B}, {0xFD58, 0xFD5B}}},
	{160, [][2]wasmbin.Op{{0x40, 0x40}}},                       // memory.grow leaves compiled code
	{100, [][2]wasmbin.Op{{0xFC08, 0xFC08}, {0xFC0A, 0xFC0B}}}, // memory.init copy fill

	// References and tables; ref.func and table.grow leave compiled code.
	{24, [][2]wasmbin.Op{{0x25, 0x26}}},                                         // table.get set
	{200, [][2]wasmbin.Op{{0xD2, 0xD2}}},                                        // ref.func
	{4, [][2]wasmbin.Op{{0xFC09, 0xFC09}, {0xFC0D, 0xFC0D}, {0xFC10, 0xFC10}}},  // data.drop elem.drop table.size
	{20, [][2]wasmbin.Op{{0xFC0C, 0xFC0C}, {0xFC0E, 0xFC0E}, {0xFC11, 0xFC11}}}, // table.init copy fill
	{100, [][2]wasmbin.Op{{0xFC0F, 0xFC0F}}},                                    // table.grow

	// Integers.
	{3, [][2]wasmbin.Op{{0x45, 0x45}}},                                           // i32.eqz
	{2, [][2]wasmbin.Op{{0x46, 0x4F}, {0x50, 0x50}, {0x6C, 0x6C}, {0x7E, 0x7E}}}, // i32 comparisons, i64.eqz, mul
	{10, [][2]wasmbin.Op{{0x6D, 0x70}}},                                          // i32.div rem
	{12, [][2]wasmbin.Op{{0x7F, 0x82}}},                                          // i64.div rem

	// Floats, making NaNs canonical included.
	{7, [][2]wasmbin.Op{{0x5B, 0x66}}},                                 // comparisons
	{2, [][2]wasmbin.Op{{0x8B, 0x8C}, {0x99, 0x9A}}},                   // abs neg
	{4, [][2]wasmbin.Op{{0x8D, 0x90}, {0x92, 0x94}, {0x96, 0x97}}},     // f32 rounding add sub mul min max
	{4, [][2]wasmbin.Op{{0x9B, 0x9E}, {0xA0, 0xA2}, {0xA4, 0xA5}}},     // f64
	{3, [][2]wasmbin.Op{{0x98, 0x98}, {0xA6, 0xA6}}},                   // copysign
	{13, [][2]wasmbin.Op{{0x91, 0x91}, {0x95, 0x95}}},                  // f32.sqrt div
	{17, [][2]wasmbin.Op{{0x9F, 0x9F}, {0xA3, 0xA3}}},                  // f64.sqrt div
	{8, [][2]wasmbin.Op{{0xA8, 0xAB}, {0xAE, 0xB1}, {0xFC00, 0xFC07}}}, // to integers
	{7, [][2]wasmbin.Op{{0xB2, 0xBB}}},                                 // from integers, demote, promote
	{5, [][2]wasmbin.Op{{0xBC, 0xBF}}},                                 // reinterpret

	// Vectors: moves between register files.
	{2, [][2]wasmbin.Op{{0xFD13, 0xFD14}, {0xFD1F, 0xFD1F}, {0xFD21, 0xFD21}}},                                     // float splat, extract
	{7, [][2]wasmbin.Op{{0xFD0F, 0xFD12}, {0xFD15, 0xFD16}, {0xFD18, 0xFD19}, {0xFD1B, 0xFD1B}, {0xFD1D, 0xFD1D}}}, // integer splat, extract
	{9, [][2]wasmbin.Op{{0xFD53, 0xFD53}, {0xFD63, 0xFD63}, {0xFD83, 0xFD83}, {0xFDA3, 0xFDA3}, {0xFDC3, 0xFDC3}}}, // any_true all_true
	{7, [][2]wasmbin.Op{{0xFD64, 0xFD64}, {0xFD84, 0xFD84}, {0xFDA4, 0xFDA4}, {0xFDC4, 0xFDC4}}},                   // bitmask
	// Vectors: integers that take more than one machine instruction.
	{2, [][2]wasmbin.Op{{0xFD60, 0xFD60}, {0xFD80, 0xFD80}, {0xFDA0, 0xFDA0}, {0xFDC0, 0xFDC0}}},                                                                         // abs
	{2, [][2]wasmbin.Op{{0xFD26, 0xFD26}, {0xFD28, 0xFD28}, {0xFD30, 0xFD30}, {0xFD32, 0xFD32}, {0xFD3A, 0xFD3A}, {0xFD3C, 0xFD3C}, {0xFDD7, 0xFDD7}, {0xFDDA, 0xFDDB}}}, // lt_u gt_u, i64x2 ne le_s ge_s
	{6, [][2]wasmbin.Op{{0xFD7C, 0xFD7F}, {0xFD82, 0xFD82}, {0xFD87, 0xFD8A}, {0xFDA7, 0xFDAA}, {0xFDC7, 0xFDCA}}},                                                       // extadd q15mulr extend
	{5, [][2]wasmbin.Op{{0xFD9C, 0xFD9F}, {0xFDBC, 0xFDBF}}},                                                                                                             // extmul
	{9, [][2]wasmbin.Op{{0xFDDC, 0xFDDF}}},                                     // i64x2.extmul
	{12, [][2]wasmbin.Op{{0xFD6B, 0xFD6D}}},                                    // i8x16 shifts
	{15, [][2]wasmbin.Op{{0xFDCC, 0xFDCC}}},                                    // i64x2.shr_s
	{20, [][2]wasmbin.Op{{0xFD62, 0xFD62}}},                                    // i8x16.popcnt
	{2, [][2]wasmbin.Op{{0xFD0D, 0xFD0D}, {0xFD95, 0xFD95}, {0xFDBA, 0xFDBA}}}, // shuffle mul dot
	{4, [][2]wasmbin.Op{{0xFDB5, 0xFDB5}}},                                     // i32x4.mul
	{8, [][2]wasmbin.Op{{0xFDD5, 0xFDD5}}},                                     // i64x2.mul has no instruction before AVX-512
	// Vectors: floats.
	{7, [][2]wasmbin.Op{{0xFD67, 0xFD6A}, {0xFD74, 0xFD75}, {0xFD7A, 0xFD7A}, {0xFD94, 0xFD94}}}, // rounding
	{6, [][2]wasmbin.Op{{0xFDE4, 0xFDE6}, {0xFDF0, 0xFDF2}}},                                     // add sub mul
	{9, [][2]wasmbin.Op{{0xFDE8, 0xFDE9}, {0xFDF4, 0xFDF5}}},                                     // min max
	{22, [][2]wasmbin.Op{{0xFDE3, 0xFDE3}}},                                                      // f32x4.sqrt
	{14, [][2]wasmbin.Op{{0xFDE7, 0xFDE7}}},                                                      // f32x4.div
	{28, [][2]wasmbin.Op{{0xFDEF, 0xFDEF}}},                                                      // f64x2.sqrt
	{14, [][2]wasmbin.Op{{0xFDF3, 0xFDF3}}},                                                      // f64x2.div
	{7, [][2]wasmbin.Op{{0xFD5E, 0xFD5F}}},                                                       // demote promote
	{12, [][2]wasmbin.Op{{0xFDF8, 0xFDFF}}},                                                      // conversions
	{3, [][2]wasmbin.Op{{0xFDFA, 0xFDFA}, {0xFDFE, 0xFDFE}}},                                     // convert_i32x4_s
	{5, [][2]wasmbin.Op{{0xFDFF, 0xFDFF}}},                                                       // f64x2.convert_low_i32x4_u
}
