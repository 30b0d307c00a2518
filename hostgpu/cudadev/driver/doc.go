// Package driver is what cudadev needs of NVIDIA's CUDA driver, as Go
// interfaces: devices, contexts, modules compiled from PTX, memory, streams,
// events, launches. Open implements them on libcuda.so.1, found at run time
// with purego: no cgo, no toolkit, nothing of NVIDIA's to build with. Package
// emulated implements them without a GPU.
//
// # Threads
//
// The driver keeps a current context for each thread of the operating system,
// and Go moves goroutines between threads. Every method here therefore locks
// its goroutine to its thread, makes its context current, makes its calls and
// unlocks. The other way, one locked thread a stream that is sent closures, pays
// a switch of threads for each call; making a context current is a store into
// the driver's thread-local data (BenchmarkLaunch prints what both cost here).
// Stream.Launch takes a batch, so that a task of several kernels pays once.
// Methods may be called from any goroutine.
//
// # Errors
//
// Every failure is an *Error that names the call, the driver's code and what a
// miner can do about it, and wraps one of the Err values of this package.
// Some (Sticky) leave the context without use: every later call fails alike,
// and only the end of the process gives the GPU back.
//
// The package must not know tensors, ops or kernels.
package driver
