// Package client is the Go client of an Assay network: it signs and sends
// transactions, uploads modules, queries the chain, streams answers from a
// miner over a WebSocket, and checks a receipt by running it again.
//
// It links the message types of the chain and the verifier, never the
// application: a program that uses it stays small and holds no node.
package client
