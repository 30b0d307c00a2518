package types

import "cosmossdk.io/collections"

const (
	// ModuleName names the module and its store.
	ModuleName = "power"
	// StoreKey is the name of the module's store.
	StoreKey = ModuleName
)

// Prefixes of the store; never reused.
var (
	ParamsPrefix    = collections.NewPrefix(1)
	EpochPrefix     = collections.NewPrefix(2)
	MinersPrefix    = collections.NewPrefix(3)
	ConsKeysPrefix  = collections.NewPrefix(4)
	RetiredPrefix   = collections.NewPrefix(5)
	HistoryPrefix   = collections.NewPrefix(6)
	RecordedPrefix  = collections.NewPrefix(7)
	SumsPrefix      = collections.NewPrefix(8)
	WeightsPrefix   = collections.NewPrefix(9)
	TotalsPrefix    = collections.NewPrefix(10)
	FrozenPrefix    = collections.NewPrefix(11)
	SeatsPrefix     = collections.NewPrefix(12)
	CometPrefix     = collections.NewPrefix(13)
	DirtyPrefix     = collections.NewPrefix(14)
	VotingPrefix    = collections.NewPrefix(15)
	LanePrefix      = collections.NewPrefix(16)
	GenesisSumKey   = collections.NewPrefix(17)
	RecordedCounter = collections.NewPrefix(18)
	VRFKeysPrefix   = collections.NewPrefix(19)
	ProposedPrefix  = collections.NewPrefix(20)
	TurnsPrefix     = collections.NewPrefix(25)
	RotationPrefix  = collections.NewPrefix(26)

	PreparationPrefix = collections.NewPrefix(21)
	FoundersPrefix    = collections.NewPrefix(22)
	CandidatesPrefix  = collections.NewPrefix(23)
	SweptPrefix       = collections.NewPrefix(24)
)

// Events and their attributes.
const (
	EventRegister  = "assay_register"
	EventRemove    = "assay_validator_removed"
	EventKept      = "assay_validator_set_kept"
	AttributeMiner = "miner"
	AttributeCause = "cause"
	AttributeEpoch = "epoch"
)
