package keeper

import (
	"context"
	"errors"
	"fmt"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/store"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/power/types"
)

// Config is what a Keeper is made of.
type Config struct {
	Codec codec.BinaryCodec
	Store store.KVStoreService
	// Authority may change the parameters: the governance account.
	Authority string
	// VerifyVRF proves that the owner holds the secret of a VRF key: an error says why not.
	VerifyVRF func(pubkey, owner, possession []byte) error
}

// TombstoneHook is told once for each miner that signed two blocks of one height. An error
// halts the chain.
type TombstoneHook func(ctx context.Context, operator sdk.AccAddress) error

// Keeper owns the module's state. It is used from one goroutine at a time.
type Keeper struct {
	cdc       codec.BinaryCodec
	authority string
	verifyVRF func(pubkey, owner, possession []byte) error
	hooks     *[]TombstoneHook

	// Schema describes the store.
	Schema collections.Schema

	params  collections.Item[types.Params]
	epoch   collections.Item[uint64]
	miners  collections.Map[[]byte, types.Miner]
	conskey collections.Map[[]byte, types.ConsKey]                    // by consensus address
	vrfkey  collections.Map[[]byte, []byte]                           // VRF key to its operator
	retired collections.KeySet[collections.Pair[uint64, []byte]]      // epoch of retirement, consensus address
	history collections.Map[collections.Pair[uint64, []byte], uint64] // epoch, miner: share
	epochs  collections.KeySet[uint64]                                // epochs in history
	counted collections.Item[uint64]                                  // epochs ever recorded
	sums    collections.Map[[]byte, uint64]                           // miner: sum of history
	gensum  collections.Item[uint64]                                  // sum of genesis powers
	weights collections.Map[collections.Pair[uint64, []byte], uint64] // epoch, miner: weight
	totals  collections.Map[uint64, uint64]                           // epoch: sum of weights
	frozen  collections.Map[uint64, types.FrozenSet]                  // epoch
	seats   collections.Map[[]byte, types.SeatedValidator]            // operator: the set that should be
	comet   collections.Map[[]byte, types.SeatedValidator]            // consensus key: the set that CometBFT has
	dirty   collections.Item[bool]                                    // seats changed since comet
	voting  collections.Map[uint64, uint64]                           // proposal: epoch of voting start
	lane    collections.Map[collections.Pair[uint64, []byte], uint32] // epoch, sender: fee-free txs

	preparation collections.Item[types.Preparation]                            // of the next epoch
	founders    collections.KeySet[[]byte]                                     // who has genesis power
	candidates  collections.KeySet[collections.Triple[uint64, uint64, []byte]] // see candidate
	swept       collections.Item[uint64]                                       // epoch that nothing is left to remove in

	// Not exported: a new chain begins with new turns.
	proposed collections.Map[[]byte, int64]                // consensus address: height of its newest block
	turns    collections.Map[int64, []byte]                // height, from the block before on: whose turn it is in round 0
	rotation collections.Map[int64, cmtproto.ValidatorSet] // one height: CometBFT's set with its priorities
}

// New returns a keeper over its store. It panics on a schema that cannot be built, which only
// a programming error causes.
func New(cfg Config) Keeper {
	if cfg.VerifyVRF == nil {
		panic("power keeper: no VRF verifier")
	}
	sb := collections.NewSchemaBuilder(cfg.Store)
	epochMiner := collections.PairKeyCodec(collections.Uint64Key, collections.BytesKey)
	k := Keeper{
		cdc:       cfg.Codec,
		authority: cfg.Authority,
		verifyVRF: cfg.VerifyVRF,
		hooks:     new([]TombstoneHook),

		params:  collections.NewItem(sb, types.ParamsPrefix, "params", codec.CollValue[types.Params](cfg.Codec)),
		epoch:   collections.NewItem(sb, types.EpochPrefix, "epoch", collections.Uint64Value),
		miners:  collections.NewMap(sb, types.MinersPrefix, "miners", collections.BytesKey, codec.CollValue[types.Miner](cfg.Codec)),
		conskey: collections.NewMap(sb, types.ConsKeysPrefix, "cons_keys", collections.BytesKey, codec.CollValue[types.ConsKey](cfg.Codec)),
		vrfkey:  collections.NewMap(sb, types.VRFKeysPrefix, "vrf_keys", collections.BytesKey, collections.BytesValue),
		retired: collections.NewKeySet(sb, types.RetiredPrefix, "retired", epochMiner),
		history: collections.NewMap(sb, types.HistoryPrefix, "history", epochMiner, collections.Uint64Value),
		epochs:  collections.NewKeySet(sb, types.RecordedPrefix, "recorded", collections.Uint64Key),
		counted: collections.NewItem(sb, types.RecordedCounter, "recorded_count", collections.Uint64Value),
		sums:    collections.NewMap(sb, types.SumsPrefix, "sums", collections.BytesKey, collections.Uint64Value),
		gensum:  collections.NewItem(sb, types.GenesisSumKey, "genesis_sum", collections.Uint64Value),
		weights: collections.NewMap(sb, types.WeightsPrefix, "weights", epochMiner, collections.Uint64Value),
		totals:  collections.NewMap(sb, types.TotalsPrefix, "totals", collections.Uint64Key, collections.Uint64Value),
		frozen:  collections.NewMap(sb, types.FrozenPrefix, "frozen", collections.Uint64Key, codec.CollValue[types.FrozenSet](cfg.Codec)),
		seats:   collections.NewMap(sb, types.SeatsPrefix, "seats", collections.BytesKey, codec.CollValue[types.SeatedValidator](cfg.Codec)),
		comet:   collections.NewMap(sb, types.CometPrefix, "comet", collections.BytesKey, codec.CollValue[types.SeatedValidator](cfg.Codec)),
		dirty:   collections.NewItem(sb, types.DirtyPrefix, "dirty", collections.BoolValue),
		voting:  collections.NewMap(sb, types.VotingPrefix, "voting", collections.Uint64Key, collections.Uint64Value),
		lane:    collections.NewMap(sb, types.LanePrefix, "lane", epochMiner, collections.Uint32Value),

		preparation: collections.NewItem(sb, types.PreparationPrefix, "preparation", codec.CollValue[types.Preparation](cfg.Codec)),
		founders:    collections.NewKeySet(sb, types.FoundersPrefix, "founders", collections.BytesKey),
		candidates: collections.NewKeySet(sb, types.CandidatesPrefix, "candidates",
			collections.TripleKeyCodec(collections.Uint64Key, collections.Uint64Key, collections.BytesKey)),
		swept: collections.NewItem(sb, types.SweptPrefix, "swept", collections.Uint64Value),

		proposed: collections.NewMap(sb, types.ProposedPrefix, "proposed", collections.BytesKey, collections.Int64Value),
		turns:    collections.NewMap(sb, types.TurnsPrefix, "turns", collections.Int64Key, collections.BytesValue),
		rotation: collections.NewMap(sb, types.RotationPrefix, "rotation", collections.Int64Key, codec.CollValue[cmtproto.ValidatorSet](cfg.Codec)),
	}
	schema, err := sb.Build()
	if err != nil {
		panic(fmt.Errorf("power keeper: %w", err))
	}
	k.Schema = schema
	return k
}

