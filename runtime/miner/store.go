package miner

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/assaynet/assay/verifier/commit"
)

// Layout of an epoch's directory. Both files start with the same header; the
// rest are fixed-width records in the order of folds.
//
//	leaves   header, then 32-byte leaf hash and CRC-32C of (position, hash)
//	digests  header, then the unit digests of the first folds, 32 bytes each
//
// At 10^8 units in folds of 64 the leaves take 56.25 MB. Digests beyond
// StoreConfig.DigestBytes are recomputed when they are asked for.
const (
	leavesFile  = "leaves"
	digestsFile = "digests"
	headerSize  = 48 // magic 8, identity 32, fold u64
	recordSize  = 36
	storeMagic  = "ASYSTOR1"
)

// DefaultDigestBytes of unit digests are kept on disk: with the leaves of 10^8
// units they stay below 64 MB.
const DefaultDigestBytes = 4 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// StoreConfig of a Store.
type StoreConfig struct {
	Dir         string   // of this epoch
	Identity    [32]byte // of the work: what is stored under another is dropped
	Fold        uint64   // units a leaf
	DigestBytes int64    // unit digests kept on disk; 0: DefaultDigestBytes
}

// Store is the durable state of one epoch's claim: a Merkle tree on disk that
// only grows. It survives being killed at any instant: a fold is there when
// its leaf record is whole, and records are written in order after what they
// stand for. It is safe for concurrent use.
type Store struct {
	cfg     StoreConfig
	kept    uint64 // folds whose digests are on disk
	mu      sync.Mutex
	leaves  *os.File
	digests *os.File
	tree    *commit.Builder
}

// OpenStore opens or creates the store and takes up what is there. A torn or
// damaged tail is cut off.
func OpenStore(cfg StoreConfig) (_ *Store, err error) {
	if cfg.DigestBytes <= 0 {
		cfg.DigestBytes = DefaultDigestBytes
	}
	s := &Store{cfg: cfg}
	if s.tree, err = commit.NewBuilderOver(cfg.Fold, (*leafReader)(s)); err != nil {
		return nil, err
	}
	s.kept = uint64(cfg.DigestBytes) / (cfg.Fold * commit.UnitDigestSize)
	defer func() {
		if err != nil {
			s.closeFiles()
			err = fmt.Errorf("%w: %w", ErrStore, err)
		}
	}()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	// Digests before leaves: a leaf must never be there without its digests.
	fresh := false
	if s.digests, fresh, err = s.openFile(digestsFile, false); err != nil {
		return nil, err
	}
	if s.leaves, _, err = s.openFile(leavesFile, fresh); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	return s, syncDir(cfg.Dir)
}

func (s *Store) header() []byte {
	h := append([]byte(storeMagic), s.cfg.Identity[:]...)
	return binary.LittleEndian.AppendUint64(h, s.cfg.Fold)
}

