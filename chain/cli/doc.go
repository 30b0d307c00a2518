// Package cli makes the chain's commands: init, start, export, status, keys, tx and query.
//
// The root command belongs to main; Add hangs these below it. Queries and transactions come
// from the modules' services; only what needs a file or a key pair has a command of its own.
package cli
