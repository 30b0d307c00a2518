package miner

import "errors"

var (
	// ErrRefused: the chain refused a message for good; sending it again does
	// not help. A Chain wraps it; every other error of a Chain is transient.
	ErrRefused = errors.New("miner: refused by the chain")
	// ErrNoClaim: the chain holds no claim of this miner in the epoch.
	ErrNoClaim = errors.New("miner: no claim")
	// ErrDiverged: the claim on chain is not one that this miner's store
	// extends: another process mines with the same key, or the store was lost
	// and units came out different.
	ErrDiverged = errors.New("miner: the claim on chain is not of this store")
	// ErrStore: the store on disk failed or holds what cannot be.
	ErrStore = errors.New("miner: store")
	// ErrLocked: another process works in the same directory.
	ErrLocked = errors.New("miner: directory is in use by another process")
	// ErrWork: the epoch's module cannot be run; the miner sits the epoch out.
	ErrWork = errors.New("miner: the epoch's work cannot be computed")
)
