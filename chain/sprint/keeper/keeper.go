package keeper

import (
	"context"
	stderrors "errors"
	"fmt"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/address"
	"cosmossdk.io/core/store"
	"cosmossdk.io/errors"
	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/sprint/types"
)

// Config holds what a Keeper is made of; every field but FeeCollector and Witness is required.
type Config struct {
	Codec     codec.BinaryCodec
	Store     store.KVStoreService
	Addresses address.Codec
	Accounts  types.Accounts
	Bank      types.Bank
	Registry  types.Registry
	Power     types.Power
	// Witness answers the query Late; nil saw nothing.
	Witness types.Witness
	// FeeCollector is the module account that gathers transaction fees; empty if there is none.
	FeeCollector string
	// Authority may change the parameters: the address of the governance module.
	Authority string
}

// Keeper owns the state of the sprint module. It is a value that may be copied.
type Keeper struct {
	addresses address.Codec
	account   sdk.AccAddress
	bank      types.Bank
	registry  types.Registry
	power     types.Power
	authority string
	witness   types.Witness
	// collector is the account of fees, nil if there is none.
	collector     sdk.AccAddress
	collectorName string

	Schema      collections.Schema
	params      collections.Item[types.Params]
	epoch       collections.Item[types.Epoch]
	chain       collections.Item[types.Chain]
	claims      collections.Map[collections.Pair[uint64, []byte], types.Claim]
	settlements collections.Map[uint64, types.Settlement]
	vesting     collections.Map[[]byte, types.VestingAccount]
}

// NewKeeper returns a Keeper over the store; it panics if the configuration is incomplete, which
// only wrong wiring causes.
func NewKeeper(cfg Config) Keeper {
	if cfg.Registry == nil || cfg.Power == nil || cfg.Bank == nil || cfg.Authority == "" {
		panic("sprint: incomplete keeper configuration")
	}
	account := cfg.Accounts.GetModuleAddress(types.ModuleName)
	if account == nil {
		panic("sprint: the module account is not registered with the permissions minter and burner")
	}
	sb := collections.NewSchemaBuilder(cfg.Store)
	k := Keeper{
		addresses: cfg.Addresses,
		account:   account,
		bank:      cfg.Bank,
		registry:  cfg.Registry,
		power:     cfg.Power,
		authority: cfg.Authority,
		witness:   cfg.Witness,
		params:    collections.NewItem(sb, types.ParamsPrefix, "params", codec.CollValue[types.Params](cfg.Codec)),
		epoch:     collections.NewItem(sb, types.EpochPrefix, "epoch", codec.CollValue[types.Epoch](cfg.Codec)),
		chain:     collections.NewItem(sb, types.ChainPrefix, "chain", codec.CollValue[types.Chain](cfg.Codec)),
		claims: collections.NewMap(sb, types.ClaimsPrefix, "claims",
			collections.PairKeyCodec(collections.Uint64Key, collections.BytesKey), codec.CollValue[types.Claim](cfg.Codec)),
		settlements: collections.NewMap(sb, types.SettlementsPrefix, "settlements",
			collections.Uint64Key, codec.CollValue[types.Settlement](cfg.Codec)),
		vesting: collections.NewMap(sb, types.VestingPrefix, "vesting",
			collections.BytesKey, codec.CollValue[types.VestingAccount](cfg.Codec)),
	}
	if cfg.FeeCollector != "" {
		k.collectorName, k.collector = cfg.FeeCollector, cfg.Accounts.GetModuleAddress(cfg.FeeCollector)
		if k.collector == nil {
			panic("sprint: the fee collector is not registered")
		}
	}
	schema, err := sb.Build()
	if err != nil {
		panic(fmt.Errorf("sprint: %w", err))
	}
	k.Schema = schema
	return k
}

// Epoch returns the running epoch, or ErrNoEpoch before the first.
func (k Keeper) Epoch(ctx context.Context) (types.Epoch, error) {
	e, err := k.epoch.Get(ctx)
	if err != nil {
		return types.Epoch{}, err
	}
	if e.Number == 0 {
		return types.Epoch{}, types.ErrNoEpoch
	}
	return e, nil
}

// Claim returns a miner's claim in an epoch, or ErrNoClaim.
func (k Keeper) Claim(ctx context.Context, epoch uint64, miner sdk.AccAddress) (types.Claim, error) {
	c, err := k.claims.Get(ctx, collections.Join(epoch, []byte(miner)))
	if stderrors.Is(err, collections.ErrNotFound) {
		return c, errors.Wrapf(types.ErrNoClaim, "of %s in epoch %d", miner, epoch)
	}
	return c, err
}

// WalkClaims calls f for each claim of an epoch in the order of addresses until f stops it.
func (k Keeper) WalkClaims(ctx context.Context, epoch uint64, f func(miner sdk.AccAddress, c types.Claim) (stop bool, err error)) error {
	return k.claims.Walk(ctx, collections.NewPrefixedPairRange[uint64, []byte](epoch),
		func(key collections.Pair[uint64, []byte], c types.Claim) (bool, error) {
			return f(sdk.AccAddress(key.K2()), c)
		})
}

func (k Keeper) setClaim(ctx context.Context, miner sdk.AccAddress, c types.Claim) error {
	return k.claims.Set(ctx, collections.Join(c.Epoch, []byte(miner)), c)
}

func (k Keeper) addressOf(s string) (sdk.AccAddress, error) {
	b, err := k.addresses.StringToBytes(s)
	if err != nil {
		return nil, errors.Wrapf(types.ErrInvalidAddress, "%q: %v", s, err)
	}
	return b, nil
}

func coins(amount math.Int) sdk.Coins {
	return sdk.NewCoins(sdk.NewCoin(types.BaseDenom, amount))
}

// Number returns the number of the running epoch, 0 before the first.
func (k Keeper) Number(ctx context.Context) (uint64, error) {
	e, err := k.epoch.Get(ctx)
	return e.Number, err
}
