package types

import "cosmossdk.io/collections"

const (
	// ModuleName names the module, its account and its codespace.
	ModuleName = "sprint"
	// StoreKey is the key of the module's store.
	StoreKey = ModuleName
	// BaseDenom is the smallest unit of the coin, 10^-9 GNK. All amounts of this module are in it.
	BaseDenom = "ngnk"
)

// Prefixes of the store; never reused.
var (
	ParamsPrefix      = collections.NewPrefix(1)
	EpochPrefix       = collections.NewPrefix(2)
	ChainPrefix       = collections.NewPrefix(3)
	ClaimsPrefix      = collections.NewPrefix(4)
	SettlementsPrefix = collections.NewPrefix(5)
	VestingPrefix     = collections.NewPrefix(6)
)

// ClaimKey is where the state holds a miner's claim, for proofs.
func ClaimKey(epoch uint64, miner []byte) ([]byte, error) {
	return collections.EncodeKeyWithPrefix(ClaimsPrefix,
		collections.PairKeyCodec(collections.Uint64Key, collections.BytesKey), collections.Join(epoch, miner))
}
