package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	registrytypes "github.com/assaynet/assay/chain/registry/types"
	"github.com/assaynet/assay/hostgpu/wasmdev"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/verifier/recheck"
)

func openEngine(t *testing.T) *engine {
	t.Helper()
	e, err := newEngine(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func shipped(t *testing.T, name string) catalog.Entry {
	t.Helper()
	e, err := catalog.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestJudgeRefuses: what governance could activate by mistake is refused with
// a reason; it must never halt a node.
func TestJudgeRefuses(t *testing.T) {
	e := openEngine(t)
	j := newJudge(e, nil)
	defer j.Close()
	hash, llama, pow := shipped(t, catalog.HashPow), shipped(t, catalog.Llama), shipped(t, catalog.TransformerPow)
	activation := func(m manifest.Module, change func(*registrytypes.Activation)) registrytypes.Activation {
		a := registrytypes.Activation{Slot: "pow", ModuleHash: m.Hash[:], Params: m.Params,
			TensorBytes: m.TensorBytes, GasSetup: m.GasSetup, GasUnit: m.GasUnit}
		if change != nil {
			change(&a)
		}
		return a
	}
	cases := []struct {
		name   string
		module []byte
		a      registrytypes.Activation
		want   string // part of the error; empty: admitted
	}{
		{"shipped work", hash.Wasm, activation(hash.Manifest, nil), ""},
		{"not Wasm", []byte("hello"), activation(hash.Manifest, nil), "offset"},
		{"inference as work", llama.Wasm, activation(llama.Manifest, nil), abi.ExportPowUnits},
		{"work as inference", hash.Wasm, activation(hash.Manifest, func(a *registrytypes.Activation) { a.Slot = "infer/x" }), abi.ExportInfer},
		{"inference without a model", llama.Wasm, activation(llama.Manifest, func(a *registrytypes.Activation) { a.Slot = "infer/x" }), "model"},
		{"gas too low for a unit", hash.Wasm, activation(hash.Manifest, func(a *registrytypes.Activation) { a.GasUnit = 1000 }), abi.TrapOutOfGas.String()},
		{"parameters of another module", pow.Wasm, activation(pow.Manifest, func(a *registrytypes.Activation) { a.Params = []byte{1} }), "stopped"},
		{"no tensor memory", pow.Wasm, activation(pow.Manifest, func(a *registrytypes.Activation) { a.TensorBytes = 64 }), "stopped"},
		{"more tensors than the reference device holds", pow.Wasm, activation(pow.Manifest, func(a *registrytypes.Activation) { a.TensorBytes = 1 << 40 }), "at most"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := j.AdmitActivation(c.a, c.module, nil)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
	if err := j.AdmitBlob("module", hash.Wasm); err != nil {
		t.Errorf("shipped module: %v", err)
	}
	for kind, blob := range map[string][]byte{"module": []byte("hello"), "model": []byte("hello"), "song": hash.Wasm} {
		if j.AdmitBlob(kind, blob) == nil {
			t.Errorf("%s %.5q was admitted", kind, blob)
		}
	}
}

// TestJudgeReexecutes: a verdict is the digest of a fresh instance, the same
// for every node, and a module's trap is an outcome, not a failure.
func TestJudgeReexecutes(t *testing.T) {
	e := openEngine(t)
	m := shipped(t, catalog.HashPow)
	code := func(context.Context, [32]byte) ([]byte, error) { return m.Wasm, nil }
	job := audittypes.Job{ID: [32]byte{1}, ModuleHash: m.Manifest.Hash, Params: m.Manifest.Params, Seed: [32]byte{2},
		Identity: make([]byte, 20), GasSetup: m.Manifest.GasSetup, GasUnit: m.Manifest.GasUnit, Index: 77}
	want, err := e.checker.Unit(context.Background(), recheck.Work{ModuleHash: m.Manifest.Hash, Wasm: m.Wasm,
		Params: job.Params, Seed: job.Seed, Identity: job.Identity, GasSetup: job.GasSetup, GasUnit: job.GasUnit}, job.Index)
	if err != nil {
		t.Fatal(err)
	}
	poor := job
	poor.ID, poor.GasUnit = [32]byte{3}, 10
	for node := range 2 {
		j := newJudge(e, code)
		j.Queue(job)
		j.Queue(job)
		j.Queue(poor)
		if d, trap := j.Wait(job.ID); d != want || abi.Trap(trap) != abi.TrapNone {
			t.Errorf("node %d: digest %x trap %v, want %x", node, d, abi.Trap(trap), want)
		}
		if _, trap := j.Wait(poor.ID); abi.Trap(trap) != abi.TrapOutOfGas {
			t.Errorf("node %d: trap %v, want %v", node, abi.Trap(trap), abi.TrapOutOfGas)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestJudgeKeepsWhatIsAskedFor: a result that the chain is about to wait for is not forgotten for those
// that end in between: the node would stop for nothing.
func TestJudgeKeepsWhatIsAskedFor(t *testing.T) {
	missing, slow, gate := errors.New("no such code"), [32]byte{1}, make(chan struct{})
	j := newJudge(nil, func(_ context.Context, hash [32]byte) ([]byte, error) {
		if hash == slow {
			<-gate
		}
		return nil, missing
	})
	defer j.Close()
	job := func(i int, module [32]byte) audittypes.Job {
		out := audittypes.Job{ModuleHash: module}
		binary.BigEndian.PutUint32(out.ID[:], uint32(i))
		return out
	}
	first := job(0, [32]byte{})
	j.Queue(first)
	j.wg.Wait() // it is the oldest
	for i := range keptVerdicts - 1 {
		j.Queue(job(1+i, [32]byte{}))
	}
	j.wg.Wait()
	for i := range 8 {
		j.Queue(job(keptVerdicts+i, slow))
	}
	j.Queue(first) // as the block does that decides it
	close(gate)
	j.wg.Wait()
	if len(j.jobs) != keptVerdicts {
		t.Errorf("%d results are kept, want %d", len(j.jobs), keptVerdicts)
	}
	defer func() {
		if r := fmt.Sprint(recover()); !strings.Contains(r, missing.Error()) {
			t.Errorf("the result of a queued job: %s", r)
		}
	}()
	j.Wait(first.ID)
}

// TestJudgeBoundsMemory: reports arrive in bursts, and every re-execution may
// reserve as much tensor memory as the device has. A burst must wait its turn:
// a device that is too full is a failure of the host, which halts the node.
func TestJudgeBoundsMemory(t *testing.T) {
	e := openEngine(t)
	m := shipped(t, catalog.TransformerPow)
	tight, err := wasmdev.New(wasmdev.Config{Sandbox: e.rt, MemoryBytes: m.Manifest.TensorBytes * 3 / 2})
	if err != nil {
		t.Fatal(err)
	}
	defer tight.Close()
	checker := recheck.New(recheck.Config{Runtime: e.rt, Device: tight})
	defer checker.Close()
	code := func(context.Context, [32]byte) ([]byte, error) { return m.Wasm, nil }
	j := newJudge(&engine{rt: e.rt, checker: checker}, code)
	defer j.Close()
	jobs := make([]audittypes.Job, 24)
	for i := range jobs {
		jobs[i] = audittypes.Job{ID: [32]byte{byte(i + 1)}, ModuleHash: m.Manifest.Hash, Params: m.Manifest.Params,
			Identity: make([]byte, 20), TensorBytes: m.Manifest.TensorBytes,
			GasSetup: m.Manifest.GasSetup, GasUnit: m.Manifest.GasUnit, Index: uint64(i)}
		j.Queue(jobs[i])
	}
	for _, job := range jobs {
		if _, trap := j.Wait(job.ID); abi.Trap(trap) != abi.TrapNone {
			t.Fatalf("job %x: %v", job.ID[:1], abi.Trap(trap))
		}
	}
}
