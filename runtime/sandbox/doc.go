// Package sandbox runs guest modules: it admits and compiles them once, gives
// each job its own instance, carries out the host calls, bills gas and turns
// every way in which a guest can stop into one abi.Trap.
//
// It is the only package that imports wazero. It owns the compile cache, guest
// memory, the deterministic WASI subset and the transcript of a unit. It takes
// a device.Device and must not know which one; it must not know the chain, the
// verifier or how a module is stored.
//
// What a guest can observe (results, traps, gas, handles, clock, random bytes)
// is a function of the module and the job alone: never of the engine, the
// machine, the time of day or another job. docs/spec/sandbox.md is the
// normative text.
package sandbox
