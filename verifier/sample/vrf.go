package sample

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"sync"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/consensys/gnark-crypto/ecc/bls12-381/fr"
	"lukechampine.com/blake3"

	"github.com/assaynet/assay/verifier/commit"
)

// Sizes in bytes of the compressed encodings.
const (
	SecretKeySize = 32
	PublicKeySize = 48 // point of G1
	ProofSize     = 96 // point of G2
	OutputSize    = 32
)

// Domain separation tags of hash-to-curve (RFC 9380). A proof of possession
// and a VRF proof are signatures under different random oracles.
const (
	dstVRF        = "ASSAY-V01-VRF-BLS12381G2_XMD:SHA-256_SSWU_RO_"
	dstPossession = "ASSAY-V01-POP-BLS12381G2_XMD:SHA-256_SSWU_RO_"
)

// Tags of what is hashed with BLAKE3.
const (
	tagInput  = "assay/vrf-input/1"
	tagOutput = "assay/vrf-output/1"
	tagBatch  = "assay/vrf-batch/1"
	tagKey    = "assay/audit-key/1"
)

var (
	// ErrKey: bytes that are no key: wrong size, not canonical, infinity, or
	// a point outside the prime-order subgroup.
	ErrKey = errors.New("sample: not a valid VRF key")
	// ErrProof: a proof that is no point of the subgroup, or of another key or message.
	ErrProof = errors.New("sample: VRF proof does not verify")
	// ErrPossession: a proof of possession of another key or owner.
	ErrPossession = errors.New("sample: proof of possession does not verify")
	// ErrOrder: indexes that are not strictly increasing.
	ErrOrder = errors.New("sample: indexes not strictly increasing")
	// ErrSample: an index that the validator did not draw.
	ErrSample = errors.New("sample: index outside the sample")
)

// Output is the pseudo-random result of one evaluation.
type Output [OutputSize]byte

// Proof is the compressed signature that determines an Output.
type Proof [ProofSize]byte

// ParseProof copies exactly ProofSize bytes. Whether they are a proof is for Verify.
func ParseProof(b []byte) (Proof, error) {
	if len(b) != ProofSize {
		return Proof{}, fmt.Errorf("%w: %d bytes, want %d", ErrProof, len(b), ProofSize)
	}
	return Proof(b), nil
}

// Output is the hash of the proof. It says nothing until the proof is verified.
func (p Proof) Output() Output {
	return blake3.Sum256(append([]byte(tagOutput), p[:]...))
}

// SecretKey evaluates the VRF. Signing is not hardened against an observer of
// its timing: it runs a few times an epoch, on the validator's own machine.
type SecretKey struct {
	scalar fr.Element
	public PublicKey
}

// GenerateKey draws a key from rand, which must be a cryptographic source.
func GenerateKey(rand io.Reader) (*SecretKey, error) {
	var wide [48]byte // 384 bits reduced mod r: bias below 2^-128
	for {
		if _, err := io.ReadFull(rand, wide[:]); err != nil {
			return nil, fmt.Errorf("sample: generate key: %w", err)
		}
		var s fr.Element
		s.SetBigInt(new(big.Int).SetBytes(wide[:]))
		if !s.IsZero() {
			return newSecretKey(s), nil
		}
	}
}

func newSecretKey(s fr.Element) *SecretKey {
	k := &SecretKey{scalar: s}
	var e big.Int
	k.public.point.ScalarMultiplicationBase(s.BigInt(&e))
	k.public.enc = k.public.point.Bytes()
	return k
}

// ParseSecretKey is the inverse of SecretKey.Bytes.
func ParseSecretKey(b []byte) (*SecretKey, error) {
	var s fr.Element
	if len(b) != SecretKeySize {
		return nil, fmt.Errorf("%w: secret of %d bytes, want %d", ErrKey, len(b), SecretKeySize)
	}
	if err := s.SetBytesCanonical(b); err != nil || s.IsZero() {
		return nil, fmt.Errorf("%w: secret is zero or not reduced", ErrKey)
	}
	return newSecretKey(s), nil
}

// Bytes is the big-endian scalar.
func (k *SecretKey) Bytes() []byte {
	b := k.scalar.Bytes()
	return b[:]
}

// Public is the key that others verify with.
func (k *SecretKey) Public() PublicKey { return k.public }

// Prove evaluates the VRF on msg.
func (k *SecretKey) Prove(msg []byte) Proof { return k.sign(msg, dstVRF) }

func (k *SecretKey) sign(msg []byte, dst string) Proof {
	h, err := hashed.point(msg, dst)
	if err != nil { // only for a tag longer than 255 bytes
		panic("sample: " + err.Error())
	}
	var e big.Int
	h.ScalarMultiplication(&h, k.scalar.BigInt(&e))
	return Proof(h.Bytes())
}

// PublicKey is a checked point of the subgroup: parsing is the only way to
// one from bytes. The zero value verifies nothing.
type PublicKey struct {
	point bls.G1Affine
	enc   [PublicKeySize]byte
}

