// Package ptx runs NVIDIA PTX text on the processor: a parser and a SIMT
// emulator, so that the very text which a driver compiles on a miner's GPU can
// be run, and its bits compared, by everyone.
//
// Parse reads a module; whatever it does not know (a directive, an instruction,
// a modifier, an operand form) is an error that names the line, never a guess.
// A Machine owns device memory and runs kernels by the rules of NVIDIA's
// "Parallel Thread Execution ISA"; comments name its sections ("PTX ISA: mad").
// Checks adds what compute-sanitizer looks for on a GPU.
//
// What an emulator cannot show: speed; anything that depends on the weakness of
// the memory model between blocks (global memory here is stronger than a GPU's);
// faults of the driver's compiler; limits on registers and occupancy; power.
//
// The package must not know what the kernels compute, who launches them, or
// that a driver exists.
package ptx
