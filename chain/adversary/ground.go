package adversary

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"

	"cosmossdk.io/core/address"
	"cosmossdk.io/core/comet"
	"cosmossdk.io/log/v2"
	"cosmossdk.io/math"

	dbm "github.com/cosmos/cosmos-db"

	"github.com/cosmos/cosmos-sdk/codec"
	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/store/v2"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/assaynet/assay/chain/app"
	auditkeeper "github.com/assaynet/assay/chain/audit/keeper"
	audittypes "github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/params"
	powerkeeper "github.com/assaynet/assay/chain/power/keeper"
	powertypes "github.com/assaynet/assay/chain/power/types"
	sprintkeeper "github.com/assaynet/assay/chain/sprint/keeper"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/sample"
)

const (
	chainID = "assay-adversary"
	faucet  = "faucet"
)

// ground is the chain without its network: stores in memory, accounts, coins and the keepers.
type ground struct {
	ctx       sdk.Context
	addresses address.Codec
	bank      bankkeeper.BaseKeeper
	power     powerkeeper.Keeper
	sprint    sprintkeeper.Keeper
	audit     auditkeeper.Keeper
	rotation  *rotation // nil in the first block, which nobody proposes
	hash      [32]byte  // of the running block
	before    [32]byte  // of the block before
}

// newGround wires the keepers as the application does, at height 1.
func newGround(registry sprinttypes.Registry, rechecker audittypes.Rechecker, salt [32]byte) (*ground, error) {
	params.Configure()
	names := []string{authtypes.StoreKey, banktypes.StoreKey, powertypes.StoreKey, sprinttypes.StoreKey, audittypes.StoreKey}
	keys := storetypes.NewKVStoreKeys(names...)
	cms := store.NewCommitMultiStore(dbm.NewMemDB(), log.NewNopLogger())
	for _, name := range names {
		// Plain maps: nobody asks this chain for an application hash or a proof.
		cms.MountStoreWithDB(keys[name], storetypes.StoreTypeDB, dbm.NewMemDB())
	}
	if err := cms.LoadLatestVersion(); err != nil {
		return nil, err
	}
	types := codectypes.NewInterfaceRegistry()
	authtypes.RegisterInterfaces(types)
	banktypes.RegisterInterfaces(types)
	cdc := codec.NewProtoCodec(types)
	authority := authtypes.NewModuleAddress("gov").String()
	ac := addresscodec.NewBech32Codec(params.Bech32Prefix)
	accounts := authkeeper.NewAccountKeeper(cdc, runtime.NewKVStoreService(keys[authtypes.StoreKey]), authtypes.ProtoBaseAccount,
		map[string][]string{
			faucet:                 {authtypes.Minter},
			sprinttypes.ModuleName: {authtypes.Minter, authtypes.Burner},
			audittypes.ModuleName:  nil,
		}, ac, params.Bech32Prefix, authority)
	g := &ground{
		ctx:       sdk.NewContext(cms, cmtproto.Header{ChainID: chainID, Height: 1}, false, log.NewNopLogger()),
		addresses: ac,
		bank: bankkeeper.NewBaseKeeper(cdc, runtime.NewKVStoreService(keys[banktypes.StoreKey]),
			accounts, map[string]bool{}, authority, log.NewNopLogger()),
		power: powerkeeper.New(powerkeeper.Config{
			Codec: cdc, Store: runtime.NewKVStoreService(keys[powertypes.StoreKey]), Authority: authority, VerifyVRF: verifyVRF,
		}),
		hash: salt,
	}
	powers := app.PowersOf(g.power)
	g.sprint = sprintkeeper.NewKeeper(sprintkeeper.Config{
		Codec: cdc, Store: runtime.NewKVStoreService(keys[sprinttypes.StoreKey]), Addresses: ac, Accounts: accounts,
		Bank: g.bank, Registry: registry, Power: powers, Authority: authority,
	})
	g.audit = auditkeeper.NewKeeper(auditkeeper.Config{
		Codec: cdc, Store: runtime.NewKVStoreService(keys[audittypes.StoreKey]), Addresses: ac, Accounts: accounts,
		Bank: g.bank, Epochs: g.sprint, Court: g.sprint, Power: powers, Rechecker: rechecker, Authority: authority,
	})
	g.power.OnTombstone(g.sprint.Expel)
	g.begin(1)
	return g, accounts.Params.Set(g.ctx, authtypes.DefaultParams())
}

func verifyVRF(pubkey, owner, possession []byte) error {
	key, err := sample.ParsePublicKey(pubkey)
	if err != nil {
		return err
	}
	return sample.VerifyPossession(key, owner, possession)
}

// begin starts a block; its hash is a chain of hashes from the world's salt.
func (g *ground) begin(height int64) {
	g.before = g.hash
	g.hash = sha256.Sum256(binary.BigEndian.AppendUint64(g.hash[:], uint64(height)))
	header := cmtproto.Header{ChainID: chainID, Height: height}
	if g.rotation != nil {
		header.ProposerAddress = g.rotation.proposer(0)
	}
	g.ctx = g.ctx.WithBlockHeader(header).
		WithHeaderHash(g.hash[:]).WithEventManager(sdk.NewEventManager()).WithCometInfo(evidence(nil))
}

// end runs what a block's end runs, in the application's order.
func (g *ground) end() error {
	for _, f := range []func(context.Context) error{g.sprint.EndBlock, g.audit.EndBlock, g.audit.StartJobs} {
		if err := f(g.ctx); err != nil {
			return fmt.Errorf("end of block %d: %w", g.ctx.BlockHeight(), err)
		}
	}
	updates, err := g.power.EndBlock(g.ctx)
	if err != nil {
		return err
	}
	return g.rotation.advance(updates)
}

// try runs a message the way a block does: what it wrote is dropped if it fails.
func (g *ground) try(message func(context.Context) error) error {
	ctx, write := g.ctx.CacheContext()
	if err := message(ctx); err != nil {
		return err
	}
	write()
	return nil
}

func (g *ground) fund(to sdk.AccAddress, amount int64) error {
	coins := sdk.NewCoins(sdk.NewCoin(params.BaseDenom, math.NewInt(amount)))
	if err := g.bank.MintCoins(g.ctx, faucet, coins); err != nil {
		return err
	}
	return g.bank.SendCoinsFromModuleToAccount(g.ctx, faucet, to, coins)
}

// evidence is what CometBFT hands to a block's beginning.
type evidence []abci.Misbehavior

func (e evidence) GetEvidence() comet.EvidenceList { return e }
func (evidence) GetValidatorsHash() []byte         { return nil }
func (evidence) GetProposerAddress() []byte        { return nil }
func (evidence) GetLastCommit() comet.CommitInfo   { return firstRound{} }
func (e evidence) Len() int                        { return len(e) }
func (e evidence) Get(i int) comet.Evidence        { return misbehaviour{nil, e[i]} }

// firstRound decided each block: rounds never fail here.
type firstRound struct{ comet.CommitInfo }

func (firstRound) Round() int32 { return 0 }

type misbehaviour struct {
	comet.Evidence
	m abci.Misbehavior
}

func (e misbehaviour) Validator() comet.Validator { return accused{nil, e.m.Validator.Address} }

type accused struct {
	comet.Validator
	addr []byte
}

func (a accused) Address() []byte { return a.addr }
