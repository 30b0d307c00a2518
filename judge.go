package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/assaynet/assay/chain/app"
	audittypes "github.com/assaynet/assay/chain/audit/types"
	registrytypes "github.com/assaynet/assay/chain/registry/types"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/recheck"
)

// judge executes modules for one node's application: it admits what is
// uploaded and activated, and re-executes what is accused. All of it happens
// on the reference device, so every node comes to the same result.
type judge struct {
	engine *engine
	code   app.Code

	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	// turn holds one token: modules run one at a time, so that a burst of
	// reports needs no more memory than one.
	turn chan struct{}

	mu   sync.Mutex
	jobs map[[32]byte]*verdict
	done [][32]byte // finished jobs, oldest first
	// asked is the job that was queued last: it is not forgotten before the next one, since the
	// chain queues the job that it is about to wait for.
	asked [32]byte
}

var (
	_ app.Admitter         = (*judge)(nil)
	_ audittypes.Rechecker = (*judge)(nil)
)

// keptVerdicts bounds the finished jobs that are remembered. A forgotten one
// is computed again if it is asked for.
const keptVerdicts = 1024

// verdict of one job; its fields are set before ready is closed.
type verdict struct {
	job    audittypes.Job
	ready  chan struct{}
	digest commit.Digest
	trap   abi.Trap
	err    error // the host failed
}

func newJudge(e *engine, code app.Code) *judge {
	j := &judge{engine: e, code: code, turn: make(chan struct{}, 1), jobs: map[[32]byte]*verdict{}}
	j.ctx, j.stop = context.WithCancel(context.Background())
	return j
}

// Close abandons what is being re-executed and waits for it.
func (j *judge) Close() error {
	j.stop()
	j.wg.Wait()
	return nil
}

// AdmitBlob says why a blob cannot be used as its kind.
func (j *judge) AdmitBlob(kind string, blob []byte) error {
	switch kind {
	case client.KindModule:
		_, err := sandbox.Check(blob, nil, nil)
		return err
	case client.KindModel:
		_, err := manifest.DecodeModel(blob)
		return err
	}
	return fmt.Errorf("a blob is a %s or a %s, not a %.20q", client.KindModule, client.KindModel, kind)
}

// maxTensorBytes is what the reference device can hold beside its kernels, in
// one Wasm memory of 4 GiB: an activation above it could not be re-executed.
const maxTensorBytes = 3 << 30

// AdmitActivation checks that the module fits its slot. A proof of work also
// runs its setup and one unit under the declared bounds, in two instances
// whose results must be equal.
func (j *judge) AdmitActivation(a registrytypes.Activation, module, model []byte) error {
	info, err := sandbox.Check(module, nil, nil)
	switch {
	case err != nil:
		return err
	case a.TensorBytes > maxTensorBytes:
		return fmt.Errorf("%d bytes of tensors, at most %d fit the reference device", a.TensorBytes, maxTensorBytes)
	case a.Slot != "pow" && !info.Inference:
		return fmt.Errorf("slot %s needs the exports %s and %s", a.Slot, abi.ExportInfer, abi.ExportCheck)
	case a.Slot != "pow":
		_, err := manifest.DecodeModel(model)
		return err
	case !info.Pow:
		return fmt.Errorf("slot %s needs the exports %s and %s", a.Slot, abi.ExportPowSetup, abi.ExportPowUnits)
	}
	return j.tryWork(recheck.Work{
		ModuleHash: info.Hash, Wasm: module, Params: a.Params,
		Identity: make([]byte, 20), TensorBytes: a.TensorBytes, MemoryPages: a.MemoryPages, GasSetup: a.GasSetup, GasUnit: a.GasUnit,
	})
}

// tryWork computes one unit twice, in fresh instances.
func (j *judge) tryWork(w recheck.Work) error {
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	var first commit.Digest
	for i := range 2 {
		d, err := j.engine.checker.Unit(j.ctx, w, 1)
		switch {
		case err != nil && hostFailed(err):
			panic(fmt.Sprintf("admission of module %x: this host failed: %v", w.ModuleHash[:4], err))
		case err != nil:
			return err
		case i == 0:
			first = d
		case d != first:
			return errors.New("two runs of one unit differ")
		}
	}
	return nil
}

// hostFailed tells a failure of this host from one of the module, which is the
// same on every host.
func hostFailed(err error) bool {
	var trap *recheck.TrapError
	var invalid *meter.InvalidModuleError
	var limit *meter.LimitError
	return !errors.As(err, &trap) && !errors.As(err, &invalid) && !errors.As(err, &limit) && !errors.Is(err, recheck.ErrModule)
}

// Queue starts a job unless it is known.
func (j *judge) Queue(job audittypes.Job) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.asked = job.ID
	if _, ok := j.jobs[job.ID]; ok || j.ctx.Err() != nil {
		return
	}
	v := &verdict{job: job, ready: make(chan struct{})}
	j.jobs[job.ID] = v
	j.wg.Add(1)
	go j.work(v)
}

// Wait returns the result of a queued job. It panics, which halts the node,
// when this host failed: that is never a verdict.
func (j *judge) Wait(id [32]byte) (digest [32]byte, trap uint8) {
	j.mu.Lock()
	v, ok := j.jobs[id]
	j.mu.Unlock()
	if !ok {
		panic(fmt.Sprintf("re-execution %x was never queued", id[:4]))
	}
	<-v.ready
	if v.err != nil {
		panic(fmt.Sprintf("re-execution %x: this host failed, the node stops rather than guess: %v", id[:4], v.err))
	}
	return v.digest, uint8(v.trap)
}

func (j *judge) work(v *verdict) {
	defer j.wg.Done()
	defer close(v.ready)
	j.turn <- struct{}{}
	v.digest, v.trap, v.err = j.run(v.job)
	<-j.turn
	j.mu.Lock()
	defer j.mu.Unlock()
	j.done = append(j.done, v.job.ID)
	if len(j.done) > keptVerdicts {
		oldest := 0
		if j.done[0] == j.asked {
			oldest = 1
		}
		delete(j.jobs, j.done[oldest])
		j.done = slices.Delete(j.done, oldest, oldest+1)
	}
}

func (j *judge) run(job audittypes.Job) (commit.Digest, abi.Trap, error) {
	wasm, err := j.code(j.ctx, job.ModuleHash)
	if err != nil {
		return commit.Digest{}, abi.TrapInvalid, fmt.Errorf("code of module %x: %w", job.ModuleHash[:4], err)
	}
	w := recheck.Work{
		ModuleHash: job.ModuleHash, Wasm: wasm, Params: job.Params, Seed: job.Seed, Identity: job.Identity,
		TensorBytes: job.TensorBytes, MemoryPages: job.MemoryPages, GasSetup: job.GasSetup, GasUnit: job.GasUnit,
	}
	var d commit.Digest
	if job.Key == nil {
		d, err = j.engine.checker.Unit(j.ctx, w, job.Index)
	} else {
		d, err = j.engine.checker.KeyedUnit(j.ctx, w, job.Index, *job.Key)
	}
	var trap *recheck.TrapError
	switch {
	case err == nil:
		return d, abi.TrapNone, nil
	case errors.As(err, &trap):
		return d, trap.Trap, nil
	}
	return d, abi.TrapInvalid, err
}

// newDeps makes the executing parts of one node's application.
func newDeps(e *engine, code app.Code) app.Deps {
	j := newJudge(e, code)
	return app.Deps{Admitter: j, Rechecker: j, Closer: j}
}
