package keeper

import (
	"context"
	stderrors "errors"
	"fmt"
	"slices"
	"strconv"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/address"
	"cosmossdk.io/core/store"
	"cosmossdk.io/errors"
	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/audit/types"
)

// Config holds what a Keeper is made of; every field is required.
type Config struct {
	Codec     codec.BinaryCodec
	Store     store.KVStoreService
	Addresses address.Codec
	Accounts  types.Accounts
	Bank      types.Bank
	Epochs    types.Epochs
	Court     types.Court
	Power     types.Power
	Rechecker types.Rechecker
	// Authority may change the parameters: the address of the governance module.
	Authority string
}

type (
	roundKey = collections.Triple[uint64, uint32, []byte] // epoch, round, validator
	unitKey  = collections.Triple[uint64, []byte, uint64] // epoch, claimant, index
	epochKey = collections.Pair[uint64, []byte]           // epoch, id or address
	partyKey = collections.Pair[[]byte, []byte]           // validator, claimant
	dueKey   = collections.Pair[int64, uint64]            // deadline, demand
)

// Keeper owns the state of the audit module. It is a value that may be copied.
type Keeper struct {
	addresses address.Codec
	bank      types.Bank
	epochs    types.Epochs
	court     types.Court
	power     types.Power
	rechecker types.Rechecker
	authority string
	proofs    *checkedProofs

	Schema     collections.Schema
	params     collections.Item[types.Params]
	round      collections.Item[types.Round]
	verdicts   collections.Map[roundKey, types.Verdict]
	reports    collections.Map[epochKey, types.Report]
	queue      collections.Map[uint64, []byte] // sequence to the report's id, in the running epoch
	demands    collections.Map[uint64, types.Demand]
	deadlines  collections.KeySet[dueKey]
	pairs      collections.Map[partyKey, uint64] // the open demand of a validator for a claim
	answers    collections.Map[unitKey, types.Answer]
	proven     collections.Map[unitKey, []byte] // false units to the ids of the reports that proved them
	senders    collections.Map[epochKey, types.Sender]
	challenged collections.Map[roundKey, types.Challenged]
	past       collections.Map[collections.Pair[uint64, uint64], types.Round] // by epoch and round
	nextReport collections.Sequence
	nextDemand collections.Sequence
	pruned     collections.Item[uint64]
}

