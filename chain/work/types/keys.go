package types

import "cosmossdk.io/collections"

const (
	// ModuleName names the module, its account and its codespace.
	ModuleName = "work"
	// StoreKey is the key of the module's store.
	StoreKey = ModuleName
	// BaseDenom is what escrow is paid in.
	BaseDenom = "ngnk"
)

// Prefixes of the store; never reused.
var (
	ParamsPrefix      = collections.NewPrefix(1)
	NextChannelPrefix = collections.NewPrefix(2)
	ChannelsPrefix    = collections.NewPrefix(3)
	ByClientPrefix    = collections.NewPrefix(4)
	ClosingPrefix     = collections.NewPrefix(5)
	ReceiptsPrefix    = collections.NewPrefix(6)
	OpenCountPrefix   = collections.NewPrefix(7)
)
