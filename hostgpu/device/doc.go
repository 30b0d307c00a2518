// Package device defines what a compute device is: tensor types, the tensor.*
// op table (Ops) from which host-call bindings, guest bindings, shape checks,
// gas prices and the spec's table derive, the Device and Space interfaces,
// and typed errors.
//
// It is a leaf: it imports nothing of this project, and it also builds for
// GOOS=wasip1. It must not know how any device computes; docs/spec/ops.md is
// the normative definition of each op, hostgpu/devicetest its executable
// reference.
package device

//go:generate go run ./gen ../../docs/spec/ops.md
