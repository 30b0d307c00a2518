package ptx

import (
	"fmt"
	"strings"
)

// use says what asynchronous instructions do with a row of a warp.
type use uint8

const (
	useSum     use = 1 << iota // accumulator: neither read nor written
	useOperand                 // A in registers: not written
	useDirty                   // written since the last wgmma.fence
)

// A wgmmaOp is the part of a wgmma.mma_async that one warp does: 16 rows of the
// result. It is done when the warp waits for it, as late as the rules permit, so
// that a wait that is missing is seen.
type wgmmaOp struct {
	*wgmmaShape
	a, b descriptor
	keep bool // scale-d: add to what the accumulators hold
	time uint32
}

type wgmmaShape struct {
	n      int
	d, a   []int // rows; a is nil where A comes from shared memory
	ta, tb typ
	sat    bool
}

// A descriptor tells where a matrix lies in shared memory (PTX ISA: Matrix
// Descriptor Format): rows of K, in groups of eight.
type descriptor struct {
	start   uint64 // of the first row
	leading uint64 // from one half of 16 columns to the next; not used with a swizzle
	stride  uint64 // from one group of eight rows to the next
	swizzle uint64 // bytes of a swizzled row: 32, 64, 128; 0: none
}

// decode reads a descriptor. A base offset is refused: with one, hardware
// computes the swizzle from other bits than those of the address.
func decode(v uint64) (descriptor, error) {
	d := descriptor{start: v & 0x3fff << 4, leading: v >> 16 & 0x3fff << 4, stride: v >> 32 & 0x3fff << 4}
	if v&0x3ff1_c000_c000_c000 != 0 {
		return d, fmt.Errorf("descriptor %#x: bits that are 0", v)
	}
	if v>>49&7 != 0 {
		return d, fmt.Errorf("descriptor %#x: base offset %d", v, v>>49&7)
	}
	d.swizzle = [4]uint64{0, 128, 64, 32}[v>>62]
	// The pattern of a swizzle repeats every eight rows; one that begins within
	// it needs a base offset.
	if w := d.swizzle; w != 0 && d.start%(8*w)/max(w, 128) != 0 {
		return d, fmt.Errorf("descriptor %#x: matrix begins within the pattern of its swizzle", v)
	}
	return d, nil
}

// address is where 16 columns of a row begin: the half-th of the two that an
// instruction takes. In units of 16 bytes the layouts are ((8,n),2) with strides
// ((1,SBO),LBO) without a swizzle, else ((W,SBO),1) for rows of W units, with the
// unit's number exclusive-ored with that of the 128-byte line (PTX ISA: Strides,
// Shared Memory Matrix Layout).
func (d descriptor) address(r, half int) uint64 {
	if d.swizzle == 0 {
		return d.start + uint64(r%8*16) + uint64(r/8)*d.stride + uint64(half)*d.leading
	}
	a := d.start + uint64(r%8)*d.swizzle + uint64(r/8)*d.stride + uint64(half*16)
	return a ^ a>>7&(d.swizzle/16-1)<<4
}

func compileWgmma(c *compiler, s *stmt) {
	c.need(80, 90, true)
	c.prog.wgmma = true
	switch what := c.want("fence", "commit_group", "wait_group", "mma_async"); what {
	case "mma_async":
		c.wgmmaAsync(s)
	default:
		c.want("sync")
		c.want("aligned")
		n, group := 0, uint64(0)
		if what == "wait_group" {
			n = 1
		}
		if !c.args(s, n, n) {
			return
		}
		if n == 1 {
			if group, _ = c.immediate(s.args[0]); group > 7 {
				c.fail("wgmma.wait_group of %d", group)
			}
		}
		c.emit(ins{kind: insSync, async: true, fn: func(w *warp, _ uint32) {
			switch what {
			case "fence":
				for i := range w.async.held {
					w.async.held[i] &^= useDirty
				}
			case "commit_group":
				w.commitWgmma()
			case "wait_group":
				w.waitWgmma(int(group))
			}
		}})
	}
}

