package kernels

// attentionBlock threads work on a query row and head (ATT_BLOCK).
const attentionBlock = 128

func (c *planner) attentionScratch() int64 { return 0 }

func (c *planner) attention() {
	x := c.Tensors
	m, heads, groups := c.dim('M'), c.dim('H'), c.dim('G')
	c.launch("assay_attention", m*heads, attentionBlock, 0,
		newArgs(c.ptr(x[0]), c.ptr(x[1]), c.ptr(x[2]), c.ptr(x[3]), c.ptr(x[4]), c.ptr(x[5]), c.ptr(x[6]), 0).
			u32(m, heads, groups, c.dim('C')/heads, uint32(c.Imms[0]), c.dim('T')).i32(c.Imms[1], c.Imms[2], c.Imms[3]).u32(1))
}
