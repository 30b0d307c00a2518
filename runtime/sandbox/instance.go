package sandbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/tetratelabs/wazero/api"
)

// Bounds and defaults of a job.
const (
	// DefaultOutputBytes is the transcript bytes of one unit, or the token
	// bytes of one request, when the job names no other bound: 1 MiB holds
	// the digests of 32,768 tensors.
	DefaultOutputBytes = 1 << 20
	// DefaultLogBytes bounds the job log when the job names no other bound.
	DefaultLogBytes = 64 << 10
	// InitGas is the budget of initialisation (the start function,
	// _initialize and assay_abi together): a quarter of a second at most.
	InitGas = 1 << 30
	// MaxGas bounds a call's budget, so that the counter cannot wrap: it is
	// half of what the rewritten code allows for.
	MaxGas = meter.MaxGas / 2
	// MaxUnits bounds the units of one PowUnits call.
	MaxUnits = 1 << 16
	// maxIdentity is the most bytes that assay.identity gives out.
	maxIdentity = 32
)

// Job is what an instance works on. The instance keeps the slices and does not
// change them.
type Job struct {
	Device      device.Device // nil only if the module uses no tensors
	TensorBytes int64         // what the guest may allocate, by the rule device.Bytes
	Seed        [abi.SeedSize]byte
	Identity    []byte // the claimant of PowUnits until SetIdentity; at most 32 bytes
	Params      []byte
	Model       *Model // nil for proof of work
	Request     []byte
	Known       []uint32 // for Check
	Gas         int64    // budget of each PowSetup, Infer and Check call, at most MaxGas
	GasUnit     int64    // PowUnits over n units gets n times as much; 0: it gets Gas
	OutputBytes int64    // bound a unit or request; 0: DefaultOutputBytes
	LogBytes    int      // bound an instance; 0: DefaultLogBytes
	// Emit receives each token and its text as the guest emits it, and
	// returns true to tell the guest to stop. It runs on the caller's
	// goroutine and must not use the instance; the text stays valid. May be nil.
	Emit func(token uint32, text []byte) (stop bool)

	// MemoryPages is the most that the memory may grow to, in pages of 64 KiB,
	// if the module asks for more: the manifest's figure. It is part of what a
	// result depends on. 0: what the module says.
	MemoryPages uint32
	// Memory is what the memory is taken from; nil: the rest of the
	// Runtime's budget.
	Memory *Share
	// Wait makes Start wait for memory until its context ends, instead of
	// failing with ErrMemory. Whoever holds instances while it waits for
	// another may wait for itself.
	Wait bool
}

// Model is weights on a device, shared read-only by many instances. Space must
// outlive them.
type Model struct {
	Config  []byte
	Space   device.Space
	Tensors map[string]device.Handle
}

var neverCancelled atomic.Bool

// phase is the export that is running; what a guest may call depends on it.
type phase uint8

const (
	phaseInit phase = iota
	phaseSetup
	phaseUnits
	phaseInfer
	phaseCheck
)

// Instance is one guest at work on one job. It does one call at a time; others
// wait. After a trap it only reports ErrStopped.
type Instance struct {
	mu    sync.Mutex // held by a call and by Close
	mod   *Module
	inst  api.Module
	res   *reservation
	mem   api.Memory
	gas   api.MutableGlobal // of the slice that is running
	rest  api.MutableGlobal // the other gas
	depth api.MutableGlobal
	trap  api.MutableGlobal
	ctx   callContext
	funcs map[string]api.Function

	job     Job
	space   device.Space
	known   []byte
	tensors handleTable
	wasi    wasiState

	phase      phase
	initGas    int64 // used by initialisation
	stopped    bool
	closed     bool
	userCtx    context.Context
	cancelled  *atomic.Bool // of the running call
	indexes    []uint64
	transcript transcript
	output     int64
	tokens     []uint32
	text       []byte
	log        boundedLog
	stack      [1]uint64 // argument and result of an export
	hs         []device.Handle
	imms       []int64
}

