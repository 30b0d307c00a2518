package commit

import (
	"bytes"
	"encoding/hex"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// Bounds of what strangers can send.
const (
	UnitDigestSize = 32      // bytes of a unit's digest
	MaxFold        = 1024    // units a tree leaf may fold
	MaxProof       = 64      // hashes of an inclusion proof; a tree of 2^64 leaves has 64
	MaxConsistency = 129     // hashes of a consistency proof between 64-bit sizes
	MaxCount       = 1 << 48 // units of one claim
	MaxAddress     = 32      // bytes of an account address (20 today)
	MaxChainID     = 50      // bytes of a chain ID, CometBFT's own bound
)

// Domain tags. Each canonical byte string starts with its tag's length and
// its tag, so bytes of one kind never decode or hash as another.
const (
	tagClaim  = "assay/claim/1"
	tagReport = "assay/report/1"
)

// Root is the RFC 6962 (SHA-256) root of a tree, or any of its nodes.
type Root [32]byte

// String is the lower-case hexadecimal form.
func (r Root) String() string { return hex.EncodeToString(r[:]) }

// Digest is what a unit of work came to: BLAKE3 over its transcript.
type Digest = [UnitDigestSize]byte

// Claim is what one miner says it computed in one epoch: Count units, with
// indexes 0 to Count-1, whose digests are the leaves under Root.
type Claim struct {
	Epoch    uint64
	Claimant []byte // address bytes, 1 to MaxAddress
	Root     Root
	Count    uint64 // units; a positive multiple of the epoch's fold
}

// Validate checks the bounds of a claim against the epoch's fold.
func (c Claim) Validate(fold uint64) error {
	if err := checkAddress(c.Claimant); err != nil {
		return err
	}
	return checkCount(c.Count, fold)
}

// Bytes is the canonical encoding and the leaf of the claims tree.
func (c Claim) Bytes() []byte {
	w := newWriter(tagClaim, 8+4+len(c.Claimant)+32+8)
	w.u64(c.Epoch)
	w.bytes(c.Claimant)
	w.raw(c.Root[:])
	w.u64(c.Count)
	return w.b
}

// DecodeClaim is the inverse of Claim.Bytes.
func DecodeClaim(b []byte) (Claim, error) {
	r := newReader(tagClaim, b)
	c := Claim{Epoch: r.u64(), Claimant: r.bytes("claimant", MaxAddress), Root: r.hash(), Count: r.u64()}
	if err := r.close(); err != nil {
		return Claim{}, err
	}
	if err := checkAddress(c.Claimant); err != nil {
		return Claim{}, err
	}
	return c, nil
}

// SortClaims sorts in place into the order of the claims tree and of every
// bitmap over it: by address, and for total order by root and count.
func SortClaims(claims []Claim) {
	slices.SortFunc(claims, func(a, b Claim) int {
		if c := bytes.Compare(a.Claimant, b.Claimant); c != 0 {
			return c
		}
		if c := bytes.Compare(a.Root[:], b.Root[:]); c != 0 {
			return c
		}
		switch {
		case a.Count < b.Count:
			return -1
		case a.Count > b.Count:
			return 1
		}
		return 0
	})
}

// ClaimsRoot is the RFC 6962 root over the canonical bytes of all claims of an
// epoch in the order of SortClaims. The order of the argument does not matter
// and it is not changed. No claims give RFC 6962's empty root.
func ClaimsRoot(claims []Claim) Root {
	return treeOf(sortedLeaves(claims)).root()
}

// ProveClaim gives the position of the claimant's claim in the sorted order
// and its inclusion proof under ClaimsRoot(claims).
func ProveClaim(claims []Claim, claimant []byte) (index uint64, path [][]byte, err error) {
	sorted := slices.Clone(claims)
	SortClaims(sorted)
	i, ok := slices.BinarySearchFunc(sorted, claimant, func(c Claim, addr []byte) int {
		return bytes.Compare(c.Claimant, addr)
	})
	if !ok {
		return 0, nil, refuse(ErrShape, "no claim by %x", claimant)
	}
	path, err = treeOf(sortedLeaves(sorted)).inclusion(uint64(i))
	return uint64(i), path, err
}

// VerifyClaim checks that a claim is the index-th of total claims under root.
func VerifyClaim(c Claim, index, total uint64, path [][]byte, root Root) error {
	if index >= total || len(path) > MaxProof {
		return refuse(ErrShape, "claim %d of %d with %d proof hashes", index, total, len(path))
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(c.Bytes())
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, total, leaf, path, root[:]); err != nil {
		return refuse(ErrProof, "claim by %x: %v", c.Claimant, err)
	}
	return nil
}

func sortedLeaves(claims []Claim) [][]byte {
	sorted := slices.Clone(claims)
	SortClaims(sorted)
	leaves := make([][]byte, len(sorted))
	for i, c := range sorted {
		leaves[i] = c.Bytes()
	}
	return leaves
}

// ReportID names a report: one per epoch, claimant and unit index.
func ReportID(epoch uint64, claimant []byte, index uint64) [32]byte {
	w := newWriter(tagReport, 8+4+len(claimant)+8)
	w.u64(epoch)
	w.bytes(claimant)
	w.u64(index)
	return w.sum()
}

// tree is a small in-memory RFC 6962 tree with all its complete nodes.
type tree struct {
	nodes [][][]byte // by level, then index
	size  uint64
}

func treeOf(leaves [][]byte) *tree {
	t := &tree{}
	factory := &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	rng := factory.NewEmptyRange(0)
	for _, leaf := range leaves {
		// Append fails only for a visitor or factory mismatch, which cannot be here.
		_ = rng.Append(rfc6962.DefaultHasher.HashLeaf(leaf), func(id compact.NodeID, hash []byte) {
			if int(id.Level) == len(t.nodes) {
				t.nodes = append(t.nodes, nil)
			}
			t.nodes[id.Level] = append(t.nodes[id.Level], hash)
		})
	}
	t.size = rng.End()
	return t
}

func (t *tree) at(id compact.NodeID) ([]byte, error) { return t.nodes[id.Level][id.Index], nil }

func (t *tree) root() Root {
	root, _ := rootAt(t.size, t.at) // at never fails
	return root
}

func (t *tree) inclusion(index uint64) ([][]byte, error) {
	return inclusionProof(index, t.size, t.at)
}

func checkAddress(a []byte) error {
	if len(a) == 0 || len(a) > MaxAddress {
		return refuse(ErrBounds, "address of %d bytes, 1 to %d allowed", len(a), MaxAddress)
	}
	return nil
}

func checkFold(fold uint64) error {
	if fold == 0 || fold > MaxFold {
		return refuse(ErrBounds, "fold of %d units, 1 to %d allowed", fold, MaxFold)
	}
	return nil
}

func checkCount(count, fold uint64) error {
	if err := checkFold(fold); err != nil {
		return err
	}
	if count == 0 || count > MaxCount {
		return refuse(ErrBounds, "count of %d units, 1 to %d allowed", count, uint64(MaxCount))
	}
	if count%fold != 0 {
		return refuse(ErrShape, "count of %d units is no multiple of the fold %d", count, fold)
	}
	return nil
}