// ParsePublicKey decodes a compressed key. It refuses infinity, points off
// the curve or outside the subgroup, and any second encoding of a point.
func ParsePublicKey(b []byte) (PublicKey, error) {
	var k PublicKey
	if len(b) != PublicKeySize {
		return PublicKey{}, fmt.Errorf("%w: %d bytes, want %d", ErrKey, len(b), PublicKeySize)
	}
	if n, err := k.point.SetBytes(b); err != nil || n != PublicKeySize {
		return PublicKey{}, fmt.Errorf("%w: no point of the subgroup", ErrKey)
	}
	if k.point.IsInfinity() {
		return PublicKey{}, fmt.Errorf("%w: point at infinity", ErrKey)
	}
	k.enc = k.point.Bytes()
	if string(k.enc[:]) != string(b) {
		return PublicKey{}, fmt.Errorf("%w: not the canonical encoding", ErrKey)
	}
	return k, nil
}

// Bytes is the compressed encoding.
func (k PublicKey) Bytes() []byte { return append([]byte(nil), k.enc[:]...) }

// Verify checks that p is this key's proof for msg and returns the output.
func (k PublicKey) Verify(msg []byte, p Proof) (Output, error) {
	if err := k.verify(msg, dstVRF, p); err != nil {
		return Output{}, err
	}
	return p.Output(), nil
}

func (k PublicKey) verify(msg []byte, dst string, p Proof) error {
	if k.enc == [PublicKeySize]byte{} {
		return fmt.Errorf("%w: no key", ErrKey)
	}
	sig, err := parseSignature(p)
	if err != nil {
		return err
	}
	h, err := hashed.point(msg, dst)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrProof, err)
	}
	return pairs([]bls.G1Affine{k.point}, []bls.G2Affine{h}, sig)
}

// lastHash remembers the newest message and its point. All validators of a
// round evaluate the same message, and hashing it to the curve is a fifth of
// checking one of their proofs.
type lastHash struct {
	mu       sync.Mutex
	msg, dst string
	is       bls.G2Affine
}

var hashed lastHash

func (l *lastHash) point(msg []byte, dst string) (bls.G2Affine, error) {
	l.mu.Lock()
	if l.dst == dst && l.msg == string(msg) {
		defer l.mu.Unlock()
		return l.is, nil
	}
	l.mu.Unlock()
	p, err := bls.HashToG2(msg, []byte(dst))
	if err == nil {
		l.mu.Lock()
		l.msg, l.dst, l.is = string(msg), dst, p
		l.mu.Unlock()
	}
	return p, err
}

// parseSignature decodes with the subgroup check and refuses infinity and any
// second encoding.
func parseSignature(p Proof) (bls.G2Affine, error) {
	var sig bls.G2Affine
	if n, err := sig.SetBytes(p[:]); err != nil || n != ProofSize {
		return sig, fmt.Errorf("%w: no point of the subgroup", ErrProof)
	}
	if sig.IsInfinity() || Proof(sig.Bytes()) != p {
		return sig, fmt.Errorf("%w: infinity or not the canonical encoding", ErrProof)
	}
	return sig, nil
}

// pairs checks e(keys[0], hashes[0]) ... = e(generator, sig).
func pairs(keys []bls.G1Affine, hashes []bls.G2Affine, sig bls.G2Affine) error {
	_, _, g1, _ := bls.Generators()
	g1.Neg(&g1)
	ok, err := bls.PairingCheck(append(keys, g1), append(hashes, sig))
	if err != nil || !ok {
		return fmt.Errorf("%w: signature of another key or message", ErrProof)
	}
	return nil
}

// possessionMessage binds the key to its owner, so that nobody registers
// another's key with the proof that its owner published.
func possessionMessage(k PublicKey, owner []byte) []byte {
	return append(append([]byte(nil), k.enc[:]...), owner...)
}

// ProvePossession shows to the chain that the owner's account holds the key.
func ProvePossession(k *SecretKey, owner []byte) []byte {
	p := k.sign(possessionMessage(k.public, owner), dstPossession)
	return p[:]
}

// VerifyPossession checks a proof of possession of k for owner.
func VerifyPossession(k PublicKey, owner, pop []byte) error {
	p, err := ParseProof(pop)
	if err == nil {
		err = k.verify(possessionMessage(k, owner), dstPossession, p)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPossession, err)
	}
	return nil
}

// Input is what every validator evaluates in one round of an epoch's audit:
// it is fixed once the claims are.
func Input(chainID string, epoch, round uint64, claimsRoot commit.Root) []byte {
	return roundInput(tagInput, chainID, epoch, round, claimsRoot)
}

// AuditKey is the key under which a validator digests what it re-executes: it
// is secret until its verdict shows the proof.
func AuditKey(out Output) [32]byte {
	return blake3.Sum256(append([]byte(tagKey), out[:]...))
}
