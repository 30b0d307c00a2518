package types

import "cosmossdk.io/errors"

// Numbers are part of the protocol and never reused. Every error says what is allowed.
var (
	ErrInvalidParams     = errors.Register(ModuleName, 2, "invalid work parameters")
	ErrInvalidGenesis    = errors.Register(ModuleName, 3, "invalid work genesis")
	ErrInvalidAuthority  = errors.Register(ModuleName, 4, "not the module's authority")
	ErrInvalidAddress    = errors.Register(ModuleName, 5, "invalid address")
	ErrUnknownMiner      = errors.Register(ModuleName, 6, "miner is not registered")
	ErrEscrowTooSmall    = errors.Register(ModuleName, 7, "escrow is too small")
	ErrTooManyChannels   = errors.Register(ModuleName, 8, "client has too many channels")
	ErrNoChannel         = errors.Register(ModuleName, 9, "no such channel")
	ErrNotParty          = errors.Register(ModuleName, 10, "not a party of the channel")
	ErrChannelClosed     = errors.Register(ModuleName, 11, "channel is closed")
	ErrAlreadyClosing    = errors.Register(ModuleName, 12, "channel is closing already")
	ErrInvalidSignature  = errors.Register(ModuleName, 13, "voucher is not signed by the client")
	ErrNothingToSettle   = errors.Register(ModuleName, 14, "voucher grants nothing beyond what was paid")
	ErrVoucherTooLarge   = errors.Register(ModuleName, 15, "voucher exceeds the escrow")
	ErrWrongEpoch        = errors.Register(ModuleName, 16, "epoch is not allowed")
	ErrInvalidRoot       = errors.Register(ModuleName, 17, "invalid receipts root")
	ErrDuplicateReceipts = errors.Register(ModuleName, 18, "receipts of this epoch were committed")
	ErrSelfChannel       = errors.Register(ModuleName, 19, "client and miner are the same")
	ErrNoReceipts        = errors.Register(ModuleName, 20, "receipts of the voucher's epoch are not committed")
)
