package sandbox

import (
	"context"
	"fmt"
	"os"
	goruntime "runtime"
	"sync"

	"github.com/assaynet/assay/runtime/meter"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// WazeroVersion is part of the key of every cached artifact. A test compares
// it with go.mod.
const WazeroVersion = "v1.12.0"

// DefaultCacheBytes holds about a hundred stock-Go guests of 10 MB machine code.
const DefaultCacheBytes = 1 << 30

// Config of a Runtime. The zero value is usable: compiler where the machine
// has one, no cache on disk, no memory budget.
type Config struct {
	// CacheDir keeps compiled modules between runs; empty: memory only. It is
	// created with mode 0700 and may be shared by processes.
	CacheDir string
	// CacheBytes bounds the artifacts in CacheDir; those not used for longest
	// go first. 0: DefaultCacheBytes.
	CacheBytes int64
	// Compile bounds the process that compiles a module; zero fields:
	// ExecutionCompile. Beyond them Admit fails as a failure of this host.
	Compile CompileLimits
	// TrustModules compiles in this process, without bounds: only for modules
	// whose author may take any time and memory. The interpreter, which does
	// not optimize, and systems other than Linux compile here in any case.
	TrustModules bool
	// Interpreter selects wazero's interpreter. Results, traps and gas are
	// those of the compiler.
	Interpreter bool
	// Limits of the profile; nil: meter.DefaultLimits. Nodes that must agree
	// use equal limits.
	Limits *meter.Limits
	// Costs is the schedule of instruction prices; nil: meter.DefaultSchedule.
	// Nodes that must agree use equal schedules.
	Costs *meter.Schedule
	// MemoryBudget bounds the sum of the memory maxima of all live instances
	// and of what is reserved, in bytes; 0 is unlimited. An instance that does
	// not fit is refused with ErrMemory before it starts, or waits (Job.Wait).
	// Kernels are not in it: their memory is tensors, which devices account for.
	MemoryBudget uint64
}

// Runtime admits, compiles and instantiates modules. It is safe for
// concurrent use.
type Runtime struct {
	cfg      Config
	wz       wazero.Runtime
	wzc      wazero.CompilationCache // nil without a cache
	comp     compiler
	meter    meter.Config
	traps    *engineTraps
	budget   Share
	gate     gate
	initGas  int64 // InitGas; less in tests
	platform platform

	ctx    context.Context // until Close
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	closed  bool
	modules map[[32]byte]*Module
}

// New makes a Runtime. Its errors are *HostError.
func New(cfg Config) (*Runtime, error) {
	r, err := open(cfg)
	if err != nil {
		return nil, hostErr("open", err)
	}
	return r, nil
}

func open(cfg Config) (_ *Runtime, err error) {
	rc := runtimeConfig(wazero.NewRuntimeConfig())
	if cfg.Interpreter {
		rc = runtimeConfig(wazero.NewRuntimeConfigInterpreter())
	}
	if cfg.Compile.CPU <= 0 {
		cfg.Compile.CPU = ExecutionCompile.CPU
	}
	if cfg.Compile.Memory == 0 {
		cfg.Compile.Memory = ExecutionCompile.Memory
	}
	r := &Runtime{cfg: cfg, initGas: InitGas, platform: thisPlatform, modules: map[[32]byte]*Module{}}
	r.gate.idle = make(chan struct{})
	r.meter = meterConfig(cfg.Limits, cfg.Costs)
	r.budget.limit = cfg.MemoryBudget
	if r.traps, err = collectEngineTraps(); err != nil {
		return nil, err
	}
	r.comp.direct = cfg.Interpreter || cfg.TrustModules || !canSpawn || !compilerSupported
	r.comp.root = cfg.CacheDir
	if cfg.CacheDir == "" {
		r.comp.root = os.TempDir()
	} else if r.comp.disk, err = openCache(cfg.CacheDir, cfg.CacheBytes); err != nil {
		return nil, err
	}
	if r.comp.disk != nil || !r.comp.direct {
		if r.wzc, err = r.comp.open(); err != nil {
			return nil, err
		}
		rc = rc.WithCompilationCache(r.wzc)
	}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	r.wz = wazero.NewRuntimeWithConfig(r.ctx, rc)
	r.comp.wz = r.wz
	if err := instantiateHost(r.ctx, r.wz); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// runtimeConfig is what every engine of this package has in common: the
// machine code depends on it.
func runtimeConfig(rc wazero.RuntimeConfig) wazero.RuntimeConfig {
	return rc.WithCoreFeatures(api.CoreFeaturesV2).WithDebugInfoEnabled(false)
}

// compilerSupported says that wazero has a compiler for this processor.
const compilerSupported = goruntime.GOARCH == "amd64" || goruntime.GOARCH == "arm64"

// Close frees every instance, module and kernel of the runtime. A compilation
// ends at once. A guest that is running ends at its next host call, or when it
// has used its slice of gas, with a *HostError; Close waits for it. Idempotent. Emit must not call it.
func (r *Runtime) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	r.mu.Unlock()
	r.cancel(ErrClosed) // ends the compiler process
	r.gate.close()
	r.mu.Lock()
	defer r.mu.Unlock()
	ctx := context.Background()
	err := r.wz.Close(ctx)
	for _, m := range r.modules {
		m.dropSnapshot()
	}
	if r.wzc != nil {
		if e := r.wzc.Close(ctx); err == nil {
			err = e
		}
	}
	return hostErr("close", err)
}

// CacheStats reports on the cache on disk; zero without one.
func (r *Runtime) CacheStats() CacheStats {
	d := r.comp.disk
	if d == nil {
		return CacheStats{}
	}
	return CacheStats{Hits: d.hits.Load(), Misses: d.misses.Load(), Rejected: d.rejected.Load()}
}

// compileContext asks wazero for parallel compilation, on whose number of
// workers the machine code does not depend, and for a call of the host where
// function refill asks for gas.
func compileContext(ctx context.Context, refill uint32) context.Context {
	ctx = experimental.WithFunctionListenerFactory(ctx, refillHook{refill})
	return experimental.WithCompilationWorkers(ctx, min(4, goruntime.GOMAXPROCS(0)))
}

// instantiate makes an instance of compiled with memory as alloc says. No code
// of the module runs. The reservation is nil if the module has no memory.
func (r *Runtime) instantiate(ctx context.Context, compiled wazero.CompiledModule, alloc *allocator) (mod api.Module, mem *reservation, err error) {
	defer func() {
		if err == nil {
			return
		}
		mod, mem = nil, nil
		if alloc.got == nil {
			alloc.share.give(alloc.limit)
		} else {
			alloc.got.Free()
		}
	}()
	defer func() {
		if p := recover(); p != nil {
			if err = alloc.err; err == nil {
				err = fmt.Errorf("instantiate: %v", p)
			}
		}
	}()
	cfg := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	mod, err = r.wz.InstantiateModule(experimental.WithMemoryAllocator(ctx, alloc), compiled, cfg)
	return mod, alloc.got, err
}

// waitFor waits for memory until the caller's context or the runtime ends.
func (r *Runtime) waitFor(ctx context.Context, s *Share, n uint64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.ctx, func() { cancel(ErrClosed) })()
	return s.wait(ctx, n)
}
