// Package network makes and runs nodes: the keys, genesis and configuration of a network of
// n nodes, and one node from its home folder, several of them in one process if need be.
//
// A node's votes and blocks go before the transactions of others: see relay and gate.
//
// It owns the layout of a home folder. It knows nothing of mining or auditing; who wants to
// run those beside a node starts them with the node's addresses and keys.
package network
