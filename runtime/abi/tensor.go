package abi

// TensorCalls are the tensor.* imports that manage tensors. Every op of
// hostgpu/device.Ops is a further import of the same module under its own
// name, its operands in table order: I32 for a handle or a 32-bit immediate,
// I64 for a 64-bit one, no result.
//
// Offsets and lengths are in bytes and must be multiples of the element size.
// A call that the device refuses traps with the trap named beside the
// device's error; a pointer outside memory traps with TrapHostMemory.
var TensorCalls = []Call{
	{"alloc", []Param{{"dtype", I32}, {"rows", I32}, {"cols", I32}}, I32, 1000, 1,
		"handle of a new zeroed tensor of the job's own memory; priced by its size"},
	{"view", []Param{{"tensor", I32}, {"row", I32}, {"rows", I32}, {"cols", I32}}, I32, 200, 0,
		"handle of rows x cols elements of tensor's memory from the start of row on; shares memory with it"},
	{"free", []Param{{"tensor", I32}}, 0, 200, 0,
		"releases a handle; the memory goes with its last view"},
	{"write", []Param{{"tensor", I32}, {"off", I64}, {"ptr", I32}, {"len", I32}}, 0, 500, 1,
		"copies guest bytes to byte offset off of the tensor"},
	{"read", []Param{{"tensor", I32}, {"off", I64}, {"ptr", I32}, {"len", I32}}, 0, 500, 1,
		"waits for what is queued, then copies from byte offset off of the tensor to the guest"},
}
