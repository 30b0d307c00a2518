package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Kinds of module.
const (
	KindPow       = "pow"       // exports pow_setup and pow_units
	KindInference = "inference" // exports infer and check
)

// Bounds of a module manifest.
const (
	MaxManifest    = 16 << 10 // bytes of JSON
	MaxModuleName  = 64
	MaxModuleSize  = 32 << 20 // bytes of Wasm, before compression
	MaxModuleParam = 1024
	MaxMemoryPages = 65536 // 4 GiB of 64 KiB pages: all that Wasm can address
)

// Hash is a SHA-256 content address; hexadecimal in JSON.
type Hash [sha256.Size]byte

// HashOf addresses content.
func HashOf(p []byte) Hash { return sha256.Sum256(p) }

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText is lower-case hexadecimal.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText accepts 64 lower-case hexadecimal digits only, so that a hash
// has one spelling.
func (h *Hash) UnmarshalText(p []byte) error {
	if len(p) != hex.EncodedLen(len(h)) || !bytes.Equal(p, bytes.ToLower(p)) {
		return fmt.Errorf("%w: hash must be %d lower-case hexadecimal digits", ErrSyntax, hex.EncodedLen(len(h)))
	}
	if _, err := hex.Decode(h[:], p); err != nil {
		return fmt.Errorf("%w: hash: %v", ErrSyntax, err)
	}
	return nil
}

// Module says what a module is and what it may use. The figures are ceilings:
// a job that needs more traps on every host alike.
type Module struct {
	Name        string `json:"name"`         // lower-case letters, digits and '-'
	Version     string `json:"version"`      // the author's own, for people
	ABI         int    `json:"abi"`          // runtime/abi.Version it was built for
	Kind        string `json:"kind"`         // KindPow or KindInference
	MemoryPages uint32 `json:"memory_pages"` // most linear memory, 64 KiB each
	TensorBytes int64  `json:"tensor_bytes"` // most device memory, in bytes
	GasSetup    int64  `json:"gas_setup"`    // most gas of initialisation and pow_setup, or of a request's fixed part
	GasUnit     int64  `json:"gas_unit"`     // most gas of one unit, or of one token
	Params      []byte `json:"params"`       // parameters that TensorBytes and the gas figures hold for; base64
	Size        int64  `json:"size"`         // bytes of Wasm
	Hash        Hash   `json:"hash"`         // SHA-256 of the Wasm
}

// Encode writes the canonical JSON: compact, fields in the order of the
// struct. It fails when m breaks a bound.
func (m *Module) Encode() ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	return encodeJSON(m)
}

// DecodeModule reads what Encode writes and nothing else.
func DecodeModule(text []byte) (*Module, error) {
	const what = "module manifest"
	if len(text) > MaxManifest {
		return nil, bad(what, "length", fmt.Errorf("%w: %d bytes, at most %d", ErrBound, len(text), MaxManifest))
	}
	var m Module
	if err := decodeJSON(text, &m); err != nil {
		return nil, bad(what, "JSON", fmt.Errorf("%w: %v", ErrSyntax, err))
	}
	if err := m.Check(); err != nil {
		return nil, err
	}
	if again, err := encodeJSON(&m); err != nil || !bytes.Equal(again, text) {
		return nil, bad(what, "JSON", ErrCanonical)
	}
	return &m, nil
}

// Check reports the first field that is outside its bounds.
func (m *Module) Check() error {
	const what = "module manifest"
	if !validName(m.Name) {
		return bad(what, fmt.Sprintf("name %q", m.Name), fmt.Errorf("%w: 1 to %d of a-z, 0-9 and '-'", ErrBound, MaxModuleName))
	}
	if len(m.Version) > MaxModuleName || !printable(m.Version) {
		return bad(what, "version", fmt.Errorf("%w: at most %d printable ASCII characters", ErrBound, MaxModuleName))
	}
	if m.Kind != KindPow && m.Kind != KindInference {
		return bad(what, fmt.Sprintf("kind %q", m.Kind), fmt.Errorf("%w: %s or %s", ErrBound, KindPow, KindInference))
	}
	if len(m.Params) > MaxModuleParam {
		return bad(what, "params", fmt.Errorf("%w: %d bytes, at most %d", ErrBound, len(m.Params), MaxModuleParam))
	}
	for _, f := range []struct {
		name     string
		val, max int64
	}{
		{"abi", int64(m.ABI), 1 << 15},
		{"memory_pages", int64(m.MemoryPages), MaxMemoryPages},
		{"tensor_bytes", m.TensorBytes, 1 << 40},
		{"gas_setup", m.GasSetup, 1 << 62},
		{"gas_unit", m.GasUnit, 1 << 62},
		{"size", m.Size, MaxModuleSize},
	} {
		if f.val < 0 || f.val > f.max {
			return bad(what, fmt.Sprintf("%s %d", f.name, f.val), fmt.Errorf("%w: 0 to %d", ErrBound, f.max))
		}
	}
	return nil
}

// Matches checks that wasm is the module that m describes.
func (m *Module) Matches(wasm []byte) error {
	if int64(len(wasm)) != m.Size || HashOf(wasm) != m.Hash {
		return bad("module "+m.Name, "hash", ErrDigest)
	}
	return nil
}

func validName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= MaxModuleName
}

func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
