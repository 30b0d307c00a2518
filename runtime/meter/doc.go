// Package meter decides which Wasm modules are admitted and rewrites them so
// that they meter themselves: gas, logical stack depth and canonical NaNs.
//
// It owns the profile (what of Core 2.0 is allowed, and the joint limits that
// keep compilation cheap), the cost schedule, the analysis of functions and
// the injected code. The rules are written down in docs/spec/sandbox.md;
// RewriterVersion and Schedule.Version are consensus state, since a change of
// either changes the gas that a job uses.
//
// It must not know about engines, hosts or jobs. The host sets the injected
// globals before a call and reads them after it (names in runtime/abi).
package meter