// openFile opens one file; a missing, short or foreign header makes it new.
func (s *Store) openFile(name string, reset bool) (f *os.File, fresh bool, err error) {
	f, err = os.OpenFile(filepath.Join(s.cfg.Dir, name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	got := make([]byte, headerSize)
	_, err = f.ReadAt(got, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return f, false, err
	}
	if !reset && err == nil && string(got) == string(s.header()) {
		return f, false, nil
	}
	if err := f.Truncate(0); err != nil {
		return f, false, err
	}
	if _, err := f.WriteAt(s.header(), 0); err != nil {
		return f, false, err
	}
	return f, true, f.Sync()
}

// load rebuilds the tree from the leaf records up to the first bad one.
func (s *Store) load() error {
	info, err := s.leaves.Stat()
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(io.NewSectionReader(s.leaves, headerSize, info.Size()-headerSize), 1<<18)
	rec := make([]byte, recordSize)
	for n := uint64(0); ; n++ {
		_, err := io.ReadFull(r, rec)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		leaf, ok := parseRecord(rec, n)
		if err != nil || !ok {
			return s.leaves.Truncate(headerSize + int64(n)*recordSize)
		}
		if err := s.tree.AddLeaf(leaf); err != nil {
			return err
		}
	}
}

func appendRecord(b []byte, leaf commit.Root, n uint64) []byte {
	b = append(b, leaf[:]...)
	return binary.LittleEndian.AppendUint32(b, recordSum(leaf, n))
}

func parseRecord(rec []byte, n uint64) (commit.Root, bool) {
	leaf := commit.Root(rec[:32])
	return leaf, binary.LittleEndian.Uint32(rec[32:]) == recordSum(leaf, n)
}

func recordSum(leaf commit.Root, n uint64) uint32 {
	sum := crc32.Update(0, castagnoli, binary.LittleEndian.AppendUint64(nil, n))
	return crc32.Update(sum, castagnoli, leaf[:])
}

// Append adds whole folds of digests, in order of unit indexes. When it fails
// nothing was added.
func (s *Store) Append(digests []commit.Digest) error {
	fold := int(s.cfg.Fold)
	if len(digests) == 0 || len(digests)%fold != 0 {
		return fmt.Errorf("%w: %d digests are no whole folds of %d", ErrStore, len(digests), fold)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.tree.Folds()
	var data, records []byte
	leaves := make([]commit.Root, 0, len(digests)/fold)
	for i := 0; i < len(digests); i += fold {
		part := digests[i : i+fold]
		n := first + uint64(len(leaves))
		if n < s.kept {
			for j := range part {
				data = append(data, part[j][:]...)
			}
		}
		leaf := commit.LeafHash(part)
		leaves = append(leaves, leaf)
		records = appendRecord(records, leaf, n)
	}
	if _, err := s.digests.WriteAt(data, headerSize+int64(first)*int64(fold)*commit.UnitDigestSize); err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	if _, err := s.leaves.WriteAt(records, headerSize+int64(first)*recordSize); err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	for _, leaf := range leaves {
		if err := s.tree.AddLeaf(leaf); err != nil {
			return err
		}
	}
	return nil
}

// Sync makes everything appended survive a loss of power. It must have
// returned before a root is published.
func (s *Store) Sync() error {
	for _, f := range []*os.File{s.digests, s.leaves} {
		if err := f.Sync(); err != nil {
			return fmt.Errorf("%w: %w", ErrStore, err)
		}
	}
	return nil
}

// Count is the number of units.
func (s *Store) Count() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tree.Count()
}

// Extension returns the root at count and the proof that it extends the root
// at earlier, and that root.
func (s *Store) Extension(earlier, count uint64) (old, root commit.Root, proof [][]byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, err = s.tree.RootAt(earlier); err != nil {
		return old, root, nil, err
	}
	if root, err = s.tree.RootAt(count); err != nil {
		return old, root, nil, err
	}
	proof, err = s.tree.ConsistencyProof(earlier, count)
	return old, root, proof, err
}

// Open makes the openings of units under the root at count, in order.
// recompute is called for a fold whose digests are not on disk.
func (s *Store) Open(count uint64, indexes []uint64, recompute func(first, n uint64) ([]commit.Digest, error)) ([]commit.Opening, error) {
	out := make([]commit.Opening, 0, len(indexes))
	var cached []commit.Digest
	cachedFold := ^uint64(0)
	for _, x := range indexes {
		fold := x / s.cfg.Fold
		path, leaf, err := s.path(fold, count)
		if err != nil {
			return nil, err
		}
		if fold != cachedFold {
			if cached, err = s.foldDigests(fold, leaf, recompute); err != nil {
				return nil, err
			}
			cachedFold = fold
		}
		out = append(out, commit.Opening{Index: x, Digests: cached, Proof: path})
	}
	return out, nil
}

func (s *Store) path(fold, count uint64) ([][]byte, commit.Root, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, err := s.tree.InclusionProof(fold, count)
	if err != nil {
		return nil, commit.Root{}, err
	}
	var leaf [1]commit.Root
	if err := (*leafReader)(s).ReadLeaves(leaf[:], fold); err != nil {
		return nil, commit.Root{}, err
	}
	return path, leaf[0], nil
}

// foldDigests reads a fold's digests or has them recomputed, and checks that
// they are what was committed.
func (s *Store) foldDigests(fold uint64, leaf commit.Root, recompute func(first, n uint64) ([]commit.Digest, error)) ([]commit.Digest, error) {
	if fold < s.kept {
		raw := make([]byte, s.cfg.Fold*commit.UnitDigestSize)
		if _, err := s.digests.ReadAt(raw, headerSize+int64(fold)*int64(len(raw))); err == nil {
			digests := make([]commit.Digest, s.cfg.Fold)
			for i := range digests {
				copy(digests[i][:], raw[i*commit.UnitDigestSize:])
			}
			if commit.LeafHash(digests) == leaf {
				return digests, nil
			}
		}
		// Damaged on disk: what can be computed again is not lost.
	}
	digests, err := recompute(fold*s.cfg.Fold, s.cfg.Fold)
	if err != nil {
		return nil, err
	}
	if commit.LeafHash(digests) != leaf {
		return nil, fmt.Errorf("%w: fold %d came out different from what was committed", ErrStore, fold)
	}
	return digests, nil
}

// Close closes the files. The store must not be used after it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeFiles()
}

func (s *Store) closeFiles() error {
	var errs []error
	for _, f := range []*os.File{s.digests, s.leaves} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// leafReader lets the tree read leaves back. The caller holds the lock.
type leafReader Store

func (s *leafReader) ReadLeaves(dst []commit.Root, from uint64) error {
	raw := make([]byte, len(dst)*recordSize)
	if _, err := s.leaves.ReadAt(raw, headerSize+int64(from)*recordSize); err != nil {
		return err
	}
	for i := range dst {
		leaf, ok := parseRecord(raw[i*recordSize:(i+1)*recordSize], from+uint64(i))
		if !ok {
			return fmt.Errorf("leaf %d is damaged on disk", from+uint64(i))
		}
		dst[i] = leaf
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
