package sandbox

import (
	"context"
	"fmt"
	goruntime "runtime"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// WazeroVersion is part of the key of every cached artifact. A test compares
// it with go.mod.
const WazeroVersion = "v1.12.0"

// Config of a Runtime. The zero value is usable: compiler where the machine
// has one, no cache on disk, no memory budget.
type Config struct {
	// CacheDir keeps compiled modules between runs; empty: memory only. It is
	// created with mode 0700 and may be shared by processes.
	CacheDir string
	// Interpreter selects wazero's interpreter. Results, traps and gas are
	// those of the compiler.
	Interpreter bool
	// MemoryBudget bounds the sum of the memory maxima of all live instances,
	// in bytes; 0 is unlimited. An instance that does not fit is refused
	// before it starts.
	MemoryBudget uint64
}

// Runtime compiles and instantiates modules. It is safe for concurrent use.
type Runtime struct {
	cfg    Config
	wz     wazero.Runtime
	budget budget

	mu     sync.Mutex
	closed bool
}

// New makes a Runtime. Its errors are *HostError.
func New(cfg Config) (*Runtime, error) {
	rc := wazero.NewRuntimeConfig()
	if cfg.Interpreter {
		rc = wazero.NewRuntimeConfigInterpreter()
	}
	rc = rc.WithCoreFeatures(api.CoreFeaturesV2).WithDebugInfoEnabled(false)
	r := &Runtime{cfg: cfg}
	r.budget.limit = cfg.MemoryBudget
	r.wz = wazero.NewRuntimeWithConfig(context.Background(), rc)
	return r, nil
}

// Close frees every instance, module and kernel of the runtime.
func (r *Runtime) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	return hostErr("close", r.wz.Close(context.Background()))
}

// compileContext asks wazero for parallel compilation; the machine code does
// not depend on the number of workers.
func compileContext(ctx context.Context) context.Context {
	return experimental.WithCompilationWorkers(ctx, min(4, goruntime.GOMAXPROCS(0)))
}

// instantiate makes an instance of compiled whose memory comes from this
// runtime's budget. No code of the module runs. The reservation is nil if the
// module has no memory.
func (r *Runtime) instantiate(ctx context.Context, compiled wazero.CompiledModule) (mod api.Module, mem *reservation, err error) {
	alloc := &allocator{budget: &r.budget}
	defer func() {
		if err == nil {
			return
		}
		mod, mem = nil, nil
		if alloc.got != nil && alloc.got.budget != nil {
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
