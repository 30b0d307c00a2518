package types

import "cosmossdk.io/collections"

const (
	// ModuleName names the module, its account and its codespace.
	ModuleName = "audit"
	// StoreKey is the key of the module's store.
	StoreKey = ModuleName
	// BaseDenom is what deposits are paid in.
	BaseDenom = "ngnk"
	// MaxSeats bounds the validators of an epoch.
	MaxSeats = 100
)

// Prefixes of the store; never reused.
var (
	ParamsPrefix     = collections.NewPrefix(1)
	RoundPrefix      = collections.NewPrefix(2)
	VerdictsPrefix   = collections.NewPrefix(3)
	ReportsPrefix    = collections.NewPrefix(4)
	QueuePrefix      = collections.NewPrefix(5)
	DemandsPrefix    = collections.NewPrefix(6)
	DeadlinesPrefix  = collections.NewPrefix(7)
	PairsPrefix      = collections.NewPrefix(8)
	AnswersPrefix    = collections.NewPrefix(9)
	SendersPrefix    = collections.NewPrefix(10)
	NextReportPrefix = collections.NewPrefix(11)
	NextDemandPrefix = collections.NewPrefix(12)
	PrunedPrefix     = collections.NewPrefix(13)
	QueuedPrefix     = collections.NewPrefix(14)
	ChallengedPrefix = collections.NewPrefix(15)
	PastPrefix       = collections.NewPrefix(16)
	ProvenPrefix     = collections.NewPrefix(17)
)
