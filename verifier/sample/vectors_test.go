package sample

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/cloudflare/circl/ecc/bls12381"

	"github.com/assaynet/assay/verifier/commit"
)

// TestVectors pins section 5 of docs/spec/commitments.md: key 7, the first
// round of epoch 1 of chain assay-1 over no claims.
func TestVectors(t *testing.T) {
	secret := make([]byte, SecretKeySize)
	secret[31] = 7
	k, err := ParseSecretKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	in := Input("assay-1", 1, 0, commit.ClaimsRoot(nil))
	p := k.Prove(in)
	out := p.Output()
	key := AuditKey(out)
	pop := ProvePossession(k, []byte{0xAA, 0xBB})
	for name, v := range map[string][2]string{
		"public key": {hex.EncodeToString(k.Public().Bytes()), "b928f3beb93519eecf0145da903b40a4c97dca00b21f12ac0df3be9116ef2ef27b2ae6bcd4c5bc2d54ef5a70627efcb7"},
		"input":      {hex.EncodeToString(in), "1161737361792f7672662d696e7075742f310700000061737361792d3101000000000000000000000000000000e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		"proof":      {hex.EncodeToString(p[:]), "8b6cfb9b6901c565622cad93f5d728da5720a1f1ddd8816fa5ca42e232fad4a5532e250026625b240871d762733af410160e2027f6544b9aad7fa0b3826cd198e87697bc16df19a54ffd00e1d1a9a3783347a52f1c21aa3b6885ec3a902f014c"},
		"output":     {hex.EncodeToString(out[:]), "79974bedf35e3727593de6fe5c8ff9884b335d3efbd07ed9feaf56da0d214897"},
		"audit key":  {hex.EncodeToString(key[:]), "592621c2f030b7473ac0f54b232b04b643451483478362430e1b8f56cac9fa29"},
		"possession": {hex.EncodeToString(pop), "8fdf5a17c0f9707dafbd563edc5a52e00ef1ebd6b8b70d204950e2dd2dc0314d5cdfd69024c65bb229018ce224385fbf18d7a56a997ae0941de0e4b398ddf7c97d7ca9fce8d77339907da9f7f0642db97ac3d76630f546bc8a71924d021197ec"},
	} {
		if v[0] != v[1] {
			t.Errorf("%s\n got %s\nwant %s", name, v[0], v[1])
		}
	}
}

// TestAgainstCircl compares proofs with another implementation of the curve
// and of hashing to it.
func TestAgainstCircl(t *testing.T) {
	for i := range byte(8) {
		k := key(t, i)
		msg := Input("assay-1", uint64(i), 1, commit.Root{i})
		var s bls12381.Scalar
		s.SetBytes(k.Bytes())
		var pub bls12381.G1
		pub.ScalarMult(&s, bls12381.G1Generator())
		if !bytes.Equal(pub.BytesCompressed(), k.Public().Bytes()) {
			t.Fatal("public keys differ")
		}
		for dst, p := range map[string][]byte{dstVRF: proofBytes(k.Prove(msg)), dstPossession: ProvePossession(k, []byte{i})} {
			m := msg
			if dst == dstPossession {
				m = possessionMessage(k.Public(), []byte{i})
			}
			var sig bls12381.G2
			sig.Hash(m, []byte(dst))
			sig.ScalarMult(&s, &sig)
			if !bytes.Equal(sig.BytesCompressed(), p) {
				t.Fatalf("signatures under %s differ", dst)
			}
		}
	}
}

func proofBytes(p Proof) []byte { return p[:] }
