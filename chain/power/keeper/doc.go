// Package keeper owns the miners' records and turns recorded shares into consensus and
// governance power.
//
// It is told which units survived and weighs the miners for the next epoch a page a block
// (PrepareEpoch), when that epoch begins (BeginEpoch), whom to
// jail or tombstone, and alone returns validator updates. It knows nothing of claims,
// verdicts or sprints.
package keeper
