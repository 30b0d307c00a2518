package commit

import (
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// keepLevel is the lowest tree level whose nodes a Builder keeps in memory.
// Lower ones are recomputed from at most 2^keepLevel stored leaves, so a tree
// over 1.6 million folds (10^8 units) keeps about 0.4 MB instead of 100 MB.
const keepLevel = 8

// LeafReader gives back leaf hashes that were added to a Builder.
type LeafReader interface {
	// ReadLeaves fills dst with the leaves from, from+1, ... It is asked only
	// for leaves that were added. An error is a failure of the storage.
	ReadLeaves(dst []Root, from uint64) error
}

// memoryLeaves is the LeafReader of a Builder without storage of its own.
type memoryLeaves struct{ leaves []Root }

func (m *memoryLeaves) ReadLeaves(dst []Root, from uint64) error {
	copy(dst, m.leaves[from:])
	return nil
}

// Builder is the append-only tree of one claim. Sizes are in units. It is not
// safe for concurrent use.
type Builder struct {
	fold   uint64
	rng    *compact.Range
	kept   [][]Root // complete nodes of levels keepLevel, keepLevel+1, ...
	reader LeafReader
	memory *memoryLeaves // nil when the caller stores the leaves
}

// NewBuilder makes an empty tree that keeps its leaves in memory
// (32 bytes a fold). fold is 1 to MaxFold units.
func NewBuilder(fold uint64) (*Builder, error) {
	m := &memoryLeaves{}
	b, err := NewBuilderOver(fold, m)
	if err != nil {
		return nil, err
	}
	b.memory = m
	return b, nil
}

// NewBuilderOver makes an empty tree whose leaves the caller stores: each leaf
// given to AddLeaf must be readable from r when a proof is asked for.
func NewBuilderOver(fold uint64, r LeafReader) (*Builder, error) {
	if err := checkFold(fold); err != nil {
		return nil, err
	}
	factory := &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	return &Builder{fold: fold, rng: factory.NewEmptyRange(0), reader: r}, nil
}

// LeafHash is the RFC 6962 leaf hash of one fold: its digests concatenated.
func LeafHash(digests []Digest) Root {
	data := make([]byte, 0, len(digests)*UnitDigestSize)
	for i := range digests {
		data = append(data, digests[i][:]...)
	}
	return Root(rfc6962.DefaultHasher.HashLeaf(data))
}

// AddFold appends the digests of the next fold and returns its leaf hash.
func (b *Builder) AddFold(digests []Digest) (Root, error) {
	if uint64(len(digests)) != b.fold {
		return Root{}, refuse(ErrShape, "%d digests in a fold of %d", len(digests), b.fold)
	}
	leaf := LeafHash(digests)
	return leaf, b.AddLeaf(leaf)
}

// AddLeaf appends the leaf hash of the next fold.
func (b *Builder) AddLeaf(leaf Root) error {
	if b.Count()+b.fold > MaxCount {
		return refuse(ErrBounds, "more than %d units", uint64(MaxCount))
	}
	if b.memory != nil {
		b.memory.leaves = append(b.memory.leaves, leaf)
	}
	return b.rng.Append(append([]byte(nil), leaf[:]...), func(id compact.NodeID, hash []byte) {
		if id.Level < keepLevel {
			return
		}
		at := int(id.Level) - keepLevel
		if at == len(b.kept) {
			b.kept = append(b.kept, nil)
		}
		b.kept[at] = append(b.kept[at], Root(hash))
	})
}

// Fold is the number of units a leaf folds.
func (b *Builder) Fold() uint64 { return b.fold }

// Folds is the number of leaves.
func (b *Builder) Folds() uint64 { return b.rng.End() }

// Count is the number of units.
func (b *Builder) Count() uint64 { return b.rng.End() * b.fold }

// Root of the whole tree; RFC 6962's empty root when there is no leaf.
func (b *Builder) Root() Root {
	hash, err := b.rng.GetRootHash(nil)
	if err != nil || hash == nil { // an error needs a range that begins past 0
		return Root(rfc6962.DefaultHasher.EmptyRoot())
	}
	return Root(hash)
}

// RootAt is the root that the tree had at count units.
func (b *Builder) RootAt(count uint64) (Root, error) {
	folds, err := b.folds(count)
	if err != nil {
		return Root{}, err
	}
	return rootAt(folds, b.node)
}

// ConsistencyProof proves that the tree at newCount units extends the one at
// oldCount. It is empty when they are equal or oldCount is 0.
func (b *Builder) ConsistencyProof(oldCount, newCount uint64) ([][]byte, error) {
	older, err := b.folds(oldCount)
	if err != nil {
		return nil, err
	}
	newer, err := b.folds(newCount)
	if err != nil {
		return nil, err
	}
	nodes, err := proof.Consistency(older, newer)
	if err != nil {
		return nil, refuse(ErrShape, "%v", err)
	}
	return gather(nodes, b.node)
}

// InclusionProof proves the fold-th leaf in the tree at count units.
func (b *Builder) InclusionProof(fold, count uint64) ([][]byte, error) {
	folds, err := b.folds(count)
	if err != nil {
		return nil, err
	}
	return inclusionProof(fold, folds, b.node)
}

func (b *Builder) folds(count uint64) (uint64, error) {
	if count%b.fold != 0 || count > b.Count() {
		return 0, refuse(ErrShape, "no tree of %d units: %d are here, in folds of %d", count, b.Count(), b.fold)
	}
	return count / b.fold, nil
}

// node is the hash of a complete node.
func (b *Builder) node(id compact.NodeID) ([]byte, error) {
	if id.Level >= keepLevel {
		return b.kept[id.Level-keepLevel][id.Index][:], nil
	}
	leaves := make([]Root, 1<<id.Level)
	if err := b.reader.ReadLeaves(leaves, id.Index<<id.Level); err != nil {
		return nil, refuse(ErrStore, "%v", err)
	}
	for n := len(leaves); n > 1; n /= 2 {
		for i := 0; i < n/2; i++ {
			leaves[i] = Root(rfc6962.DefaultHasher.HashChildren(leaves[2*i][:], leaves[2*i+1][:]))
		}
	}
	return leaves[0][:], nil
}

type nodeFunc func(compact.NodeID) ([]byte, error)

func rootAt(size uint64, node nodeFunc) (Root, error) {
	if size == 0 {
		return Root(rfc6962.DefaultHasher.EmptyRoot()), nil
	}
	ids := compact.RangeNodes(0, size, nil)
	var root []byte
	for i := len(ids) - 1; i >= 0; i-- {
		hash, err := node(ids[i])
		if err != nil {
			return Root{}, err
		}
		if root == nil {
			root = hash
		} else {
			root = rfc6962.DefaultHasher.HashChildren(hash, root)
		}
	}
	return Root(root), nil
}

func inclusionProof(index, size uint64, node nodeFunc) ([][]byte, error) {
	nodes, err := proof.Inclusion(index, size)
	if err != nil {
		return nil, refuse(ErrShape, "%v", err)
	}
	return gather(nodes, node)
}

func gather(nodes proof.Nodes, node nodeFunc) ([][]byte, error) {
	hashes := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		hash, err := node(id)
		if err != nil {
			return nil, err
		}
		hashes[i] = hash
	}
	return nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
}

// VerifyConsistency checks that a claim of newCount units under newer extends
// one of oldCount units under older. Counts are multiples of fold; oldCount 0
// stands for no claim yet and takes an empty proof.
func VerifyConsistency(fold, oldCount, newCount uint64, older, newer Root, path [][]byte) error {
	if err := checkCount(newCount, fold); err != nil {
		return err
	}
	if oldCount > newCount || oldCount%fold != 0 {
		return refuse(ErrShape, "%d units do not extend %d in folds of %d", newCount, oldCount, fold)
	}
	if len(path) > MaxConsistency {
		return refuse(ErrShape, "consistency proof of %d hashes, at most %d allowed", len(path), MaxConsistency)
	}
	if err := checkHashes(path); err != nil {
		return err
	}
	err := proof.VerifyConsistency(rfc6962.DefaultHasher, oldCount/fold, newCount/fold, path, older[:], newer[:])
	if err != nil {
		return refuse(ErrProof, "extension from %d to %d units is not append-only", oldCount, newCount)
	}
	return nil
}

func checkHashes(path [][]byte) error {
	for i, h := range path {
		if len(h) != 32 {
			return refuse(ErrShape, "proof hash %d of %d bytes, want 32", i, len(h))
		}
	}
	return nil
}
