package abi

import "strconv"

// Trap is the reason a guest stopped. The numbers enter receipts and hashes:
// they are never reused or renumbered. The zero value means "no outcome
// recorded" and is never a success.
type Trap uint8

const (
	TrapInvalid           Trap = 0  // zero value: nothing ran
	TrapNone              Trap = 1  // finished normally
	TrapOutOfGas          Trap = 2  // gas counter below zero
	TrapStackOverflow     Trap = 3  // logical stack depth exhausted
	TrapUnreachable       Trap = 4  // unreachable instruction of the module
	TrapMemoryOutOfBounds Trap = 5  // load, store or bulk operation outside memory
	TrapTableOutOfBounds  Trap = 6  // table access or call_indirect outside the table, or of a null entry
	TrapIndirectCall      Trap = 7  // call_indirect of another type
	TrapDivideByZero      Trap = 8  // integer division or remainder by zero
	TrapIntegerOverflow   Trap = 9  // INT_MIN / -1, or float out of the integer's range
	TrapInvalidConversion Trap = 10 // NaN to integer
	TrapAbort             Trap = 11 // assay.abort; the module's own code is beside it
	TrapExit              Trap = 12 // proc_exit, whatever the code; it is beside it
	TrapHostMemory        Trap = 13 // host call with a pointer outside memory
	TrapHostArgument      Trap = 14 // host call with an argument outside its bounds
	TrapTensorShape       Trap = 15 // op with a shape, type or scalar outside its bounds
	TrapTensorHandle      Trap = 16 // freed, unknown or read-only handle, or overlapping operands
	TrapTensorMemory      Trap = 17 // allocation above the manifest's tensor memory
	TrapOutputLimit       Trap = 18 // more output (transcript, tokens) than the job allows
	trapCount             Trap = 19
)

var trapNames = [trapCount]string{
	"invalid", "none", "out of gas", "stack overflow", "unreachable",
	"memory out of bounds", "table out of bounds", "indirect call mismatch",
	"integer divide by zero", "integer overflow", "invalid conversion to integer",
	"abort", "exit", "host call: bad pointer", "host call: bad argument",
	"tensor: bad shape", "tensor: bad handle", "tensor: memory limit", "output limit",
}

// String is for people; it never enters a hash.
func (t Trap) String() string {
	if t >= trapCount {
		return "trap(" + strconv.Itoa(int(t)) + ")"
	}
	return trapNames[t]
}

// OK reports whether the guest finished normally.
func (t Trap) OK() bool { return t == TrapNone }
