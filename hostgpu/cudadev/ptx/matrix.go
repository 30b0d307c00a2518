package ptx

var asyncInstructions = map[string]func(c *compiler, s *stmt){
	"ldmatrix": compileLdmatrix, "mma": compileMma, "cp": compileCp, "wgmma": compileWgmma,
	"mbarrier": compileMbarrier, "setmaxnreg": compileSetmaxnreg, "nanosleep": compileNanosleep,
}

// compileLdmatrix loads one, two or four 8×8 matrices of 16-bit elements (PTX
// ISA: ldmatrix). Lane 8·i+r gives the address of row r of matrix i; lane l
// gets elements 2·(l%4) and the next of row l/4, or of column l/4 with .trans.
func compileLdmatrix(c *compiler, s *stmt) {
	c.need(65, 75, false)
	c.want("sync")
	c.want("aligned")
	c.want("m8n8")
	n := map[string]int{"x1": 1, "x2": 2, "x4": 4}[c.want("x1", "x2", "x4")]
	trans := c.opt("trans") != ""
	sp := c.space(spaceShared)
	c.want("b16")
	if !c.args(s, 2, 2) {
		return
	}
	a := c.addr(s.args[1], sp)
	var rows []int
	for _, o := range c.vector(s.args[0], n) {
		rows = append(rows, c.result(o, b32))
	}
	c.emit(ins{kind: insSync, fn: func(w *warp, m uint32) {
		var data [32][]byte
		for i := range 8 * n {
			at := w.rows[a.row][i] + a.off
			sp := sp
			if sp == spaceGeneric {
				if sp, at = window(at); sp != spaceShared {
					w.fault(ErrBounds, i, sp.String(), at, "ldmatrix outside shared memory")
				}
			}
			data[i] = w.bytes(sp, i, at, 16, 16, reads)
		}
		for i, r := range rows {
			for l := range w.rows[r] {
				x, y := get(data[8*i+l/4][l%4*4:], 2), get(data[8*i+l/4][l%4*4+2:], 2)
				if trans {
					x, y = get(data[8*i+l%4*2][l/4*2:], 2), get(data[8*i+l%4*2+1][l/4*2:], 2)
				}
				w.rows[r][l] = x | y<<16
			}
		}
	}})
}

// matrixK is how many int8 products an element of a result takes at most.
const matrixK = 32

// products sets out[i][j], rows behind each other, to the dot product of row i of
// a and row j of b, each of matrixK bytes that are signed or not; b has an even
// number of rows. Two rows of b share a 64-bit sum: 32 products of bytes stay
// below 2^21, so the low half never reaches the high one but by its sign, which
// is taken out again.
func products(a, b [][matrixK]int32, out []int64) {
	n := len(b)
	for j := 0; j < n; j += 2 {
		var pair [matrixK]int64
		for k := range pair {
			pair[k] = int64(b[j][k]) + int64(b[j+1][k])<<32
		}
		for i := range a {
			var x, y int64
			row := &a[i]
			for k := 0; k < matrixK; k += 2 {
				x += int64(row[k]) * pair[k]
				y += int64(row[k+1]) * pair[k+1]
			}
			x += y
			low := int64(int32(x))
			out[i*n+j], out[i*n+j+1] = low, (x-low)>>32
		}
	}
}

// bytesOf spreads the four bytes of v.
func bytesOf(dst []int32, v uint64, t typ) {
	_ = dst[3]
	if t.kind == 's' {
		dst[0], dst[1], dst[2], dst[3] = int32(int8(v)), int32(int8(v>>8)), int32(int8(v>>16)), int32(int8(v>>24))
	} else {
		dst[0], dst[1], dst[2], dst[3] = int32(uint8(v)), int32(uint8(v>>8)), int32(uint8(v>>16)), int32(uint8(v>>24))
	}
}

// compileMma handles mma.sync on 8-bit integers (PTX ISA: mma, Matrix Fragments
// for mma.m8n8k16, .m16n8k16 and .m16n8k32 with .u8 or .s8).
func compileMma(c *compiler, s *stmt) {
	c.want("sync")
	c.want("aligned")
	shape := c.want("m16n8k32", "m16n8k16", "m8n8k16")
	c.need(70, 80, false)
	c.want("row")
	c.want("col")
	sat := c.opt("satfinite") != ""
	c.want("s32")
	ta, tb := c.typ("u8", "s8"), c.typ("u8", "s8")
	c.want("s32")
	if !c.args(s, 4, 4) {
		return
	}
	// Registers of A, B and the sums in a lane; those of A lie as
	// [column half][row half].
	rowHalves, colHalves := 2, 1
	switch shape {
	case "m16n8k32":
		colHalves = 2
	case "m8n8k16":
		rowHalves = 1
	}
	regs := func(o operand, n int, t typ, dst bool) (rows []int) {
		for _, e := range c.vector(o, n) {
			if dst {
				rows = append(rows, c.result(e, t))
			} else {
				rows = append(rows, c.value(e, t))
			}
		}
		return rows
	}
	if s.args[1].kind != opVec && rowHalves*colHalves > 1 || s.args[2].kind != opVec && colHalves > 1 {
		c.fail("mma: fragment must be a vector")
		return
	}
	d := regs(s.args[0], 2*rowHalves, b32, true)
	a, b := regs(s.args[1], rowHalves*colHalves, b32, false), regs(s.args[2], colHalves, b32, false)
	e := regs(s.args[3], 2*rowHalves, b32, false)
	if c.err != nil {
		return
	}
	c.emit(ins{kind: insSync, fn: func(w *warp, m uint32) {
		var A [16][matrixK]int32
		var B [8][matrixK]int32
		for l := range 32 {
			group, at := l/4, l%4*4
			for i, r := range a {
				bytesOf(A[group+i%rowHalves*8][at+i/rowHalves*16:], w.rows[r][l], ta)
			}
			for i, r := range b {
				bytesOf(B[group][at+i*16:], w.rows[r][l], tb)
			}
		}
		var sums [16 * 8]int64
		var out [4]row
		products(A[:8*rowHalves], B[:], sums[:])
		for at, v := range sums[:64*rowHalves] {
			i, j := at/8, at%8
			l, n := i%8*4+j/2, i/8*2+j%2
			v += sext(w.rows[e[n]][l], 32)
			if sat {
				v = clamp(v, -1<<31, 1<<31-1)
			}
			out[n][l] = uint64(uint32(v))
		}
		for i, r := range d {
			w.rows[r] = out[i]
		}
	}})
}

// compileSetmaxnreg has no effect: registers are not counted.
func compileSetmaxnreg(c *compiler, s *stmt) {
	c.need(80, 90, true)
	c.want("inc", "dec")
	c.want("sync")
	c.want("aligned")
	c.want("u32")
	if !c.args(s, 1, 1) {
		return
	}
	if n, ok := c.immediate(s.args[0]); ok && (n < 24 || n > 256 || n%8 != 0) {
		c.fail("setmaxnreg of %d", n)
	}
	c.emit(ins{kind: insSync, fn: func(*warp, uint32) {}})
}

// compileNanosleep lets the other warps run.
func compileNanosleep(c *compiler, s *stmt) {
	c.need(63, 70, false)
	c.want("u32")
	if c.args(s, 1, 1) {
		c.value(s.args[0], b32)
		c.plain(func(w *warp, _ uint32) { w.yield, w.again = true, true })
	}
}
