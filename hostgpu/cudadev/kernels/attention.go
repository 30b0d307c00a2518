package kernels

const (
	attentionBlock = 128 // threads of every kernel of attention (ATT_BLOCK, 32·MMA_WARPS)
	attentionTile  = 8   // rows of a warp (TILE)
	attentionWarps = 4   // MMA_WARPS
	// attentionPart is the least number of keys for which a block of its own,
	// and the three launches that go with it, are worth it.
	attentionPart = 1024
)

// attentionPlan is how the tensor cores' kernel is launched: blocks for each
// segment and group of heads, warps that share a tile's keys, blocks that do.
type attentionPlan struct {
	blocksAGroup, keyWarps, splits uint32
	blocks                         uint32 // of all segments and groups, splits included
}

func (c *planner) attentionPlan() attentionPlan {
	m, seg, t := c.dim('M'), uint32(c.Imms[0]), c.dim('T')
	heads, groups := c.dim('H'), c.dim('G')
	tiles := ceilDiv(seg*(heads/groups), attentionTile)
	all := m / seg * groups
	sms := uint32(c.props.SMs)
	// Four tiles a block share their keys in the first-level cache, if that
	// leaves enough blocks.
	if uint64(all)*uint64(tiles) >= 8*uint64(sms) && tiles >= attentionWarps {
		n := ceilDiv(tiles, attentionWarps)
		return attentionPlan{n, 1, 1, all * n}
	}
	splits := min(ceilDiv(2*sms, all*tiles), t/attentionPart)
	if all*tiles >= sms {
		splits = 1
	}
	splits = max(splits, 1)
	return attentionPlan{tiles, attentionWarps, splits, all * tiles * splits}
}

// attentionFast says whether the tensor cores' kernels know the head's width.
func (c *planner) attentionFast() bool {
	d := c.dim('C') / c.dim('H')
	return d == 64 || d == 128
}

// attentionScratch: three words a row and head, eight bytes an element of dst.
func (c *planner) attentionScratch() int64 {
	if !c.attentionFast() || c.attentionPlan().splits == 1 {
		return 0
	}
	return 12*int64(c.dim('M'))*int64(c.dim('H')) + 8*int64(c.dim('M'))*int64(c.dim('C'))
}

func (c *planner) attention() {
	x := c.Tensors
	m, heads, groups := c.dim('M'), c.dim('H'), c.dim('G')
	d := c.dim('C') / heads
	dst, q, k, v := c.ptr(x[0]), c.ptr(x[1]), c.ptr(x[3]), c.ptr(x[5])
	var plan attentionPlan
	run := func(kernel string, grid, block, phase uint32) {
		// The eight-byte sums come first: rows·heads may be odd.
		sums := c.scratch
		tops := sums + 8*uint64(m)*uint64(heads)*uint64(d)
		words := 4 * uint64(m) * uint64(heads)
		c.launch(kernel, grid, block, 0,
			newArgs(dst, q, c.ptr(x[2]), k, c.ptr(x[4]), v, c.ptr(x[6]), tops, tops+words, tops+2*words, sums).
				u32(m, heads, groups, d, uint32(c.Imms[0]), c.dim('T')).i32(c.Imms[1], c.Imms[2], c.Imms[3]).
				u32(phase, plan.keyWarps, plan.blocksAGroup, plan.splits))
	}
	if !c.attentionFast() || (q|k|v)%16 != 0 {
		run("assay_attention", m*heads, attentionBlock, 0)
		return
	}
	kernel := "assay_attention_64"
	if d == 128 {
		kernel = "assay_attention_128"
	}
	plan = c.attentionPlan()
	if plan.splits == 1 {
		run(kernel, plan.blocks, attentionBlock, 0)
		return
	}
	words := uint32(c.attentionScratch() / 4)
	c.each("assay_zero", words, newArgs(c.scratch).u32(words))
	run(kernel, plan.blocks, attentionBlock, 1)
	run(kernel, plan.blocks, attentionBlock, 2)
	n := m * heads * d
	run("assay_attention_divide", min(ceilDiv(n, elementBlock), uint32(c.props.SMs*wavesPerSM)), elementBlock, 0)
}
