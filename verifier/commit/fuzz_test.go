package commit

import (
	"bytes"
	"testing"
)

func FuzzOpening(f *testing.F) {
	for _, o := range []Opening{{Digests: make([]Digest, 1)}, {Index: 9, Digests: make([]Digest, 64), Proof: [][]byte{make([]byte, 32)}}} {
		enc, err := o.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(enc)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var o Opening
		if o.UnmarshalBinary(b) != nil {
			return
		}
		enc, err := o.MarshalBinary()
		if err != nil || !bytes.Equal(enc, b) {
			t.Fatalf("second encoding of one opening: %v", err)
		}
		if _, err := o.Verify(Root{}, uint64(len(o.Digests))*8, uint64(len(o.Digests))); err == nil {
			t.Fatal("an opening under the zero root")
		}
	})
}

func FuzzRecords(f *testing.F) {
	f.Add(sampleRequest().Bytes())
	f.Add(sampleReceipt().Bytes())
	f.Add(sampleVoucher().Bytes())
	f.Add(claimsOf(1)[0].Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := DecodeRequest(b); err == nil && !bytes.Equal(v.Bytes(), b) {
			t.Fatal("second encoding of one request")
		}
		if v, err := DecodeReceipt(b); err == nil && !bytes.Equal(v.Bytes(), b) {
			t.Fatal("second encoding of one receipt")
		}
		if v, err := DecodeVoucher(b); err == nil && !bytes.Equal(v.Bytes(), b) {
			t.Fatal("second encoding of one voucher")
		}
		if v, err := DecodeClaim(b); err == nil && !bytes.Equal(v.Bytes(), b) {
			t.Fatal("second encoding of one claim")
		}
	})
}

func FuzzConsistency(f *testing.F) {
	f.Add(uint64(4), uint64(8), uint64(16), []byte("path"))
	f.Fuzz(func(t *testing.T, fold, older, newer uint64, data []byte) {
		var path [][]byte
		for i := 0; i+32 <= len(data); i += 32 {
			path = append(path, data[i:i+32])
		}
		if VerifyConsistency(fold, older, newer, Root{1}, Root{2}, path) == nil && older != 0 {
			t.Fatal("consistency of unrelated roots")
		}
	})
}
