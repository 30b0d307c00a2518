package types

import (
	"context"

	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

// Epochs reads what is audited.
type Epochs interface {
	// Epoch returns the running epoch.
	Epoch(ctx context.Context) (sprinttypes.Epoch, error)
	// Claim returns a claim, or an error that says that there is none.
	Claim(ctx context.Context, epoch uint64, miner sdk.AccAddress) (sprinttypes.Claim, error)
	// WalkClaims calls f for each claim in the order of addresses until f stops it.
	WalkClaims(ctx context.Context, epoch uint64, f func(miner sdk.AccAddress, c sprinttypes.Claim) (stop bool, err error)) error
}

// Court executes what the audit decides.
type Court interface {
	// AddFalseUnit voids the claim and returns the number of its proven false units.
	AddFalseUnit(ctx context.Context, miner sdk.AccAddress) (uint32, error)
	// VoidClaim voids a claim for another reason.
	VoidClaim(ctx context.Context, miner sdk.AccAddress, reason sprinttypes.ClaimStatus) error
	// Forfeit takes all rewards that are not released; bps/10,000 are divided equally among those who proved
	// the false units, less what each one's report owes to the block that took it.
	Forfeit(ctx context.Context, owner sdk.AccAddress, bps uint32, proofs []sprinttypes.Proof) (forfeited, rewarded math.Int, err error)
	// Entitled says whether a proposer is paid for taking a message of a sender.
	Entitled(ctx context.Context, proposer, sender []byte) (bool, error)
	// Reserve moves coins of a module's account into the reserve.
	Reserve(ctx context.Context, from string, amount math.Int) error
	// Burn takes coins of a module's account out of the supply.
	Burn(ctx context.Context, from string, amount math.Int) error
	// Redraw opens a further round.
	Redraw(ctx context.Context, draws []sprinttypes.Draw) error
	// Settle ends the audit.
	Settle(ctx context.Context, r sprinttypes.AuditResult) error
}

// Power knows validators and punishes them.
type Power interface {
	// Seats returns the validators frozen at the epoch's start that have a VRF key in force, sorted
	// by address, at most MaxSeats. Only address, power and key are set.
	Seats(ctx context.Context, epoch uint64) ([]Seat, error)
	// Miner says whether the address is registered, and if so whether it is jailed.
	Miner(ctx context.Context, miner sdk.AccAddress) (registered, jailed bool, err error)
	// Operator returns who runs the validator with the consensus address, nil if nobody is known.
	Operator(ctx context.Context, consensus []byte) (sdk.AccAddress, error)
	// Heard returns the power of the validators that made a block at height since or later, the running one
	// not included, and that of all.
	Heard(ctx context.Context, since int64) (power, total uint64, err error)
	// Answered says that an answer of the miner was taken: it does not count against the miner's
	// fee-free transactions.
	Answered(ctx context.Context, miner sdk.AccAddress) error
	// Jail takes the power of an operator and keeps it from claiming. Jailing twice is no error.
	Jail(ctx context.Context, operator sdk.AccAddress) error
}

// Bank moves deposits.
type Bank interface {
	SendCoinsFromAccountToModule(ctx context.Context, from sdk.AccAddress, module string, amount sdk.Coins) error
	SendCoinsFromModuleToAccount(ctx context.Context, module string, to sdk.AccAddress, amount sdk.Coins) error
}

// Accounts is what the module needs of the accounts.
type Accounts interface {
	GetModuleAddress(module string) sdk.AccAddress
}

// Job names one unit to re-execute. It refers to the module by hash: the implementation must have
// the code of every active module at hand.
type Job struct {
	// ID names the job; equal IDs are equal jobs.
	ID [32]byte
	// ModuleHash is the SHA-256 of the module's Wasm.
	ModuleHash [32]byte
	// Params are handed to the module as they are.
	Params []byte
	// Seed is the epoch's.
	Seed [32]byte
	// Identity is the claimant's address.
	Identity []byte
	// TensorBytes, GasSetup, GasUnit and MemoryPages bound the module.
	TensorBytes, GasSetup, GasUnit int64
	MemoryPages                    uint32
	// Index is the unit's.
	Index uint64
	// Key asks for the keyed digest under it; nil for the unit's own digest.
	Key *[32]byte
}

// Rechecker re-executes units on the reference device. Its results must be the same on every node.
type Rechecker interface {
	// Queue starts the re-execution in the background and returns at once. It is idempotent. It may
	// be called for blocks that are never committed.
	Queue(job Job)
	// Wait returns the digest of a queued job once it is done. trap is an abi.Trap: only with
	// abi.TrapNone is there a digest. Where the host itself fails, for lack of memory or of the
	// module's code, it panics, which halts the node: such a failure is never a verdict.
	Wait(id [32]byte) (digest [32]byte, trap uint8)
}
