package commit

import (
	"bytes"
	"slices"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

const (
	tagKeyed       = "assay/keyed/1"
	tagVerdict     = "assay/verdict/1"
	tagKeyedReport = "assay/report-keyed/1"
)

// MaxKeyedPath bounds the inclusion proof of a keyed digest: a tree of 100,000
// claims with 4,096 samples each has 29 levels.
const MaxKeyedPath = 40

// Keyed is the keyed digest of one unit that a validator re-executed: BLAKE3
// in keyed mode under the validator's own key, so that it cannot be copied
// from the miner's digests or from another validator.
type Keyed struct {
	Claimant []byte
	Index    uint64
	Digest   Digest
}

func (k Keyed) leaf() []byte {
	w := newWriter(tagKeyed, 4+len(k.Claimant)+8+32)
	w.bytes(k.Claimant)
	w.u64(k.Index)
	w.raw(k.Digest[:])
	return w.b
}

// KeyedTree is the RFC 6962 tree over the keyed digests of a verdict, sorted
// by claimant, then index: the order of claims and of samples. It does not
// change once made.
type KeyedTree struct {
	items []Keyed
	tree  *tree
}

// NewKeyedTree sorts a copy of the items and hashes them.
func NewKeyedTree(items []Keyed) *KeyedTree {
	sorted := slices.Clone(items)
	slices.SortFunc(sorted, func(a, b Keyed) int {
		if c := bytes.Compare(a.Claimant, b.Claimant); c != 0 {
			return c
		}
		switch {
		case a.Index < b.Index:
			return -1
		case a.Index > b.Index:
			return 1
		}
		return bytes.Compare(a.Digest[:], b.Digest[:])
	})
	leaves := make([][]byte, len(sorted))
	for i, k := range sorted {
		leaves[i] = k.leaf()
	}
	return &KeyedTree{sorted, treeOf(leaves)}
}

// Root is the tree's; without any digest that of the empty tree.
func (t *KeyedTree) Root() Root { return t.tree.root() }

// Size is the number of leaves.
func (t *KeyedTree) Size() uint64 { return t.tree.size }

// Prove returns the leaf at a position and its inclusion proof, or ErrShape.
func (t *KeyedTree) Prove(position uint64) (Keyed, [][]byte, error) {
	if position >= t.tree.size {
		return Keyed{}, nil, refuse(ErrShape, "leaf %d of a keyed tree of %d", position, t.tree.size)
	}
	path, err := t.tree.inclusion(position)
	return t.items[position], path, err
}

// KeyedRoot is the root of the tree over the items.
func KeyedRoot(items []Keyed) Root { return NewKeyedTree(items).Root() }

// VerifyKeyed checks that a keyed digest is the leaf at a position of a tree
// of size leaves under root: ErrShape for what no such tree has, else ErrProof.
func VerifyKeyed(k Keyed, position, size uint64, path [][]byte, root Root) error {
	if position >= size || len(path) > MaxKeyedPath {
		return refuse(ErrShape, "leaf %d of %d with %d proof hashes", position, size, len(path))
	}
	if err := checkHashes(path); err != nil {
		return err
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(k.leaf())
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, position, size, leaf, path, root[:]); err != nil {
		return refuse(ErrProof, "keyed digest of unit %d of %x at position %d: %v", k.Index, k.Claimant, position, err)
	}
	return nil
}

// Verdict is what one validator said in one round, as the cross-check of the
// round binds it.
type Verdict struct {
	Epoch     uint64
	Round     uint64
	Validator []byte   // address bytes, 1 to MaxAddress
	Output    [32]byte // of the validator's VRF in the round
	Bitmap    Bitmap
	KeyedRoot Root
}

// Bytes is the canonical encoding and the leaf of the verdicts tree.
func (v Verdict) Bytes() []byte {
	w := newWriter(tagVerdict, 8+8+4+len(v.Validator)+32+4+len(v.Bitmap)+32)
	w.u64(v.Epoch)
	w.u64(v.Round)
	w.bytes(v.Validator)
	w.raw(v.Output[:])
	w.bytes(v.Bitmap)
	w.raw(v.KeyedRoot[:])
	return w.b
}

// VerdictsRoot is the RFC 6962 root over a round's verdicts sorted by address,
// which are distinct. The order of the argument does not matter and it is not
// changed.
func VerdictsRoot(verdicts []Verdict) Root {
	sorted := slices.Clone(verdicts)
	slices.SortFunc(sorted, func(a, b Verdict) int { return bytes.Compare(a.Validator, b.Validator) })
	leaves := make([][]byte, len(sorted))
	for i, v := range sorted {
		leaves[i] = v.Bytes()
	}
	return treeOf(leaves).root()
}

// KeyedReportID names a report about a keyed digest: one per epoch, round,
// validator and position of the leaf.
func KeyedReportID(epoch, round uint64, validator []byte, position uint64) [32]byte {
	w := newWriter(tagKeyedReport, 8+8+4+len(validator)+8)
	w.u64(epoch)
	w.u64(round)
	w.bytes(validator)
	w.u64(position)
	return w.sum()
}
