package sandbox

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/internal/frames"
	"github.com/tetratelabs/wazero"
)

// Outcome of one export call. The zero value (TrapInvalid) is not a success.
type Outcome struct {
	Trap    abi.Trap
	Code    int32    // of TrapAbort and TrapExit, else 0
	GasUsed int64    // never above the call's budget; equal to it when out of gas
	Tokens  []uint32 // emitted tokens
	Text    []byte   // their text, concatenated
	Log     []byte   // what the guest logged since the last outcome; never part of a result
	Detail  string   // for people: what the engine said; never part of a result
}

// Err is nil if the call succeeded, else a *TrapError.
func (o Outcome) Err() error {
	if o.Trap.OK() {
		return nil
	}
	return &TrapError{Call: "call", Outcome: o}
}

// TrapError is a guest that stopped where the caller expects no outcome: in
// its initialisation. It is the guest's failure, the same on every host.
type TrapError struct {
	Call    string // the export that was running
	Outcome Outcome
}

func (e *TrapError) Error() string {
	s := fmt.Sprintf("sandbox: %s: %v", e.Call, e.Outcome.Trap)
	if e.Outcome.Code != 0 {
		s += fmt.Sprintf(" (code %d)", e.Outcome.Code)
	}
	return s
}

// Is recognizes ErrOutOfGas.
func (e *TrapError) Is(target error) bool {
	return target == ErrOutOfGas && e.Outcome.Trap == abi.TrapOutOfGas
}

// stop is what a host call panics with to end the guest: a trap, or a failure
// of the host if err is set. wazero unwinds the guest and returns it wrapped.
type stop struct {
	trap abi.Trap
	code int32
	err  error
}

func (s *stop) Error() string {
	if s.err != nil {
		return s.err.Error()
	}
	return s.trap.String()
}

// engineTraps are wazero's trap values. They are exported by no package, so
// they are collected once by provoking each of them.
type engineTraps struct {
	unreachable, stack error
	byTrap             []engineTrap
}

type engineTrap struct {
	err  error
	trap abi.Trap
}

// provoker exports one function a trap: "a".."h" below, in that order. It is
// the encoding of (table 1 funcref) (memory 0) and
//
//	a unreachable
//	b i32.load at 0
//	c call_indirect at 1 (outside the table)
//	d call_indirect at 0, of type () -> () as (i32) -> ()
//	e i32.div_s 1 0
//	f i32.div_s INT_MIN -1
//	g i32.trunc_f32_s nan
//	h calls itself
var provoker = []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x08\x02\x60\x00\x00\x60\x01\x7f\x00" +
	"\x03\x09\x08\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x04\x04\x01\x70\x00\x01" +
	"\x05\x03\x01\x00\x00" +
	"\x07\x21\x08\x01a\x00\x00\x01b\x00\x01\x01c\x00\x02\x01d\x00\x03\x01e\x00\x04\x01f\x00\x05\x01g\x00\x06\x01h\x00\x07" +
	"\x09\x07\x01\x00\x41\x00\x0b\x01\x00" +
	"\x0a\x45\x08" +
	"\x03\x00\x00\x0b" +
	"\x08\x00\x41\x00\x28\x02\x00\x1a\x0b" +
	"\x07\x00\x41\x01\x11\x00\x00\x0b" +
	"\x09\x00\x41\x00\x41\x00\x11\x01\x00\x0b" +
	"\x08\x00\x41\x01\x41\x00\x6d\x1a\x0b" +
	"\x0c\x00\x41\x80\x80\x80\x80\x78\x41\x7f\x6d\x1a\x0b" +
	"\x09\x00\x43\x00\x00\xc0\x7f\xa8\x1a\x0b" +
	"\x04\x00\x10\x07\x0b")

var provoked = []abi.Trap{
	abi.TrapUnreachable, abi.TrapMemoryOutOfBounds, abi.TrapTableOutOfBounds, abi.TrapIndirectCall,
	abi.TrapDivideByZero, abi.TrapIntegerOverflow, abi.TrapInvalidConversion, abi.TrapStackOverflow,
}

var collectEngineTraps = sync.OnceValues(func() (*engineTraps, error) {
	ctx := context.Background()
	// The interpreter's recursion limit is small; both engines share the values.
	wz := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer wz.Close(ctx)
	mod, err := wz.Instantiate(ctx, provoker)
	if err != nil {
		return nil, fmt.Errorf("collect engine traps: %w", err)
	}
	t := &engineTraps{}
	for i, trap := range provoked {
		_, err := mod.ExportedFunction(string(rune('a' + i))).Call(ctx)
		base := errors.Unwrap(err)
		if base == nil {
			return nil, fmt.Errorf("collect engine traps: %v gave %v", trap, err)
		}
		for _, o := range t.byTrap {
			if errors.Is(base, o.err) {
				return nil, fmt.Errorf("collect engine traps: %v is not distinct from %v", trap, o.trap)
			}
		}
		switch trap {
		case abi.TrapUnreachable:
			t.unreachable = base
		case abi.TrapStackOverflow:
			t.stack = base
		}
		t.byTrap = append(t.byTrap, engineTrap{base, trap})
	}
	frames.Lift() // no guest runs before this
	return t, nil
})

// classify derives the trap of a call from the error that ended it and from
// the status global, which rewritten code sets just before unreachable. An
// error return is a failure of the host.
func (t *engineTraps) classify(err error, status abi.Trap) (trap abi.Trap, code int32, host error) {
	if err == nil {
		return abi.TrapNone, 0, nil
	}
	var s *stop
	if errors.As(err, &s) {
		return s.trap, s.code, s.err
	}
	if errors.Is(err, t.unreachable) && status != abi.TrapInvalid {
		return status, 0, nil
	}
	if errors.Is(err, t.stack) {
		return abi.TrapInvalid, 0, ErrEngineStack
	}
	for _, e := range t.byTrap {
		if errors.Is(err, e.err) {
			return e.trap, 0, nil
		}
	}
	return abi.TrapInvalid, 0, err // a bug in a host function or in the engine
}

// deviceStop maps an error of a device to the guest's trap, or to a failure
// of the host.
func deviceStop(err error) *stop {
	switch {
	case errors.Is(err, device.ErrShape), errors.Is(err, device.ErrType), errors.Is(err, device.ErrOp):
		return &stop{trap: abi.TrapTensorShape}
	case errors.Is(err, device.ErrHandle), errors.Is(err, device.ErrAlias):
		return &stop{trap: abi.TrapTensorHandle}
	case errors.Is(err, device.ErrMemory):
		return &stop{trap: abi.TrapTensorMemory}
	}
	return &stop{err: hostErr("device", err)}
}
