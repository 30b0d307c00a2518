package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
)

func TestTraps(t *testing.T) {
	const (
		drop        = 0x1A
		unreachable = 0x00
	)
	recurse := wasmMod{Funcs: []wasmFunc{abiFunc, {Export: abi.ExportInfer, Body: call(1)}}, Min: 0, Max: 0}
	indirect := func(index int64, typ byte, elems ...int) []byte {
		// types: 0 assay_abi, 1 infer () -> (), 2 other (i32) -> ()
		return wasmMod{Min: 1, Max: 1, Table: 2, Elems: elems, Funcs: []wasmFunc{
			abiFunc,
			{Export: abi.ExportInfer, Body: cat(i32c(0), i32c(index), 0x11, typ, 0)},
			{Params: []byte{i32}},
		}}.encode()
	}
	for _, c := range []struct {
		name string
		wasm []byte
		want abi.Trap
		code int32
	}{
		{"none", inferGuest(nil, nil), abi.TrapNone, 0},
		{"out of gas", inferGuest(nil, cat(0x03, 0x40, 0x0C, 0, 0x0B)), abi.TrapOutOfGas, 0},
		{"stack overflow", recurse.encode(), abi.TrapStackOverflow, 0},
		{"unreachable", inferGuest(nil, cat(unreachable)), abi.TrapUnreachable, 0},
		{"load", inferGuest(nil, cat(i32c(-1), 0x28, 2, 0, drop)), abi.TrapMemoryOutOfBounds, 0},
		{"store at the end", inferGuest(nil, cat(i32c(wasmPage-3), i32c(0), 0x36, 2, 0)), abi.TrapMemoryOutOfBounds, 0},
		{"memory.fill", inferGuest(nil, cat(i32c(wasmPage-1), i32c(0), i32c(2), 0xFC, 11, 0)), abi.TrapMemoryOutOfBounds, 0},
		{"memory.copy", inferGuest(nil, cat(i32c(0), i32c(wasmPage-1), i32c(2), 0xFC, 10, 0, 0)), abi.TrapMemoryOutOfBounds, 0},
		{"call_indirect outside", indirect(2, 2, 2), abi.TrapTableOutOfBounds, 0},
		{"call_indirect null", indirect(1, 2, 2), abi.TrapTableOutOfBounds, 0},
		{"call_indirect type", indirect(0, 2, 1), abi.TrapIndirectCall, 0},
		{"call_indirect fine", indirect(0, 2, 2), abi.TrapNone, 0},
		{"div 0", inferGuest(nil, cat(i32c(1), i32c(0), 0x6E, drop)), abi.TrapDivideByZero, 0},
		{"rem 0", inferGuest(nil, cat(i64c(1), i64c(0), 0x81, drop)), abi.TrapDivideByZero, 0},
		{"overflow", inferGuest(nil, cat(i32c(-1<<31), i32c(-1), 0x6D, drop)), abi.TrapIntegerOverflow, 0},
		{"trunc too large", inferGuest(nil, cat(0x44, "\x00\x00\x00\x00\x00\x00\xf0\x43", 0xAA, drop)), abi.TrapIntegerOverflow, 0},
		{"trunc nan", inferGuest(nil, cat(0x44, "\x00\x00\x00\x00\x00\x00\xf8\x7f", 0xAA, drop)), abi.TrapInvalidConversion, 0},
		{"abort", inferGuest(imp("abort"), cat(i32c(-7), call(0))), abi.TrapAbort, -7},
		{"proc_exit", inferGuest(imp("wasi_snapshot_preview1.proc_exit"), cat(i32c(3), call(0))), abi.TrapExit, 3},
		{"proc_exit 0", inferGuest(imp("wasi_snapshot_preview1.proc_exit"), cat(i32c(0), call(0))), abi.TrapExit, 0},
		{"bad pointer", inferGuest(imp("seed"), cat(i32c(wasmPage-31), call(0))), abi.TrapHostMemory, 0},
		{"bad length", inferGuest(imp("log"), cat(i32c(0), i32c(-1), call(0))), abi.TrapOutOfGas, 0},
		{"unit outside", inferGuest(imp("unit_index"), cat(i32c(0), call(0), drop)), abi.TrapHostArgument, 0},
		{"record outside", inferGuest(imp("record_bytes"), cat(i32c(0), i32c(0), i32c(0), call(0))), abi.TrapHostArgument, 0},
		{"long tensor name", inferGuest(imp("model_tensor"), cat(i32c(0), i32c(257), call(0), drop)), abi.TrapHostArgument, 0},
		{"no memory", wasmMod{NoMemory: true, Imports: imp("seed"), Funcs: []wasmFunc{abiFunc,
			{Export: abi.ExportInfer, Body: cat(i32c(0), call(0))}}}.encode(), abi.TrapHostMemory, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := infer(t, c.wasm, Job{})
			wantTrap(t, out, c.want, c.code)
			if out.GasUsed <= 0 || out.GasUsed > testGas {
				t.Fatalf("gas used %d", out.GasUsed)
			}
			if c.want == abi.TrapOutOfGas && out.GasUsed != testGas {
				t.Fatalf("out of gas after %d of %d", out.GasUsed, testGas)
			}
		})
	}
}

