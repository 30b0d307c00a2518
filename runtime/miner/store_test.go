package miner

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"lukechampine.com/blake3"

	"github.com/assaynet/assay/verifier/commit"
)

// digestOf stands for the computation in tests of storage.
func digestOf(index uint64) commit.Digest {
	return blake3.Sum256(binary.LittleEndian.AppendUint64([]byte("unit"), index))
}

func digestsFrom(first, n uint64) []commit.Digest {
	out := make([]commit.Digest, n)
	for i := range out {
		out[i] = digestOf(first + uint64(i))
	}
	return out
}

const testFold = 8

func open(t testing.TB, dir string, bend ...func(*StoreConfig)) *Store {
	t.Helper()
	cfg := StoreConfig{Dir: dir, Identity: [32]byte{1}, Fold: testFold, DigestBytes: 64 * testFold * 32}
	for _, f := range bend {
		f(&cfg)
	}
	s, err := OpenStore(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// rootOf is the root that an uninterrupted run has at count units.
func rootOf(t testing.TB, count uint64) commit.Root {
	t.Helper()
	b, err := commit.NewBuilder(testFold)
	if err != nil {
		t.Fatal(err)
	}
	for f := uint64(0); f < count/testFold; f++ {
		if _, err := b.AddFold(digestsFrom(f*testFold, testFold)); err != nil {
			t.Fatal(err)
		}
	}
	return b.Root()
}

func recomputed(calls *[]uint64) func(first, n uint64) ([]commit.Digest, error) {
	return func(first, n uint64) ([]commit.Digest, error) {
		*calls = append(*calls, first/testFold)
		return digestsFrom(first, n), nil
	}
}

// verifyAll opens units across the store and checks each against the root.
func verifyAll(t testing.TB, s *Store, count uint64) {
	t.Helper()
	_, root, _, err := s.Extension(0, count)
	if err != nil || root != rootOf(t, count) {
		t.Fatalf("root at %d units: %v", count, err)
	}
	var calls, indexes []uint64
	for x := uint64(0); x < count; x += 1 + count/50 {
		indexes = append(indexes, x)
	}
	opened, err := s.Open(count, indexes, recomputed(&calls))
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range opened {
		d, err := o.Verify(root, count, testFold)
		if err != nil || o.Index != indexes[i] || d != digestOf(indexes[i]) {
			t.Fatalf("opening of unit %d: %v", indexes[i], err)
		}
	}
	for _, f := range calls {
		if f < s.kept {
			t.Fatalf("recomputed fold %d, which is on disk", f)
		}
	}
}

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "1")
	s := open(t, dir)
	var size uint64
	for n := uint64(1); n < 40; n++ { // past the 64 folds whose digests are kept
		if err := s.Append(digestsFrom(size, n*testFold)); err != nil {
			t.Fatal(err)
		}
		earlier := size
		size += n * testFold
		if s.Count() != size {
			t.Fatalf("%d units, want %d", s.Count(), size)
		}
		old, root, proof, err := s.Extension(earlier, size)
		if err != nil {
			t.Fatal(err)
		}
		if err := commit.VerifyConsistency(testFold, earlier, size, old, root, proof); err != nil {
			t.Fatal(err)
		}
	}
	verifyAll(t, s, size)
	verifyAll(t, s, size/2/testFold*testFold) // a claim that was not extended
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	verifyAll(t, open(t, dir), size)
	for name, bend := range map[string]func(*StoreConfig){
		"identity": func(c *StoreConfig) { c.Identity[0] ^= 1 },
		"fold":     func(c *StoreConfig) { c.Fold *= 2 },
	} {
		other := filepath.Join(t.TempDir(), "2")
		if err := os.CopyFS(other, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if got := open(t, other, bend).Count(); got != 0 {
			t.Errorf("another %s: took up %d units", name, got)
		}
	}
}

func TestStoreRefusals(t *testing.T) {
	s := open(t, t.TempDir())
	for _, n := range []uint64{0, 1, testFold + 1} {
		if err := s.Append(digestsFrom(0, n)); !errors.Is(err, ErrStore) {
			t.Errorf("%d digests: %v", n, err)
		}
	}
	if err := s.Append(digestsFrom(0, 2*testFold)); err != nil {
		t.Fatal(err)
	}
	var calls []uint64
	for name, f := range map[string]func() error{
		"count past the end": func() error { _, _, _, err := s.Extension(0, 3*testFold); return err },
		"ragged count":       func() error { _, _, _, err := s.Extension(0, testFold+1); return err },
		"shrinking":          func() error { _, _, _, err := s.Extension(2*testFold, testFold); return err },
		"index past the end": func() error { _, err := s.Open(2*testFold, []uint64{2 * testFold}, recomputed(&calls)); return err },
		"opening past claim": func() error { _, err := s.Open(testFold, []uint64{testFold}, recomputed(&calls)); return err },
	} {
		if err := f(); !errors.Is(err, commit.ErrShape) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OpenStore(StoreConfig{Dir: t.TempDir(), Fold: 0}); !errors.Is(err, commit.ErrBounds) {
		t.Errorf("fold 0: %v", err)
	}
	// A worker that gives other digests the second time is found out here, not on chain.
	far := open(t, t.TempDir(), func(c *StoreConfig) { c.DigestBytes = 1 })
	if err := far.Append(digestsFrom(0, testFold)); err != nil {
		t.Fatal(err)
	}
	_, err := far.Open(testFold, []uint64{0}, func(first, n uint64) ([]commit.Digest, error) { return digestsFrom(first+1, n), nil })
	if !errors.Is(err, ErrStore) {
		t.Errorf("other digests: %v", err)
	}
}

// Any damage behind a point loses at most what is behind it; damaged digests
// lose nothing.
func TestStoreDamage(t *testing.T) {
	const count = 100 * testFold
	whole := t.TempDir()
	s := open(t, whole)
	if err := s.Append(digestsFrom(0, count)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(4, 4))
	for range 60 {
		dir := filepath.Join(t.TempDir(), "x")
		if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, leavesFile)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := headerSize + rng.IntN(len(raw)-headerSize)
		if rng.IntN(2) == 0 {
			raw = raw[:at] // torn
		} else {
			raw[at] ^= byte(1 + rng.IntN(255)) // rotten
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir)
		want := uint64(at-headerSize) / recordSize * testFold
		if s.Count() != want {
			t.Fatalf("damage at byte %d: %d units, want %d", at, s.Count(), want)
		}
		if err := s.Append(digestsFrom(want, count-want)); err != nil {
			t.Fatal(err)
		}
		verifyAll(t, s, count)
	}
	digests, err := os.OpenFile(filepath.Join(whole, digestsFile), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer digests.Close()
	if _, err := digests.WriteAt([]byte{0xFF, 0xFE}, headerSize+3*testFold*32+5); err != nil {
		t.Fatal(err)
	}
	var calls []uint64
	opened, err := open(t, whole).Open(count, []uint64{3 * testFold}, recomputed(&calls))
	if err != nil || len(calls) != 1 || opened[0].Digests[0] != digestOf(3*testFold) {
		t.Errorf("damaged digests: %v, %d folds recomputed", err, len(calls))
	}
}

// TestKill9 kills a process that appends as fast as it can, at random moments,
// many times over, and checks that nothing finished is lost.
func TestKill9(t *testing.T) {
	if dir := os.Getenv("MINER_STORE_DIR"); dir != "" {
		appendForEver(t, dir)
	}
	dir := filepath.Join(t.TempDir(), "epoch")
	rng := rand.New(rand.NewPCG(9, 9))
	var floor uint64
	for range 12 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKill9$")
		cmd.Env = append(os.Environ(), "MINER_STORE_DIR="+dir)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Kill after a random number of reports: the child is somewhere in the next append.
		reports := 1 + rng.IntN(60)
		lines := bufio.NewScanner(out)
		for range reports {
			if !lines.Scan() {
				t.Fatalf("child ended: %s", stderr.String())
			}
			n, err := strconv.ParseUint(strings.TrimPrefix(lines.Text(), "units "), 10, 64)
			if err != nil {
				t.Fatalf("child said %q", lines.Text())
			}
			if n < floor {
				t.Fatalf("child resumed with %d units, %d were finished", n, floor)
			}
			floor = n
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		s := open(t, dir)
		if s.Count() < floor {
			t.Fatalf("%d units after the kill, %d were finished", s.Count(), floor)
		}
		verifyAll(t, s, s.Count())
		floor = s.Count()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func appendForEver(t *testing.T, dir string) {
	s := open(t, dir, func(c *StoreConfig) { c.DigestBytes = 1 << 20 })
	fmt.Println("units", s.Count())
	for {
		n := s.Count()
		if err := s.Append(digestsFrom(n, testFold*(1+n/testFold%5))); err != nil {
			t.Fatal(err)
		}
		fmt.Println("units", s.Count())
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	a, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDir(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("second lock: %v", err)
	}
	a.Close()
	b, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
}

// counted are digests that cost nothing: of 10^8 units hashing their indexes would take longest.
func counted(first, n uint64) []commit.Digest {
	out := make([]commit.Digest, n)
	for i := range out {
		binary.LittleEndian.PutUint64(out[i][:], first+uint64(i))
	}
	return out
}

// The size on disk and the cost of an opening of a claim of ASSAY_UNITS units (default 10^6, at full
// scale 10^8) in folds of 64, without the fold that is computed again: each opening is of a unit at
// random, whose digests are no longer on disk.
func BenchmarkOpening(b *testing.B) {
	units := uint64(1_000_000)
	if v := os.Getenv("ASSAY_UNITS"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil || n < 64_000 {
			b.Fatalf("ASSAY_UNITS is %q", v)
		}
		units = n
	}
	folds := units / 64
	dir := b.TempDir()
	s, err := OpenStore(StoreConfig{Dir: dir, Fold: 64})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for f := uint64(0); f < folds; f += min(1_000, folds-f) {
		if err := s.Append(counted(f*64, min(1_000, folds-f)*64)); err != nil {
			b.Fatal(err)
		}
	}
	var disk int64
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			disk += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	x := uint64(12345)
	for b.Loop() {
		x = (x*6364136223846793005 + 1442695040888963407) % (folds * 64)
		if _, err := s.Open(folds*64, []uint64{x}, func(first, n uint64) ([]commit.Digest, error) { return counted(first, n), nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(disk)/1e6, "MB-on-disk")
}

// Taking up the store of a claim of 10^8 units in folds of 64: as many leaves,
// in folds of one.
func BenchmarkOpenStore(b *testing.B) {
	const folds = 1_562_500
	cfg := StoreConfig{Dir: b.TempDir(), Fold: 1, DigestBytes: 32}
	s, err := OpenStore(cfg)
	if err != nil {
		b.Fatal(err)
	}
	for f := uint64(0); f < folds; f += 12_500 {
		if err := s.Append(digestsFrom(f, 12_500)); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := OpenStore(cfg)
		if err != nil || s.Count() != folds {
			b.Fatal(s.Count(), err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
