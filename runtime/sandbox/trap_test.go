package sandbox

import (
	"errors"
	"fmt"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/abi"
)

func TestEngineTrapsAreCollected(t *testing.T) {
	traps, err := collectEngineTraps()
	if err != nil {
		t.Fatal(err)
	}
	if len(traps.byTrap) != len(provoked) {
		t.Fatalf("%d of %d traps", len(traps.byTrap), len(provoked))
	}
	for _, e := range traps.byTrap {
		t.Log(e.trap, "=", e.err)
	}
}

// TestClassify: the order of what ended a call, and that nothing which
// depends on the engine or the host becomes a trap.
func TestClassify(t *testing.T) {
	traps, err := collectEngineTraps()
	if err != nil {
		t.Fatal(err)
	}
	wrap := func(err error) error { return fmt.Errorf("wasm error: %w\nwasm stack trace:\n\tx()", err) }
	bug := errors.New("runtime error: index out of range")
	for name, c := range map[string]struct {
		err    error
		status abi.Trap
		trap   abi.Trap
		code   int32
		host   error
	}{
		"return":               {nil, 0, abi.TrapNone, 0, nil},
		"unreachable":          {wrap(traps.unreachable), 0, abi.TrapUnreachable, 0, nil},
		"injected gas":         {wrap(traps.unreachable), abi.TrapOutOfGas, abi.TrapOutOfGas, 0, nil},
		"injected stack":       {wrap(traps.unreachable), abi.TrapStackOverflow, abi.TrapStackOverflow, 0, nil},
		"engine stack":         {wrap(traps.stack), 0, abi.TrapInvalid, 0, ErrEngineStack},
		"host call":            {wrap(&stop{trap: abi.TrapAbort, code: 5}), 0, abi.TrapAbort, 5, nil},
		"host failure":         {wrap(&stop{err: bug}), 0, abi.TrapInvalid, 0, bug},
		"panic in a host call": {wrap(bug), 0, abi.TrapInvalid, 0, bug},
	} {
		trap, code, host := traps.classify(c.err, c.status)
		if trap != c.trap || code != c.code || !errors.Is(host, c.host) || (host == nil) != (c.host == nil) {
			t.Errorf("%s: %v %d %v", name, trap, code, host)
		}
	}
	for err, want := range map[error]abi.Trap{
		device.ErrShape: abi.TrapTensorShape, device.ErrType: abi.TrapTensorShape, device.ErrOp: abi.TrapTensorShape,
		device.ErrHandle: abi.TrapTensorHandle, device.ErrAlias: abi.TrapTensorHandle, device.ErrMemory: abi.TrapTensorMemory,
	} {
		if s := deviceStop(wrap(err)); s.trap != want || s.err != nil {
			t.Errorf("%v: %+v", err, s)
		}
	}
	for _, err := range []error{device.ErrDeviceMemory, device.ErrClosed, &device.InternalError{Device: "x", Err: bug}, bug} {
		if s := deviceStop(err); s.trap != abi.TrapInvalid || !errors.Is(s.err, err) {
			t.Errorf("%v: %+v", err, s)
		}
	}
}
