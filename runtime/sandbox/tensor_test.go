package sandbox

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/abi"
)

// Imports of the guests below, in this order.
var tensorImports = imp("tensor.alloc", "tensor.view", "tensor.free", "tensor.write", "tensor.read",
	"tensor.gemm", "tensor.add", "assay.model_tensor", "assay.log")

const (
	fAlloc = iota
	fView
	fFree
	fWrite
	fRead
	fGemm
	fAdd
	fModel
	fLog
)

// Handles are predictable: slot i of generation g.
func handle(slot, gen int64) []byte { return i32c(gen<<16 | slot) }

func alloc(dt device.DType, rows, cols int64) []byte {
	return cat(i32c(int64(dt)), i32c(rows), i32c(cols), call(fAlloc), 0x1A)
}

// on runs the same calls of an infer on every device and engine.
func onDevices(t *testing.T, job Job, body []byte) Outcome {
	t.Helper()
	wasm := wasmMod{Imports: tensorImports, Min: 1, Max: 1, Data: []byte("\x01\x02\x80\xff\x05\x06\x07\x08"), Funcs: []wasmFunc{
		abiFunc, {Export: abi.ExportInfer, Body: body, Locals: []byte{i32}},
	}}.encode()
	var first Outcome
	for i, dev := range testDevices(t) {
		job.Device = dev
		out := infer(t, wasm, job)
		if i == 0 {
			first = out
		} else if out.Trap != first.Trap || out.GasUsed != first.GasUsed || !bytes.Equal(out.Log, first.Log) {
			t.Fatalf("devices differ: %+v and %+v", first, out)
		}
	}
	return first
}

func TestTensorCalls(t *testing.T) {
	s8, s32 := device.S8, device.S32
	write := func(h []byte, off, ptr, n int64) []byte { return cat(h, i64c(off), i32c(ptr), i32c(n), call(fWrite)) }
	read := func(h []byte, off, ptr, n int64) []byte { return cat(h, i64c(off), i32c(ptr), i32c(n), call(fRead)) }
	free := func(h []byte) []byte { return cat(h, call(fFree)) }
	view := func(h []byte, row, rows, cols int64) []byte {
		return cat(h, i32c(row), i32c(rows), i32c(cols), call(fView), 0x1A)
	}
	a, b, c := handle(0, 1), handle(1, 1), handle(2, 1)
	two := cat(alloc(s8, 2, 4), alloc(s32, 2, 2))
	for _, k := range []struct {
		name string
		body []byte
		want abi.Trap
	}{
		{"alloc and use", cat(two, write(a, 0, 0, 8), b, a, a, call(fGemm), read(b, 0, 16, 16)), abi.TrapNone},
		{"negative rows", alloc(s8, -1, 4), abi.TrapTensorShape},
		{"too wide", alloc(s8, 1, device.MaxDim+1), abi.TrapTensorShape},
		{"type 0", alloc(0, 1, 1), abi.TrapTensorShape},
		{"type 258", cat(i32c(258), i32c(1), i32c(1), call(fAlloc), 0x1A), abi.TrapTensorShape},
		{"type unknown", alloc(200, 1, 1), abi.TrapTensorShape},
		{"above the limit", alloc(s32, 1<<12, 1<<12), abi.TrapTensorMemory},
		{"exactly the limit", alloc(s8, 1, 1<<16), abi.TrapNone},
		{"one above", cat(alloc(s8, 1, 1<<16), alloc(s8, 1, 1)), abi.TrapTensorMemory},
		{"given back", cat(alloc(s8, 1, 1<<16), free(a), alloc(s8, 1, 1<<16)), abi.TrapNone},
		{"held by a view", cat(alloc(s8, 1, 1<<16), view(a, 0, 1, 1), free(a), alloc(s8, 1, 1)), abi.TrapTensorMemory},
		{"empty tensor", cat(alloc(s8, 0, 4), read(a, 0, 0, 0)), abi.TrapNone},
		{"handle 0", free(i32c(0)), abi.TrapTensorHandle},
		{"unknown handle", free(i32c(1<<16 | 5)), abi.TrapTensorHandle},
		{"the host's handles", free(i32c(1)), abi.TrapTensorHandle},
		{"freed twice", cat(two, free(a), free(a)), abi.TrapTensorHandle},
		{"stale after reuse", cat(two, free(a), alloc(s8, 1, 1), read(a, 0, 0, 1)), abi.TrapTensorHandle},
		{"reused", cat(two, free(a), alloc(s8, 1, 1), read(handle(0, 2), 0, 0, 1)), abi.TrapNone},
		{"op on freed", cat(two, free(a), b, a, a, call(fGemm)), abi.TrapTensorHandle},
		{"op on 0", cat(two, b, i32c(0), a, call(fGemm)), abi.TrapTensorHandle},
		{"op of wrong type", cat(two, a, b, b, call(fGemm)), abi.TrapTensorShape},
		{"op of wrong shape", cat(two, alloc(s8, 2, 5), b, a, c, call(fGemm)), abi.TrapTensorShape},
		{"alias", cat(alloc(s32, 4, 2), view(a, 0, 3, 2), view(a, 1, 3, 2), b, c, c, call(fAdd)), abi.TrapTensorHandle},
		{"in place", cat(alloc(s32, 4, 2), alloc(s32, 4, 2), a, a, b, call(fAdd)), abi.TrapNone},
		{"view outside", cat(two, view(a, 1, 2, 4)), abi.TrapTensorShape},
		{"view reshaped", cat(two, view(a, 1, 4, 1), read(c, 3, 0, 1)), abi.TrapNone},
		{"view negative row", cat(two, view(a, -1, 1, 1)), abi.TrapTensorShape},
		{"write outside", cat(two, write(a, 4, 0, 5)), abi.TrapTensorShape},
		{"write at a negative offset", cat(two, write(a, -1, 0, 1)), abi.TrapTensorShape},
		{"write unaligned", cat(two, write(b, 1, 0, 4)), abi.TrapTensorShape},
		{"write half an element", cat(two, write(b, 0, 0, 6)), abi.TrapTensorShape},
		{"write from outside memory", cat(two, write(a, 0, wasmPage-7, 8)), abi.TrapHostMemory},
		{"read to outside memory", cat(two, read(a, 0, wasmPage-7, 8)), abi.TrapHostMemory},
		{"read far outside memory", cat(two, read(a, 0, -1, 8)), abi.TrapHostMemory},
		{"too many handles", cat(alloc(s8, 1, 1), 0x03, 0x40, view(a, 0, 1, 1), 0x0C, 0, 0x0B), abi.TrapTensorMemory},
		{"model tensor without a model", cat(i32c(0), i32c(1), call(fModel), 0x04, 0x40, 0, 0x0B), abi.TrapNone},
	} {
		t.Run(k.name, func(t *testing.T) {
			wantTrap(t, onDevices(t, Job{TensorBytes: 1 << 16, Gas: 1 << 40}, k.body), k.want, 0)
		})
	}
	// What was written is read back, -128 as -127; the product is exact.
	out := onDevices(t, Job{TensorBytes: 1 << 16}, cat(two, write(a, 0, 0, 8), b, a, a, call(fGemm),
		read(b, 0, 16, 16), read(a, 0, 8, 8), i32c(8), i32c(24), call(fLog)))
	row0, row1 := []int64{1, 2, -127, -1}, []int64{5, 6, 7, 8}
	want := []byte("\x01\x02\x81\xff\x05\x06\x07\x08")
	for _, x := range [][]int64{row0, row1} {
		for _, y := range [][]int64{row0, row1} {
			var sum int32
			for i := range x {
				sum += int32(x[i] * y[i])
			}
			want = append(want, byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24))
		}
	}
	if !bytes.Equal(out.Log, want) {
		t.Fatalf("got % x\nwant % x", out.Log, want)
	}
}

