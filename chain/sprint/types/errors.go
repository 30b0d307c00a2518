package types

import "cosmossdk.io/errors"

// Numbers are part of the protocol and never reused. Every error says what is allowed.
var (
	ErrInvalidParams    = errors.Register(ModuleName, 2, "invalid sprint parameters")
	ErrWrongEpoch       = errors.Register(ModuleName, 3, "not the running epoch")
	ErrCommitClosed     = errors.Register(ModuleName, 4, "claims are not accepted now")
	ErrUnknownMiner     = errors.Register(ModuleName, 5, "miner is not registered")
	ErrJailedMiner      = errors.Register(ModuleName, 6, "miner is jailed")
	ErrInvalidRoot      = errors.Register(ModuleName, 7, "invalid root")
	ErrFoldMismatch     = errors.Register(ModuleName, 8, "count is not a multiple of the fold")
	ErrClaimTooSmall    = errors.Register(ModuleName, 9, "claim is too small")
	ErrClaimTooLarge    = errors.Register(ModuleName, 10, "claim is too large")
	ErrTooManyClaims    = errors.Register(ModuleName, 11, "no room for another claim in this epoch")
	ErrNotExtended      = errors.Register(ModuleName, 12, "claim does not grow")
	ErrNotAppendOnly    = errors.Register(ModuleName, 13, "extension is not append-only")
	ErrTooManyExtends   = errors.Register(ModuleName, 14, "claim was extended too often")
	ErrInvalidProof     = errors.Register(ModuleName, 15, "invalid consistency proof")
	ErrInvalidAuthority = errors.Register(ModuleName, 16, "not the module's authority")
	ErrNoEpoch          = errors.Register(ModuleName, 17, "no epoch has opened yet")
	ErrNoClaim          = errors.Register(ModuleName, 18, "no such claim")
	ErrNoSettlement     = errors.Register(ModuleName, 19, "no such settlement")
	ErrWrongPhase       = errors.Register(ModuleName, 20, "not in this phase of the epoch")
	ErrInvalidGenesis   = errors.Register(ModuleName, 21, "invalid sprint genesis")
	ErrInvalidAddress   = errors.Register(ModuleName, 22, "invalid address")
	ErrNoWork           = errors.Register(ModuleName, 23, "no proof of work is active")
)
