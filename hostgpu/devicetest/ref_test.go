package devicetest

import (
	"encoding/hex"
	"testing"
)

// goldenDigest pins the meaning of every op: it changes only with the ABI.
const goldenDigest = "d483bf64d8e4371beefe35ba02ab4cc09dc2480c7645ff7dce4402028f0b3066"

func TestGoldenDigest(t *testing.T) {
	r, err := Check(Reference())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d cases", r.Cases)
	if got := hex.EncodeToString(r.Digest[:]); got != goldenDigest {
		t.Fatalf("digest of the suite is %s, want %s", got, goldenDigest)
	}
}

func TestReferenceConforms(t *testing.T) { Run(t, Reference()) }