// Start makes an instance of the module for a job: it reserves its memory and
// tensor memory, initialises it (the start function, then _initialize) and
// checks its ABI version. A *TrapError, *meter.InvalidModuleError or
// *meter.LimitError is the module's fault in this job, the same on every host;
// anything else is a *HostError.
func (m *Module) Start(ctx context.Context, job Job) (*Instance, error) {
	if err := m.rt.gate.enter(); err != nil {
		return nil, hostErr("start", err)
	}
	defer m.rt.gate.leave()
	if err := job.check(); err != nil {
		return nil, hostErr("start", err)
	}
	if err := m.retain(); err != nil {
		return nil, hostErr("start", err)
	}
	in := &Instance{mod: m, job: job, funcs: map[string]api.Function{}, wasi: newWASI()}
	in.ctx = callContext{context.Background(), in}
	in.known = knownBytes(job.Known)
	in.log.cap = job.LogBytes
	snap, inst, res, err := m.instantiate(ctx, in)
	if err != nil {
		m.release()
		return nil, startErr(err)
	}
	in.inst, in.res = inst, res
	if res != nil {
		in.mem = inst.Memory()
	}
	ok := false
	defer func() {
		if !ok {
			in.Close()
		}
	}()
	if err := in.bindGlobals(); err != nil {
		return nil, hostErr("start", err)
	}
	if job.Device != nil {
		limit := satAdd(job.TensorBytes, hostTensorBytes())
		var model device.Space
		if job.Model != nil {
			model = job.Model.Space
		}
		if in.space, err = device.NewSpaceNear(job.Device, model, limit); err != nil {
			return nil, hostErr("start", err)
		}
	}
	if err := in.transcript.open(in.space); err != nil {
		return nil, hostErr("start", err)
	}
	if snap != nil {
		if err := in.restore(snap); err != nil {
			return nil, hostErr("start", err)
		}
	} else if err := in.initialise(ctx); err != nil {
		return nil, err
	}
	ok = true
	return in, nil
}

