package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assaynet/assay/runtime/meter"
)

// cacheGuest logs "ok"; its hash is fresh for each n.
func cacheGuest(n byte) []byte {
	return wasmMod{Imports: imp("log"), Min: 1, Max: 1, Data: cat("ok", n), Funcs: []wasmFunc{
		abiFunc, {Export: "infer", Body: cat(i32c(0), i32c(2), call(0))},
	}}.encode()
}

// runCached admits and runs the guest in a new runtime.
func runCached(t testing.TB, cfg Config, wasm []byte) (CacheStats, Outcome) {
	t.Helper()
	rt, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	in, err := admit(t, rt, wasm).Start(context.Background(), Job{Gas: testGas})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := in.Infer(context.Background())
	if err != nil || string(out.Log) != "ok" {
		t.Fatal(out, err)
	}
	return rt.CacheStats(), out
}

func artifacts(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.bin"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestCache(t *testing.T) {
	for _, interp := range []bool{false, true} {
		dir := t.TempDir()
		cfg := Config{TrustModules: true, CacheDir: dir, Interpreter: interp}
		wasm := cacheGuest(1)
		stats, first := runCached(t, cfg, wasm)
		if stats != (CacheStats{Misses: 1}) {
			t.Fatalf("first run: %+v", stats)
		}
		stats, second := runCached(t, cfg, wasm)
		if stats != (CacheStats{Hits: 1}) || first.GasUsed != second.GasUsed {
			t.Fatalf("second run: %+v, gas %d and %d", stats, first.GasUsed, second.GasUsed)
		}
		files := artifacts(t, dir)
		if len(files) != 1 {
			t.Fatalf("%d artifacts", len(files))
		}
		good, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		// Every byte matters: a flipped bit anywhere, and each kind of truncation.
		var bad [][]byte
		for at := 0; at < len(good); at += 1 + len(good)/47 {
			b := bytes.Clone(good)
			b[at] ^= 0x10
			bad = append(bad, b)
		}
		bad = append(bad, nil, good[:7], good[:40], good[:len(good)-1], append(bytes.Clone(good), 0))
		for i, b := range bad {
			if err := os.WriteFile(files[0], b, 0o600); err != nil {
				t.Fatal(err)
			}
			stats, out := runCached(t, cfg, wasm)
			if stats != (CacheStats{Rejected: 1}) || out.GasUsed != first.GasUsed {
				t.Fatalf("damaged artifact %d: %+v, gas %d", i, stats, out.GasUsed)
			}
			if again, err := os.ReadFile(files[0]); err != nil || !bytes.Equal(again, good) {
				t.Fatalf("artifact %d was not repaired (%v)", i, err)
			}
		}
	}
}

// TestCacheArtifactIsBoundToItsKey: a whole artifact under another's name is
// not used.
func TestCacheArtifactIsBoundToItsKey(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{TrustModules: true, CacheDir: dir}
	runCached(t, cfg, cacheGuest(1))
	one := artifacts(t, dir)[0]
	runCached(t, cfg, cacheGuest(2))
	for _, f := range artifacts(t, dir) {
		if f != one {
			if err := os.Rename(f, one); err != nil {
				t.Fatal(err)
			}
		}
	}
	if stats, _ := runCached(t, cfg, cacheGuest(1)); stats.Rejected != 1 {
		t.Fatalf("%+v", stats)
	}
}

