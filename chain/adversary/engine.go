package adversary

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/transformerpow/shape"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/recheck"
)

// small is transformerpow at two narrow layers: the module is the real one, a unit takes ten
// microseconds.
var small = shape.Shape{Layers: 2, Width: 16, Heads: 2, KVHeads: 2, FFN: 16, Tokens: 2}

// Lab owns the sandbox, the device and the compiled modules of a process. It is safe for
// concurrent use.
type Lab struct {
	runtime *sandbox.Runtime
	device  device.Device
	works   map[string]recheck.Work
	keep    []*sandbox.Module
}

// NewLab compiles the modules; cache is a folder for compiled code, or empty for none.
func NewLab(cache string) (*Lab, error) {
	l := &Lab{works: make(map[string]recheck.Work)}
	var err error
	if l.runtime, err = sandbox.New(sandbox.Config{CacheDir: cache}); err != nil {
		return nil, err
	}
	if l.device, err = cpudev.New(cpudev.Config{Threads: 1}); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	for name, params := range map[string][]byte{
		catalog.HashPow: {1, 0, 0, 0}, catalog.TransformerPow: small.Encode(),
	} {
		e, err := catalog.Get(name)
		if err == nil {
			var m *sandbox.Module
			if m, err = l.runtime.Admit(e.Wasm); err == nil {
				l.keep = append(l.keep, m)
			}
		}
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.works[name] = recheck.Work{
			ModuleHash: sha256.Sum256(e.Wasm), Wasm: e.Wasm, Params: params,
			TensorBytes: max(e.Manifest.TensorBytes, small.TensorBytes(small.Pass())), GasSetup: e.Manifest.GasSetup, GasUnit: e.Manifest.GasUnit,
		}
	}
	return l, nil
}

// Close frees everything; no world may be running.
func (l *Lab) Close() error {
	for _, m := range l.keep {
		m.Close()
	}
	var errs []error
	if l.device != nil {
		errs = append(errs, l.device.Close())
	}
	return errors.Join(append(errs, l.runtime.Close())...)
}

// engine computes and re-executes the units of one world. It is used by one goroutine at a time.
type engine struct {
	work    recheck.Work
	checker *recheck.Checker
	ctx     context.Context

	mu   sync.Mutex
	jobs map[[32]byte]audittypes.Job
}

func (l *Lab) engine(ctx context.Context, module string, dev device.Device) (*engine, error) {
	work, ok := l.works[module]
	if !ok {
		return nil, fmt.Errorf("adversary: no module %q", module)
	}
	if dev == nil {
		dev = l.device
	}
	return &engine{
		work: work, ctx: ctx, jobs: make(map[[32]byte]audittypes.Job),
		checker: recheck.New(recheck.Config{Runtime: l.runtime, Device: dev, Idle: 1}),
	}, nil
}

func (e *engine) close() error { return e.checker.Close() }

// units computes units of a claimant; with a key also their keyed digests.
func (e *engine) units(seed, identity []byte, indexes []uint64, key *[32]byte) ([]sandbox.Unit, error) {
	w := e.work
	w.Seed, w.Identity = [32]byte(seed), identity
	return e.checker.Units(e.ctx, w, indexes, key)
}

// mine computes the digests of the first units.
func (e *engine) mine(seed, identity []byte, count uint64) ([]commit.Digest, error) {
	indexes := make([]uint64, count)
	for i := range indexes {
		indexes[i] = uint64(i)
	}
	units, err := e.units(seed, identity, indexes, nil)
	return recheck.Digests(units), err
}

// The engine is the registry that names the work: governance changes nothing in a simulation.

func (e *engine) OpenEpoch(context.Context, uint64) (sprinttypes.Work, error) {
	return sprinttypes.Work{
		ModuleHash: slices.Clone(e.work.ModuleHash[:]), Params: e.work.Params, TensorBytes: e.work.TensorBytes,
		GasSetup: e.work.GasSetup, GasUnit: e.work.GasUnit,
	}, nil
}

func (e *engine) ModuleFailed(_ context.Context, epoch uint64) error {
	return fmt.Errorf("adversary: the module failed in epoch %d", epoch)
}

// The engine is the rechecker that adjudicates: each accused unit in a fresh instance.

func (e *engine) Queue(j audittypes.Job) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.jobs[j.ID] = j
}

func (e *engine) Wait(id [32]byte) ([32]byte, uint8) {
	e.mu.Lock()
	j, ok := e.jobs[id]
	delete(e.jobs, id)
	e.mu.Unlock()
	if !ok {
		panic("adversary: waits for a job that was not queued")
	}
	w := e.work
	w.Seed, w.Identity = j.Seed, j.Identity
	var digest commit.Digest
	var err error
	if j.Key == nil {
		digest, err = e.checker.Unit(e.ctx, w, j.Index)
	} else {
		digest, err = e.checker.KeyedUnit(e.ctx, w, j.Index, *j.Key)
	}
	var trap *recheck.TrapError
	switch {
	case errors.As(err, &trap):
		return digest, uint8(trap.Trap)
	case err != nil:
		panic(fmt.Sprintf("adversary: this host failed: %v", err))
	}
	return digest, uint8(abi.TrapNone)
}