func TestZeroOutcomeIsNoSuccess(t *testing.T) {
	if (Outcome{}).Trap.OK() {
		t.Fatal("zero outcome is a success")
	}
}

// TestStoppedInstance: a trap ends an instance, and no other.
func TestStoppedInstance(t *testing.T) {
	ctx := context.Background()
	for _, e := range engines(t) {
		m := admit(t, e.rt, wasmMod{Min: 1, Max: 1, Funcs: []wasmFunc{
			abiFunc, {Export: abi.ExportInfer, Body: cat(0x00)}, {Export: abi.ExportCheck},
		}}.encode())
		in, err := m.Start(ctx, Job{Gas: testGas})
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if out, err := in.Check(ctx); err != nil || !out.Trap.OK() {
			t.Fatal(out, err)
		}
		if out, err := in.Infer(ctx); err != nil || out.Trap != abi.TrapUnreachable {
			t.Fatal(out, err)
		}
		if out, err := in.Check(ctx); !errors.Is(err, ErrStopped) || out.Trap.OK() {
			t.Fatal(out, err)
		}
		other, err := m.Start(ctx, Job{Gas: testGas})
		if err != nil {
			t.Fatal(err)
		}
		if out, err := other.Check(ctx); err != nil || !out.Trap.OK() {
			t.Fatal(out, err)
		}
		if _, err := other.PowSetup(ctx); !errors.Is(err, ErrNoExport) {
			t.Fatal(err)
		}
		other.Close()
		if _, err := other.Check(ctx); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
	}
}

// TestEveryGasLimit: every budget from 0 up stops the guest with its whole
// budget used, until one suffices, and host calls act only while gas is left.
func TestEveryGasLimit(t *testing.T) {
	ctx := context.Background()
	// Three one-byte log calls of price 102 each.
	one := cat(i32c(0), i32c(1), call(0))
	wasm := wasmMod{Imports: imp("log"), Min: 1, Max: 1, Data: []byte("x"), Funcs: []wasmFunc{
		abiFunc, {Export: abi.ExportInfer, Body: cat(one, one, one)},
	}}.encode()
	full := infer(t, wasm, Job{})
	wantTrap(t, full, abi.TrapNone, 0)
	for _, e := range engines(t) {
		m := admit(t, e.rt, wasm)
		logged := 0
		for gas := int64(0); gas <= full.GasUsed+1; gas++ {
			in, err := m.Start(ctx, Job{Gas: gas})
			if err != nil {
				t.Fatal(err)
			}
			out, err := in.Infer(ctx)
			if err != nil {
				t.Fatal(err)
			}
			in.Close()
			want, used := abi.TrapOutOfGas, gas
			if gas >= full.GasUsed {
				want, used = abi.TrapNone, full.GasUsed
			}
			if out.Trap != want || out.GasUsed != used {
				t.Fatalf("%s: budget %d of %d: %v, used %d", e.name, gas, full.GasUsed, out.Trap, out.GasUsed)
			}
			if len(out.Log) < logged {
				t.Fatalf("%s: budget %d logs %d bytes, a smaller one %d", e.name, gas, len(out.Log), logged)
			}
			logged = len(out.Log)
		}
		if logged != 3 {
			t.Fatalf("logged %d", logged)
		}
	}
}

