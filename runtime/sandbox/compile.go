package sandbox

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
)

// compiler compiles one module at a time, through the cache on disk if there
// is one. wazero finds and leaves its machine code in a private directory,
// which holds at most one file, for as long as one compilation.
type compiler struct {
	mu    sync.Mutex
	wz    wazero.Runtime
	disk  *diskCache // nil: none
	stage string     // private directory; empty without a cache
}

// compile returns make's result for a key with its compiled form. make is not
// called if the cache holds the artifact.
func (c *compiler) compile(ctx context.Context, key [32]byte, make func() (*prepared, error)) (wazero.CompiledModule, *prepared, error) {
	if c.disk == nil {
		p, err := make()
		if err != nil {
			return nil, nil, err
		}
		compiled, err := c.wz.CompileModule(compileContext(ctx), p.wasm)
		return compiled, p, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.disk.load(key); a != nil {
		if compiled, err := c.restore(ctx, a); err == nil {
			return compiled, a.prepared, nil
		}
	}
	p, err := make()
	if err != nil {
		return nil, nil, err
	}
	if err := c.clear(); err != nil {
		return nil, nil, err
	}
	compiled, err := c.wz.CompileModule(compileContext(ctx), p.wasm)
	if err != nil {
		return nil, nil, err
	}
	a := &artifact{prepared: p}
	if a.name, a.native, err = c.staged(); err == nil {
		// Failing to keep it costs time later, nothing else.
		_ = c.disk.store(key, a)
	}
	_ = c.clear()
	return compiled, p, nil
}

// restore hands a verified artifact to wazero.
func (c *compiler) restore(ctx context.Context, a *artifact) (wazero.CompiledModule, error) {
	if err := c.clear(); err != nil {
		return nil, err
	}
	defer c.clear()
	if a.name != "" {
		dir, err := c.dir()
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(a.name)), a.native, 0o600); err != nil {
			return nil, err
		}
	}
	return c.wz.CompileModule(compileContext(ctx), a.wasm)
}

// dir is the folder inside stage that wazero made for its version and platform.
func (c *compiler) dir() (string, error) {
	entries, err := os.ReadDir(c.stage)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), "wazero-") {
			return filepath.Join(c.stage, e.Name()), nil
		}
	}
	return "", os.ErrNotExist
}

// staged returns the one file that a compilation left; none under the interpreter.
func (c *compiler) staged() (name string, native []byte, err error) {
	dir, err := c.dir()
	if err != nil {
		return "", nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return "", nil, err
	}
	native, err = os.ReadFile(filepath.Join(dir, entries[0].Name()))
	return entries[0].Name(), native, err
}

func (c *compiler) clear() error {
	dir, err := c.dir()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if rerr := os.Remove(filepath.Join(dir, e.Name())); err == nil {
			err = rerr
		}
	}
	return err
}