// TestModelTensors: the model's tensors are found by name, shared read-only,
// and free for the job.
func TestModelTensors(t *testing.T) {
	ctx := context.Background()
	a := handle(0, 1)
	name := cat(i32c(100), i32c('w'), 0x3A, 0, 0) // mem[100] = 'w'
	ask := cat(name, i32c(100), i32c(1), call(fModel), 0x1A)
	for _, dev := range testDevices(t) {
		space, err := dev.NewSpace(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		defer space.Close()
		h, err := space.Alloc(device.S8, device.Shape{Rows: 2, Cols: 3})
		if err != nil {
			t.Fatal(err)
		}
		if err := space.Write(h, 0, []byte("abcdef")); err != nil {
			t.Fatal(err)
		}
		model := &Model{Space: space, Tensors: map[string]device.Handle{"w": h}}
		for _, k := range []struct {
			body []byte
			want abi.Trap
			log  string
		}{
			{cat(ask, a, i64c(2), i32c(8), i32c(3), call(fRead), i32c(8), i32c(3), call(fLog)), abi.TrapNone, "cde"},
			{cat(ask, a, i64c(0), i32c(0), i32c(1), call(fWrite)), abi.TrapTensorHandle, ""},
			{cat(ask, a, call(fFree), ask), abi.TrapNone, ""},
			{cat(i32c(100), i32c(2), call(fModel), 0x04, 0x40, 0, 0x0B), abi.TrapNone, ""},
		} {
			wasm := wasmMod{Imports: tensorImports, Min: 1, Max: 1, Funcs: []wasmFunc{
				abiFunc, {Export: abi.ExportInfer, Body: k.body},
			}}.encode()
			out := infer(t, wasm, Job{Device: dev, Model: model})
			wantTrap(t, out, k.want, 0)
			if string(out.Log) != k.log {
				t.Fatalf("log %q, want %q", out.Log, k.log)
			}
		}
	}
	// A module that asks for tensors where the host has no device.
	wasm := wasmMod{Imports: tensorImports, Min: 1, Max: 1, Funcs: []wasmFunc{
		abiFunc, {Export: abi.ExportInfer, Body: alloc(device.S8, 1, 1)},
	}}.encode()
	for _, e := range engines(t) {
		m := admit(t, e.rt, wasm)
		in, err := m.Start(ctx, Job{Gas: testGas})
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		var host *HostError
		if out, err := in.Infer(ctx); !errors.Is(err, ErrNoDevice) || !errors.As(err, &host) || out.Trap.OK() {
			t.Fatal(out, err)
		}
		if _, err := m.Start(ctx, Job{TensorBytes: 1}); !errors.Is(err, ErrNoDevice) {
			t.Fatal(err)
		}
	}
}

// TestMemoryBudget: an instance that does not fit is refused as the host's
// failure, and fits once another is closed.
func TestMemoryBudget(t *testing.T) {
	ctx := context.Background()
	rt, err := New(Config{MemoryBudget: 9 * wasmPage})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	m := admit(t, rt, inferGuest(nil, nil)) // at most 4 pages
	var ins []*Instance
	for range 2 {
		in, err := m.Start(ctx, Job{Gas: testGas})
		if err != nil {
			t.Fatal(err)
		}
		ins = append(ins, in)
	}
	var host *HostError
	if _, err := m.Start(ctx, Job{Gas: testGas}); !errors.Is(err, ErrMemory) || !errors.As(err, &host) {
		t.Fatal(err)
	}
	ins[0].Close()
	in, err := m.Start(ctx, Job{Gas: testGas})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := in.Infer(ctx); err != nil || !out.Trap.OK() {
		t.Fatal(out, err)
	}
	in.Close()
	ins[1].Close()
	if used := rt.budget.used; used != 0 {
		t.Fatalf("%d bytes still reserved", used)
	}
}

// TestGrow: memory.grow succeeds up to the maximum and fails above it, by
// rule alone.
func TestGrow(t *testing.T) {
	// logs the results of growing by 3 (ok), 1 (fails), 0 (ok) from 1 page of 4.
	store := func(at int64, grow int64) []byte {
		return cat(i32c(at), i32c(grow), 0x40, 0, 0x36, 2, 0)
	}
	wasm := inferGuest(imp("log"), cat(store(0, 3), store(4, 1), store(8, 0),
		i32c(4*wasmPage-1), i32c(1), 0x3A, 0, 0, i32c(0), i32c(12), call(0)))
	out := infer(t, wasm, Job{Gas: 1 << 40})
	wantTrap(t, out, abi.TrapNone, 0)
	if want := "\x01\x00\x00\x00\xff\xff\xff\xff\x04\x00\x00\x00"; string(out.Log) != want {
		t.Fatalf("% x", out.Log)
	}
}

// BenchmarkHostCall is the cost of one host call from a loop in the guest.
func BenchmarkHostCall(b *testing.B) {
	dev := testDevices(b)[0]
	const calls = 1000
	for name, body := range map[string][]byte{
		"params":    cat(i32c(0), i32c(0), call(0), 0x1A),
		"view+free": cat(i32c(1<<16), i32c(0), i32c(1), i32c(1), call(1), call(2)),
		"add":       cat(i32c(1<<16), i32c(1<<16), i32c(1<<16|1), call(4)),
	} {
		b.Run(name, func(b *testing.B) {
			wasm := wasmMod{Imports: imp("params", "tensor.view", "tensor.free", "tensor.alloc", "tensor.add"), Min: 1, Max: 1, Funcs: []wasmFunc{
				abiFunc,
				{Export: abi.ExportPowSetup, Body: cat(i32c(3), i32c(1), i32c(1), call(3), i32c(3), i32c(1), i32c(1), call(3), 0x1A, 0x1A)},
				{Export: abi.ExportInfer, Locals: []byte{i32}, Body: cat(0x03, 0x40, body,
					0x20, 0, i32c(1), 0x6A, 0x22, 0, i32c(calls), 0x48, 0x0D, 0, 0x0B)},
			}}.encode()
			in, err := admit(b, engines(b)[0].rt, wasm).Start(context.Background(), Job{Device: dev, TensorBytes: 1 << 10, Gas: 1 << 40})
			if err != nil {
				b.Fatal(err)
			}
			defer in.Close()
			if out, err := in.PowSetup(context.Background()); err != nil || !out.Trap.OK() {
				b.Fatal(out, err)
			}
			for b.Loop() {
				if out, err := in.Infer(context.Background()); err != nil || !out.Trap.OK() {
					b.Fatal(out, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/calls, "ns/call")
		})
	}
}
