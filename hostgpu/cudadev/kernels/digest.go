package kernels

// Chunks that a leaf block reduces to one chaining value, and chaining values
// that a tree block reduces to one (LEAVES and NODES of blake3.cuh).
const (
	digestLeaves = 128
	digestNodes  = 256
	cvBytes      = 32
)

// digestChunks is the number of BLAKE3 chunks of the digested tensor with its
// header of nine bytes; at most 2^21 + 1.
func (c *planner) digestChunks() uint32 {
	return uint32((c.Tensors[1].Bytes() + 9 + 1023) / 1024)
}

func (c *planner) digestScratch() int64 {
	leaves := ceilDiv(c.digestChunks(), digestLeaves)
	if leaves == 1 {
		return 0
	}
	return cvBytes * int64(leaves+ceilDiv(leaves, digestNodes))
}

func (c *planner) digest() {
	dst, src, key := c.ptr(c.Tensors[0]), c.Tensors[1], uint64(0)
	if c.Tensors[2].Present {
		key = c.ptr(c.Tensors[2])
	}
	chunks := c.digestChunks()
	nodes := ceilDiv(chunks, digestLeaves)
	in := c.scratch
	c.launch("assay_digest_leaf", nodes, digestLeaves, 0, newArgs(dst, c.ptr(src), key, in).
		u32(uint32(src.Bytes()), uint32(src.Shape.Rows), uint32(src.Shape.Cols), uint32(src.Type), chunks))
	// Levels swap between the two areas: the second is the smaller one, and
	// each level is at most a 256th of the one before.
	out := in + cvBytes*uint64(nodes)
	for nodes > 1 {
		next := ceilDiv(nodes, digestNodes)
		c.launch("assay_digest_tree", next, digestLeaves, 0, newArgs(dst, in, out, key).u32(nodes))
		nodes, in, out = next, out, in
	}
}
