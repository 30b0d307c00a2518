package kernels

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
)

//go:embed kernels.wasm
var wasm []byte

//go:embed kernels.wasm.sha256
var sum string

// ErrHash says that the embedded module is not the one that was committed.
var ErrHash = errors.New("kernels: kernels.wasm does not have its recorded SHA-256")

// Hash is the recorded SHA-256 of the module, in hexadecimal.
func Hash() string { return strings.TrimSpace(sum) }

// Wasm returns the module, which callers must not change, after checking it
// against its recorded hash once.
func Wasm() ([]byte, error) { return checked() }

var checked = sync.OnceValues(func() ([]byte, error) {
	if h := sha256.Sum256(wasm); hex.EncodeToString(h[:]) != Hash() {
		return nil, ErrHash
	}
	return wasm, nil
})
