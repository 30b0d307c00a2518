package devicetest

import (
	"encoding/hex"
	"testing"
)

// goldenDigest pins the meaning of every op: it changes only with the ABI.
const goldenDigest = "7bae0eedb1a8b6ab0ccba3b86faa8b2c684801a447a2f768183d5e769708155d"

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
