//go:build linux

package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/assaynet/assay/runtime/meter"
	"golang.org/x/sys/unix"
)

// branchy is admissible and slow to compile: n branches in one function cost
// wazero 2 × 10^-8 s × n².
func branchy(n int) []byte {
	return inferGuest(nil, bytes.Repeat(cat(i32c(0), 0x0D, 0), n))
}

func stagesIn(t testing.TB, dir string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, stagePrefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

func open1(t testing.TB, cfg Config) *Runtime {
	t.Helper()
	rt, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close() })
	return rt
}

// TestCompileProcess: a module compiled in its own process does what one
// compiled here does, and its artifact serves a runtime that compiles here.
func TestCompileProcess(t *testing.T) {
	dir := t.TempDir()
	wasm := cacheGuest(1)
	here := t.TempDir()
	_, want := runCached(t, Config{CacheDir: here, TrustModules: true}, wasm)
	stats, got := runCached(t, Config{CacheDir: dir}, wasm)
	if stats.Misses != 1 || got.GasUsed != want.GasUsed {
		t.Fatalf("%+v %+v %+v", stats, got, want)
	}
	if stats, _ := runCached(t, Config{CacheDir: dir, TrustModules: true}, wasm); stats.Hits != 1 {
		t.Fatalf("%+v", stats)
	}
	// Without a cache on disk as well.
	rt := open1(t, Config{})
	m := admit(t, rt, wasm)
	if c := m.Cost(); c.CPU <= 0 || c.Memory < 1<<20 {
		t.Fatalf("cost %+v: not compiled in a process", c)
	}
	if left := stagesIn(t, dir); len(left) != 0 {
		t.Fatalf("left: %v", left)
	}
}

// TestCompileTooSlow: beyond its processor time a compilation ends. It is a
// failure of the host for execution, the module's fault for an upload.
func TestCompileTooSlow(t *testing.T) {
	dir := t.TempDir()
	wasm := branchy(14_000)
	if _, err := Check(wasm, nil, nil); err != nil {
		t.Fatal(err)
	}
	rt := open1(t, Config{CacheDir: dir, Compile: CompileLimits{CPU: time.Second}})
	_, err := rt.Admit(wasm)
	var host *HostError
	if !errors.As(err, &host) || !errors.Is(err, ErrCompileTime) {
		t.Fatal(err)
	}
	if len(artifacts(t, dir)) != 0 || len(stagesIn(t, dir)) != 0 {
		t.Fatal("something is left")
	}
	admit(t, rt, cacheGuest(1)) // the runtime goes on
	var limit *meter.LimitError
	if err := admitErr(uploadRefusal(err, rt.cfg.Compile)); !errors.As(err, &limit) || errors.As(err, &host) {
		t.Fatal(err)
	}
}

// TestCompileTooLarge: the same beyond its memory.
func TestCompileTooLarge(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes address space as it likes")
	}
	dir := t.TempDir()
	rt := open1(t, Config{CacheDir: dir, Compile: CompileLimits{Memory: 48 << 20}})
	_, err := rt.Admit(guest(t, "wasi"))
	var host *HostError
	if !errors.As(err, &host) || !errors.Is(err, ErrCompileMemory) {
		t.Fatal(err)
	}
	if len(artifacts(t, dir)) != 0 || len(stagesIn(t, dir)) != 0 {
		t.Fatal("something is left")
	}
	var limit *meter.LimitError
	if err := admitErr(uploadRefusal(err, rt.cfg.Compile)); !errors.As(err, &limit) {
		t.Fatal(err)
	}
}

