package types

import errorsmod "cosmossdk.io/errors"

// Numbers are part of the protocol and never reused.
var (
	ErrParams       = errorsmod.Register(ModuleName, 2, "invalid parameters")
	ErrAuthority    = errorsmod.Register(ModuleName, 3, "not the authority")
	ErrHash         = errorsmod.Register(ModuleName, 4, "invalid hash")
	ErrKind         = errorsmod.Register(ModuleName, 5, "invalid kind")
	ErrSize         = errorsmod.Register(ModuleName, 6, "size over its limit")
	ErrChunks       = errorsmod.Register(ModuleName, 7, "invalid chunk")
	ErrExists       = errorsmod.Register(ModuleName, 8, "already stored")
	ErrNotFound     = errorsmod.Register(ModuleName, 9, "not found")
	ErrUploads      = errorsmod.Register(ModuleName, 10, "too many open uploads")
	ErrUnpack       = errorsmod.Register(ModuleName, 11, "blob does not unpack")
	ErrNotAdmitted  = errorsmod.Register(ModuleName, 12, "not admitted")
	ErrSlot         = errorsmod.Register(ModuleName, 13, "invalid slot")
	ErrActivation   = errorsmod.Register(ModuleName, 14, "invalid activation")
	ErrReferenced   = errorsmod.Register(ModuleName, 15, "still referenced")
	ErrEpochOrder   = errorsmod.Register(ModuleName, 16, "epochs out of order")
	ErrGenesis      = errorsmod.Register(ModuleName, 17, "invalid genesis")
	ErrAddress      = errorsmod.Register(ModuleName, 18, "invalid address")
	ErrNoActivation = errorsmod.Register(ModuleName, 19, "slot is not active")
)
