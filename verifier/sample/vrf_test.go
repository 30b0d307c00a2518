package sample

import (
	"bytes"
	"crypto/rand"
	"errors"
	mrand "math/rand/v2"
	"testing"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/consensys/gnark-crypto/ecc/bls12-381/fp"

	"github.com/assaynet/assay/verifier/commit"
)

// key i of a fixed stream, so that failures repeat.
func key(t testing.TB, i byte) *SecretKey {
	t.Helper()
	k, err := GenerateKey(mrand.NewChaCha8([32]byte{i}))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestVRF(t *testing.T) {
	k, other := key(t, 1), key(t, 2)
	msg := Input("assay-1", 3, 0, commit.Root{9})
	p := k.Prove(msg)
	if k.Prove(msg) != p {
		t.Fatal("two proofs of one message")
	}
	out, err := k.Public().Verify(msg, p)
	if err != nil || out != p.Output() {
		t.Fatal(err)
	}
	if _, err := other.Public().Verify(msg, p); !errors.Is(err, ErrProof) {
		t.Errorf("another's key: %v", err)
	}
	for name, m := range map[string][]byte{
		"chain": Input("assay-2", 3, 0, commit.Root{9}),
		"epoch": Input("assay-1", 4, 0, commit.Root{9}),
		"round": Input("assay-1", 3, 1, commit.Root{9}),
		"root":  Input("assay-1", 3, 0, commit.Root{8}),
	} {
		if _, err := k.Public().Verify(m, p); !errors.Is(err, ErrProof) {
			t.Errorf("another %s: %v", name, err)
		}
		if k.Prove(m).Output() == out {
			t.Errorf("output does not depend on the %s", name)
		}
	}
	if _, err := (PublicKey{}).Verify(msg, p); !errors.Is(err, ErrKey) {
		t.Errorf("zero key: %v", err)
	}
	if other.Prove(msg).Output() == out {
		t.Error("two keys share an output")
	}
	back, err := ParseSecretKey(k.Bytes())
	if err != nil || back.Prove(msg) != p {
		t.Errorf("secret key round trip: %v", err)
	}
	pub, err := ParsePublicKey(k.Public().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pub.Verify(msg, p); err != nil {
		t.Errorf("public key round trip: %v", err)
	}
}

// Uniqueness: no other byte string is accepted as the proof of a message, so
// nobody can choose among outputs.
func TestProofIsUnique(t *testing.T) {
	k := key(t, 1)
	msg := Input("assay-1", 3, 0, commit.Root{9})
	p := k.Prove(msg)
	for i := range p {
		for _, bit := range []byte{1, 0x20, 0x80} {
			q := p
			q[i] ^= bit
			if _, err := k.Public().Verify(msg, q); !errors.Is(err, ErrProof) {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
	}
	// The other root, the sum with a point of small order, and infinity.
	var s, neg, low, sum bls.G2Affine
	if _, err := s.SetBytes(p[:]); err != nil {
		t.Fatal(err)
	}
	neg.Neg(&s)
	low = outsideG2(t)
	sum.Add(&s, &low)
	var inf bls.G2Affine
	for name, q := range map[string]bls.G2Affine{"negated": neg, "outside the subgroup": sum, "infinity": inf} {
		if _, err := k.Public().Verify(msg, Proof(q.Bytes())); !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseProof(p[:95]); !errors.Is(err, ErrProof) {
		t.Errorf("short proof: %v", err)
	}
}

// outsideG2 is a point of the twist that is not in the prime-order subgroup.
func outsideG2(t *testing.T) bls.G2Affine {
	t.Helper()
	var x bls.E2
	for i := uint64(1); ; i++ {
		x.A0.SetUint64(i)
		jac := bls.GeneratePointNotInG2(x)
		var p bls.G2Affine
		p.FromJacobian(&jac)
		if p.IsOnCurve() && !p.IsInSubGroup() {
			return p
		}
	}
}

func TestKeyRefusals(t *testing.T) {
	var outside bls.G1Affine
	for i := uint64(1); ; i++ {
		var x fp.Element
		jac := bls.GeneratePointNotInG1(*x.SetUint64(i))
		outside.FromJacobian(&jac)
		if outside.IsOnCurve() && !outside.IsInSubGroup() {
			break
		}
	}
	out := outside.Bytes()
	var inf bls.G1Affine
	infinity := inf.Bytes()
	good := key(t, 1).Public().Bytes()
	raw := key(t, 1).public.point.RawBytes()
	bent := bytes.Clone(good)
	bent[47] ^= 1
	for name, b := range map[string][]byte{
		"empty": nil, "short": good[:47], "long": append(bytes.Clone(good), 0), "uncompressed": raw[:],
		"infinity": infinity[:], "outside the subgroup": out[:], "all ones": bytes.Repeat([]byte{0xFF}, 48),
		"zeros": make([]byte, 48), "bent": bent,
	} {
		if k, err := ParsePublicKey(b); !errors.Is(err, ErrKey) || k != (PublicKey{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{"zero": make([]byte, 32), "order": bytes.Repeat([]byte{0xFF}, 32), "short": {1}} {
		if _, err := ParseSecretKey(b); !errors.Is(err, ErrKey) {
			t.Errorf("secret %s: %v", name, err)
		}
	}
	if _, err := GenerateKey(bytes.NewReader(nil)); err == nil {
		t.Error("a key from an empty source")
	}
}

func TestPossession(t *testing.T) {
	k, other := key(t, 1), key(t, 2)
	pop := ProvePossession(k, []byte("alice"))
	if err := VerifyPossession(k.Public(), []byte("alice"), pop); err != nil {
		t.Fatal(err)
	}
	vrf := k.Prove(possessionMessage(k.Public(), []byte("alice")))
	for name, c := range map[string]struct {
		key   PublicKey
		owner string
		pop   []byte
	}{
		"another owner":         {k.Public(), "mallory", pop},
		"another key":           {other.Public(), "alice", pop},
		"VRF proof in its role": {k.Public(), "alice", vrf[:]},
		"short":                 {k.Public(), "alice", pop[:10]},
		"none":                  {k.Public(), "alice", nil},
	} {
		if err := VerifyPossession(c.key, []byte(c.owner), c.pop); !errors.Is(err, ErrPossession) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := k.Public().Verify(possessionMessage(k.Public(), []byte("alice")), Proof(pop)); !errors.Is(err, ErrProof) {
		t.Error("a proof of possession is a VRF proof")
	}
}

func TestVerifyBatch(t *testing.T) {
	msg := Input("assay-1", 3, 0, commit.Root{9})
	batch := make([]Signed, 20)
	for i := range batch {
		k := key(t, byte(i))
		batch[i] = Signed{k.Public(), k.Prove(msg)}
	}
	for _, n := range []int{0, 1, 2, 20} {
		if err := VerifyBatch(msg, batch[:n]); err != nil {
			t.Fatalf("%d proofs: %v", n, err)
		}
	}
	if err := VerifyBatch([]byte("other"), batch); !errors.Is(err, ErrProof) {
		t.Errorf("another message: %v", err)
	}
	swapped := append([]Signed(nil), batch...)
	swapped[3].Proof, swapped[4].Proof = swapped[4].Proof, swapped[3].Proof
	if err := VerifyBatch(msg, swapped); !errors.Is(err, ErrProof) {
		t.Errorf("two proofs swapped: %v", err)
	}
	// Errors that cancel in a plain sum: +d on one proof, -d on another.
	var a, b, d bls.G2Affine
	_, _, _, d = bls.Generators()
	_, errA := a.SetBytes(batch[3].Proof[:])
	_, errB := b.SetBytes(batch[4].Proof[:])
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	a.Add(&a, &d)
	b.Sub(&b, &d)
	cancel := append([]Signed(nil), batch...)
	cancel[3].Proof, cancel[4].Proof = Proof(a.Bytes()), Proof(b.Bytes())
	if err := VerifyBatch(msg, cancel); !errors.Is(err, ErrProof) {
		t.Errorf("cancelling errors: %v", err)
	}
	cancel[3].Key = PublicKey{}
	if err := VerifyBatch(msg, cancel); !errors.Is(err, ErrKey) {
		t.Errorf("zero key: %v", err)
	}
}

func TestAuditKey(t *testing.T) {
	if AuditKey(Output{1}) == AuditKey(Output{2}) || AuditKey(Output{1}) == [32]byte(Output{1}) {
		t.Error("audit key does not separate")
	}
}

func FuzzParse(f *testing.F) {
	k, err := GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	p := k.Prove([]byte("m"))
	f.Add(k.Public().Bytes(), p[:])
	f.Fuzz(func(t *testing.T, pub, proof []byte) {
		if k, err := ParsePublicKey(pub); err == nil && !bytes.Equal(k.Bytes(), pub) {
			t.Fatal("second encoding of a key")
		}
		if p, err := ParseProof(proof); err == nil {
			if s, err := parseSignature(p); err == nil && Proof(s.Bytes()) != p {
				t.Fatal("second encoding of a proof")
			}
		}
	})
}

func BenchmarkVerifyBatch100(b *testing.B) {
	msg := Input("assay-1", 3, 0, commit.Root{9})
	batch := make([]Signed, 100)
	for i := range batch {
		k := key(b, byte(i))
		batch[i] = Signed{k.Public(), k.Prove(msg)}
	}
	for b.Loop() {
		if err := VerifyBatch(msg, batch); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	msg := Input("assay-1", 3, 0, commit.Root{9})
	k := key(b, 1)
	p, pub := k.Prove(msg), k.Public()
	for b.Loop() {
		if _, err := pub.Verify(msg, p); err != nil {
			b.Fatal(err)
		}
	}
}
