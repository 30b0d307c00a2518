package sandbox

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
)

// TestZeroValues: nothing that was left empty is taken for a success.
func TestZeroValues(t *testing.T) {
	var f Fault
	if f == FaultNone || f != FaultHost {
		t.Errorf("zero Fault is %d", f)
	}
	if err := (Outcome{}).Err(); err == nil || (Outcome{}).Trap.OK() || FaultOf(err) != FaultHost {
		t.Errorf("zero Outcome: %v", err)
	}
	for want, err := range map[Fault]error{
		FaultInvalid: &meter.InvalidModuleError{},
		FaultLimit:   &meter.LimitError{},
		FaultHost:    &HostError{},
	} {
		if got := FaultOf(err); got != want || err.Error() == "" {
			t.Errorf("zero %T: fault %d, %q", err, got, err)
		}
	}
	if err := error(&TrapError{}); FaultOf(err) != FaultHost || err.Error() == "" || errors.Is(err, ErrOutOfGas) {
		t.Errorf("zero TrapError: %v", err)
	}
	if FaultOf(errors.New("unknown")) != FaultHost || FaultOf(nil) != FaultNone {
		t.Error("unknown errors are the host's")
	}
	both := errors.Join(&meter.LimitError{}, &HostError{})
	if FaultOf(both) != FaultHost {
		t.Error("a host's failure beside a module's is the host's")
	}
}

// TestFaults provokes each class.
func TestFaults(t *testing.T) {
	ctx := context.Background()
	e := engines(t)[0]
	admitErr := func(wasm []byte) error {
		_, err := e.rt.Admit(wasm)
		return err
	}
	call := func(body []byte, gas int64) error {
		in, err := admit(t, e.rt, inferGuest(nil, body)).Start(ctx, Job{Gas: gas})
		if err != nil {
			return err
		}
		defer in.Close()
		out, err := in.Infer(ctx)
		if err != nil {
			return err
		}
		return out.Err()
	}
	loop := cat(0x03, 0x40, 0x0C, 0, 0x0B)
	var truncated *meter.InvalidModuleError
	if err := admitErr(inferGuest(nil, nil)[:40]); !errors.As(err, &truncated) || truncated.Offset == 0 || truncated.Rule == "" {
		t.Errorf("invalid module without offset and rule: %v", err)
	}
	wide := wasmMod{Min: 8193, Max: 8193, Funcs: []wasmFunc{abiFunc}}.encode()
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	in, err := admit(t, e.rt, inferGuest(nil, nil)).Start(ctx, Job{Gas: testGas})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	_, hostErr := in.Infer(cancelled)
	for i, c := range []struct {
		err  error
		want Fault
	}{
		{admitErr([]byte("no module")), FaultInvalid},
		{admitErr(wide), FaultLimit},
		{call(cat(0x00), testGas), FaultTrap},
		{call(loop, testGas), FaultOutOfGas},
		{call(nil, testGas), FaultNone},
		{hostErr, FaultHost},
	} {
		if got := FaultOf(c.err); got != c.want || FaultOf(wrap(c.err)) != c.want {
			t.Errorf("%d: %v is of fault %d, want %d", i, c.err, got, c.want)
		}
		if errors.Is(c.err, ErrOutOfGas) != (c.want == FaultOutOfGas) {
			t.Errorf("%d: %v", i, c.err)
		}
	}
	// Initialisation that traps is the module's fault with the trap inside.
	m := admit(t, e.rt, wasmMod{Funcs: []wasmFunc{abiFunc, {Export: abi.ExportInitialize, Body: loop}}, Min: 1, Max: 1}.encode())
	if _, err := m.Start(ctx, Job{}); !errors.Is(err, ErrOutOfGas) || FaultOf(err) != FaultOutOfGas {
		t.Error(err)
	}
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("somewhere: %w", err)
}
