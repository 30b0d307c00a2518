// Package power is the x-module for consensus and governance power: who mines, with which
// keys, and what each miner's compute weighs. Its keeper says more.
package power
