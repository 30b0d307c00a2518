package main

import (
	"crypto/sha256"

	"github.com/assaynet/assay/sdk/guest"
)

const (
	tag       = "assay/hashpow/1"
	maxRounds = 1000000

	abortParams = 1 // not four bytes, or rounds outside 1 to maxRounds
	abortOrder  = 2 // pow_units before pow_setup
)

var (
	rounds uint32
	seed   [32]byte
	start  [sha256.Size + 8]byte // base ‖ index
	pair   [2 * sha256.Size]byte // h ‖ h
)

func main() {}

//go:wasmexport assay_abi
func assayABI() int32 { return guest.Version }

//go:wasmexport pow_setup
func powSetup() {
	var p [4]byte
	if guest.Params(p[:]) != len(p) {
		guest.Abort(abortParams)
	}
	rounds = uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16 | uint32(p[3])<<24
	if rounds < 1 || rounds > maxRounds {
		guest.Abort(abortParams)
	}
	guest.Seed(&seed)
	// The package's first hash sets something up; no unit should pay for that.
	sha256.Sum256(nil)
}

//go:wasmexport pow_units
func powUnits(n int32) {
	if rounds == 0 {
		guest.Abort(abortOrder)
	}
	var msg [len(tag) + 32 + 32]byte
	k := copy(msg[:], tag)
	k += copy(msg[k:], seed[:])
	k += guest.Identity(msg[k:])
	base := sha256.Sum256(msg[:k])
	copy(start[:], base[:])
	for u := 0; u < int(n); u++ {
		index := guest.UnitIndex(u)
		for i := 0; i < 8; i++ {
			start[sha256.Size+i] = byte(index >> (8 * i))
		}
		h := sha256.Sum256(start[:])
		for r := uint32(0); r < rounds; r++ {
			copy(pair[:32], h[:])
			copy(pair[32:], h[:])
			h = sha256.Sum256(pair[:])
		}
		guest.RecordBytes(u, h[:])
	}
}
