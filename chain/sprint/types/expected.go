package types

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// Registry knows which module is the proof of work.
type Registry interface {
	// OpenEpoch puts into force what governance activated for the epoch and returns the work; a
	// module hash of zeros says that there is none. It is called once an epoch, in ascending order.
	// An error halts the chain.
	OpenEpoch(ctx context.Context, epoch uint64) (Work, error)
	// ModuleFailed says that the epoch's module itself trapped in a re-execution. It is called at
	// most once an epoch, before the next one opens.
	ModuleFailed(ctx context.Context, epoch uint64) error
}

// Power knows who is registered and turns units into power.
type Power interface {
	// OpenEpoch freezes powers and VRF keys for the epoch. It is called once an epoch, after the
	// earlier one was settled and PrepareEpoch was ready. An error halts the chain.
	OpenEpoch(ctx context.Context, epoch uint64) error
	// Miner says whether the address is registered, and if so whether it is jailed.
	Miner(ctx context.Context, miner sdk.AccAddress) (registered, jailed bool, err error)
	// Operator returns who runs the validator with the consensus address, nil if nobody is known.
	Operator(ctx context.Context, consensus []byte) (sdk.AccAddress, error)
	// Heard returns the power of the validators that made a block at height since or later, the running one
	// not included, and that of all.
	Heard(ctx context.Context, since int64) (power, total uint64, err error)
	// PrepareEpoch takes the next page of the units that survived, and does what else the opening of the
	// epoch after it needs, a page of about so many entries; ready says that OpenEpoch may be called. It is
	// called once a block after the settlement, also when it was ready before.
	PrepareEpoch(ctx context.Context, settled Settled, entries uint32) (ready bool, err error)
	// Sweep removes a page of what earlier epochs left. It may be called in any block.
	Sweep(ctx context.Context, entries uint32) error
}

// Settled are the units of an epoch that survived.
type Settled struct {
	Epoch uint64
	// Units is their sum: 0 says that no claim was valid.
	Units uint64
	// Next returns at most that many shares in the order of addresses, after an address or from the first;
	// fewer if there are no more. Units may be 0.
	Next func(ctx context.Context, after []byte, most int) ([]Share, error)
}

// Witness remembers what a node's mempool was shown before the deadline. It is the node's own and no
// part of the state: consensus hears of it only by what validators sign.
type Witness interface {
	// Saw says whether exactly this commitment was seen in time.
	Saw(epoch uint64, miner []byte, count uint64, root []byte) bool
}

// Share is a miner's part of an epoch.
type Share struct {
	Miner sdk.AccAddress
	Units uint64
}

// Bank is what the module needs of the bank.
type Bank interface {
	MintCoins(ctx context.Context, module string, amount sdk.Coins) error
	BurnCoins(ctx context.Context, module string, amount sdk.Coins) error
	SendCoinsFromModuleToAccount(ctx context.Context, module string, to sdk.AccAddress, amount sdk.Coins) error
	SendCoinsFromModuleToModule(ctx context.Context, from, to string, amount sdk.Coins) error
	GetBalance(ctx context.Context, addr sdk.AccAddress, denom string) sdk.Coin
	GetSupply(ctx context.Context, denom string) sdk.Coin
}

// Accounts is what the module needs of the accounts.
type Accounts interface {
	GetModuleAddress(module string) sdk.AccAddress
}

// Draw is how many units a further round of the audit draws of one claim.
type Draw struct {
	Miner sdk.AccAddress
	Units uint64
}

// Auditor is a validator of the epoch and its weight in what the fees pay. Who is absent loses a
// part of its own reward.
type Auditor struct {
	Validator sdk.AccAddress
	Weight    uint64
	Absent    bool
	// Taken are the messages by which it earned its pay, each in one round.
	Taken []Taken
}

// AuditResult is what the audit hands over for the settlement.
type AuditResult struct {
	// Entropy is the hash of all verdicts' VRF outputs.
	Entropy [32]byte
	// Auditors are sorted by address, each at most once.
	Auditors []Auditor
	// Unseen are the claimants, sorted by address, whose late units too few validators had seen in time.
	Unseen []sdk.AccAddress
	// ModuleFailed says that the module itself trapped in a re-execution.
	ModuleFailed bool
	// Rounds of the audit, at least 1.
	Rounds uint32
}
