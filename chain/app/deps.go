package app

import "github.com/assaynet/assay/verifier/sample"

// Version is the version of the application, stored with the state.
const Version = "0.1.0"

// Deps are the parts that execute what modules compute. The application knows them only by
// these interfaces.
type Deps struct{}

// verifyVRF proves that the owner holds the secret of a VRF key.
func verifyVRF(pubkey, owner, possession []byte) error {
	key, err := sample.ParsePublicKey(pubkey)
	if err != nil {
		return err
	}
	return sample.VerifyPossession(key, owner, possession)
}
