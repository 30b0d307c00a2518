package sandbox

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
)

// FuzzEngines: whatever bytes are admitted give the same start, outcome, gas
// and memory on both engines, and whatever is not admitted is the module's
// fault.
func FuzzEngines(f *testing.F) {
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
	} {
		f.Add(wasm, []byte("request"))
	}
	engines := engines(f)
	f.Fuzz(func(t *testing.T, wasm, request []byte) {
		type result struct {
			Admit, Start, Host bool
			StartOut, Out      Outcome
			Memory             []byte
		}
		var first result
		for i, e := range engines {
			var r result
			m, err := e.rt.Admit(wasm)
			if err != nil {
				var invalid *meter.InvalidModuleError
				var limit *meter.LimitError
				if !errors.As(err, &invalid) && !errors.As(err, &limit) {
					t.Fatalf("%s: admit: %v", e.name, err)
				}
			} else {
				r.Admit = true
				for range 2 { // fresh, then from a snapshot
					r.Start, r.Host, r.StartOut, r.Out, r.Memory = runFuzz(t, m, request)
				}
				m.Close()
			}
			r.StartOut.Detail, r.Out.Detail = "", ""
			if i == 0 {
				first = r
			} else if !reflect.DeepEqual(r, first) {
				t.Fatalf("engines differ:\n%+v\n%+v", first, r)
			}
		}
	})
}

func runFuzz(t *testing.T, m *Module, request []byte) (start, host bool, startOut, out Outcome, mem []byte) {
	in, err := m.Start(context.Background(), Job{Gas: 100_000, Request: request})
	if err != nil {
		var trap *TrapError
		var invalid *meter.InvalidModuleError
		switch {
		case errors.As(err, &trap):
			startOut = trap.Outcome
		case errors.As(err, &invalid):
		default:
			t.Fatalf("start: %v", err)
		}
		return
	}
	defer in.Close()
	start = true
	out, err = in.Infer(context.Background())
	if err != nil {
		// Only a call that this job cannot serve.
		if !errors.Is(err, ErrNoExport) && !errors.Is(err, ErrNoDevice) {
			t.Fatalf("infer: %v", err)
		}
		host = true
	}
	if in.res != nil {
		mem = bytes.Clone(in.res.space.addr[:in.res.size])
	}
	return
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
