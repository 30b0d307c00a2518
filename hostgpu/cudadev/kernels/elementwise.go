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

// each launches a kernel over n > 0 elements.
func (c *planner) each(kernel string, n uint32, a *args) {
	grid := min(ceilDiv(n, elementBlock), uint32(c.props.SMs*wavesPerSM))
	c.launch(kernel, grid, elementBlock, 0, a)
}

func (c *planner) add() {
	x, n := c.Tensors, uint32(c.Tensors[0].Shape.Elems())
	c.each("assay_add", n, newArgs(c.ptr(x[0]), c.ptr(x[1]), c.ptr(x[2])).u32(n))
}

func (c *planner) addRow() {
	x, n := c.Tensors, uint32(c.Tensors[0].Shape.Elems())
	c.each("assay_add_row", n, newArgs(c.ptr(x[0]), c.ptr(x[1]), c.ptr(x[2])).u32(n, c.dim('K')))
}

func (c *planner) rescale() {
	x, n := c.Tensors, uint32(c.Tensors[0].Shape.Elems())
	c.each("assay_rescale", n, newArgs(c.ptr(x[0]), c.ptr(x[1]), c.ptr(x[2]), c.ptr(x[3])).u32(n, c.dim('N')).i32(c.Imms[0]))
}

func (c *planner) siluMul() {
	x, n := c.Tensors, uint32(c.Tensors[0].Shape.Elems())
	c.each("assay_silu_mul", n, newArgs(c.ptr(x[0]), c.ptr(x[1]), c.ptr(x[2])).u32(n))
}

func (c *planner) rope() {
	x, n := c.Tensors, uint32(c.Tensors[0].Shape.Elems()/2)
	c.each("assay_rope", n, newArgs(c.ptr(x[0]), c.ptr(x[1]), c.ptr(x[2]), c.ptr(x[3])).u32(n, c.dim('C'), c.dim('D'), c.dim('P')))
}

func (c *planner) embed() {
	x, n := c.Tensors, uint32(c.Tensors[0].Shape.Elems())
	c.each("assay_embed", n, newArgs(c.ptr(x[0]), c.ptr(x[1]), c.ptr(x[2]), c.ptr(x[3])).u32(n, c.dim('K'), c.dim('V')).i32(c.Imms[0]))
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

// rowBlock is the threads that work on a row of k elements: enough that each
// has at most a few, a multiple of a warp.
func rowBlock(k uint32) uint32 {
	quarter := ceilDiv(k, 4)
	return min(max(32, uint32(1)<<bits.Len32(quarter-1)), 1024)
}

// rows launches a kernel that takes a row a block.
func (c *planner) rows(kernel string, a *args) {
	block := uint32(32)
	if k := c.dim('K'); k > 0 {
		block = rowBlock(k)
	}
	grid := min(c.dim('M'), uint32(c.props.SMs)*2048/block)
	c.launch(kernel, max(grid, 1), block, 0, a)
}

func (c *planner) quant() {
	x := c.Tensors
	c.rows("assay_quant", newArgs(c.ptr(x[0]), c.ptr(x[1]), c.ptr(x[2])).u32(c.dim('M'), c.dim('K')).i32(c.Imms[0]))
}

func (c *planner) norm() {
	x := c.Tensors
	r, u := nroot(uint64(c.dim('K')))
	c.rows("assay_norm", newArgs(c.ptr(x[0]), c.ptr(x[1]), c.ptr(x[2]), uint64(c.Imms[0])).u32(c.dim('M'), c.dim('K'), r).i32(int64(u)))
}

func (c *planner) normQuant() {
	x := c.Tensors
	r, u := nroot(uint64(c.dim('K')))
	c.rows("assay_norm_quant", newArgs(c.ptr(x[0]), c.ptr(x[1]), c.ptr(x[2]), c.ptr(x[3]), uint64(c.Imms[0])).
		u32(c.dim('M'), c.dim('K'), r).i32(int64(u)))
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
