package app

import "errors"

// Version is the version of the application, stored with the state.
const Version = "0.1.0"

// Deps are the parts that execute or verify what modules compute, or would bring large
// imports into the application.
type Deps struct {
	// VerifyVRF proves that an owner holds the secret of a VRF key.
	VerifyVRF func(pubkey, owner, possession []byte) error
}

// errNoDeps is what an application without dependencies answers.
var errNoDeps = errors.New("this application verifies no keys")

func (d Deps) verifyVRF() func(pubkey, owner, possession []byte) error {
	if d.VerifyVRF != nil {
		return d.VerifyVRF
	}
	return func(_, _, _ []byte) error { return errNoDeps }
}
