// Package enginetest runs rewritten modules on several engines and compares
// what a host can see: results, trap, gas, stack, memory, globals and calls of
// host functions.
//
// It owns the test case (a module with calls and a deterministic host), the
// engines (wazero's compiler and interpreter in this process; wazero's arm64
// compiler under qemu-user and V8 under Node as processes that read cases and
// write outcomes, one JSON line each) and the oracle, which is
// runtime/internal/reference on the original bytes. It must not know the
// sandbox, whose own tests use it, nor how modules are generated.
//
// Only tests and the runner import it.
package enginetest
