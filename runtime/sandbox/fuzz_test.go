package sandbox

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
)

// fuzzed is all that a caller sees of a module's life.
type fuzzed struct {
	Admit, Start bool
	Outs         []Outcome // of the start if it trapped, else of each call
	Units        []Unit
	Memory       []byte
}

// FuzzEngines: whatever bytes are admitted give the same start, outcomes, gas,
// digests and memory on both engines, fresh and from a snapshot; whatever is
// not admitted is the module's fault, and Check says the same as Admit.
func FuzzEngines(f *testing.F) {
	tensors := []wasmImport(nil)
	tensors = append(tensors, tensorImports...)
	tensors = append(tensors, imp("record", "record_bytes", "unit_index")...)
	handles := cat(alloc(device.S8, 2, 4), alloc(device.S32, 2, 2), handle(0, 1), i64c(0), i32c(0), i32c(8), call(fWrite),
		handle(1, 1), handle(0, 1), handle(0, 1), call(fGemm))
	for _, wasm := range [][]byte{
		inferGuest(nil, nil),
		inferGuest(imp("log", "abort"), cat(i32c(0), i32c(9), call(0), i32c(3), call(1))),
		inferGuest(imp("emit", "request"), cat(i32c(0), i32c(9), call(1), i32c(0), i32c(5), call(0), 0x1A, 0x1A)),
		inferGuest(imp("wasi_snapshot_preview1.poll_oneoff", "wasi_snapshot_preview1.random_get"),
			cat(i32c(0), i32c(64), i32c(1), i32c(8), call(0), 0x1A, i32c(0), i32c(64), call(1), 0x1A)),
		inferGuest(nil, cat(0x03, 0x40, i32c(1), 0x40, 0, 0x1A, 0x0C, 0, 0x0B)),
		inferGuest(nil, cat(0x44, "\x00\x00\x00\x00\x00\x00\xf8\x7f", 0x9F, 0x44, "\x00\x00\x00\x00\x00\x00\xf0\xff", 0xA0, 0x1A)),
		wasmMod{Min: 1, Max: 2, Table: 2, Elems: []int{0, 1}, Data: []byte("data"), Passive: []byte("more"), Funcs: []wasmFunc{
			abiFunc, {Export: abi.ExportInfer, Body: cat(i32c(1), i32c(0), i32c(2), 0xFC, 8, 1, 0, i32c(1), 0x11, 1, 0)},
			{Export: abi.ExportInitialize, Body: cat(i32c(8), i32c(1), 0x36, 2, 0)},
		}}.encode(),
		wasmMod{Imports: tensors, Min: 1, Max: 2, Data: []byte("\x01\x02\x80\xff\x05\x06\x07\x08"), Funcs: []wasmFunc{
			abiFunc, {Export: abi.ExportPowSetup, Body: handles},
			{Export: abi.ExportPowUnits, Params: []byte{i32}, Body: cat(
				i32c(0), handle(1, 1), call(9), i32c(1), i32c(0), i32c(8), call(10), i32c(1), call(11), 0x1A)},
		}}.encode(),
	} {
		f.Add(wasm, []byte("request"))
	}
	// Small bounds, so that no input takes long.
	limits := meter.DefaultLimits()
	limits.MemoryPages, limits.TableElements, limits.TableSize = 16, 1000, 1000
	var engines []engine
	for _, interp := range []bool{false, true} {
		rt, err := New(Config{Interpreter: interp, Limits: &limits, TrustModules: true})
		if err != nil {
			f.Fatal(err)
		}
		f.Cleanup(func() { rt.Close() })
		rt.initGas = 1 << 20
		engines = append(engines, engine{map[bool]string{false: "compiler", true: "interpreter"}[interp], rt})
	}
	dev := testDevices(f)[0]
	f.Fuzz(func(t *testing.T, wasm, request []byte) {
		var first fuzzed
		info, checked := Check(wasm, &limits, nil)
		for i, e := range engines {
			m, err := e.rt.Admit(wasm)
			if (err == nil) != (checked == nil) || err != nil && err.Error() != checked.Error() {
				t.Fatalf("%s: Admit says %v, Check %v", e.name, err, checked)
			}
			if err != nil {
				if !modulesFault(err) {
					t.Fatalf("%s: admit: %v", e.name, err)
				}
				continue
			}
			if m.Hash() != info.Hash {
				t.Fatal("Admit and Check name different hashes")
			}
			for j := range 2 { // fresh, then from a snapshot
				r := runFuzz(t, m, Job{Gas: 100_000, GasUnit: 50_000, Request: request, Params: request, Device: dev, TensorBytes: 1 << 16})
				if i == 0 && j == 0 {
					first = r
				} else if !reflect.DeepEqual(r, first) {
					t.Fatalf("%s, instance %d differs:\n%+v\n%+v", e.name, j, first, r)
				}
			}
			m.Close()
		}
	})
}

// modulesFault tells the module's failures from the host's.
func modulesFault(err error) bool {
	var invalid *meter.InvalidModuleError
	var limit *meter.LimitError
	var trap *TrapError
	return errors.As(err, &invalid) || errors.As(err, &limit) || errors.As(err, &trap)
}

func runFuzz(t *testing.T, m *Module, job Job) (r fuzzed) {
	ctx := context.Background()
	r.Admit = true
	in, err := m.Start(ctx, job)
	if err != nil {
		if !modulesFault(err) {
			t.Fatalf("start: %v", err)
		}
		var trap *TrapError
		if errors.As(err, &trap) {
			r.Outs = append(r.Outs, trap.Outcome)
		}
	} else {
		defer in.Close()
		r.Start = true
		for _, step := range []func() (Outcome, error){
			func() (Outcome, error) { return in.Infer(ctx) },
			func() (Outcome, error) { return in.PowSetup(ctx) },
			func() (out Outcome, err error) {
				r.Units, out, err = in.PowUnits(ctx, []uint64{3, 1 << 40}, &[32]byte{1})
				return out, err
			},
		} {
			out, err := step()
			if err != nil && !errors.Is(err, ErrNoExport) && !errors.Is(err, ErrStopped) {
				t.Fatalf("call: %v", err)
			}
			r.Outs = append(r.Outs, out)
		}
		if in.res != nil {
			r.Memory = bytes.Clone(in.res.space.addr[:in.res.size])
		}
	}
	for i := range r.Outs {
		r.Outs[i].Detail = "" // the engine's own words
	}
	return r
}

// FuzzArtifact: a damaged artifact is never used and never panics, and what a
// module's artifact holds survives.
func FuzzArtifact(f *testing.F) {
	c := &diskCache{dir: f.TempDir(), key: [macSize]byte{1}}
	a := &artifact{prepared: &prepared{wasm: []byte("wasm"), data: []segment{{5, []byte("data")}}, globals: []uint32{3}, poolable: true},
		name: "name", native: []byte("native")}
	f.Add(a.meta(), []byte("file"))
	f.Add([]byte{0, 0, 0, 0, 255, 255, 255, 255}, []byte(artifactMagic))
	f.Fuzz(func(t *testing.T, meta, file []byte) {
		if c.parse([32]byte{2}, file) != nil {
			t.Fatal("forged MAC")
		}
		p, ok := parsePrepared(nil, meta)
		if !ok {
			return
		}
		again, ok := parsePrepared(nil, p.meta())
		if !ok || !reflect.DeepEqual(p, again) {
			t.Fatalf("%+v became %+v", p, again)
		}
	})
}
