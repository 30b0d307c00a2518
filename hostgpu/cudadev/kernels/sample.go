package kernels

// Sizes of sample.cuh: threads a block, most blocks, and sample_state's bytes.
const (
	sampleBlock  = 256
	sampleBlocks = 128
	sampleState  = 56 + 8*sampleBlocks + 5*2048*8
	sampleLevels = 5
)

// sampleGrid is the tokens of a block and the number of blocks.
func sampleGrid(v uint32) (perBlock, blocks uint32) {
	blocks = min(ceilDiv(v, sampleBlock*4), sampleBlocks)
	perBlock = ceilDiv(v, blocks)
	return perBlock, ceilDiv(v, perBlock)
}

// sampleLayout places, behind the state, the penalized logits and the weights.
// Either is left out where the operands do not need it.
func (c *planner) sampleLayout() (logits, weights, total int64) {
	v := (int64(c.dim('V'))*4 + 255) &^ 255
	total = (sampleState + 255) &^ 255
	logits, weights = total, total
	if c.penalized() {
		total += v
		weights = total
	}
	if c.Imms[1] != 0 {
		total += v
	}
	return logits, weights, total
}

// penalized says whether any logit may change.
func (c *planner) penalized() bool {
	h := c.Tensors[2]
	return h.Present && h.Shape.Rows > 0
}

func (c *planner) sampleScratch() int64 {
	_, _, total := c.sampleLayout()
	return total
}

func (c *planner) sample() {
	x, v := c.Tensors, c.dim('V')
	step, temperature, topk, topp, penalty := uint64(c.Imms[0]), uint32(c.Imms[1]), uint32(c.Imms[2]), uint32(c.Imms[3]), uint32(c.Imms[4])
	offLogits, offWeights, _ := c.sampleLayout()
	logit := c.ptr(x[1])
	words := uint32(sampleState / 4)
	c.each("assay_zero", words, newArgs(c.scratch).u32(words))
	if c.penalized() {
		n, in := uint32(x[2].Shape.Rows), logit
		logit = c.scratch + uint64(offLogits)
		c.each("assay_move_4", v, newArgs(logit, in, 0).u32(v, v, v, 0, 1))
		c.each("assay_penalize", n, newArgs(logit, in, c.ptr(x[2])).u32(n, v, penalty))
	}
	perBlock, blocks := sampleGrid(v)
	run := func(kernel string, level uint32) {
		c.launch(kernel, blocks, sampleBlock, 0, newArgs(c.ptr(x[0]), logit, c.scratch+uint64(offWeights), c.scratch, c.ptr(x[3]), step).
			u32(v, perBlock, temperature, topk, topp, level))
	}
	run("assay_sample_top", 0)
	if temperature == 0 {
		return
	}
	if topk > 0 && topk < v {
		for level := range uint32(sampleLevels) {
			run("assay_sample_count", level)
		}
	}
	run("assay_sample_weigh", 0)
	if topp < 1<<16 {
		for level := range uint32(sampleLevels) {
			run("assay_sample_heavy", level)
		}
	}
	run("assay_sample_draw", 0)
}