// TestCacheKey: another platform, another schedule, other limits or the other
// engine never find the artifact.
func TestCacheKey(t *testing.T) {
	for name, change := range map[string]func(*platform){
		"host calls":       func(p *platform) { p.abi++ },
		"rewriter":         func(p *platform) { p.rewriter++ },
		"wazero":           func(p *platform) { p.wazero = "v1.12.1" },
		"operating system": func(p *platform) { p.system += "x" },
		"processor":        func(p *platform) { p.cpu += " HasSomethingElse:true" },
		"nothing":          func(*platform) {},
	} {
		dir := t.TempDir()
		runCached(t, Config{TrustModules: true, CacheDir: dir}, cacheGuest(1))
		rt, err := New(Config{TrustModules: true, CacheDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		change(&rt.platform)
		admit(t, rt, cacheGuest(1))
		want := CacheStats{Misses: 1}
		if name == "nothing" {
			want = CacheStats{Hits: 1}
		}
		if stats := rt.CacheStats(); stats != want {
			t.Errorf("another %s: %+v", name, stats)
		}
		rt.Close()
	}
	if len(cpuFeatures) < 200 || !strings.Contains(cpuFeatures, "HasAVX512VNNI:") || !strings.Contains(cpuFeatures, "HasASIMDDP:") {
		t.Errorf("processor features: %s", cpuFeatures)
	}
	dir := t.TempDir()
	wasm := cacheGuest(1)
	_, first := runCached(t, Config{TrustModules: true, CacheDir: dir}, wasm)
	costs := meter.DefaultSchedule()
	for i := range costs.Core {
		costs.Core[i]++
	}
	stats, out := runCached(t, Config{TrustModules: true, CacheDir: dir, Costs: costs}, wasm)
	if stats.Misses != 1 || out.GasUsed == first.GasUsed {
		t.Fatalf("other costs: %+v, gas %d and %d", stats, first.GasUsed, out.GasUsed)
	}
	limits := meter.DefaultLimits()
	limits.Nesting--
	for name, cfg := range map[string]Config{
		"limits": {TrustModules: true, CacheDir: dir, Limits: &limits},
		"engine": {TrustModules: true, CacheDir: dir, Interpreter: true},
	} {
		if stats, out := runCached(t, cfg, wasm); stats.Misses != 1 || out.GasUsed != first.GasUsed {
			t.Fatalf("%s: %+v, gas %d and %d", name, stats, first.GasUsed, out.GasUsed)
		}
	}
	if n := len(artifacts(t, dir)); n != 4 {
		t.Fatalf("%d artifacts", n)
	}
}

// TestCacheMACKey: a key that others could read is replaced, and artifacts
// under another key are not used.
func TestCacheMACKey(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{TrustModules: true, CacheDir: dir}
	runCached(t, cfg, cacheGuest(1))
	path := filepath.Join(dir, macKeyFile)
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 || st.Size() != macSize {
		t.Fatalf("%v %v", st, err)
	}
	key, _ := os.ReadFile(path)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if stats, _ := runCached(t, cfg, cacheGuest(1)); stats.Rejected != 1 {
		t.Fatalf("%+v", stats)
	}
	fresh, _ := os.ReadFile(path)
	if bytes.Equal(fresh, key) {
		t.Fatal("exposed key kept")
	}
	if stats, _ := runCached(t, cfg, cacheGuest(1)); stats.Hits != 1 {
		t.Fatalf("%+v", stats)
	}
	if err := os.WriteFile(path, fresh[:10], 0o600); err != nil {
		t.Fatal(err)
	}
	if stats, _ := runCached(t, cfg, cacheGuest(1)); stats.Rejected != 1 {
		t.Fatalf("%+v", stats)
	}
}

// TestCacheIsBounded: the artifacts used last stay.
func TestCacheIsBounded(t *testing.T) {
	dir := t.TempDir()
	runCached(t, Config{TrustModules: true, CacheDir: dir}, cacheGuest(0))
	st, err := os.Stat(artifacts(t, dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{TrustModules: true, CacheDir: dir, CacheBytes: 3*st.Size() + st.Size()/2}
	age := func() { // file times are too coarse to order quick runs
		for _, f := range artifacts(t, dir) {
			st, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			old := st.ModTime().Add(-time.Minute)
			if err := os.Chtimes(f, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n := range byte(6) {
		runCached(t, cfg, cacheGuest(n))
		age()
		runCached(t, cfg, cacheGuest(0)) // stays in use
		age()
	}
	if n := len(artifacts(t, dir)); n != 3 {
		t.Fatalf("%d artifacts", n)
	}
	for n, hit := range map[byte]uint64{0: 1, 4: 1, 5: 1} {
		if stats, _ := runCached(t, cfg, cacheGuest(n)); stats.Hits != hit {
			t.Fatalf("guest %d: %+v", n, stats)
		}
	}
	if stats, _ := runCached(t, cfg, cacheGuest(1)); stats.Misses != 1 {
		t.Fatalf("%+v", stats)
	}
}

const (
	childEnv  = "ASSAY_SANDBOX_CACHE_CHILD"
	childRuns = 8
)

// cacheChild is a process of TestCacheShared: it runs several guests through
// the cache and prints their gas.
func cacheChild() int {
	t := &childTB{}
	for n := range byte(childRuns) {
		_, out := runCached(t, Config{TrustModules: true, CacheDir: os.Getenv(childEnv)}, cacheGuest(n))
		fmt.Println(out.GasUsed)
	}
	return 0
}

// childTB lets a child process use the helpers; a failure ends it.
type childTB struct{ testing.TB }

func (*childTB) Helper() {}
func (*childTB) Fatal(args ...any) {
	fmt.Println(args...)
	os.Exit(1)
}
func (t *childTB) Fatalf(format string, args ...any) { t.Fatal(fmt.Sprintf(format, args...)) }

// TestCacheShared runs processes against one new cache directory.
func TestCacheShared(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	const processes = 4
	outs := make([]string, processes)
	var wg sync.WaitGroup
	for i := range processes {
		wg.Add(1)
		go func() {
			defer wg.Done()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childEnv+"="+dir)
			b, err := cmd.CombinedOutput()
			outs[i] = string(b)
			if err != nil {
				outs[i] += err.Error()
			}
		}()
	}
	wg.Wait()
	for _, out := range outs {
		if strings.Count(out, "\n") != childRuns || out != outs[0] {
			t.Fatalf("processes differ or failed: %q", outs)
		}
	}
	for n := range byte(childRuns) {
		if stats, _ := runCached(t, Config{TrustModules: true, CacheDir: dir}, cacheGuest(n)); stats.Hits != 1 {
			t.Fatalf("guest %d: %+v", n, stats)
		}
	}
	left, _ := filepath.Glob(filepath.Join(dir, stagePrefix+"*"))
	if len(left) != 0 {
		t.Fatalf("files left: %v", left)
	}
}