// The claimant is not to be had in pow_setup, which serves all claimants, and
// SetIdentity changes it between the calls of one instance.
func TestIdentityByPhase(t *testing.T) {
	ask := cat(i32c(0), i32c(32), call(0), 0x1A)
	record := cat(i32c(0), i32c(0), i32c(0), i32c(32), call(0), call(1)) // record_bytes(0, 0, identity(0, 32))
	for _, e := range engines(t) {
		start := func(setup []byte) *Instance {
			wasm := wasmMod{Imports: imp("identity", "record_bytes"), Min: 1, Max: 1, Funcs: []wasmFunc{abiFunc,
				{Export: abi.ExportPowSetup, Body: setup}, {Export: abi.ExportPowUnits, Params: []byte{i32}, Body: record}}}.encode()
			in, err := admit(t, e.rt, wasm).Start(t.Context(), Job{Identity: []byte("ann"), Gas: testGas, GasUnit: testGas})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { in.Close() })
			return in
		}
		out, err := start(ask).PowSetup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wantTrap(t, out, abi.TrapHostArgument, 0)

		in := start(nil)
		if out, err = in.PowSetup(t.Context()); err != nil || !out.Trap.OK() {
			t.Fatal(out, err)
		}
		digests := map[[32]byte]string{}
		for _, who := range []string{"ann", "bob", "", "0123456789abcdef0123456789abcdef"} {
			if err := in.SetIdentity([]byte(who)); err != nil {
				t.Fatal(err)
			}
			units, out, err := in.PowUnits(t.Context(), []uint64{0}, nil)
			if err != nil || !out.Trap.OK() {
				t.Fatal(out, err)
			}
			if other, dup := digests[units[0].Digest]; dup {
				t.Errorf("%q and %q have one digest", who, other)
			}
			digests[units[0].Digest] = who
		}
		var host *HostError
		if err := in.SetIdentity(make([]byte, 33)); !errors.As(err, &host) {
			t.Errorf("33 bytes: %v", err)
		}
	}
}

// TestCopyOut covers the calls that hand out job data, with and without room.
func TestCopyOut(t *testing.T) {
	data := []byte("0123456789")
	for name, job := range map[string]Job{
		"identity": {Identity: data}, "params": {Params: data}, "request": {Request: data},
		"model_config": {Model: &Model{Config: data}},
	} {
		for _, room := range []int64{0, 4, 10, 100} {
			// mem[0:4] = call(16, room), the bytes at 16.
			body := cat(i32c(0), i32c(16), i32c(room), call(0), 0x36, 2, 0,
				i32c(0), i32c(32), call(1))
			out := infer(t, inferGuest(imp(name, "log"), body), job)
			wantTrap(t, out, abi.TrapNone, 0)
			want := make([]byte, 32)
			binary.LittleEndian.PutUint32(want, 10)
			copy(want[16:], data[:min(room, 10)])
			if !bytes.Equal(out.Log, want) {
				t.Fatalf("%s with room %d: % x", name, room, out.Log)
			}
		}
		out := infer(t, inferGuest(imp(name), cat(i32c(wasmPage-9), i32c(10), call(0), 0x1A)), job)
		wantTrap(t, out, abi.TrapHostMemory, 0)
	}
	// Known tokens are little-endian u32.
	out := infer(t, inferGuest(imp("known", "log"), cat(
		i32c(0), i32c(100), call(0), 0x1A, i32c(0), i32c(8), call(1))), Job{Known: []uint32{1, 0x01020304}})
	if want := []byte{1, 0, 0, 0, 4, 3, 2, 1}; !bytes.Equal(out.Log, want) {
		t.Fatalf("known: % x", out.Log)
	}
	seed := [32]byte{5, 31: 6}
	out = infer(t, inferGuest(imp("seed", "log"), cat(i32c(7), call(0), i32c(7), i32c(32), call(1))), Job{Seed: seed})
	if !bytes.Equal(out.Log, seed[:]) {
		t.Fatalf("seed: % x", out.Log)
	}
}

