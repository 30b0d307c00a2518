// Package app wires the modules into one Cosmos SDK application.
//
// It owns the order of the modules, the checks before a transaction runs (ante.go,
// newcomer.go), the fee-free lane in mempool and proposals (lane.go, mempool.go,
// proposal.go) and the genesis of a network. It never imports the sandbox: what executes
// modules is handed in through Config.
package app