// Authority is the account that may change parameters.
func (k Keeper) Authority() string { return k.authority }

// OnTombstone adds a hook. Call it while the application is wired, before the first block.
func (k Keeper) OnTombstone(hook TombstoneHook) { *k.hooks = append(*k.hooks, hook) }

// Params returns the parameters.
func (k Keeper) Params(ctx context.Context) (types.Params, error) { return k.params.Get(ctx) }

// Epoch returns the running epoch, 0 before the first.
func (k Keeper) Epoch(ctx context.Context) (uint64, error) { return orZero(k.epoch.Get(ctx)) }

// Miner returns a miner's record, or ErrUnknownMiner.
func (k Keeper) Miner(ctx context.Context, operator sdk.AccAddress) (types.Miner, error) {
	m, err := k.miners.Get(ctx, operator)
	if errors.Is(err, collections.ErrNotFound) {
		return m, types.ErrUnknownMiner.Wrapf("%s is not registered", operator)
	}
	return m, err
}

// Operator returns who runs the validator with a consensus address, also for a while after it took
// another key; nil if nobody is known.
func (k Keeper) Operator(ctx context.Context, consensus []byte) (sdk.AccAddress, error) {
	key, err := k.conskey.Get(ctx, consensus)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return sdk.AccAddressFromBech32(key.Operator)
}

// Active returns the record of a miner that may earn and judge now: ErrUnknownMiner,
// ErrJailed or ErrTombstoned otherwise.
func (k Keeper) Active(ctx context.Context, operator sdk.AccAddress) (types.Miner, error) {
	m, err := k.Miner(ctx, operator)
	if err != nil {
		return m, err
	}
	epoch, err := k.Epoch(ctx)
	if err != nil {
		return m, err
	}
	if m.Tombstoned {
		return m, types.ErrTombstoned.Wrap(m.Operator)
	}
	if m.JailedUntil > epoch {
		return m, types.ErrJailed.Wrapf("%s until epoch %d, now %d", m.Operator, m.JailedUntil, epoch)
	}
	return m, nil
}

// Weight returns the governance weight of the running epoch in parts of types.ShareScale, 0
// for strangers.
func (k Keeper) Weight(ctx context.Context, operator sdk.AccAddress) (uint64, error) {
	epoch, err := k.Epoch(ctx)
	if err != nil {
		return 0, err
	}
	return k.weightAt(ctx, epoch, operator)
}

func (k Keeper) weightAt(ctx context.Context, epoch uint64, operator []byte) (uint64, error) {
	return orZero(k.weights.Get(ctx, collections.Join(epoch, operator)))
}

// Frozen returns the validators that the epoch's samples are drawn with, or ErrUnknownEpoch
// when the epoch has not begun or is pruned.
func (k Keeper) Frozen(ctx context.Context, epoch uint64) (types.FrozenSet, error) {
	set, err := k.frozen.Get(ctx, epoch)
	if errors.Is(err, collections.ErrNotFound) {
		return set, types.ErrUnknownEpoch.Wrapf("no frozen powers of epoch %d", epoch)
	}
	return set, err
}

// orZero turns a missing value into the zero value.
func orZero[V any](v V, err error) (V, error) {
	if errors.Is(err, collections.ErrNotFound) {
		var zero V
		return zero, nil
	}
	return v, err
}
