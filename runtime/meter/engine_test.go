package meter_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/internal/frames"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/wasmbin"
)

func config() meter.Config {
	return meter.Config{Limits: meter.DefaultLimits(), Import: admitAll}
}

// rewrite rewrites b and checks that the result is valid.
func rewrite(t testing.TB, b []byte) *meter.Result {
	t.Helper()
	res, err := meter.Rewrite(b, config())
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasmbin.Decode(res.Wasm, wide)
	if err == nil {
		err = m.Check(1 << 20)
	}
	if err != nil {
		t.Fatalf("rewritten module: %v", err)
	}
	return res
}

// instance is a module on wazero, rewritten or not.
type instance struct {
	api.Module
}

func (i instance) set(name string, v uint64) {
	if g := i.ExportedGlobal(name); g != nil {
		g.(api.MutableGlobal).Set(v)
	}
}

func (i instance) get(name string) uint64 {
	if g := i.ExportedGlobal(name); g != nil {
		return g.Get()
	}
	return 0
}

// call runs fn with the given gas and returns what it used.
func (i instance) call(fn string, gas int64, args ...uint64) (res []uint64, used int64, trap abi.Trap, err error) {
	i.set(abi.GlobalGas, uint64(gas))
	i.set(abi.GlobalStack, uint64(meter.DefaultStack))
	i.set(abi.GlobalTrap, 0)
	res, err = i.ExportedFunction(fn).Call(context.Background(), args...)
	return res, gas - int64(i.get(abi.GlobalGas)), abi.Trap(i.get(abi.GlobalTrap)), err
}

// load instantiates b, with stock WASI if it wants it, and initialises it.
func load(t testing.TB, b []byte, interpreter bool) instance {
	t.Helper()
	cfg := wazero.NewRuntimeConfig()
	if interpreter {
		cfg = wazero.NewRuntimeConfigInterpreter()
	}
	i, done := loadWith(t, b, cfg)
	t.Cleanup(done)
	return i
}

// loadOn is load on the compiler, for as long as the caller wants.
func loadOn(t testing.TB, b []byte) (instance, func()) {
	t.Helper()
	return loadWith(t, b, wazero.NewRuntimeConfig())
}

func loadWith(t testing.TB, b []byte, cfg wazero.RuntimeConfig) (instance, func()) {
	t.Helper()
	frames.Lift()
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, cfg.WithCoreFeatures(api.CoreFeaturesV2))
	wasi_snapshot_preview1.MustInstantiate(ctx, rt)
	mod, err := rt.InstantiateWithConfig(ctx, b, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	i := instance{mod}
	for _, fn := range []string{abi.ExportStart, abi.ExportInitialize} {
		if mod.ExportedFunction(fn) != nil {
			if _, _, trap, err := i.call(fn, 1<<40); err != nil {
				t.Fatalf("%s: %v (%v)", fn, err, trap)
			}
		}
	}
	return i, func() { rt.Close(ctx) }
}

// kernels is the module made of testdata/kernels.c.
func kernels(t testing.TB) []byte {
	b, err := os.ReadFile("testdata/kernels.wasm")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var buildGuest = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "guest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "guest.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -buildid=", "-o", out, "./testdata/guest")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return msg, err
	}
	return os.ReadFile(out)
})

// guest is the stock Go module of testdata/guest, built by the test.
func guest(t testing.TB) []byte {
	t.Helper()
	b, err := buildGuest()
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	return b
}
