// Package types holds the messages, state and pure arithmetic of the audit module: verdicts,
// reports, demands and answers.
//
// The package must not know how a unit is re-executed: it asks a Rechecker. It names claims and
// epochs by the types of the sprint module, but reaches that module's state only through the
// interface declared in expected.go.
package types
