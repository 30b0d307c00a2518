package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/tetratelabs/wazero"
)

// compiler turns prepared modules into machine code, through the cache on
// disk if there is one. A module that nobody vouches for is compiled in a
// process of its own, whose result is then loaded like a cached one.
type compiler struct {
	wz     wazero.Runtime
	disk   *diskCache // nil: none
	root   string     // where stages are made
	direct bool       // never spawn: Config.TrustModules, the interpreter, no Linux

	// drop is the stage in which wazero looks for and leaves machine code,
	// and dropSub the folder in it; empty if wazero has none. It exists while
	// load is held.
	drop, dropSub string
	load          sync.Mutex // one module at a time passes through drop
	spawn         sync.Mutex // one compiler process at a time: it may take gigabytes
}

// request is one module to compile.
type request struct {
	key     [32]byte
	trusted bool // compile in this process
	limits  CompileLimits
	make    func() (*prepared, error) // not called if the cache holds the artifact
}

// open makes the place where files pass between this package and wazero.
func (c *compiler) open() (wazero.CompilationCache, error) {
	sweepStages(c.root)
	s, err := newStage(c.root)
	if err != nil {
		return nil, err
	}
	defer s.close()
	cache, err := wazero.NewCompilationCacheWithDir(s.dir)
	if err != nil {
		return nil, err
	}
	subs, err := os.ReadDir(s.dir)
	if err != nil || len(subs) != 1 {
		return nil, errors.Join(errStage, err)
	}
	c.drop, c.dropSub = s.dir, subs[0].Name()
	return cache, nil
}

var errStage = errors.New("wazero's cache directory is not as expected")

// compile returns a module's compiled form and what it cost to make; nothing
// if it came from the cache.
func (c *compiler) compile(ctx context.Context, q request) (wazero.CompiledModule, *prepared, CompileCost, error) {
	if c.disk != nil {
		if a := c.disk.load(q.key); a != nil {
			if compiled, err := c.restore(ctx, a); err == nil {
				return compiled, a.prepared, CompileCost{}, nil
			}
		}
	}
	p, err := q.make()
	if err != nil {
		return nil, nil, CompileCost{}, err
	}
	if c.direct || q.trusted {
		compiled, err := c.here(ctx, q.key, p)
		return compiled, p, CompileCost{}, err
	}
	a, cost, err := c.apart(ctx, q, p)
	if err != nil {
		return nil, nil, cost, err
	}
	compiled, err := c.restore(ctx, a)
	return compiled, p, cost, err
}

// apart compiles in a process of its own and keeps the result.
func (c *compiler) apart(ctx context.Context, q request, p *prepared) (*artifact, CompileCost, error) {
	c.spawn.Lock()
	defer c.spawn.Unlock()
	s, err := newStage(c.root)
	if err != nil {
		return nil, CompileCost{}, err
	}
	defer s.close()
	a := &artifact{prepared: p}
	var cost CompileCost
	if a.name, a.native, cost, err = spawnCompiler(ctx, s.dir, p, q.limits); err != nil {
		return nil, cost, err
	}
	c.keep(q.key, a)
	return a, cost, nil
}

// here compiles in this process and keeps the result.
func (c *compiler) here(ctx context.Context, key [32]byte, p *prepared) (wazero.CompiledModule, error) {
	if c.drop == "" {
		return c.wz.CompileModule(compileContext(ctx, p.refill), p.wasm)
	}
	c.load.Lock()
	defer c.load.Unlock()
	s, err := c.openDrop()
	if err != nil {
		return nil, err
	}
	defer s.close()
	compiled, err := c.wz.CompileModule(compileContext(ctx, p.refill), p.wasm)
	if err != nil || c.disk == nil {
		return compiled, err
	}
	a := &artifact{prepared: p}
	files, err := os.ReadDir(filepath.Join(c.drop, c.dropSub)) // none under the interpreter
	if err == nil && len(files) == 1 {
		a.name = files[0].Name()
		a.native, err = os.ReadFile(filepath.Join(c.drop, c.dropSub, a.name))
	}
	if err == nil {
		c.keep(key, a)
	}
	return compiled, nil
}

// keep stores an artifact if there is a cache. Failing costs time later,
// nothing else.
func (c *compiler) keep(key [32]byte, a *artifact) {
	if c.disk != nil {
		_ = c.disk.store(key, a)
	}
}

// restore hands a verified artifact to wazero.
func (c *compiler) restore(ctx context.Context, a *artifact) (wazero.CompiledModule, error) {
	if a.name == "" {
		return c.wz.CompileModule(compileContext(ctx, a.refill), a.wasm)
	}
	c.load.Lock()
	defer c.load.Unlock()
	s, err := c.openDrop()
	if err != nil {
		return nil, err
	}
	defer s.close()
	if err := os.WriteFile(filepath.Join(c.drop, c.dropSub, filepath.Base(a.name)), a.native, 0o600); err != nil {
		return nil, err
	}
	return c.wz.CompileModule(compileContext(ctx, a.refill), a.wasm)
}

// openDrop makes wazero's directory. The caller holds load.
func (c *compiler) openDrop() (*stage, error) {
	s, err := openStage(c.drop)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(c.drop, c.dropSub), 0o700); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}
