// Package cudadev is the CUDA device: the kernels of package kernels on a GPU,
// through package driver. It gives the bits that docs/spec/ops.md defines.
//
// It owns the GPU's memory and the order of work. Each space has a stream;
// nothing waits for the GPU but Read, Sync and Close. Memory is set aside when
// a space is opened (Reserve), really allocated, so that a GPU that has too
// little refuses a job before it begins; spaces are then served from that pool.
// Memory may be used with every queue: a queue that meets what another one
// wrote, read or freed waits for it on the GPU, by an event. Written bytes go
// through a ring of pinned memory.
//
// A kernel that fails leaves the process's context without use. The backend
// then fails every call with ErrWedged; the process must end and begin again,
// which is what plugin and failover do.
//
// The package needs neither cgo nor CUDA to build and nothing but NVIDIA's
// driver to run. It must not know the sandbox, the plugin or another device.
package cudadev