// instantiate takes the memory of an instance and makes it. The snapshot is
// nil if the instance must be initialised.
func (m *Module) instantiate(ctx context.Context, in *Instance) (*snapshot, api.Module, *reservation, error) {
	pages, err := in.job.memory(m.prepared)
	if err != nil {
		return nil, nil, nil, err
	}
	alloc := &allocator{limit: uint64(pages) * wasmPage, share: in.job.Memory}
	if alloc.share == nil {
		alloc.share = &m.rt.budget
	}
	if !in.job.Wait {
		err = alloc.share.take(alloc.limit)
	} else {
		err = m.rt.waitFor(ctx, alloc.share, alloc.limit)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	// Growing may fail in one and not in the other with another maximum.
	if alloc.snap = m.snap.Load(); alloc.snap != nil && alloc.snap.maxPages != pages {
		alloc.snap = nil
	}
	inst, res, err := m.rt.instantiate(&in.ctx, m.compiled, alloc)
	return alloc.snap, inst, res, err
}

// memory is the most pages that an instance of the module gets in this job.
func (j *Job) memory(p *prepared) (uint32, error) {
	if j.MemoryPages == 0 || j.MemoryPages >= p.maxPages {
		return p.maxPages, nil
	}
	if j.MemoryPages < p.minPages {
		return 0, &meter.LimitError{Limit: "memory pages of the job", Value: uint64(p.minPages), Max: uint64(j.MemoryPages)}
	}
	return j.MemoryPages, nil
}

// startErr keeps the one fault of a module before it runs apart from the
// host's.
func startErr(err error) error {
	var limit *meter.LimitError
	if errors.As(err, &limit) {
		return err
	}
	return hostErr("start", err)
}

func (j *Job) check() error {
	if j.OutputBytes == 0 {
		j.OutputBytes = DefaultOutputBytes
	}
	if j.LogBytes == 0 {
		j.LogBytes = DefaultLogBytes
	}
	switch {
	case j.Gas < 0 || j.Gas > MaxGas || j.GasUnit < 0 || j.GasUnit > MaxGas:
		return fmt.Errorf("job: gas %d, %d a unit: outside [0, %d]", j.Gas, j.GasUnit, int64(MaxGas))
	case j.TensorBytes < 0 || j.OutputBytes < 0 || j.LogBytes < 0:
		return fmt.Errorf("job: negative bound")
	case len(j.Identity) > maxIdentity:
		return fmt.Errorf("job: identity of %d bytes, at most %d", len(j.Identity), maxIdentity)
	case j.Device == nil && j.TensorBytes > 0:
		return ErrNoDevice
	}
	return nil
}

func (in *Instance) bindGlobals() error {
	for name, to := range map[string]*api.MutableGlobal{
		abi.GlobalGas: &in.gas, abi.GlobalReserve: &in.rest, abi.GlobalStack: &in.depth, abi.GlobalTrap: &in.trap,
	} {
		g, ok := in.inst.ExportedGlobal(name).(api.MutableGlobal)
		if !ok {
			return fmt.Errorf("rewritten module lacks global %q", name)
		}
		*to = g
	}
	return nil
}

// initialise writes the data segments and runs the module's own
// initialisation under one budget. The first instance leaves a snapshot.
func (in *Instance) initialise(ctx context.Context) error {
	if in.res != nil {
		in.mod.prepared.writeData(in.res.space.addr[:in.res.size])
	}
	budget := in.mod.rt.initGas
	for _, name := range []string{abi.ExportStart, abi.ExportInitialize, abi.ExportABI} {
		out, err := in.call(ctx, phaseInit, name, budget)
		if errors.Is(err, ErrNoExport) && name != abi.ExportABI {
			continue
		}
		if err != nil {
			return err
		}
		if !out.Trap.OK() {
			return &TrapError{Call: name, Outcome: out}
		}
		budget -= out.GasUsed
	}
	in.initGas = in.mod.rt.initGas - budget
	if v := uint32(in.stack[0]); v != abi.Version {
		return &meter.InvalidModuleError{Rule: "abi", Err: fmt.Errorf("%w: module %d, host %d", ErrABI, v, abi.Version)}
	}
	if in.mod.snapTaken.CompareAndSwap(false, true) {
		in.mod.snap.Store(in.takeSnapshot())
	}
	return nil
}

// PowSetup runs pow_setup, once before PowUnits.
func (in *Instance) PowSetup(ctx context.Context) (Outcome, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.call(ctx, phaseSetup, abi.ExportPowSetup, in.job.Gas)
}

// SetIdentity makes the PowUnits calls that follow those of another claimant:
// one instance, with the weights that its setup made, checks the claims of
// all. The bytes are at most 32 and are copied. A longer one is a *HostError.
func (in *Instance) SetIdentity(identity []byte) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(identity) > maxIdentity {
		return &HostError{Op: "identity", Err: fmt.Errorf("%d bytes, at most %d", len(identity), maxIdentity)}
	}
	in.job.Identity = append([]byte(nil), identity...)
	return nil
}

// PowUnits computes units at the given indexes, at most MaxUnits, in any
// order, and returns their digests in that order; keyed ones too if key is not
// nil. The gas does not depend on the key. No units come with a trap.
func (in *Instance) PowUnits(ctx context.Context, indexes []uint64, key *[abi.DigestSize]byte) ([]Unit, Outcome, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(indexes) > MaxUnits {
		return nil, Outcome{}, &HostError{Op: "call", Err: fmt.Errorf("%d units in one call, at most %d", len(indexes), MaxUnits)}
	}
	if err := in.ready(); err != nil {
		return nil, Outcome{}, err
	}
	if err := in.transcript.begin(len(indexes), key, in.job.OutputBytes); err != nil {
		in.stopped = true
		return nil, Outcome{}, hostErr("call", err)
	}
	in.indexes = indexes
	defer func() { in.indexes = nil }()
	budget := in.job.Gas
	if in.job.GasUnit > 0 {
		budget = min(satMul(in.job.GasUnit, int64(len(indexes))), MaxGas)
	}
	in.stack[0] = uint64(len(indexes))
	out, err := in.call(ctx, phaseUnits, abi.ExportPowUnits, budget)
	if err != nil || !out.Trap.OK() {
		return nil, out, err
	}
	units, err := in.transcript.finish(indexes)
	if err != nil {
		in.stopped = true
		return nil, Outcome{}, hostErr("call", err)
	}
	return units, out, nil
}

