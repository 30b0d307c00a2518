package sample

import (
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc"
	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/consensys/gnark-crypto/ecc/bls12-381/fr"
	"lukechampine.com/blake3"
)

// Signed is one validator's proof in a batch.
type Signed struct {
	Key   PublicKey
	Proof Proof
}

// VerifyBatch checks that every proof is its key's proof for the one message
// that all validators of a round evaluate. It costs two pairings and two
// multi-exponentiations instead of two pairings a proof. The weights of the
// random linear combination are hashes of the whole batch: the result is
// deterministic, and a batch with a false proof passes with probability below
// 2^-127. An error does not say which proof is false; Verify each to know.
func VerifyBatch(msg []byte, batch []Signed) error {
	if len(batch) == 0 {
		return nil
	}
	h := blake3.New(32, nil)
	_, _ = h.Write([]byte(tagBatch)) // hash writes cannot fail
	_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(msg))))
	_, _ = h.Write(msg)
	keys := make([]bls.G1Affine, len(batch))
	sigs := make([]bls.G2Affine, len(batch))
	for i, s := range batch {
		if s.Key.enc == [PublicKeySize]byte{} {
			return fmt.Errorf("%w: no key in proof %d", ErrKey, i)
		}
		sig, err := parseSignature(s.Proof)
		if err != nil {
			return fmt.Errorf("proof %d: %w", i, err)
		}
		keys[i], sigs[i] = s.Key.point, sig
		_, _ = h.Write(s.Key.enc[:])
		_, _ = h.Write(s.Proof[:])
	}
	stream := h.XOF()
	weights := make([]fr.Element, len(batch))
	for i := range weights {
		var w [16]byte
		if _, err := stream.Read(w[:]); err != nil {
			return fmt.Errorf("sample: batch weights: %w", err)
		}
		weights[i].SetBigInt(new(big.Int).SetBytes(w[:]))
	}
	var key bls.G1Affine
	var sig bls.G2Affine
	if _, err := key.MultiExp(keys, weights, ecc.MultiExpConfig{}); err != nil {
		return fmt.Errorf("sample: batch: %w", err)
	}
	if _, err := sig.MultiExp(sigs, weights, ecc.MultiExpConfig{}); err != nil {
		return fmt.Errorf("sample: batch: %w", err)
	}
	hashed, err := bls.HashToG2(msg, []byte(dstVRF))
	if err != nil {
		return fmt.Errorf("%w: %v", ErrProof, err)
	}
	return pairs([]bls.G1Affine{key}, []bls.G2Affine{hashed}, sig)
}

// smallBatch is the size below which proofs are verified one by one once a
// batch holds a false one.
const smallBatch = 8

// VerifyEach says of every proof whether it is its key's proof for the
// message: what VerifyBatch says of all together, and where that fails of
// halves, down to single ones. A few false proofs cost a few batches more.
func VerifyEach(msg []byte, batch []Signed) []bool {
	ok := make([]bool, len(batch))
	verifyEach(msg, batch, ok)
	return ok
}

func verifyEach(msg []byte, batch []Signed, ok []bool) {
	if len(batch) <= smallBatch {
		for i, s := range batch {
			_, err := s.Key.Verify(msg, s.Proof)
			ok[i] = err == nil
		}
		return
	}
	if VerifyBatch(msg, batch) == nil {
		for i := range ok {
			ok[i] = true
		}
		return
	}
	half := len(batch) / 2
	verifyEach(msg, batch[:half], ok[:half])
	verifyEach(msg, batch[half:], ok[half:])
}
