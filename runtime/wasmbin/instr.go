package wasmbin

// Instr is one decoded instruction. A and B hold immediates:
//
//	block, loop, if        A = block type (BlockType)
//	br, br_if              A = label
//	br_table               A = number of labels without the default, Labels = all
//	call, ref.func         A = function
//	call_indirect          A = type, B = table
//	local.*, global.*      A = index
//	table.*                A = table; init: A = segment, B = table; copy: A = to, B = from
//	memory.init, *.drop    A = segment
//	loads and stores       A = log2 alignment, B = offset
//	select with types      A = type
//	ref.null               A = type
type Instr struct {
	Op       Op
	Off, End int // byte range in the module
	A, B     uint32
	Labels   []uint32 // br_table; valid until the next instruction
}

// BlockType is a decoded block type: an index of a function type, or one of
// the negative numbers that the s33 encoding gives to no or one result.
type BlockType int32

// BlockEmpty is the block type without operands and results.
const BlockEmpty BlockType = -64

// Block returns the block type of a block, loop or if.
func (in *Instr) Block() BlockType { return BlockType(int32(in.A)) }

// maxLabels bounds one br_table; the format allows more but engines do not.
// Source: WebAssembly JS API implementation limits (65,520), rounded.
const maxLabels = 65536

func (r *reader) instr(in *Instr, labels []uint32) {
	in.Off, in.A, in.B, in.Labels = r.pos, 0, 0, nil
	op := Op(r.byte())
	if op == 0xFC || op == 0xFD {
		sub := r.u32()
		if sub > 0xFF {
			r.fail(in.Off, "unknown instruction")
			return
		}
		op = op<<8 | Op(sub)
	}
	info := op.info()
	if !info.ok {
		r.fail(in.Off, "unknown instruction")
		return
	}
	in.Op = op
	if info.imm != immNone {
		r.immediates(in, info, labels)
	}
	in.End = r.pos
}

func (r *reader) immediates(in *Instr, info *opInfo, labels []uint32) {
	switch info.imm {
	case immBlock:
		at := r.pos
		v := r.sleb(33)
		if v < 0 && v != int64(BlockEmpty) && !ValType(v&0x7F).Valid() || v > 1<<31-1 || v < -64 {
			r.fail(at, "malformed block type")
		}
		in.A = uint32(int32(v))
	case immLabel, immFunc, immLocal, immGlobal, immTable, immData, immElem:
		in.A = r.u32()
	case immIndirect, immElemTab, immTabTab:
		in.A, in.B = r.u32(), r.u32()
	case immTableBr:
		n := r.count("br_table labels", maxLabels, 1)
		labels = labels[:0]
		for i := 0; i <= n && r.err == nil; i++ {
			labels = append(labels, r.u32())
		}
		in.A, in.Labels = uint32(n), labels
	case immMem, immMemLane:
		in.A, in.B = r.u32(), r.u32()
		if in.A > uint32(info.align) {
			r.fail(in.Off, "alignment must not be larger than natural")
		}
		if info.imm == immMemLane && r.byte() >= info.lanes {
			r.fail(in.Off, "invalid lane index")
		}
	case immLane:
		if r.byte() >= info.lanes {
			r.fail(in.Off, "invalid lane index")
		}
	case immI32:
		r.sleb(32)
	case immI64:
		r.sleb(64)
	case immB4:
		r.bytes(4)
	case immB8:
		r.bytes(8)
	case immB16:
		r.bytes(16)
	case immShuffle:
		for _, l := range r.bytes(16) {
			if l >= 32 {
				r.fail(in.Off, "invalid lane index")
			}
		}
	case immRef:
		t := ValType(r.byte())
		if !t.IsRef() {
			r.fail(in.Off, "malformed reference type")
		}
		in.A = uint32(t)
	case immSelect:
		if n := r.u32(); r.err == nil && n != 1 {
			r.fail(in.Off, "invalid result arity")
			return
		}
		t := ValType(r.byte())
		if !t.Valid() {
			r.fail(in.Off, "malformed value type")
		}
		in.A = uint32(t)
	case immZero:
		r.zero()
	case immDataMem:
		in.A = r.u32()
		r.zero()
	case immMemMem:
		r.zero()
		r.zero()
	}
}

func (r *reader) zero() {
	if at := r.pos; r.byte() != 0 {
		r.fail(at, "zero byte expected")
	}
}
