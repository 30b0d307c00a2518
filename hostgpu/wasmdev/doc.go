// Package wasmdev is the reference device: the kernels of modules/kernels run
// in the sandbox's engine. Its bits are the definition of every tensor op; any
// machine can run it.
//
// All tensors of a Device live in the linear memory of one kernel instance, so
// that no op copies an operand and spaces share tensors for nothing. Ops of all
// spaces run one at a time under a lock; a host that wants to use more cores
// opens more devices. A Wasm memory is at most 4 GiB: a space that would not
// fit is refused with device.ErrDeviceMemory before it starts. Blocks move when
// memory is fragmented, so what was reserved is always obtained.
//
// The package must not know who calls it, and reaches the engine only through
// runtime/sandbox.
package wasmdev
