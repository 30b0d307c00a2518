// Package chaintest is the ground that keeper tests stand on: a real store, real auth and bank
// keepers, and blocks that pass. Only tests import it.
package chaintest

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"

	"cosmossdk.io/core/address"
	"cosmossdk.io/log/v2"
	"cosmossdk.io/math"

	dbm "github.com/cosmos/cosmos-db"

	"github.com/cosmos/cosmos-sdk/codec"
	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/store/v2"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	moduletestutil "github.com/cosmos/cosmos-sdk/types/module/testutil"
	"github.com/cosmos/cosmos-sdk/x/auth"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/bank"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
)

const (
	// ChainID is that of every test chain.
	ChainID = "assay-test"
	// Prefix is the address prefix.
	Prefix = "assay"
	// Denom is the coin.
	Denom = "ngnk"
	// faucet is the module account that test coins come from.
	faucet = "faucet"
)

// Authority is the address that may change parameters.
var Authority = sdk.MustBech32ifyAddressBytes(Prefix, authtypes.NewModuleAddress("gov"))

// Chain is a store with accounts and a bank in it.
type Chain struct {
	Ctx       sdk.Context
	Codec     codec.Codec
	Addresses address.Codec
	Accounts  authkeeper.AccountKeeper
	Bank      bankkeeper.BaseKeeper
	keys      map[string]*storetypes.KVStoreKey
}

// New returns a chain at height 1 with a store for each module; permissions are those of the
// modules' accounts.
func New(tb testing.TB, permissions map[string][]string, modules ...string) *Chain {
	tb.Helper()
	keys := storetypes.NewKVStoreKeys(append([]string{authtypes.StoreKey, banktypes.StoreKey}, modules...)...)
	db := dbm.NewMemDB()
	cms := store.NewCommitMultiStore(db, log.NewNopLogger())
	for _, name := range append([]string{authtypes.StoreKey, banktypes.StoreKey}, modules...) {
		cms.MountStoreWithDB(keys[name], storetypes.StoreTypeIAVL, db)
	}
	if err := cms.LoadLatestVersion(); err != nil {
		tb.Fatal(err)
	}
	ac := addresscodec.NewBech32Codec(Prefix)
	cdc := moduletestutil.MakeTestEncodingConfig(auth.AppModuleBasic{}, bank.AppModuleBasic{}).Codec

	perms := map[string][]string{faucet: {authtypes.Minter}}
	for name, p := range permissions {
		perms[name] = p
	}
	accounts := authkeeper.NewAccountKeeper(cdc, runtime.NewKVStoreService(keys[authtypes.StoreKey]),
		authtypes.ProtoBaseAccount, perms, ac, Prefix, Authority)
	bk := bankkeeper.NewBaseKeeper(cdc, runtime.NewKVStoreService(keys[banktypes.StoreKey]),
		accounts, map[string]bool{}, Authority, log.NewNopLogger())

	c := &Chain{
		Ctx:       sdk.NewContext(cms, cmtproto.Header{ChainID: ChainID, Height: 1}, false, log.NewNopLogger()),
		Codec:     cdc,
		Addresses: ac,
		Accounts:  accounts,
		Bank:      bk,
		keys:      keys,
	}
	c.at(1)
	if err := accounts.Params.Set(c.Ctx, authtypes.DefaultParams()); err != nil {
		tb.Fatal(err)
	}
	return c
}

// Store is the store of a module.
func (c *Chain) Store(module string) *storetypes.KVStoreKey { return c.keys[module] }

// Height is that of the block that runs.
func (c *Chain) Height() int64 { return c.Ctx.BlockHeight() }

// Next ends the block: it runs what a block's end runs, in order, and begins the next block.
func (c *Chain) Next(tb testing.TB, ends ...func(sdk.Context) error) {
	tb.Helper()
	for _, end := range ends {
		if err := end(c.Ctx); err != nil {
			tb.Fatalf("end of block %d: %v", c.Height(), err)
		}
	}
	c.at(c.Height() + 1)
}

func (c *Chain) at(height int64) {
	hash := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("block"), uint64(height)))
	c.Ctx = c.Ctx.WithBlockHeader(cmtproto.Header{ChainID: ChainID, Height: height}).
		WithHeaderHash(hash[:]).WithEventManager(sdk.NewEventManager())
}

// Try runs a message the way a block does: what it wrote is dropped if it fails.
func (c *Chain) Try(message func(sdk.Context) error) error {
	ctx, write := c.Ctx.CacheContext()
	if err := message(ctx); err != nil {
		return err
	}
	write()
	return nil
}

// Address is the i-th of a fixed list of addresses; they ascend.
func Address(i int) sdk.AccAddress {
	b := make([]byte, 20)
	binary.BigEndian.PutUint32(b, uint32(i+1))
	return b
}

// Bech32 is the text of an address.
func (c *Chain) Bech32(a sdk.AccAddress) string {
	s, err := c.Addresses.BytesToString(a)
	if err != nil {
		panic(err)
	}
	return s
}

// Fund gives an account coins from nowhere.
func (c *Chain) Fund(tb testing.TB, to sdk.AccAddress, amount int64) {
	tb.Helper()
	coins := sdk.NewCoins(sdk.NewCoin(Denom, math.NewInt(amount)))
	if err := c.Bank.MintCoins(c.Ctx, faucet, coins); err != nil {
		tb.Fatal(err)
	}
	if err := c.Bank.SendCoinsFromModuleToAccount(c.Ctx, faucet, to, coins); err != nil {
		tb.Fatal(err)
	}
}

// Balance is what an account holds.
func (c *Chain) Balance(a sdk.AccAddress) math.Int {
	return c.Bank.GetBalance(c.Ctx, a, Denom).Amount
}

// Supply is what exists.
func (c *Chain) Supply() math.Int { return c.Bank.GetSupply(c.Ctx, Denom).Amount }