// wgmmaAsync handles wgmma.mma_async.m64nNk32 on 8-bit integers (PTX ISA:
// wgmma.mma_async): N is 8 to 32 in steps of 8, then to 256 in steps of 16.
func (c *compiler) wgmmaAsync(s *stmt) {
	c.want("sync")
	c.want("aligned")
	shape := &wgmmaShape{}
	if len(c.mods) > 0 && strings.HasPrefix(c.mods[0], "m64n") {
		if _, err := fmt.Sscanf(c.mods[0], "m64n%dk32", &shape.n); err != nil || c.mods[0] != fmt.Sprintf("m64n%dk32", shape.n) {
			shape.n = 0
		}
	}
	if n := shape.n; n <= 0 || n > 256 || n%16 != 0 && n != 8 && n != 24 {
		c.badMod()
		return
	}
	c.mods = c.mods[1:]
	c.want("s32")
	shape.ta, shape.tb = c.typ("s8", "u8"), c.typ("s8", "u8")
	if shape.ta != shape.tb {
		c.need(84, 90, true)
	}
	shape.sat = c.opt("satfinite") != ""
	if !c.args(s, 4, 4) {
		return
	}
	if s.args[0].kind != opVec {
		c.fail("wgmma: accumulators must be a vector")
		return
	}
	for _, o := range c.vector(s.args[0], shape.n/2) {
		shape.d = append(shape.d, c.result(o, b32))
	}
	aDesc := -1
	if s.args[1].kind == opVec {
		for _, o := range c.vector(s.args[1], 4) {
			shape.a = append(shape.a, c.value(o, b32))
		}
	} else {
		aDesc = c.value(s.args[1], b64)
	}
	bDesc, scale := c.value(s.args[2], b64), c.predSrc(s.args[3])
	c.emit(ins{kind: insSync, async: true, fn: func(w *warp, m uint32) {
		if len(w.warps)%4 != 0 && w.id/4 == len(w.warps)/4 {
			w.fault(ErrSync, 0, "", 0, "wgmma in a warpgroup of less than four warps")
		}
		op := wgmmaOp{wgmmaShape: shape, b: w.descriptor(bDesc)}
		if aDesc >= 0 {
			op.a = w.descriptor(aDesc)
		}
		switch p := scale.get(w); p {
		case 0:
		case ^uint32(0):
			op.keep = true
		default:
			w.fault(ErrOperand, first(^p), "", 0, "scale-d differs within the warp")
		}
		w.issue(op)
	}})
}

// descriptor reads a descriptor, which all lanes must agree about.
func (w *warp) descriptor(r int) descriptor {
	for l, v := range w.rows[r] {
		if v != w.rows[r][0] {
			w.fault(ErrOperand, l, "", 0, "descriptors differ within the warp")
		}
	}
	d, err := decode(w.rows[r][0])
	if err != nil {
		w.fault(ErrOperand, 0, "", 0, "%v", err)
	}
	return d
}

// operandRows are the rows of A in shared memory that this warp multiplies.
func (w *warp) operandRow(i int) int { return w.id%4*16 + i }

// issue checks what an operation will read, and queues it.
func (w *warp) issue(op wgmmaOp) {
	touch := func(a uint64) {
		if a+16 > uint64(len(w.shared)) || a < sharedBase {
			w.fault(ErrBounds, 0, "shared", a, "wgmma reads outside [%#x, %#x)", sharedBase, len(w.shared))
		}
		if w.valid != nil {
			w.checkValid(w.valid[a:][:16], 0, "shared", a, reads)
		}
		if w.race != nil {
			w.race.record(w, 0, uint32(2*w.race.threads+w.id), a, 16, reads, true)
		}
	}
	for half := range 2 {
		for i := range 16 {
			if op.wgmmaShape.a == nil {
				touch(op.a.address(w.operandRow(i), half))
			}
		}
		for j := range op.n {
			touch(op.b.address(j, half))
		}
	}
	if w.race != nil {
		agent := 2*w.race.threads + w.id
		op.time = w.race.own[agent]
		w.race.own[agent]++
	}
	w.hold(&op)
	w.async.wgmma = append(w.async.wgmma, op)
}

// hold marks the rows of an operation as in use. Accumulators may be those of
// operations before it if the shape is the same.
func (w *warp) hold(op *wgmmaOp) {
	held := w.async.held
	if held == nil {
		return
	}
	for _, r := range append(append([]int(nil), op.d...), op.wgmmaShape.a...) {
		if held[r]&useDirty != 0 {
			w.fault(ErrAsync, 0, "", 0, "a register of wgmma was written and no wgmma.fence followed")
		}
	}
	for i := range w.async.wgmma {
		before := &w.async.wgmma[i]
		if before.wgmmaShape == op.wgmmaShape || before.n == op.n && same(before.d, op.d) {
			continue
		}
		for _, r := range op.d {
			if held[r]&(useSum|useOperand) != 0 {
				w.fault(ErrAsync, 0, "", 0, "accumulators are in use by a wgmma of another shape")
			}
		}
	}
	for _, r := range op.wgmmaShape.a {
		if held[r]&useSum != 0 {
			w.fault(ErrAsync, 0, "", 0, "A is in accumulators of a wgmma under way")
		}
	}
	op.mark(held)
}

