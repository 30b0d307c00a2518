package kernels

import "github.com/assaynet/assay/hostgpu/device"

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

func (c *planner) digest(tasks []*device.Task) {
	src, key := c.Tensors[1], uint64(0)
	var items [][2]uint64
	for _, t := range tasks {
		item := [2]uint64{c.ptr(t.Tensors[0]), c.ptr(t.Tensors[1])}
		if t.Tensors[2].Present {
			key = c.ptr(t.Tensors[2])
			item[1] |= 1 << 63
		}
		items = append(items, item)
	}
	leaf, tree := "assay_digest_leaf", "assay_digest_tree"
	if len(items) > 1 {
		leaf, tree = "assay_digest_leaves", "assay_digest_trees"
	}
	count := uint32(len(items))
	chunks := c.digestChunks()
	nodes := ceilDiv(chunks, digestLeaves)
	in := c.scratch
	c.launch(leaf, nodes*count, digestLeaves, 0, newArgs(in, key).
		u32(uint32(src.Bytes()), uint32(src.Shape.Rows), uint32(src.Shape.Cols), uint32(src.Type), chunks, nodes).items(items))
	// Levels swap between two areas: the second is the smaller one, and each
	// level is at most a 256th of the one before.
	out := in + cvBytes*uint64(nodes)*uint64(count)
	for nodes > 1 {
		next := ceilDiv(nodes, digestNodes)
		c.launch(tree, next*count, digestLeaves, 0, newArgs(in, out, key).u32(nodes, next).items(items))
		nodes, in, out = next, out, in
	}
}
