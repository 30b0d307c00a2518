// Package telemetry reads the state of NVIDIA GPUs through NVML: what a miner
// wants to see, and the energy that turns operations a second into operations
// per joule. With cgo on Linux it uses go-nvml; other builds ask the program
// assay-nvml, which is one with cgo, if it lies beside them.
//
// A call into NVML can kill the process (a driver without the symbol), so it
// belongs into the process that serves the GPU, and every call is made only
// after the symbol has been looked up. Every field of a report may be missing.
// The package must not know any device of this project.
package telemetry
