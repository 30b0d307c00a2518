package types

import (
	"crypto/ed25519"
	"encoding/binary"
)

// ConsKeyBytes is the size of an ed25519 public key.
const ConsKeyBytes = ed25519.PublicKeySize

const consPopTag = "assay/power/conskey/1"

// ConsPopBytes is what a consensus key signs to prove that the operator holds it. The tag
// cannot begin a vote or proposal: those start with a varint length.
func ConsPopBytes(chainID string, operator []byte) []byte {
	b := []byte(consPopTag)
	for _, part := range [][]byte{[]byte(chainID), operator} {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return b
}

// CheckConsPop returns ErrConsensusKey unless the signature proves possession of the key.
func CheckConsPop(chainID string, operator, pubkey, signature []byte) error {
	if len(pubkey) != ConsKeyBytes {
		return ErrConsensusKey.Wrapf("%d bytes, want %d", len(pubkey), ConsKeyBytes)
	}
	if len(signature) != ed25519.SignatureSize {
		return ErrConsensusKey.Wrapf("proof of possession has %d bytes, want %d", len(signature), ed25519.SignatureSize)
	}
	if !ed25519.Verify(pubkey, ConsPopBytes(chainID, operator), signature) {
		return ErrConsensusKey.Wrap("the proof of possession does not verify for this chain and operator")
	}
	return nil
}