// TestCheckUpload: what execution takes at twice the static limits is no
// upload, and an upload is compiled ahead.
func TestCheckUpload(t *testing.T) {
	dir := t.TempDir()
	rt := open1(t, Config{CacheDir: dir})
	nested := func(n int) []byte {
		return inferGuest(nil, cat(bytes.Repeat([]byte{0x02, 0x40}, n), bytes.Repeat([]byte{0x0B}, n)))
	}
	limits := meter.DefaultLimits()
	var limit *meter.LimitError
	if _, _, err := rt.CheckUpload(nested(limits.Nesting)); !errors.As(err, &limit) { // the function itself is a level
		t.Fatal(err)
	}
	m := admit(t, rt, nested(limits.Nesting))
	m.Close()
	if _, err := rt.Admit(nested(2 * limits.Nesting)); !errors.As(err, &limit) {
		t.Fatal(err)
	}
	info, cost, err := rt.CheckUpload(cacheGuest(1))
	if err != nil || cost.CPU <= 0 {
		t.Fatal(cost, err)
	}
	before := rt.CacheStats().Hits
	if m := admit(t, rt, cacheGuest(1)); m.Hash() != info.Hash || rt.CacheStats().Hits != before+1 {
		t.Fatal("compiled again")
	}
	var invalid *meter.InvalidModuleError
	if _, _, err := rt.CheckUpload([]byte("nonsense")); !errors.As(err, &invalid) {
		t.Fatal(err)
	}
}

// TestWorstUpload: the slowest shape that the static limits admit stays within
// the bounds of an upload. go test ./runtime/meter -run TestWorstAdmitted
// searches for it.
func TestWorstUpload(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	rt := open1(t, Config{CacheDir: t.TempDir()})
	n := meter.DefaultLimits().Blocks
	for ; n > 0; n -= 16 {
		if _, err := Check(branchy(n), nil, nil); err == nil {
			break
		}
	}
	_, cost, err := rt.CheckUpload(branchy(n))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d branches in one function: %.1f s of processor time, %d MiB", n, cost.CPU.Seconds(), cost.Memory>>20)
}

// TestCloseEndsCompilation: closing the runtime kills the compiler process.
func TestCloseEndsCompilation(t *testing.T) {
	dir := t.TempDir()
	rt := open1(t, Config{CacheDir: dir})
	ended := make(chan error)
	go func() {
		_, err := rt.Admit(branchy(14_000))
		ended <- err
	}()
	waitForChild(t, os.Getpid())
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	var host *HostError
	if err := <-ended; !errors.As(err, &host) || !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if c := compilersOf(os.Getpid()); len(c) != 0 {
		t.Fatalf("processes left: %v", c)
	}
	if len(stagesIn(t, dir)) != 0 {
		t.Fatal("stage left")
	}
}

const orphanEnv = "ASSAY_SANDBOX_ORPHAN_CHILD"

func init() { children[orphanEnv] = orphanChild }

// orphanChild is the process that TestKilledWhileCompiling kills.
func orphanChild() int {
	rt, err := New(Config{CacheDir: os.Getenv(orphanEnv)})
	if err == nil {
		fmt.Println("ready")
		_, err = rt.Admit(branchy(14_000))
	}
	fmt.Println("ended:", err)
	return 1
}

// TestKilledWhileCompiling: kill -9 of a process ends its compiler, and the
// next process removes what it left.
func TestKilledWhileCompiling(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), orphanEnv+"="+dir)
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
	child := waitForChild(t, cmd.Process.Pid)
	pidfd, err := unix.PidfdOpen(child, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	// The descriptor of a process is readable once it has ended.
	for err = unix.EINTR; err == unix.EINTR; {
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(stagesIn(t, dir)) == 0 {
		t.Fatal("the process left nothing: the test kills it too early or too late")
	}
	open1(t, Config{CacheDir: dir})
	if left := stagesIn(t, dir); len(left) != 0 {
		t.Fatalf("not swept: %v", left)
	}
}

// TestStageOfOthersStays: a sweep removes no stage in use.
func TestStageOfOthersStays(t *testing.T) {
	dir := t.TempDir()
	s, err := newStage(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, stagePrefix+"link")); err != nil {
		t.Fatal(err)
	}
	sweepStages(dir)
	if left := stagesIn(t, dir); len(left) != 2 {
		t.Fatalf("%v", left)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

// compilersOf are the compiler processes that a process started.
func compilersOf(parent int) (out []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), ") ") // state, parent
		fields := strings.Fields(rest)
		cmdline, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) && bytes.HasPrefix(cmdline, []byte(childName)) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			out = append(out, pid)
		}
	}
	return out
}

// waitForChild waits until a process compiles.
func waitForChild(t *testing.T, parent int) int {
	t.Helper()
	for {
		if c := compilersOf(parent); len(c) > 0 {
			return c[0]
		}
		if err := syscall.Kill(parent, 0); err != nil {
			t.Fatal(err)
		}
		if err := context.Cause(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