// Infer runs infer: it answers the job's request.
func (in *Instance) Infer(ctx context.Context) (Outcome, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.call(ctx, phaseInfer, abi.ExportInfer, in.job.Gas)
}

// Check runs check: the same over the job's known tokens.
func (in *Instance) Check(ctx context.Context) (Outcome, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.call(ctx, phaseCheck, abi.ExportCheck, in.job.Gas)
}

// Pages is how large the instance's memory is now, in pages of 64 KiB.
func (in *Instance) Pages() uint32 {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed || in.mem == nil {
		return 0
	}
	return in.mem.Size() >> 16
}

func (in *Instance) ready() error {
	switch {
	case in.closed:
		return &HostError{Op: "call", Err: ErrClosed}
	case in.stopped:
		return &HostError{Op: "call", Err: ErrStopped}
	}
	return nil
}

// call runs an export under a budget. Its argument and result are in
// in.stack. Cancelling ctx ends the guest, with a *HostError: at its next host
// call, or when it has used its slice of gas, which takes milliseconds.
func (in *Instance) call(ctx context.Context, ph phase, name string, budget int64) (Outcome, error) {
	if err := in.ready(); err != nil {
		return Outcome{}, err
	}
	if err := ctx.Err(); err != nil {
		return Outcome{}, &HostError{Op: "call", Err: context.Cause(ctx)}
	}
	if err := in.mod.rt.gate.enter(); err != nil {
		return Outcome{}, hostErr("call", err)
	}
	defer in.mod.rt.gate.leave()
	fn, err := in.export(name)
	if err != nil {
		return Outcome{}, err
	}
	in.phase, in.userCtx = ph, ctx
	in.cancelled = &neverCancelled
	in.output, in.tokens, in.text = 0, nil, nil
	in.setGas(budget)
	in.depth.Set(uint64(meter.DefaultStack))
	in.trap.Set(uint64(abi.TrapInvalid))
	cancelled := in.cancelOn(ctx)
	runErr := fn.CallWithStack(&in.ctx, in.stack[:])
	if cancelled() {
		in.stopped = true
		return Outcome{}, &HostError{Op: "call", Err: in.cancelCause()}
	}

	trap, code, host := in.mod.rt.traps.classify(runErr, abi.Trap(in.trap.Get()))
	if host != nil {
		in.stopped = true
		return Outcome{}, hostErr("call", host)
	}
	left := in.gasLeft()
	if left < 0 {
		// The counter is checked at some places only. Whatever ended the call
		// in between, the budget was gone.
		trap, code, left = abi.TrapOutOfGas, 0, 0
	}
	out := Outcome{Trap: trap, Code: code, GasUsed: budget - left, Tokens: in.tokens, Text: in.text}
	if ph != phaseInit || !trap.OK() { // what initialisation logs comes with the first outcome
		out.Log = in.log.take()
	}
	if !trap.OK() {
		in.stopped = true
		if runErr != nil {
			out.Detail = runErr.Error()
		}
	}
	return out, nil
}

// export finds an exported function, whose type admission has checked.
func (in *Instance) export(name string) (api.Function, error) {
	fn := in.funcs[name]
	if fn == nil {
		if fn = in.inst.ExportedFunction(name); fn == nil {
			return nil, &HostError{Op: "call", Err: fmt.Errorf("%w: %s", ErrNoExport, name)}
		}
		in.funcs[name] = fn
	}
	return fn, nil
}

// HostTensorBytes is what a job needs on its device beyond Job.TensorBytes: the
// host's own tensors for the transcript.
func HostTensorBytes() int64 { return hostTensorBytes() }

// Close frees the instance, its memory and its tensors, once a running call
// has ended. Idempotent.
func (in *Instance) Close() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return nil
	}
	in.closed = true
	err := in.inst.Close(context.Background())
	if in.space != nil {
		if e := in.space.Close(); err == nil {
			err = e
		}
	}
	in.mod.release()
	return hostErr("close", err)
}
