package devicetest

import (
	"encoding/hex"
	"testing"
)

// goldenDigest pins the meaning of every op: it changes only with the ABI.
const goldenDigest = "083a61249f4ab6cc4bf4bcf5486b0f84900a55512a5a2679e91aaf4d02bd1d59"

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
