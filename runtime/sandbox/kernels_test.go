package sandbox

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
)

// sumModule exports memory (1 to 65536 pages) and sum(ptr, n, dst): adds n i32
// at ptr and stores the sum at dst; div0() traps.
var sumModule = wasmMod{Min: 1, Max: 65536, Funcs: []wasmFunc{
	{Export: "sum", Params: []byte{i32, i32, i32}, Locals: []byte{i32}, Body: cat(
		0x02, 0x40, 0x03, 0x40, // block, loop
		0x20, 1, 0x45, 0x0D, 1, // br_if 1 if n == 0
		0x20, 3, 0x20, 0, 0x28, 2, 0, 0x6A, 0x21, 3, // acc += load(ptr)
		0x20, 0, 0x41, 4, 0x6A, 0x21, 0, // ptr += 4
		0x20, 1, 0x41, 1, 0x6B, 0x21, 1, // n -= 1
		0x0C, 0, 0x0B, 0x0B, // br 0, end, end
		0x20, 2, 0x20, 3, 0x36, 2, 0, // store
	)},
	{Export: "div0", Body: cat(0x41, 1, 0x41, 0, 0x6D, 0x1A)},
}}.encode()

func TestKernels(t *testing.T) {
	for _, interp := range []bool{false, true} {
		r, err := New(Config{Interpreter: interp})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		ctx := context.Background()
		k, err := r.Kernels(ctx, sumModule, 3)
		if err != nil {
			t.Fatal(err)
		}
		k2, err := r.Kernels(ctx, sumModule, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(k.Memory()) != 3*wasmPage || len(k2.Memory()) != wasmPage {
			t.Fatalf("memory sizes %d, %d", len(k.Memory()), len(k2.Memory()))
		}
		base := &k.Memory()[0]
		if err := k.Grow(1000); err != nil {
			t.Fatal(err)
		}
		if &k.Memory()[0] != base {
			t.Fatal("memory moved")
		}
		mem := k.Memory()
		at := len(mem) - 400
		for i := range 100 {
			binary.LittleEndian.PutUint32(mem[at+4*i:], uint32(i))
		}
		sum, err := k.Func("sum")
		if err != nil {
			t.Fatal(err)
		}
		if err := sum(uint64(at), 100, 8); err != nil {
			t.Fatal(err)
		}
		if got := binary.LittleEndian.Uint32(mem[8:]); got != 4950 {
			t.Fatalf("sum = %d", got)
		}
		if k2.Memory()[8] != 0 {
			t.Fatal("instances share memory")
		}
		if err := sum(1, 2); err == nil {
			t.Fatal("wrong number of arguments accepted")
		}
		var he *HostError
		if err := sum(uint64(len(mem)-2), 1, 8); !errors.As(err, &he) {
			t.Fatalf("out of bounds: %v", err)
		}
		div0, err := k.Func("div0")
		if err != nil {
			t.Fatal(err)
		}
		if err := div0(); !errors.As(err, &he) {
			t.Fatalf("div0: %v", err)
		}
		if _, err := k.Func("nope"); !errors.Is(err, ErrNoExport) {
			t.Fatalf("missing export: %v", err)
		}
		if err := k.Grow(70000); !errors.Is(err, ErrMemory) {
			t.Fatalf("grow beyond maximum: %v", err)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		if err := sum(0, 0, 0); !errors.Is(err, ErrClosed) {
			t.Fatalf("call after close: %v", err)
		}
		if err := k2.Close(); err != nil {
			t.Fatal(err)
		}
		if used := r.budget.used; used != 0 {
			t.Fatalf("%d bytes still counted", used)
		}
	}
}

// TestKernelsAreNotInTheBudget: their memory is tensors, and the next
// instance of a guest fits beside them.
func TestKernelsAreNotInTheBudget(t *testing.T) {
	r, err := New(Config{MemoryBudget: 4 * wasmPage, TrustModules: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	k, err := r.Kernels(context.Background(), sumModule, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	in, err := admit(t, r, inferGuest(nil, nil)).Start(context.Background(), Job{Gas: testGas})
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
}
