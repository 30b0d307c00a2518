package commit

import (
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

const tagOpening = "assay/opening/1"

// MaxOpeningBytes bounds the encoding of an Opening: tag, index, number of
// digests, digests, number of hashes, hashes.
const MaxOpeningBytes = 1 + len(tagOpening) + 8 + 2 + MaxFold*UnitDigestSize + 1 + MaxProof*32

// Opening shows the digest of one unit under a claim: all digests of its fold
// and the inclusion proof of the fold.
type Opening struct {
	Index   uint64   // of the unit
	Digests []Digest // of the whole fold, in index order
	Proof   [][]byte // RFC 6962 inclusion proof of the fold's leaf, 32 bytes each
}

// MarshalBinary is the canonical encoding. It refuses what UnmarshalBinary
// would refuse.
func (o Opening) MarshalBinary() ([]byte, error) {
	if len(o.Digests) == 0 || len(o.Digests) > MaxFold {
		return nil, refuse(ErrBounds, "%d digests, 1 to %d allowed", len(o.Digests), MaxFold)
	}
	if len(o.Proof) > MaxProof {
		return nil, refuse(ErrBounds, "%d proof hashes, at most %d allowed", len(o.Proof), MaxProof)
	}
	if err := checkHashes(o.Proof); err != nil {
		return nil, err
	}
	w := newWriter(tagOpening, 8+2+32*len(o.Digests)+1+32*len(o.Proof))
	w.u64(o.Index)
	w.u16(uint16(len(o.Digests)))
	for i := range o.Digests {
		w.raw(o.Digests[i][:])
	}
	w.u8(uint8(len(o.Proof)))
	for _, h := range o.Proof {
		w.raw(h)
	}
	return w.b, nil
}

// UnmarshalBinary decodes at most MaxOpeningBytes. On error o is unchanged.
func (o *Opening) UnmarshalBinary(b []byte) error {
	if len(b) > MaxOpeningBytes {
		return refuse(ErrBounds, "opening of %d bytes, at most %d allowed", len(b), MaxOpeningBytes)
	}
	r := newReader(tagOpening, b)
	got := Opening{Index: r.u64()}
	n := int(r.u16())
	if r.err == nil && (n == 0 || n > MaxFold) {
		return refuse(ErrBounds, "%d digests, 1 to %d allowed", n, MaxFold)
	}
	if data := r.raw(n * UnitDigestSize); r.err == nil {
		got.Digests = make([]Digest, n)
		for i := range got.Digests {
			copy(got.Digests[i][:], data[i*UnitDigestSize:])
		}
	}
	m := int(r.u8())
	if r.err == nil && m > MaxProof {
		return refuse(ErrBounds, "%d proof hashes, at most %d allowed", m, MaxProof)
	}
	if data := r.raw(m * 32); r.err == nil && m > 0 {
		got.Proof = make([][]byte, m)
		for i := range got.Proof {
			got.Proof[i] = append([]byte(nil), data[i*32:(i+1)*32]...)
		}
	}
	if err := r.close(); err != nil {
		return err
	}
	*o = got
	return nil
}

// Verify checks the opening against a claim of count units under root and
// returns the digest that the claimant committed to for unit Index.
func (o Opening) Verify(root Root, count, fold uint64) (Digest, error) {
	if err := checkCount(count, fold); err != nil {
		return Digest{}, err
	}
	if o.Index >= count {
		return Digest{}, refuse(ErrShape, "unit %d of a claim of %d", o.Index, count)
	}
	if uint64(len(o.Digests)) != fold {
		return Digest{}, refuse(ErrShape, "%d digests in a fold of %d", len(o.Digests), fold)
	}
	if len(o.Proof) > MaxProof {
		return Digest{}, refuse(ErrShape, "%d proof hashes, at most %d allowed", len(o.Proof), MaxProof)
	}
	if err := checkHashes(o.Proof); err != nil {
		return Digest{}, err
	}
	leaf := LeafHash(o.Digests)
	err := proof.VerifyInclusion(rfc6962.DefaultHasher, o.Index/fold, count/fold, leaf[:], o.Proof, root[:])
	if err != nil {
		return Digest{}, refuse(ErrProof, "opening of unit %d", o.Index)
	}
	return o.Digests[o.Index%fold], nil
}
