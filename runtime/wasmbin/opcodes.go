package wasmbin

// Op is an instruction: the opcode byte, or 0xFC00 and 0xFD00 plus the second
// opcode of the two prefixed groups.
type Op uint16

// Instructions that code outside the tables refers to.
const (
	OpUnreachable  Op = 0x00
	OpNop          Op = 0x01
	OpBlock        Op = 0x02
	OpLoop         Op = 0x03
	OpIf           Op = 0x04
	OpElse         Op = 0x05
	OpEnd          Op = 0x0B
	OpBr           Op = 0x0C
	OpBrIf         Op = 0x0D
	OpBrTable      Op = 0x0E
	OpReturn       Op = 0x0F
	OpCall         Op = 0x10
	OpCallIndirect Op = 0x11
	OpDrop         Op = 0x1A
	OpSelect       Op = 0x1B
	OpSelectT      Op = 0x1C
	OpLocalGet     Op = 0x20
	OpLocalSet     Op = 0x21
	OpLocalTee     Op = 0x22
	OpGlobalGet    Op = 0x23
	OpGlobalSet    Op = 0x24
	OpTableGet     Op = 0x25
	OpTableSet     Op = 0x26
	OpMemorySize   Op = 0x3F
	OpMemoryGrow   Op = 0x40
	OpI32Const     Op = 0x41
	OpI64Const     Op = 0x42
	OpF32Const     Op = 0x43
	OpF64Const     Op = 0x44
	OpI32LtS       Op = 0x48
	OpI64Eqz       Op = 0x50
	OpI64LtS       Op = 0x53
	OpF32Eq        Op = 0x5B
	OpF64Eq        Op = 0x61
	OpI32LtU       Op = 0x49
	OpI32GtU       Op = 0x4B
	OpI64LeU       Op = 0x58
	OpI32Add       Op = 0x6A
	OpI32And       Op = 0x71
	OpI32Or        Op = 0x72
	OpI64Shl       Op = 0x86
	OpI32Sub       Op = 0x6B
	OpI64Add       Op = 0x7C
	OpI64Sub       Op = 0x7D
	OpI64Mul       Op = 0x7E
	OpI64And       Op = 0x83
	OpI64ShrS      Op = 0x87
	OpI64ShrU      Op = 0x88
	OpI32Wrap      Op = 0xA7
	OpI64ExtendU   Op = 0xAD
	OpRefNull      Op = 0xD0
	OpRefIsNull    Op = 0xD1
	OpRefFunc      Op = 0xD2
	OpMemoryInit   Op = 0xFC08
	OpDataDrop     Op = 0xFC09
	OpMemoryCopy   Op = 0xFC0A
	OpMemoryFill   Op = 0xFC0B
	OpTableInit    Op = 0xFC0C
	OpElemDrop     Op = 0xFC0D
	OpTableCopy    Op = 0xFC0E
	OpTableGrow    Op = 0xFC0F
	OpTableSize    Op = 0xFC10
	OpTableFill    Op = 0xFC11
	OpV128Const    Op = 0xFD0C
	OpShuffle      Op = 0xFD0D
	OpV128Select   Op = 0xFD52
	OpF32x4Eq      Op = 0xFD41
	OpF64x2Eq      Op = 0xFD47
)

// immediate kinds
type imm byte

const (
	immNone     imm = iota
	immBlock        // block type
	immLabel        // label
	immTableBr      // vector of labels, default label
	immFunc         // function index
	immIndirect     // type index, table index
	immLocal        // local index
	immGlobal       // global index
	immTable        // table index
	immMem          // alignment, offset
	immMemLane      // alignment, offset, lane
	immLane         // lane
	immI32          // s32
	immI64          // s64
	immB4           // 4 bytes
	immB8           // 8 bytes
	immB16          // 16 bytes
	immShuffle      // 16 lanes
	immRef          // reference type
	immSelect       // vector of types
	immZero         // memory index 0
	immDataMem      // data index, memory index 0
	immData         // data index
	immMemMem       // two memory indexes 0
	immElemTab      // element index, table index
	immElem         // element index
	immTabTab       // two table indexes
)

