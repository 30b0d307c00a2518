package enginetest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/sandbox/enginetest"
)

// ASSAY_ENGINES=all adds the engines that need more than Go: V8 (node) and
// wazero's arm64 compiler (qemu-aarch64-static). A test then fails where one
// is missing. `make test-engines` sets it.
func allEngines() bool { return os.Getenv("ASSAY_ENGINES") == "all" }

// number is a number of cases: from the environment, or the default.
func number(t testing.TB, env string, otherwise int) int {
	t.Helper()
	s := os.Getenv(env)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s=%q: %v", env, s, err)
	}
	return n
}

var buildRunner = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "assay-runner-*")
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "runner-arm64")
	cmd := exec.Command("go", "build", "-o", out, "./runner")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, msg)
	}
	return out, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if allEngines() {
		if out, err := buildRunner(); err == nil {
			os.RemoveAll(filepath.Dir(out))
		}
	}
	os.Exit(code)
}

// engines is the oracle, wazero's two and, on request, V8's two compilers and
// wazero on arm64.
func engines(t testing.TB, cfg meter.Config) *enginetest.Set {
	t.Helper()
	s := &enginetest.Set{}
	t.Cleanup(s.Close)
	add := func(e enginetest.Engine, err error) {
		if err != nil {
			t.Fatal(err)
		}
		s.Engines = append(s.Engines, e)
	}
	for _, interpreter := range []bool{false, true} {
		w, err := enginetest.NewWazero(interpreter)
		add(w, err)
	}
	add(enginetest.NewOracle(cfg), nil)
	if !allEngines() {
		return s
	}
	v8 := func(name, flag string) {
		// V8 keeps its own count of stack bytes, in KiB; the system's has to be above it.
		p, err := enginetest.Start(enginetest.V8Name+" "+name, "sh", "-c",
			"ulimit -s unlimited 2>/dev/null || ulimit -s $(ulimit -H -s); exec node --expose-gc --stack-size=200000 "+flag+" v8.js")
		add(p, err)
	}
	v8("Liftoff", "--liftoff-only")
	v8("TurboFan", "--no-liftoff")
	runner, err := buildRunner()
	if err != nil {
		t.Fatal(err)
	}
	p, err := enginetest.Start("wazero arm64 compiler", "qemu-aarch64-static", runner)
	add(p, err)
	return s
}
