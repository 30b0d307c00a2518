package types

import "cosmossdk.io/errors"

// Numbers are part of the protocol and never reused. Every error says what is allowed.
var (
	ErrInvalidParams    = errors.Register(ModuleName, 2, "invalid audit parameters")
	ErrInvalidGenesis   = errors.Register(ModuleName, 3, "invalid audit genesis")
	ErrInvalidAuthority = errors.Register(ModuleName, 4, "not the module's authority")
	ErrInvalidAddress   = errors.Register(ModuleName, 5, "invalid address")
	ErrWrongEpoch       = errors.Register(ModuleName, 6, "not the running epoch")
	ErrWrongRound       = errors.Register(ModuleName, 7, "not the running round")
	ErrWrongPhase       = errors.Register(ModuleName, 8, "not accepted in this phase")
	ErrNoSeat           = errors.Register(ModuleName, 9, "not a validator of this round")
	ErrDuplicateVerdict = errors.Register(ModuleName, 10, "verdict of this round was given")
	ErrInvalidProof     = errors.Register(ModuleName, 11, "invalid VRF proof")
	ErrInvalidBitmap    = errors.Register(ModuleName, 12, "invalid bitmap")
	ErrInvalidRoot      = errors.Register(ModuleName, 13, "invalid keyed root")
	ErrInvalidOpening   = errors.Register(ModuleName, 14, "opening does not match the claim")
	ErrInvalidIndex     = errors.Register(ModuleName, 15, "invalid unit index")
	ErrDuplicateReport  = errors.Register(ModuleName, 16, "unit was reported")
	ErrTooManyReports   = errors.Register(ModuleName, 17, "sender reported too often")
	ErrQueueFull        = errors.Register(ModuleName, 18, "queue of reports is full")
	ErrRefutedReporter  = errors.Register(ModuleName, 19, "sender reported a correct unit in this epoch")
	ErrUnknownReporter  = errors.Register(ModuleName, 20, "reporter is not registered")
	ErrCondemned        = errors.Register(ModuleName, 21, "claimant is condemned already")
	ErrNotDrawn         = errors.Register(ModuleName, 22, "unit is not of the validator's draw")
	ErrDemandOpen       = errors.Register(ModuleName, 23, "validator has an open demand for this claim")
	ErrNoDemand         = errors.Register(ModuleName, 24, "no such open demand")
	ErrNotAddressed     = errors.Register(ModuleName, 25, "demand is addressed to another miner")
	ErrIncompleteAnswer = errors.Register(ModuleName, 26, "answer does not cover the demand")
	ErrTooManyIndexes   = errors.Register(ModuleName, 27, "too many indexes")
	ErrClaimVoid        = errors.Register(ModuleName, 28, "claim is void already")
)