// TestInitialiseWithoutJob: job data is not there while a module initialises,
// and a module that traps then is a TrapError on every engine.
func TestInitialiseWithoutJob(t *testing.T) {
	for name, c := range map[string]struct {
		body []byte
		want abi.Trap
	}{
		"seed":     {cat(i32c(0), call(0)), abi.TrapHostArgument},
		"abort":    {cat(i32c(9), call(1)), abi.TrapAbort},
		"no fault": {nil, abi.TrapNone},
	} {
		for _, start := range []bool{false, true} {
			mod := wasmMod{Imports: imp("seed", "abort"), Min: 1, Max: 1, Funcs: []wasmFunc{
				abiFunc, {Body: c.body}, {Export: abi.ExportInfer},
			}}
			if start {
				mod.Start = 3
			} else {
				mod.Funcs[1].Export = abi.ExportInitialize
			}
			for _, e := range engines(t) {
				in, err := admit(t, e.rt, mod.encode()).Start(context.Background(), Job{Gas: testGas})
				if c.want.OK() {
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					in.Close()
					continue
				}
				var trap *TrapError
				if !errors.As(err, &trap) || trap.Outcome.Trap != c.want {
					t.Fatalf("%s on %s: %v, want %v", name, e.name, err, c.want)
				}
			}
		}
	}
}

func TestWrongABI(t *testing.T) {
	for _, e := range engines(t) {
		m := admit(t, e.rt, wasmMod{Min: 1, Max: 1, Funcs: []wasmFunc{
			{Export: abi.ExportABI, Results: []byte{i32}, Body: i32c(abi.Version + 1)},
		}}.encode())
		_, err := m.Start(context.Background(), Job{})
		var invalid *meter.InvalidModuleError
		if !errors.Is(err, ErrABI) || !errors.As(err, &invalid) {
			t.Fatal(err)
		}
	}
}

