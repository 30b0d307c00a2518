package types

import errorsmod "cosmossdk.io/errors"

// Numbers are part of the protocol and never reused.
var (
	ErrUnknownMiner   = errorsmod.Register(ModuleName, 2, "unknown miner")
	ErrConsensusKey   = errorsmod.Register(ModuleName, 3, "invalid consensus key")
	ErrKeyInUse       = errorsmod.Register(ModuleName, 4, "consensus key in use")
	ErrVRFKey         = errorsmod.Register(ModuleName, 5, "invalid VRF key")
	ErrEndpoint       = errorsmod.Register(ModuleName, 6, "invalid endpoint")
	ErrTombstoned     = errorsmod.Register(ModuleName, 7, "tombstoned")
	ErrJailed         = errorsmod.Register(ModuleName, 8, "jailed")
	ErrParams         = errorsmod.Register(ModuleName, 9, "invalid parameters")
	ErrAuthority      = errorsmod.Register(ModuleName, 10, "not the authority")
	ErrNoWeight       = errorsmod.Register(ModuleName, 11, "no governance weight")
	ErrLaneExhausted  = errorsmod.Register(ModuleName, 12, "fee-free transactions of this epoch used up")
	ErrLaneLimit      = errorsmod.Register(ModuleName, 13, "fee-free transaction over its limit")
	ErrStamp          = errorsmod.Register(ModuleName, 14, "missing or weak hash stamp")
	ErrUnknownEpoch   = errorsmod.Register(ModuleName, 15, "unknown epoch")
	ErrShares         = errorsmod.Register(ModuleName, 16, "invalid shares")
	ErrGenesis        = errorsmod.Register(ModuleName, 17, "invalid genesis")
	ErrEpochOrder     = errorsmod.Register(ModuleName, 18, "epochs out of order")
	ErrAddress        = errorsmod.Register(ModuleName, 19, "invalid address")
	ErrNewcomerFormat = errorsmod.Register(ModuleName, 20, "invalid first registration")
	ErrVRFKeyInUse    = errorsmod.Register(ModuleName, 21, "VRF key in use")
	ErrNotPrepared    = errorsmod.Register(ModuleName, 22, "epoch not prepared")
)
