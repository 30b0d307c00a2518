package sandbox

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"golang.org/x/sys/cpu"
	"lukechampine.com/blake3"
)

// Files of the cache directory. wazero's own file format carries only a
// CRC-32, and its code is run without validation, so an artifact is used only
// if its MAC under a key that never leaves this directory is right.
const (
	macKeyFile    = "mac.key" // 32 random bytes, mode 0600
	macSize       = 32
	artifactMagic = "ASSAYWC3"
	// maxArtifact bounds what is read back, in bytes. Machine code of the
	// largest admissible module is well under this.
	maxArtifact = 1 << 30
)

// CacheStats counts what happened to cached artifacts since New.
type CacheStats struct {
	Hits     uint64 // loaded and used
	Misses   uint64 // absent
	Rejected uint64 // present, but damaged or not ours: compiled again
}

// diskCache keeps rewritten modules with their machine code. Several
// processes may share the directory: files appear whole, by rename.
type diskCache struct {
	dir   string
	key   [macSize]byte
	limit int64 // bytes of artifacts

	hits, misses, rejected atomic.Uint64
}

// artifact is one cached module.
type artifact struct {
	*prepared
	name   string // wazero's name for the machine code; empty under the interpreter
	native []byte
}

func openCache(dir string, limit int64) (*diskCache, error) {
	if limit == 0 {
		limit = DefaultCacheBytes
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := &diskCache{dir: dir, limit: limit}
	key, err := loadMACKey(filepath.Join(dir, macKeyFile))
	if err != nil {
		return nil, fmt.Errorf("cache key: %w", err)
	}
	c.key = key
	return c, nil
}

// loadMACKey reads the key or makes one. A key file that others can read, or
// of a wrong size, is replaced, which turns every old artifact into a miss.
func loadMACKey(path string) (key [macSize]byte, err error) {
	for range 3 {
		st, err := os.Lstat(path)
		if err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o077 == 0 && st.Size() == macSize {
			b, err := os.ReadFile(path)
			if err == nil && len(b) == macSize {
				return [macSize]byte(b), nil
			}
			return key, err
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return key, err
		}
		fresh := make([]byte, macSize)
		rand.Read(fresh)
		put := os.Link // fails if another process was faster
		if err == nil {
			put = os.Rename
		}
		if err := writeWhole(path, put, fresh); err != nil && !errors.Is(err, fs.ErrExist) {
			return key, err
		}
	}
	return key, errors.New("key file keeps changing")
}

// writeWhole writes a file in a stage beside path and puts it there, so that
// path is never half written and nothing stays if the process dies.
func writeWhole(path string, put func(from, to string) error, parts ...[]byte) error {
	st, err := newStage(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer st.close()
	f, err := os.OpenFile(filepath.Join(st.dir, "file"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if _, err = f.Write(p); err != nil {
			break
		}
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return put(f.Name(), path)
}

// platform is what machine code depends on beside the module and the
// configuration.
type platform struct {
	abi, rewriter int
	wazero        string
	system        string // operating system and architecture
	cpu           string // features
}

var thisPlatform = platform{abi.Version, meter.RewriterVersion, WazeroVersion, goruntime.GOOS + "/" + goruntime.GOARCH, cpuFeatures}

// cacheKey names an artifact by everything that its bytes depend on.
func (p platform) cacheKey(hash [32]byte, parts ...string) [32]byte {
	h := blake3.New(32, nil)
	h.Write(hash[:])
	for _, p := range append(parts, strconv.Itoa(p.abi), strconv.Itoa(p.rewriter), p.wazero, p.system, p.cpu) {
		var n [4]byte
		binary.LittleEndian.PutUint32(n[:], uint32(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	var k [32]byte
	h.Sum(k[:0])
	return k
}

// cpuFeatures is every feature flag that the Go runtime library detects, a
// superset of what wazero's compiler looks at.
var cpuFeatures = fmt.Sprintf("%+v %+v", cpu.X86, cpu.ARM64)

func (c *diskCache) path(key [32]byte) string {
	return filepath.Join(c.dir, hex.EncodeToString(key[:])+".bin")
}

func (c *diskCache) mac(key [32]byte, body ...[]byte) []byte {
	h := blake3.New(macSize, c.key[:])
	h.Write(key[:])
	for _, b := range body {
		h.Write(b)
	}
	return h.Sum(nil)
}

// load returns the artifact, or nil if there is none that can be trusted.
func (c *diskCache) load(key [32]byte) *artifact {
	b, err := c.read(key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.misses.Add(1)
		return nil
	case err == nil:
		if a := c.parse(key, b); a != nil {
			c.hits.Add(1)
			now := time.Now()
			_ = os.Chtimes(c.path(key), now, now) // for trim
			return a
		}
	}
	c.rejected.Add(1)
	return nil
}

func (c *diskCache) read(key [32]byte) ([]byte, error) {
	st, err := os.Stat(c.path(key))
	if err != nil {
		return nil, err
	}
	if st.Size() > maxArtifact {
		return nil, fmt.Errorf("artifact of %d bytes", st.Size())
	}
	return os.ReadFile(c.path(key))
}

// parse checks the MAC before it looks at anything else. Layout: magic, MAC,
// then name, rewritten module and meta, each after its u32 length, then
// machine code.
func (c *diskCache) parse(key [32]byte, b []byte) *artifact {
	const head = len(artifactMagic) + macSize
	if len(b) < head || string(b[:len(artifactMagic)]) != artifactMagic {
		return nil
	}
	body := b[head:]
	if !bytes.Equal(b[len(artifactMagic):head], c.mac(key, body)) {
		return nil
	}
	name, body, ok := cutPrefixed(body)
	if !ok {
		return nil
	}
	wasm, body, ok := cutPrefixed(body)
	if !ok {
		return nil
	}
	meta, native, ok := cutPrefixed(body)
	if !ok {
		return nil
	}
	p, ok := parsePrepared(wasm, meta)
	if !ok {
		return nil
	}
	return &artifact{prepared: p, name: string(name), native: native}
}

func cutPrefixed(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	if n > uint64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+n], b[4+n:], true
}

// store writes an artifact. The cache is a convenience: a full disk costs a
// compilation later, nothing now.
func (c *diskCache) store(key [32]byte, a *artifact) error {
	prefixed := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(len(b))) }
	meta := a.meta()
	parts := [][]byte{prefixed([]byte(a.name)), []byte(a.name), prefixed(a.wasm), a.wasm, prefixed(meta), meta, a.native}
	all := append([][]byte{[]byte(artifactMagic), c.mac(key, parts...)}, parts...)
	if err := writeWhole(c.path(key), os.Rename, all...); err != nil {
		return err
	}
	c.trim(c.path(key))
	return nil
}

// trim removes the artifacts that were not used for longest until the rest,
// keep among them, is within the limit. Another process may trim at the same
// time: a file that is gone already is no error.
func (c *diskCache) trim(keep string) {
	files, err := filepath.Glob(filepath.Join(c.dir, "*.bin"))
	if err != nil {
		return
	}
	type file struct {
		path string
		size int64
		used time.Time
	}
	var all []file
	var total int64
	for _, p := range files {
		if st, err := os.Stat(p); err == nil {
			total += st.Size()
			all = append(all, file{p, st.Size(), st.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b file) int { return a.used.Compare(b.used) })
	for _, f := range all {
		if total <= c.limit {
			return
		}
		if f.path != keep {
			_ = os.Remove(f.path)
			total -= f.size
		}
	}
}
