package sandbox

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
)

func TestModuleLifetime(t *testing.T) {
	rt := engines(t)[0].rt
	wasm := inferGuest(nil, nil)
	a, b := admit(t, rt, wasm), admit(t, rt, wasm)
	if a != b {
		t.Fatal("admitted twice")
	}
	in, err := a.Start(context.Background(), Job{Gas: testGas})
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	b.Close()
	if out, err := in.Infer(context.Background()); err != nil || !out.Trap.OK() {
		t.Fatal(out, err)
	}
	in.Close()
	if len(rt.modules) != 0 {
		t.Fatal("module outlives its last user")
	}
	if _, err := a.Start(context.Background(), Job{}); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if used := rt.budget.used; used != 0 {
		t.Fatalf("%d bytes still reserved", used)
	}
}

// TestCancel: a cancelled context ends the guest at its next host call, as a
// failure of the host.
func TestCancel(t *testing.T) {
	loop := cat(0x03, 0x40, i32c(0), i32c(0), i32c(0), call(0), 0x1A, 0x0C, 0, 0x0B)
	for _, e := range engines(t) {
		m := admit(t, e.rt, inferGuest(imp("emit"), loop))
		ctx, cancel := context.WithCancel(context.Background())
		n := 0
		in, err := m.Start(ctx, Job{Gas: MaxGas, OutputBytes: 1 << 40, Emit: func(uint32, []byte) bool {
			if n++; n == 100 {
				cancel()
			}
			return false
		}})
		if err != nil {
			t.Fatal(err)
		}
		out, err := in.Infer(ctx)
		var host *HostError
		if !errors.As(err, &host) || !errors.Is(err, context.Canceled) || out.Trap.OK() {
			t.Fatal(out, err)
		}
		in.Close()
		cancel()
	}
}

// TestCancelComputing: a guest that makes no more host calls is cancelled, too,
// long before its gas would end: no test could wait for that. Nor does the
// collector, which stops everything for a moment, wait for it.
func TestCancelComputing(t *testing.T) {
	emit := cat(i32c(0), i32c(0), i32c(0), call(0), 0x1A)
	loop := func(body []byte) []byte { return cat(emit, 0x03, 0x40, body, 0x0C, 0, 0x0B) }
	for name, body := range map[string][]byte{
		"nothing":     loop(nil),
		"addition":    loop(cat(i32c(1), 0x20, 0, 0x6A, 0x21, 0)),
		"branches":    loop(cat(0x20, 0, 0x04, 0x40, i32c(1), 0x21, 0, 0x0B)),
		"nested":      loop(cat(0x03, 0x40, 0x20, 0, i32c(1), 0x6A, 0x22, 0, 0x0D, 0, 0x0B)),
		"calls":       loop(call(3)),
		"memory.fill": loop(cat(i32c(0), i32c(0), i32c(16), 0xFC, 11, 0)),
	} {
		wasm := wasmMod{Imports: imp("emit"), Min: 1, Max: 1, Funcs: []wasmFunc{
			abiFunc, {Export: abi.ExportInfer, Locals: []byte{0x7F}, Body: body}, {Body: call(4)}, {},
		}}.encode()
		for _, e := range engines(t) {
			ctx, cancel := context.WithCancelCause(context.Background())
			enough := errors.New("enough")
			in, err := admit(t, e.rt, wasm).Start(context.Background(), Job{Gas: MaxGas, Emit: func(uint32, []byte) bool {
				go func() {
					runtime.GC()
					cancel(enough)
				}()
				return false
			}})
			if err != nil {
				t.Fatal(err)
			}
			var host *HostError
			out, err := in.Infer(ctx)
			if !errors.As(err, &host) || !errors.Is(err, enough) || out.Trap != abi.TrapInvalid {
				t.Fatalf("%s on %s: %+v %v", name, e.name, out, err)
			}
			if _, err := in.Infer(context.Background()); !errors.Is(err, ErrStopped) {
				t.Fatal(err)
			}
			in.Close()
		}
	}
}

// TestHostPanic: a panic in a callback of the host is the host's failure.
func TestHostPanic(t *testing.T) {
	wasm := inferGuest(imp("emit"), cat(i32c(0), i32c(0), i32c(0), call(0), 0x1A))
	for _, e := range engines(t) {
		in, err := admit(t, e.rt, wasm).Start(context.Background(), Job{Gas: testGas, Emit: func(uint32, []byte) bool {
			panic("broken")
		}})
		if err != nil {
			t.Fatal(err)
		}
		out, err := in.Infer(context.Background())
		var host *HostError
		if !errors.As(err, &host) || out.Trap.OK() {
			t.Fatal(out, err)
		}
		if left := int64(in.gas.Get()); left >= testGas-500 {
			t.Fatalf("gas left %d: the call was not billed", left)
		}
		in.Close()
	}
}

// TestCloseWhileRunning: closing the runtime ends a guest that is running, as
// a failure of the host, before its memory goes away.
func TestCloseWhileRunning(t *testing.T) {
	emit := cat(i32c(0), i32c(0), i32c(0), call(0), 0x1A)
	t.Run("calling", func(t *testing.T) { closeWhileRunning(t, cat(0x03, 0x40, emit, 0x0C, 0, 0x0B), 10) })
	t.Run("computing", func(t *testing.T) { closeWhileRunning(t, cat(emit, 0x03, 0x40, 0x0C, 0, 0x0B), 1) })
}

// closeWhileRunning closes the runtime when the guest has emitted so often.
func closeWhileRunning(t *testing.T, loop []byte, often int) {
	for _, e := range engines(t) {
		running := make(chan struct{})
		n := 0
		in, err := admit(t, e.rt, inferGuest(imp("emit"), loop)).Start(context.Background(), Job{
			Gas: MaxGas, OutputBytes: 1 << 40,
			Emit: func(uint32, []byte) bool {
				if n++; n == often {
					close(running)
				}
				return false
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() {
			_, err := in.Infer(context.Background())
			ended <- err
		}()
		<-running
		closed := make(chan error)
		go func() { closed <- e.rt.Close() }()
		var host *HostError
		if err := <-ended; !errors.Is(err, ErrClosed) || !errors.As(err, &host) {
			t.Fatal(err)
		}
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
		if _, err := in.Infer(context.Background()); err == nil {
			t.Fatal("runs after the end")
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := e.rt.Admit(inferGuest(nil, nil)); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
		if _, err := e.rt.Kernels(context.Background(), sumModule, 0); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
	}
}

// TestInstanceCloseWaits: closing an instance waits for its call.
func TestInstanceCloseWaits(t *testing.T) {
	wasm := inferGuest(imp("emit"), cat(i32c(0), i32c(0), i32c(0), call(0), 0x1A))
	for _, e := range engines(t) {
		inside, leave := make(chan struct{}), make(chan struct{})
		in, err := admit(t, e.rt, wasm).Start(context.Background(), Job{Gas: testGas, Emit: func(uint32, []byte) bool {
			close(inside)
			<-leave
			return false
		}})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 2)
		go func() {
			out, err := in.Infer(context.Background())
			if err == nil && !out.Trap.OK() {
				err = errors.New(out.Detail)
			}
			ended <- err
		}()
		<-inside
		go func() { ended <- in.Close() }()
		close(leave)
		for range 2 {
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
		}
	}
}
