package app

import (
	"context"
	"errors"
	"io"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	registrytypes "github.com/assaynet/assay/chain/registry/types"
	"github.com/assaynet/assay/verifier/sample"
)

// Version is the version of the application, stored with the state.
const Version = "0.1.0"

// Code returns the unpacked bytes of a stored module or model by its hash, as of the last
// committed block. It may be called from any goroutine.
type Code func(ctx context.Context, hash [32]byte) ([]byte, error)

// Admitter judges uploads and activations; see the registry's keeper.
type Admitter interface {
	AdmitBlob(kind string, blob []byte) error
	AdmitActivation(activation registrytypes.Activation, module, model []byte) error
}

// Deps are the parts that execute what modules compute. The application knows them only by
// these interfaces.
type Deps struct {
	Admitter Admitter
	// Rechecker re-executes reported units; its results are part of consensus.
	Rechecker audittypes.Rechecker
	// Closer is closed with the application; it may be nil.
	Closer io.Closer
}

// errNoDeps is what an application without dependencies answers; it can serve codecs,
// commands and exports, but run no chain with modules.
var errNoDeps = errors.New("this application executes no modules")

// none refuses everything.
type none struct{}

func (none) AdmitBlob(string, []byte) error { return errNoDeps }

func (none) AdmitActivation(registrytypes.Activation, []byte, []byte) error { return errNoDeps }

// Queue does nothing: the block that needs the result stops the node.
func (none) Queue(audittypes.Job) {}

// Wait stops the node: going on without the result would fork it off.
func (none) Wait([32]byte) ([32]byte, uint8) { panic(errNoDeps) }

// verifyVRF proves that the owner holds the secret of a VRF key.
func verifyVRF(pubkey, owner, possession []byte) error {
	key, err := sample.ParsePublicKey(pubkey)
	if err != nil {
		return err
	}
	return sample.VerifyPossession(key, owner, possession)
}