// opInfo describes an instruction. Instructions with a fixed signature have
// fixed set; the checker spells out the others.
type opInfo struct {
	ok     bool
	fixed  bool
	memory bool // needs memory 0
	imm    imm
	align  uint8 // log2 of the natural alignment (immMem*)
	lanes  uint8 // lane bound (immLane, immMemLane)
	in     []ValType
	out    ValType // 0: none
}

var (
	coreOps [256]opInfo
	miscOps [18]opInfo
	simdOps [256]opInfo
)

// info returns the description of op; unknown instructions have ok false.
func (op Op) info() *opInfo {
	switch op >> 8 {
	case 0:
		return &coreOps[byte(op)]
	case 0xFC:
		if int(byte(op)) < len(miscOps) {
			return &miscOps[byte(op)]
		}
	case 0xFD:
		return &simdOps[byte(op)]
	}
	return &opInfo{}
}

// Known reports whether op is an instruction of Core 2.0.
func (op Op) Known() bool { return op.info().ok }

// Memory reports whether op has a memory address as an operand.
func (op Op) Memory() bool {
	k := op.info().imm
	return k == immMem || k == immMemLane
}

// FloatShape says how op computes with floating-point numbers: 32 or 64 is
// the width of its scalar or lane results, lanes is 1 or the number of lanes.
// Only instructions whose result can be a NaN made by arithmetic count.
func (op Op) FloatShape() (width, lanes int) {
	switch {
	case op >= 0x8D && op <= 0x97, op == 0xB6: // f32 ceil..max, demote
		return 32, 1
	case op >= 0x9B && op <= 0xA5, op == 0xBB: // f64 ceil..max, promote
		return 64, 1
	case op >= 0xFD67 && op <= 0xFD6A, // f32x4 ceil floor trunc nearest
		op >= 0xFDE3 && op <= 0xFDE9, op == 0xFD5E: // sqrt..max, demote zero
		return 32, 4
	case op == 0xFD74, op == 0xFD75, op == 0xFD7A, op == 0xFD94, // f64x2 ceil floor trunc nearest
		op >= 0xFDEF && op <= 0xFDF5, op == 0xFD5F: // sqrt..max, promote low
		return 64, 2
	}
	return 0, 0
}

// sig parses "ii>i" style signatures: i, l, f, d, v are i32, i64, f32, f64,
// v128.
func sig(s string) (in []ValType, out ValType) {
	letters := map[byte]ValType{'i': I32, 'l': I64, 'f': F32, 'd': F64, 'v': V128}
	result := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '>':
			result = true
		case result:
			out = letters[s[i]]
		default:
			in = append(in, letters[s[i]])
		}
	}
	return in, out
}

func setOps(t []opInfo, from, to int, kind imm, signature string) {
	in, out := sig(signature)
	for i := from; i <= to; i++ {
		t[i] = opInfo{ok: true, fixed: true, imm: kind, in: in, out: out}
	}
}

func setMem(t []opInfo, op int, align uint8, signature string) {
	setOps(t, op, op, immMem, signature)
	t[op].align = align
	t[op].memory = true
}

func setSpecial(t []opInfo, op Op, kind imm) {
	t[byte(op)] = opInfo{ok: true, imm: kind}
}

func init() {
	initCore()
	initMisc()
	initSIMD()
}

