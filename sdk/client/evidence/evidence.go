package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/assaynet/assay/verifier/commit"
)

var (
	// ErrFormat: no evidence file, of another version, or above a bound.
	ErrFormat = errors.New("evidence: malformed")
	// ErrHeader: the header does not hold together or is not signed by more
	// than two thirds of the validators that it names.
	ErrHeader = errors.New("evidence: header not signed")
	// ErrTrust: the header is another than the trusted one.
	ErrTrust = errors.New("evidence: not the trusted header")
	// ErrProof: a value is not in the state that the header commits to, or is
	// not what it is shown for.
	ErrProof = errors.New("evidence: not proven")
	// ErrModule: the module's bytes are not those that the epoch names.
	ErrModule = errors.New("evidence: other module")
	// ErrOpening: an opening does not lead to the claim's root.
	ErrOpening = errors.New("evidence: opening")
)

// Bounds of a file, in bytes and entries.
const (
	version       = 1
	MaxBytes      = 64 << 20
	MaxOpenings   = 4096
	maxValidators = 1 << 20 // bytes of the set
	maxModule     = 16 << 20
)

// Proven is a value of the state with its proof.
type Proven struct {
	Value []byte `json:"value"`
	Proof []byte `json:"proof"` // cometbft.crypto.v1.ProofOps
}

// Evidence is the content of a file. It may hold anything until Verify.
type Evidence struct {
	Version    int      `json:"version"`
	ChainID    string   `json:"chain_id"`
	Miner      string   `json:"miner"`      // bech32
	Header     []byte   `json:"header"`     // cometbft.types.v1.SignedHeader, of the height after the state's
	Validators []byte   `json:"validators"` // cometbft.types.v1.ValidatorSet that signed it
	Epoch      Proven   `json:"epoch"`      // assay.sprint.v1.Epoch
	Claim      Proven   `json:"claim"`      // assay.sprint.v1.Claim
	Module     Packed   `json:"module"`
	Openings   [][]byte `json:"openings,omitempty"` // canonical bytes of verifier/commit
}

// Packed is a module as the chain stores it.
type Packed struct {
	Chunks     [][]byte `json:"chunks"`
	PackedSize int64    `json:"packed_size"`
	Size       int64    `json:"size"`
}

// Read decodes a file of at most MaxBytes.
func Read(r io.Reader) (*Evidence, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("evidence: read: %w", err)
	}
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrFormat, MaxBytes)
	}
	var e Evidence
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if e.Version != version {
		return nil, fmt.Errorf("%w: version %d, this program reads %d", ErrFormat, e.Version, version)
	}
	if len(e.Openings) > MaxOpenings {
		return nil, fmt.Errorf("%w: %d openings, at most %d", ErrFormat, len(e.Openings), MaxOpenings)
	}
	return &e, nil
}

// Write encodes a file.
func (e *Evidence) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(e)
}

// Add appends an opening, whose encoding it checks; Verify checks the rest.
func (e *Evidence) Add(opening []byte) error {
	var o commit.Opening
	if err := o.UnmarshalBinary(opening); err != nil {
		return fmt.Errorf("%w: %w", ErrOpening, err)
	}
	if len(e.Openings) >= MaxOpenings {
		return fmt.Errorf("%w: at most %d", ErrOpening, MaxOpenings)
	}
	e.Openings = append(e.Openings, opening)
	return nil
}