// TestAdmitRefuses: a module that asks for what the host does not have is
// invalid, with nothing left behind.
func TestAdmitRefuses(t *testing.T) {
	for name, wasm := range map[string][]byte{
		"empty":          nil,
		"text":           []byte("(module)"),
		"no abi":         wasmMod{Min: 1, Max: 1, Funcs: []wasmFunc{{Export: abi.ExportInfer}}}.encode(),
		"abi type":       wasmMod{Min: 1, Max: 1, Funcs: []wasmFunc{{Export: abi.ExportABI}}}.encode(),
		"infer type":     wasmMod{Min: 1, Max: 1, Funcs: []wasmFunc{abiFunc, {Export: abi.ExportInfer, Results: []byte{i32}, Body: i32c(0)}}}.encode(),
		"unknown call":   inferGuest([]wasmImport{{Module: "assay", Name: "gas"}}, nil),
		"unknown module": inferGuest([]wasmImport{{Module: "env", Name: "log"}}, nil),
		"call type":      inferGuest([]wasmImport{{Module: "assay", Name: "seed"}}, nil),
		"reserved name":  wasmMod{Min: 1, Max: 1, Funcs: []wasmFunc{abiFunc, {Export: abi.ExportStart}}}.encode(),
		"bad body":       inferGuest(nil, cat(0x6A)),
		"elements":       wasmMod{Min: 1, Max: 1, Table: 1, Elems: []int{0, 0}, Funcs: []wasmFunc{abiFunc}}.encode(),
		"data":           wasmMod{Min: 1, Max: 1, Data: []byte("ab"), DataAt: wasmPage - 1, Funcs: []wasmFunc{abiFunc}}.encode(),
	} {
		var invalid *meter.InvalidModuleError
		if _, err := Check(wasm, nil, nil); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", name, err)
		}
		for _, e := range engines(t) {
			_, err := e.rt.Admit(wasm)
			if !errors.As(err, &invalid) {
				t.Errorf("%s on %s: %v", name, e.name, err)
			}
			if len(e.rt.modules) != 0 {
				t.Errorf("%s: refused module is kept", name)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	for name, want := range map[string]Info{"pow": {Pow: true}, "wasi": {}} {
		wasm := guest(t, name)
		info, err := Check(wasm, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if info.Hash != sha256.Sum256(wasm) || info.Pow != want.Pow || info.Inference || info.MemoryPages == 0 || info.GasInstance <= 0 {
			t.Errorf("%s: %+v", name, info)
		}
	}
	limits := meter.DefaultLimits()
	limits.ModuleBytes = 1 << 20
	var limit *meter.LimitError
	if _, err := Check(guest(t, "pow"), &limits, nil); !errors.As(err, &limit) {
		t.Fatal(err)
	}
}

// TestEmit covers streaming, the answer to it and its bound.
func TestEmit(t *testing.T) {
	// do { more = emit(i, i, 3); i++ } while (!more)
	body := cat(0x03, 0x40,
		0x20, 0, 0x20, 0, i32c(3), call(0),
		0x20, 0, i32c(1), 0x6A, 0x21, 0,
		0x45, 0x0D, 0, 0x0B)
	wasm := wasmMod{Imports: imp("emit"), Min: 1, Max: 1, Data: []byte("abcdefghijkl"), Funcs: []wasmFunc{
		abiFunc, {Export: abi.ExportInfer, Body: body, Locals: []byte{i32}},
	}}.encode()
	var seen []string
	out := infer(t, wasm, Job{Emit: func(token uint32, text []byte) bool {
		seen = append(seen, string(text))
		return token == 3
	}})
	wantTrap(t, out, abi.TrapNone, 0)
	if string(out.Text) != "abcbcdcdedef" || len(out.Tokens) != 4 || out.Tokens[3] != 3 {
		t.Fatalf("%q %v", out.Text, out.Tokens)
	}
	if len(seen) != 8 || seen[4] != "abc" || seen[7] != "def" {
		t.Fatalf("streamed %q", seen)
	}
	out = infer(t, wasm, Job{OutputBytes: 3 * 7})
	wantTrap(t, out, abi.TrapOutputLimit, 0)
	if string(out.Text) != "abcbcdcde" {
		t.Fatalf("text %q", out.Text)
	}
}

func TestLogIsBounded(t *testing.T) {
	one := cat(i32c(0), i32c(10), call(0))
	wasm := wasmMod{Imports: imp("log"), Min: 1, Max: 1, Data: []byte("0123456789"), Funcs: []wasmFunc{
		abiFunc, {Export: abi.ExportInfer, Body: cat(one, one)},
	}}.encode()
	small, large := infer(t, wasm, Job{LogBytes: 15}), infer(t, wasm, Job{LogBytes: 100})
	if string(small.Log) != "012345678901234" || len(large.Log) != 20 {
		t.Fatalf("%q %q", small.Log, large.Log)
	}
	if small.GasUsed != large.GasUsed {
		t.Fatal("the log's bound is observable")
	}
}
