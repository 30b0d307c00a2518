package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	goruntime "runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tetratelabs/wazero"
	"golang.org/x/sys/unix"
)

// canSpawn: unknown modules are compiled in a process of their own.
const canSpawn = true

// Exit codes of the compiler process.
const (
	childDone    = 0
	childFatal   = 2 // of the Go runtime: out of memory among others
	childRefused = 3 // the engine does not compile the module
	childBroken  = 4 // the process could not do its work
	childSlow    = 5 // out of processor time
)

// A process started under childName never gets as far as main. This package
// is part of every binary that compiles modules, tests included, so none of
// them can forget the hook and run something else instead.
func init() {
	if len(os.Args) > 0 && os.Args[0] == childName {
		os.Exit(compileChild(os.Args[1:]))
	}
}

// compileChild compiles the module on standard input. Arguments: the directory
// for the result, the limits, and the function that asks for gas. It puts the limits on itself before it looks
// at the module.
func compileChild(args []string) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return childBroken
	}
	if len(args) != 4 {
		return fail(errors.New("arguments: directory, seconds, bytes, function"))
	}
	seconds, err1 := strconv.ParseUint(args[1], 10, 32)
	memory, err2 := strconv.ParseUint(args[2], 10, 62)
	refill, err3 := strconv.ParseUint(args[3], 10, 32)
	if err := errors.Join(err1, err2, err3); err != nil {
		return fail(err)
	}
	wasm, err := io.ReadAll(os.Stdin)
	if err != nil {
		return fail(err)
	}
	if err := limitChild(seconds, memory); err != nil {
		return fail(err)
	}
	cache, err := wazero.NewCompilationCacheWithDir(args[0])
	if err != nil {
		return fail(err)
	}
	ctx := context.Background()
	wz := wazero.NewRuntimeWithConfig(ctx, runtimeConfig(wazero.NewRuntimeConfigCompiler()).WithCompilationCache(cache))
	if _, err := wz.CompileModule(compileContext(ctx, uint32(refill)), wasm); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return childRefused
	}
	return childDone
}

// limitChild bounds this process.
func limitChild(seconds, memory uint64) error {
	bare, err := addressSpace()
	if err != nil {
		return err
	}
	const grace = 2 // seconds until the kernel kills what does not react
	for what, l := range map[int]unix.Rlimit{
		unix.RLIMIT_CPU:   {Cur: seconds, Max: seconds + grace},
		unix.RLIMIT_AS:    {Cur: bare + memory, Max: bare + memory},
		unix.RLIMIT_FSIZE: {Cur: maxArtifact, Max: maxArtifact},
		unix.RLIMIT_CORE:  {},
	} {
		if err := unix.Setrlimit(what, &l); err != nil {
			return fmt.Errorf("limit %d to %d: %w", what, l.Cur, err)
		}
	}
	// Collect more often instead of running into the limit.
	debug.SetMemoryLimit(int64(memory / 4 * 3))
	slow := make(chan os.Signal, 1)
	signal.Notify(slow, unix.SIGXCPU)
	go func() {
		<-slow
		os.Exit(childSlow)
	}()
	return nil
}

// addressSpace is the size of this process's, in bytes. Go reserves a good
// part of it before main and never uses it.
func addressSpace() (uint64, error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseUint(strings.Fields(string(b) + " ?")[0], 10, 62)
	return pages * uint64(os.Getpagesize()), err
}

// spawnCompiler compiles a module in a process of its own and returns the name
// and the contents of the file that it left in dir. The process dies with this
// one, and when ctx is done.
func spawnCompiler(ctx context.Context, dir string, p *prepared, l CompileLimits) (name string, native []byte, cost CompileCost, err error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = []string{childName, dir, strconv.FormatUint(l.seconds(), 10), strconv.FormatUint(l.Memory, 10), strconv.FormatUint(uint64(p.refill), 10)}
	cmd.Env = []string{"GOTRACEBACK=none", "GOMAXPROCS=" + strconv.Itoa(goruntime.GOMAXPROCS(0))}
	cmd.Stdin = bytes.NewReader(p.wasm)
	said := &tail{}
	cmd.Stderr = said
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true,            // a Ctrl-C is for the parent, which then ends the child
		Pdeathsig: syscall.SIGKILL, // however the parent ends
	}
	cmd.WaitDelay = 10 * time.Second
	ran := make(chan error, 1)
	go func() {
		// The death signal is sent when the thread that started the child ends.
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		ran <- cmd.Run()
	}()
	err = <-ran
	if s := cmd.ProcessState; s != nil {
		cost.CPU = s.UserTime() + s.SystemTime()
		if u, ok := s.SysUsage().(*syscall.Rusage); ok {
			cost.Memory = uint64(u.Maxrss) << 10
		}
	}
	if err != nil {
		return "", nil, cost, childError(ctx, err, said.String(), cost, l)
	}
	name, native, err = onlyFile(dir)
	return name, native, cost, err
}

// childError says why the compiler process ended.
func childError(ctx context.Context, err error, said string, cost CompileCost, l CompileLimits) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("start the compiler process: %w", err)
	}
	switch code := exit.ExitCode(); {
	case code == childSlow, code < 0 && cost.CPU >= time.Duration(l.seconds())*time.Second:
		return fmt.Errorf("%w: more than %d s", ErrCompileTime, l.seconds())
	case outOfMemory(said):
		return fmt.Errorf("%w: more than %d bytes", ErrCompileMemory, l.Memory)
	case code == childRefused:
		return fmt.Errorf("engine refuses an admitted module: %s", said)
	}
	return fmt.Errorf("compiler process: %w: %s", err, said)
}

// outOfMemory recognizes what the Go runtime and the C library say before they
// end a process that gets no more memory (runtime/malloc.go, mem_linux.go,
// os_linux.go; runtime/cgo/gcc_libinit.c). A test provokes it.
func outOfMemory(said string) bool {
	for _, s := range []string{"out of memory", "annot allocate memory", "failed to create new OS thread", "pthread_create failed"} {
		if strings.Contains(said, s) {
			return true
		}
	}
	return false
}

// tail keeps the first bytes of what a process says; the rest is dropped.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	const most = 2048
	t.b = append(t.b, p[:min(len(p), most-len(t.b))]...)
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.b)) }

// onlyFile reads the one file in the one folder of dir.
func onlyFile(dir string) (name string, contents []byte, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "wazero-*", "*"))
	if err != nil {
		return "", nil, err
	}
	if len(files) != 1 {
		return "", nil, fmt.Errorf("compiler process left %d files", len(files))
	}
	contents, err = os.ReadFile(files[0])
	return filepath.Base(files[0]), contents, err
}
