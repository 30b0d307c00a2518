package kernels

import (
	"math/bits"

	"github.com/assaynet/assay/hostgpu/device"
)

// elementBlock threads work on elements; with wavesPerSM blocks a
// multiprocessor is full (2,048 threads) and each thread still has several
// elements of a large tensor, which overlap.
const (
	elementBlock = 256
	wavesPerSM   = 8
)

// each launches a kernel over n > 0 units, one a thread at a time.
func (c *planner) each(kernel string, n uint32, a *args) {
	grid := min(ceilDiv(n, elementBlock), uint32(c.props.SMs*wavesPerSM))
	c.launch(kernel, grid, elementBlock, 0, a)
}

// quads launches a kernel over n > 0 elements, in groups of four where every
// row has a whole number of them and every address that they touch is a multiple
// of their bytes; row is 0 where rows do not matter. The counts come after the
// addresses, then `more`.
func (c *planner) quads(kernel string, n, row uint32, aligned bool, addresses []uint64, more ...int64) {
	quads := uint32(0)
	if aligned && row%4 == 0 {
		quads = n / 4
	}
	c.each(kernel, max(quads, n-4*quads), newArgs(addresses...).u32(n, quads).i32(more...))
}

// by16 says whether all addresses are multiples of 16.
func by16(addresses ...uint64) bool {
	all := uint64(0)
	for _, a := range addresses {
		all |= a
	}
	return all%16 == 0
}

// pointers are the addresses of the task's tensors, in the table's order.
func (c *planner) pointers() []uint64 {
	var all []uint64
	for _, t := range c.Tensors {
		all = append(all, c.ptr(t))
	}
	return all
}

func (c *planner) elems() uint32 { return uint32(c.Tensors[0].Shape.Elems()) }

func (c *planner) add() {
	x := c.pointers()
	c.quads("assay_add", c.elems(), 0, by16(x...), x)
}

func (c *planner) addRow() {
	x, k := c.pointers(), c.dim('K')
	c.quads("assay_add_row", c.elems(), k, by16(x...), x, int64(k))
}

func (c *planner) rescale() {
	x, n := c.pointers(), c.dim('N')
	c.quads("assay_rescale", c.elems(), n, by16(x[0], x[1]), x, int64(n), c.Imms[0])
}

func (c *planner) siluMul() {
	x := c.pointers()
	c.quads("assay_silu_mul", c.elems(), 0, by16(x...), x)
}

func (c *planner) rope() {
	x, d := c.pointers(), c.dim('D')
	c.quads("assay_rope", c.elems()/2, d/2, by16(x[:3]...), x, int64(c.dim('C')), int64(d), int64(c.dim('P')))
}

func (c *planner) embed() {
	x, k := c.pointers(), c.dim('K')
	c.quads("assay_embed", c.elems(), k, by16(x[0], 4*x[1]), x, int64(k), int64(c.dim('V')), c.Imms[0])
}

// move plans copy, slice and gather with the widest unit that divides every
// address and row length involved.
func (c *planner) move() {
	x := c.Tensors
	size := uint32(x[0].Type.Size())
	row, pitch, col0, ids := uint32(x[0].Shape.Cols)*size, uint32(x[1].Shape.Cols)*size, uint32(0), uint64(0)
	rows := uint32(x[0].Shape.Rows)
	switch c.Op {
	case device.OpCopy:
		row, pitch, rows = row*rows, row*rows, 1
	case device.OpSlice:
		col0 = uint32(c.Imms[0]) * size
	case device.OpGather:
		ids = c.ptr(x[2])
	}
	dst, src := c.ptr(x[0]), c.ptr(x[1])
	all := uint64(row) | uint64(col0) | dst | src
	if rows > 1 || c.Op == device.OpGather {
		all |= uint64(pitch)
	}
	unit, kernel := uint32(1), "assay_move_1"
	switch {
	case all%16 == 0:
		unit, kernel = 16, "assay_move_16"
	case all%4 == 0:
		unit, kernel = 4, "assay_move_4"
	}
	n := uint32(x[0].Bytes() / int64(unit))
	c.each(kernel, n, newArgs(dst, src, ids).u32(n, row/unit, pitch/unit, col0/unit, uint32(x[1].Shape.Rows)))
}

// heldRow is the most elements of a row that a block of 1,024 threads holds in
// registers, sixteen each (HELD).
const heldRow = 16 * 1024

// rows launches a kernel that takes a row a block: with sixteen elements a
// thread where rows are whole groups of four at multiples of 16 bytes (4 for
// s8), else its _any variant. Short rows get small blocks, so that a
// multiprocessor works on many of them.
func (c *planner) rows(kernel string, aligned bool, a *args) {
	k, each := c.dim('K'), uint32(16)
	if !aligned || k%4 != 0 || k > heldRow {
		kernel, each = kernel+"_any", 4
	}
	block := uint32(32)
	for block < 1024 && block*each < k {
		block *= 2
	}
	c.launch(kernel, min(c.dim('M'), uint32(c.props.SMs)*2048/block), block, 0, a)
}

func (c *planner) quant() {
	x := c.pointers()
	c.rows("assay_quant", by16(4*x[0], x[2]), newArgs(x...).u32(c.dim('M'), c.dim('K')).i32(c.Imms[0]))
}

func (c *planner) norm() {
	x := c.pointers()
	r, u := nroot(uint64(c.dim('K')))
	c.rows("assay_norm", by16(x[0], x[1]), newArgs(x...).u64(uint64(c.Imms[0])).u32(c.dim('M'), c.dim('K'), r).i32(int64(u)))
}

func (c *planner) normQuant() {
	x := c.pointers()
	r, u := nroot(uint64(c.dim('K')))
	c.rows("assay_norm_quant", by16(4*x[0], x[2]), newArgs(x...).u64(uint64(c.Imms[0])).u32(c.dim('M'), c.dim('K'), r).i32(int64(u)))
}

// nroot is NROOT of the spec for a number of columns: √k ≈ r·2^-u; r = 0 for
// k = 0, where every result is 0.
func nroot(k uint64) (r uint32, u int32) {
	if k == 0 {
		return 0, 0
	}
	u = (62 - int32(bits.Len64(k))) >> 1
	y := k << (2 * u)
	for bit := uint64(1 << 30); bit > 0; bit >>= 1 {
		if t := uint64(r) | bit; t*t <= y {
			r = uint32(t)
		}
	}
	return r, u
}
