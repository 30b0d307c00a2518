package app

import (
	"fmt"
	"sync"

	sdk "github.com/cosmos/cosmos-sdk/types"

	registrytypes "github.com/assaynet/assay/chain/registry/types"
)

// halter is the Admitter that keepers see. An admitter panics when its host fails, so that the
// node stops rather than guess; but governance and the transaction runner recover panics of a
// message and call them its failure, which on this node alone would fork it off. The halter
// remembers the panic and lets the end of the block repeat it, where nothing recovers it.
type halter struct {
	Admitter

	mu     sync.Mutex
	failed any
}

// AdmitBlob remembers a panic and passes it on.
func (h *halter) AdmitBlob(kind string, blob []byte) error {
	defer h.remember()
	return h.Admitter.AdmitBlob(kind, blob)
}

// AdmitActivation remembers a panic and passes it on.
func (h *halter) AdmitActivation(a registrytypes.Activation, module, model []byte) error {
	defer h.remember()
	return h.Admitter.AdmitActivation(a, module, model)
}

// remember must be deferred itself: only then does it see the panic.
func (h *halter) remember() {
	if r := recover(); r != nil {
		h.mu.Lock()
		h.failed = r
		h.mu.Unlock()
		panic(r)
	}
}

// guard returns an end blocker that panics if the host failed in the block.
func (h *halter) guard(end sdk.EndBlocker) sdk.EndBlocker {
	return func(ctx sdk.Context) (sdk.EndBlock, error) {
		result, err := end(ctx)
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.failed != nil {
			panic(fmt.Sprintf("app: the node stops: %v", h.failed))
		}
		return result, err
	}
}
