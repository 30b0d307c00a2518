package params

import (
	"os"
	"sync"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

const (
	// AppName names the application, its environment prefix and its version record.
	AppName = "assay"
	// Bech32Prefix is the human-readable part of account addresses.
	Bech32Prefix = "assay"
	// BaseDenom is the smallest unit of the coin.
	BaseDenom = "ngnk"
	// DisplayDenom is 10^DisplayExponent base units.
	DisplayDenom = "GNK"
	// DisplayExponent relates DisplayDenom to BaseDenom.
	DisplayExponent = 9
	// CoinType is the SLIP-44 number of derivation paths: the one that Cosmos wallets use.
	CoinType = 118
)

var configure sync.Once

// Configure sets the process-wide address prefix of the Cosmos SDK. It may be called any
// number of times; call it before an address is printed or parsed.
func Configure() {
	configure.Do(func() {
		// Without a name the SDK makes one of the host, the program's path and the process for each
		// address that it parses: three system calls, a fifth of what a transaction costs.
		if os.Getenv(sdk.EnvConfigScope) == "" {
			if err := os.Setenv(sdk.EnvConfigScope, AppName); err != nil {
				panic(err) // only for a name that is no name
			}
		}
		config := sdk.GetConfig()
		config.SetBech32PrefixForAccount(Bech32Prefix, Bech32Prefix+"pub")
		config.SetBech32PrefixForValidator(Bech32Prefix+"valoper", Bech32Prefix+"valoperpub")
		config.SetBech32PrefixForConsensusNode(Bech32Prefix+"valcons", Bech32Prefix+"valconspub")
		config.SetCoinType(CoinType)
		config.Seal()
	})
}
