package main

import (
	"github.com/assaynet/assay/modules/transformerpow/shape"
	"github.com/assaynet/assay/sdk/guest"
)

// Codes of assay.abort.
const (
	abortParams = 1 // parameters refused; the log says which
	abortOrder  = 2 // pow_units before pow_setup
)

var (
	dims   shape.Shape
	net    network
	buf    buffers
	isInit bool
)

func main() {}

//go:wasmexport assay_abi
func assayABI() int32 { return guest.Version }

//go:wasmexport pow_setup
func powSetup() {
	var p [shape.Size]byte
	n := guest.Params(p[:])
	if n != len(p) {
		guest.Log("transformerpow: parameters must be 24 bytes")
		guest.Abort(abortParams)
	}
	var err error
	if dims, err = shape.Decode(p[:]); err != nil {
		guest.Log(err.Error())
		guest.Abort(abortParams)
	}
	net.setup()
	buf.grow(1)
	isInit = true
}

//go:wasmexport pow_units
func powUnits(n int32) {
	if !isInit {
		guest.Abort(abortOrder)
	}
	net.claimant()
	pass := dims.Pass()
	for first := 0; first < int(n); first += pass {
		count := min(pass, int(n)-first)
		buf.resize(count)
		net.run(first, count)
	}
}
