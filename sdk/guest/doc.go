// Package guest is what the author of a module imports: Go bindings of the
// assay.* and tensor.* host calls for GOOS=wasip1, and the same for C in
// assay.h. Both are generated from the tables in runtime/abi and
// hostgpu/device, so a binding cannot differ from what the host checks.
//
// A module is built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath \
//	    -buildvcs=false -ldflags="-s -w -buildid=" -o module.wasm .
//
// and exports the functions of runtime/abi with //go:wasmexport. Host calls
// return no errors: a call that the host refuses stops the job with a trap.
// It imports next to nothing, because what it imports is part of every module,
// and nothing here allocates, so that a module which keeps its own buffers never
// runs the garbage collector, whose work would be billed as gas.
//
// The package must not know any particular module, and hosts never import it.
package guest

//go:generate go run ./gen
