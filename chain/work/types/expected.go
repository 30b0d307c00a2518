package types

import (
	"context"

	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
)

// Epochs tells the running epoch.
type Epochs interface {
	// Number returns the number of the running epoch, 0 before the first.
	Number(ctx context.Context) (uint64, error)
}

// Miners tells who may serve.
type Miners interface {
	// Miner says whether the address is registered, and if so whether it is jailed.
	Miner(ctx context.Context, miner sdk.AccAddress) (registered, jailed bool, err error)
}

// Bank moves escrow.
type Bank interface {
	SendCoinsFromAccountToModule(ctx context.Context, from sdk.AccAddress, module string, amount sdk.Coins) error
	SendCoinsFromModuleToAccount(ctx context.Context, module string, to sdk.AccAddress, amount sdk.Coins) error
	GetBalance(ctx context.Context, addr sdk.AccAddress, denom string) sdk.Coin
}

// Accounts knows the clients' keys.
type Accounts interface {
	GetModuleAddress(module string) sdk.AccAddress
	// GetPubKey returns the key of an account that has signed a transaction, nil if it has none yet.
	GetPubKey(ctx context.Context, addr sdk.AccAddress) (cryptotypes.PubKey, error)
}
