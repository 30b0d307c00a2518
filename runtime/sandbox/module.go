package sandbox

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync/atomic"

	"github.com/tetratelabs/wazero"
)

// Module is an admitted and compiled module. It is safe for concurrent use.
type Module struct {
	rt       *Runtime
	hash     [32]byte
	compiled wazero.CompiledModule
	prepared *prepared
	exports  map[string]bool
	cost     CompileCost

	snapTaken atomic.Bool // by the first instance that got so far
	snap      atomic.Pointer[snapshot]

	refs int           // under rt.mu: Admit calls not closed, and live instances
	done chan struct{} // closed when admission ended
	err  error         // of admission
}

// Admit checks a module against the profile, rewrites and compiles it, and
// keeps the result by the SHA-256 of wasm. A module that is admitted already
// costs a hash. *meter.InvalidModuleError and *meter.LimitError are the
// module's fault; anything else is a *HostError. Each successful Admit is
// undone by one Close.
func (r *Runtime) Admit(wasm []byte) (*Module, error) {
	if err := r.gate.enter(); err != nil {
		return nil, hostErr("admit", err)
	}
	defer r.gate.leave()
	hash := sha256.Sum256(wasm)
	r.mu.Lock()
	m, known := r.modules[hash]
	if !known {
		m = &Module{rt: r, hash: hash, done: make(chan struct{})}
		r.modules[hash] = m
	}
	m.refs++
	r.mu.Unlock()
	if known {
		<-m.done
		if m.err != nil {
			return nil, m.err // whoever ran the admission has forgotten it
		}
		return m, nil
	}
	m.err = m.admit(wasm)
	if m.err != nil {
		r.mu.Lock()
		delete(r.modules, hash)
		r.mu.Unlock()
	}
	close(m.done)
	if m.err != nil {
		return nil, m.err
	}
	return m, nil
}

func (m *Module) admit(wasm []byte) (err error) {
	defer func() {
		// A bug in a decoder must cost a stranger's upload, not the process.
		if p := recover(); p != nil {
			err = &HostError{Op: "admit", Err: fmt.Errorf("panic: %v", p)}
		}
	}()
	r := m.rt
	m.compiled, m.prepared, m.cost, err = r.comp.compile(r.ctx, request{
		key: r.artifactKey(m.hash), limits: r.cfg.Compile, make: func() (*prepared, error) {
			p, _, err := admission(wasm, r.meter)
			return p, err
		}})
	if err != nil {
		return admitErr(err)
	}
	m.exports = map[string]bool{}
	for name := range m.compiled.ExportedFunctions() {
		m.exports[name] = true
	}
	return nil
}

// Hash is the SHA-256 of the original bytes.
func (m *Module) Hash() [32]byte { return m.hash }

// Cost is what compiling the module took; zero if it came from the cache or
// was compiled in this process.
func (m *Module) Cost() CompileCost { return m.cost }

// Exports reports whether the module exports a function, such as abi.ExportInfer.
func (m *Module) Exports(name string) bool { return m.exports[name] }

// Close undoes one Admit. The module is freed when it was closed as often as
// it was admitted and its last instance is closed.
func (m *Module) Close() { m.release() }

func (m *Module) retain() error {
	m.rt.mu.Lock()
	defer m.rt.mu.Unlock()
	if m.rt.closed || m.refs == 0 {
		return ErrClosed
	}
	m.refs++
	return nil
}

func (m *Module) release() {
	r := m.rt
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.refs == 0 {
		return
	}
	if m.refs--; m.refs == 0 && !r.closed {
		delete(r.modules, m.hash)
		_ = m.compiled.Close(context.Background())
		m.dropSnapshot()
	}
}

func (m *Module) dropSnapshot() {
	if s := m.snap.Swap(nil); s != nil {
		s.image.release()
	}
}
