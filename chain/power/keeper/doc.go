// Package keeper owns the miners' records and turns recorded shares into consensus and
// governance power.
//
// It is told when an epoch begins and which units survived (BeginEpoch, RecordEpoch), whom to
// jail or tombstone, and alone returns validator updates. It knows nothing of claims,
// verdicts or sprints.
package keeper