func initCore() {
	t := coreOps[:]
	for op, kind := range map[Op]imm{
		OpUnreachable: immNone, OpNop: immNone, OpBlock: immBlock, OpLoop: immBlock, OpIf: immBlock,
		OpElse: immNone, OpEnd: immNone, OpBr: immLabel, OpBrIf: immLabel, OpBrTable: immTableBr,
		OpReturn: immNone, OpCall: immFunc, OpCallIndirect: immIndirect, OpDrop: immNone,
		OpSelect: immNone, OpSelectT: immSelect, OpLocalGet: immLocal, OpLocalSet: immLocal,
		OpLocalTee: immLocal, OpGlobalGet: immGlobal, OpGlobalSet: immGlobal, OpTableGet: immTable,
		OpTableSet: immTable, OpRefNull: immRef, OpRefIsNull: immNone, OpRefFunc: immFunc,
	} {
		setSpecial(t, op, kind)
	}
	for i, m := range []struct {
		align uint8
		sig   string
	}{
		{2, "i>i"}, {3, "i>l"}, {2, "i>f"}, {3, "i>d"}, // 28..2B full loads
		{0, "i>i"}, {0, "i>i"}, {1, "i>i"}, {1, "i>i"}, // i32 narrow loads
		{0, "i>l"}, {0, "i>l"}, {1, "i>l"}, {1, "i>l"}, {2, "i>l"}, {2, "i>l"}, // i64 narrow loads
		{2, "ii"}, {3, "il"}, {2, "if"}, {3, "id"}, // 36..39 full stores
		{0, "ii"}, {1, "ii"}, {0, "il"}, {1, "il"}, {2, "il"}, // narrow stores
	} {
		setMem(t, 0x28+i, m.align, m.sig)
	}
	setOps(t, 0x3F, 0x3F, immZero, ">i")
	setOps(t, 0x40, 0x40, immZero, "i>i")
	t[0x3F].memory, t[0x40].memory = true, true
	setOps(t, 0x41, 0x41, immI32, ">i")
	setOps(t, 0x42, 0x42, immI64, ">l")
	setOps(t, 0x43, 0x43, immB4, ">f")
	setOps(t, 0x44, 0x44, immB8, ">d")
	for _, r := range []struct {
		from, to int
		sig      string
	}{
		{0x45, 0x45, "i>i"}, {0x46, 0x4F, "ii>i"}, {0x50, 0x50, "l>i"}, {0x51, 0x5A, "ll>i"},
		{0x5B, 0x60, "ff>i"}, {0x61, 0x66, "dd>i"},
		{0x67, 0x69, "i>i"}, {0x6A, 0x78, "ii>i"}, {0x79, 0x7B, "l>l"}, {0x7C, 0x8A, "ll>l"},
		{0x8B, 0x91, "f>f"}, {0x92, 0x98, "ff>f"}, {0x99, 0x9F, "d>d"}, {0xA0, 0xA6, "dd>d"},
		{0xA7, 0xA7, "l>i"}, {0xA8, 0xA9, "f>i"}, {0xAA, 0xAB, "d>i"}, {0xAC, 0xAD, "i>l"},
		{0xAE, 0xAF, "f>l"}, {0xB0, 0xB1, "d>l"}, {0xB2, 0xB3, "i>f"}, {0xB4, 0xB5, "l>f"},
		{0xB6, 0xB6, "d>f"}, {0xB7, 0xB8, "i>d"}, {0xB9, 0xBA, "l>d"}, {0xBB, 0xBB, "f>d"},
		{0xBC, 0xBC, "f>i"}, {0xBD, 0xBD, "d>l"}, {0xBE, 0xBE, "i>f"}, {0xBF, 0xBF, "l>d"},
		{0xC0, 0xC1, "i>i"}, {0xC2, 0xC4, "l>l"},
	} {
		setOps(t, r.from, r.to, immNone, r.sig)
	}
}

func initMisc() {
	t := miscOps[:]
	setOps(t, 0, 1, immNone, "f>i")
	setOps(t, 2, 3, immNone, "d>i")
	setOps(t, 4, 5, immNone, "f>l")
	setOps(t, 6, 7, immNone, "d>l")
	setOps(t, 8, 8, immDataMem, "iii")
	setOps(t, 9, 9, immData, "")
	setOps(t, 10, 10, immMemMem, "iii")
	setOps(t, 11, 11, immZero, "iii")
	setOps(t, 12, 12, immElemTab, "iii")
	setOps(t, 13, 13, immElem, "")
	setOps(t, 14, 14, immTabTab, "iii")
	setSpecial(t, OpTableGrow, immTable)
	setOps(t, 16, 16, immTable, ">i")
	setSpecial(t, OpTableFill, immTable)
	t[8].memory, t[10].memory, t[11].memory = true, true, true
}

// Signature returns the operand types of op and its result type (0 for none);
// fixed is false if they depend on immediates or on the stack.
func (op Op) Signature() (in []ValType, out ValType, fixed bool) {
	i := op.info()
	return i.in, i.out, i.ok && i.fixed
}