// NewKeeper returns a Keeper over the store; it panics if the configuration is incomplete, which
// only wrong wiring causes.
func NewKeeper(cfg Config) Keeper {
	if cfg.Epochs == nil || cfg.Court == nil || cfg.Power == nil || cfg.Rechecker == nil || cfg.Bank == nil || cfg.Authority == "" {
		panic("audit: incomplete keeper configuration")
	}
	if cfg.Accounts.GetModuleAddress(types.ModuleName) == nil {
		panic("audit: the module account is not registered")
	}
	sb := collections.NewSchemaBuilder(cfg.Store)
	byEpoch := collections.PairKeyCodec(collections.Uint64Key, collections.BytesKey)
	k := Keeper{
		addresses: cfg.Addresses,
		bank:      cfg.Bank,
		epochs:    cfg.Epochs,
		court:     cfg.Court,
		power:     cfg.Power,
		rechecker: cfg.Rechecker,
		authority: cfg.Authority,
		proofs:    &checkedProofs{},
		params:    collections.NewItem(sb, types.ParamsPrefix, "params", codec.CollValue[types.Params](cfg.Codec)),
		round:     collections.NewItem(sb, types.RoundPrefix, "round", codec.CollValue[types.Round](cfg.Codec)),
		verdicts: collections.NewMap(sb, types.VerdictsPrefix, "verdicts",
			collections.TripleKeyCodec(collections.Uint64Key, collections.Uint32Key, collections.BytesKey), codec.CollValue[types.Verdict](cfg.Codec)),
		reports: collections.NewMap(sb, types.ReportsPrefix, "reports", byEpoch, codec.CollValue[types.Report](cfg.Codec)),
		queue:   collections.NewMap(sb, types.QueuePrefix, "queue", collections.Uint64Key, collections.BytesValue),
		demands: collections.NewMap(sb, types.DemandsPrefix, "demands", collections.Uint64Key, codec.CollValue[types.Demand](cfg.Codec)),
		deadlines: collections.NewKeySet(sb, types.DeadlinesPrefix, "deadlines",
			collections.PairKeyCodec(collections.Int64Key, collections.Uint64Key)),
		pairs: collections.NewMap(sb, types.PairsPrefix, "pairs",
			collections.PairKeyCodec(collections.BytesKey, collections.BytesKey), collections.Uint64Value),
		answers: collections.NewMap(sb, types.AnswersPrefix, "answers",
			collections.TripleKeyCodec(collections.Uint64Key, collections.BytesKey, collections.Uint64Key), codec.CollValue[types.Answer](cfg.Codec)),
		proven: collections.NewMap(sb, types.ProvenPrefix, "proven",
			collections.TripleKeyCodec(collections.Uint64Key, collections.BytesKey, collections.Uint64Key), collections.BytesValue),
		senders: collections.NewMap(sb, types.SendersPrefix, "senders", byEpoch, codec.CollValue[types.Sender](cfg.Codec)),
		challenged: collections.NewMap(sb, types.ChallengedPrefix, "challenged",
			collections.TripleKeyCodec(collections.Uint64Key, collections.Uint32Key, collections.BytesKey), codec.CollValue[types.Challenged](cfg.Codec)),
		past: collections.NewMap(sb, types.PastPrefix, "past",
			collections.PairKeyCodec(collections.Uint64Key, collections.Uint64Key), codec.CollValue[types.Round](cfg.Codec)),
		nextReport: collections.NewSequence(sb, types.NextReportPrefix, "next_report"),
		nextDemand: collections.NewSequence(sb, types.NextDemandPrefix, "next_demand"),
		pruned:     collections.NewItem(sb, types.PrunedPrefix, "pruned", collections.Uint64Value),
	}
	schema, err := sb.Build()
	if err != nil {
		panic(fmt.Errorf("audit: %w", err))
	}
	k.Schema = schema
	return k
}

func (k Keeper) addressOf(s string) (sdk.AccAddress, error) {
	b, err := k.addresses.StringToBytes(s)
	if err != nil {
		return nil, errors.Wrapf(types.ErrInvalidAddress, "%q: %v", s, err)
	}
	return b, nil
}

// get returns the value of a key and whether there is one.
func get[K, V any](ctx context.Context, m collections.Map[K, V], key K) (V, bool, error) {
	v, err := m.Get(ctx, key)
	if stderrors.Is(err, collections.ErrNotFound) {
		return v, false, nil
	}
	return v, err == nil, err
}

// head returns the first report that waits, and how many wait. Sequences have no gaps, because
// reports leave the queue in their order.
func (k Keeper) head(ctx context.Context) (sequence uint64, id []byte, waiting uint64, err error) {
	err = k.queue.Walk(ctx, nil, func(s uint64, v []byte) (bool, error) {
		sequence, id = s, v
		return true, nil
	})
	if err != nil || id == nil {
		return 0, nil, 0, err
	}
	next, err := k.nextReport.Peek(ctx)
	return sequence, id, next - sequence, err
}

// openDemands says whether any demand waits for its answer.
func (k Keeper) openDemands(ctx context.Context) (bool, error) {
	open := false
	err := k.deadlines.Walk(ctx, nil, func(dueKey) (bool, error) {
		open = true
		return true, nil
	})
	return open, err
}

func seatOf(seats []types.Seat, validator string) (int, bool) {
	i := slices.IndexFunc(seats, func(s types.Seat) bool { return s.Validator == validator })
	return i, i >= 0
}

func deposit(amount uint64) sdk.Coins {
	return sdk.NewCoins(sdk.NewCoin(types.BaseDenom, math.NewIntFromUint64(amount)))
}

func emit(ctx context.Context, kind string, epoch uint64, attributes ...sdk.Attribute) {
	all := append([]sdk.Attribute{sdk.NewAttribute("epoch", strconv.FormatUint(epoch, 10))}, attributes...)
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent(kind, all...))
}