func same(a, b []int) bool {
	for i := range a {
		if len(a) != len(b) || a[i] != b[i] {
			return false
		}
	}
	return true
}

func (op *wgmmaOp) mark(held []use) {
	for _, r := range op.d {
		held[r] |= useSum
	}
	for _, r := range op.wgmmaShape.a {
		held[r] |= useOperand
	}
}

// checkHeld is called before an instruction of a kernel with wgmma.
func (w *warp) checkHeld(in *ins, m uint32) {
	if in.async {
		return
	}
	for i, r := range in.held {
		h := w.async.held[r]
		if h&useSum != 0 || i < in.writes && h&useOperand != 0 {
			w.fault(ErrAsync, first(m), "", 0, "a register of wgmma is touched before wgmma.wait_group")
		}
		if i < in.writes {
			w.async.held[r] |= useDirty
		}
	}
}

// commitWgmma makes one group of the operations that are in none.
func (w *warp) commitWgmma() {
	w.async.ends = append(w.async.ends, len(w.async.wgmma))
}

// waitWgmma completes all groups but the last n, in order.
func (w *warp) waitWgmma(n int) {
	groups := len(w.async.ends) - n
	if groups <= 0 {
		return
	}
	end := w.async.ends[groups-1]
	for i := range end {
		w.async.wgmma[i].run(w)
	}
	if w.race != nil && end > 0 {
		w.race.done[2*w.race.threads+w.id] = w.async.wgmma[end-1].time
	}
	w.async.wgmma = w.async.wgmma[:copy(w.async.wgmma, w.async.wgmma[end:])]
	w.async.ends = w.async.ends[:copy(w.async.ends, w.async.ends[groups:])]
	for i := range w.async.ends {
		w.async.ends[i] -= end
	}
	if held := w.async.held; held != nil {
		for i := range held {
			held[i] &= useDirty
		}
		for i := range w.async.wgmma {
			w.async.wgmma[i].mark(held)
		}
	}
}

// run computes the warp's 16 rows (PTX ISA: Register Fragments for
// wgmma.mma_async.m64nNk32). Lane l has rows l/4 and l/4 + 8; register r has
// column 8·(r/4) + 2·(l%4) + r%2, and the second row where r%4 is above 1.
func (op *wgmmaOp) run(w *warp) {
	if w.scratch == nil {
		w.scratch = &wgmmaScratch{}
	}
	a, b, sums := w.scratch.a[:], w.scratch.b[:op.n], w.scratch.sums[:16*op.n]
	load := func(dst *[matrixK]int32, d descriptor, r int, t typ) {
		for half := range 2 {
			p := w.shared[d.address(r, half):][:16]
			for i := 0; i < 16; i += 4 {
				bytesOf(dst[16*half+i:], get(p[i:], 4), t)
			}
		}
	}
	for i := range a {
		if op.wgmmaShape.a == nil {
			load(&a[i], op.a, w.operandRow(i), op.ta)
		}
	}
	for i, r := range op.wgmmaShape.a {
		for l, v := range w.rows[r] {
			bytesOf(a[l/4+i%2*8][l%4*4+i/2*16:], v, op.ta)
		}
	}
	for j := range b {
		load(&b[j], op.b, j, op.tb)
	}
	products(a, b, sums)
	for at, v := range sums {
		i, j := at/op.n, at%op.n
		l, r := i%8*4+j%8/2, j/8*4+i/8*2+j%2
		sum := &w.rows[op.d[r]][l]
		if op.keep {
			v += sext(*sum, 32)
		}
		if op.sat {
			v = clamp(v, -1<<31, 1<<31-1)
		}
		*sum = uint64(uint32(v))
	}
}

// wgmmaScratch is room for the operands of one operation.
type wgmmaScratch struct {
	a    [16][matrixK]int32
	b    [256][matrixK]int32
	sums [16 * 256]int64
}
