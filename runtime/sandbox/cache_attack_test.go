package sandbox

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestArtifactBytes: with any one bit of an artifact changed, cut off at any
// length or made longer, nothing of it is used.
func TestArtifactBytes(t *testing.T) {
	dir := t.TempDir()
	c, err := openCache(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	key := [32]byte{7}
	a := &artifact{prepared: &prepared{wasm: bytes.Repeat([]byte("wasm"), 40), data: []segment{{5, []byte("data")}},
		globals: []uint32{3}, minPages: 1, maxPages: 2, poolable: true}, name: "name", native: bytes.Repeat([]byte("native"), 60)}
	if err := c.store(key, a); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(c.path(key))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.parse(key, good); got == nil || !bytes.Equal(got.native, a.native) || got.maxPages != 2 {
		t.Fatalf("%+v", got)
	}
	b := bytes.Clone(good)
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			if c.parse(key, b) != nil {
				t.Fatalf("bit %d of byte %d does not matter", bit, i)
			}
			b[i] ^= 1 << bit
		}
		if c.parse(key, good[:i]) != nil {
			t.Fatalf("cut off at %d", i)
		}
	}
	for _, more := range []string{"\x00", "more", string(good)} {
		if c.parse(key, append(bytes.Clone(good), more...)) != nil {
			t.Fatalf("%d bytes more", len(more))
		}
	}
	other := &diskCache{dir: dir, key: c.key}
	other.key[31] ^= 1
	if other.parse(key, good) != nil || c.parse([32]byte{8}, good) != nil {
		t.Fatal("bound to neither key nor name")
	}
}

const (
	hammerEnv  = "ASSAY_SANDBOX_HAMMER_CHILD"
	hammerRuns = 40
)

func init() {
	children[hammerEnv] = hammerChild
	children[writerEnv] = writerChild
}

// hammerChild runs guests through a cache that holds only a few of them.
func hammerChild() int {
	t := &childTB{}
	for n := range hammerRuns {
		_, out := runCached(t, Config{CacheDir: os.Getenv(hammerEnv), CacheBytes: 60_000, TrustModules: true}, cacheGuest(byte(n%10)))
		fmt.Println(n%10, out.GasUsed, string(out.Log))
	}
	return 0
}

// TestCacheHammered: processes that share a cache which is trimmed all the
// time, while somebody flips bits in it, cuts and removes files, all get every
// result right.
func TestCacheHammered(t *testing.T) {
	dir := t.TempDir()
	const processes = 3
	ended := make(chan string, processes)
	for range processes {
		go func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), hammerEnv+"="+dir)
			out, err := cmd.CombinedOutput()
			if err != nil {
				out = append(out, err.Error()...)
			}
			ended <- string(out)
		}()
	}
	rng := rand.New(rand.NewPCG(1, 2))
	vandalized := 0
	var outs []string
	for len(outs) < processes {
		select {
		case out := <-ended:
			outs = append(outs, out)
		default:
			files := artifacts(t, dir)
			if len(files) == 0 {
				continue
			}
			path := files[rng.IntN(len(files))]
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				continue // trimmed
			}
			if st, err := f.Stat(); err == nil && st.Size() > 0 {
				at := rng.Int64N(st.Size())
				switch rng.IntN(3) {
				case 0:
					var b [1]byte
					if _, err := f.ReadAt(b[:], at); err == nil {
						b[0] ^= 1 << rng.IntN(8)
						_, _ = f.WriteAt(b[:], at)
					}
				case 1:
					_ = f.Truncate(at)
				default:
					_ = os.Remove(path)
				}
				vandalized++
			}
			f.Close()
		}
	}
	for _, out := range outs {
		if out != outs[0] || strings.Count(out, " ok\n") != hammerRuns {
			t.Fatalf("a process differs or failed:\n%s\n%s", outs[0], out)
		}
	}
	t.Logf("%d files damaged", vandalized)
	if vandalized == 0 {
		t.Fatal("nothing was damaged")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, stagePrefix+"*")); len(left) != 0 {
		t.Fatalf("left: %v", left)
	}
}

const writerEnv = "ASSAY_SANDBOX_WRITER_CHILD"

// writerChild stores artifacts until it is killed.
func writerChild() int {
	c, err := openCache(os.Getenv(writerEnv), 0)
	if err != nil {
		return 1
	}
	fmt.Println("ready")
	a := &artifact{prepared: &prepared{}, name: "name", native: bytes.Repeat([]byte("native"), 4<<20)}
	for {
		if err := c.store([32]byte{1}, a); err != nil {
			return 1
		}
	}
}

// TestKilledWhileWriting: kill -9 of a process that writes an artifact leaves
// the one before or none under its name, and the rest is swept.
func TestKilledWhileWriting(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writerEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
			t.Fatal(line, err)
		}
		half := func() bool { // a file is being written
			files, _ := filepath.Glob(filepath.Join(dir, stagePrefix+"*", "file"))
			for _, f := range files {
				if st, err := os.Stat(f); err == nil && st.Size() > 0 {
					return true
				}
			}
			return false
		}
		for !half() {
			if err := t.Context().Err(); err != nil {
				t.Fatal(err)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		c, err := openCache(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		if a := c.load([32]byte{1}); a == nil && c.rejected.Load() != 0 {
			t.Fatal("half an artifact under its name")
		} else if a != nil && len(a.native) != 6*4<<20 {
			t.Fatalf("artifact of %d bytes", len(a.native))
		}
		sweepStages(dir)
		if left, _ := filepath.Glob(filepath.Join(dir, stagePrefix+"*")); len(left) != 0 {
			t.Fatalf("left: %v", left)
		}
	}
}
