package keeper

import (
	"context"
	stderrors "errors"
	"fmt"
	"strconv"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/address"
	"cosmossdk.io/core/store"
	"cosmossdk.io/errors"
	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/work/types"
)

// Config holds what a Keeper is made of; every field is required.
type Config struct {
	Codec     codec.BinaryCodec
	Store     store.KVStoreService
	Addresses address.Codec
	Accounts  types.Accounts
	Bank      types.Bank
	Epochs    types.Epochs
	Miners    types.Miners
	// Authority may change the parameters: the address of the governance module.
	Authority string
}

type (
	clientKey = collections.Pair[[]byte, uint64] // client, channel
	closeKey  = collections.Pair[int64, uint64]  // height, channel
	epochKey  = collections.Pair[uint64, []byte] // epoch, miner
)

// Keeper owns the state of the work module. It is a value that may be copied.
type Keeper struct {
	addresses address.Codec
	account   sdk.AccAddress
	accounts  types.Accounts
	bank      types.Bank
	epochs    types.Epochs
	miners    types.Miners
	authority string

	Schema      collections.Schema
	params      collections.Item[types.Params]
	nextChannel collections.Sequence
	channels    collections.Map[uint64, types.Channel]
	byClient    collections.KeySet[clientKey]
	closing     collections.KeySet[closeKey]
	receipts    collections.Map[epochKey, types.Receipts]
	openCount   collections.Map[[]byte, uint32] // channels of each client
}

// NewKeeper returns a Keeper over the store; it panics if the configuration is incomplete, which
// only wrong wiring causes.
func NewKeeper(cfg Config) Keeper {
	if cfg.Bank == nil || cfg.Epochs == nil || cfg.Miners == nil || cfg.Authority == "" {
		panic("work: incomplete keeper configuration")
	}
	account := cfg.Accounts.GetModuleAddress(types.ModuleName)
	if account == nil {
		panic("work: the module account is not registered")
	}
	sb := collections.NewSchemaBuilder(cfg.Store)
	k := Keeper{
		addresses:   cfg.Addresses,
		account:     account,
		accounts:    cfg.Accounts,
		bank:        cfg.Bank,
		epochs:      cfg.Epochs,
		miners:      cfg.Miners,
		authority:   cfg.Authority,
		params:      collections.NewItem(sb, types.ParamsPrefix, "params", codec.CollValue[types.Params](cfg.Codec)),
		nextChannel: collections.NewSequence(sb, types.NextChannelPrefix, "next_channel"),
		channels:    collections.NewMap(sb, types.ChannelsPrefix, "channels", collections.Uint64Key, codec.CollValue[types.Channel](cfg.Codec)),
		byClient: collections.NewKeySet(sb, types.ByClientPrefix, "by_client",
			collections.PairKeyCodec(collections.BytesKey, collections.Uint64Key)),
		closing: collections.NewKeySet(sb, types.ClosingPrefix, "closing",
			collections.PairKeyCodec(collections.Int64Key, collections.Uint64Key)),
		receipts: collections.NewMap(sb, types.ReceiptsPrefix, "receipts",
			collections.PairKeyCodec(collections.Uint64Key, collections.BytesKey), codec.CollValue[types.Receipts](cfg.Codec)),
		openCount: collections.NewMap(sb, types.OpenCountPrefix, "open_count", collections.BytesKey, collections.Uint32Value),
	}
	schema, err := sb.Build()
	if err != nil {
		panic(fmt.Errorf("work: %w", err))
	}
	k.Schema = schema
	return k
}

// Account is the address of the module's account.
func (k Keeper) Account() sdk.AccAddress { return k.account }

// Channel returns a channel, or ErrNoChannel.
func (k Keeper) Channel(ctx context.Context, id uint64) (types.Channel, error) {
	c, err := k.channels.Get(ctx, id)
	if stderrors.Is(err, collections.ErrNotFound) {
		return c, errors.Wrapf(types.ErrNoChannel, "%d", id)
	}
	return c, err
}

// EndBlock refunds the channels whose time to settle is over, and prunes old receipts roots.
func (k Keeper) EndBlock(ctx context.Context) error {
	p, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	next := sdk.UnwrapSDKContext(ctx).BlockHeight() + 1
	var due []uint64
	err = k.closing.Walk(ctx, nil, func(key closeKey) (bool, error) {
		if key.K1() > next || len(due) >= int(p.ClosePage) {
			return true, nil
		}
		due = append(due, key.K2())
		return false, nil
	})
	if err != nil {
		return err
	}
	for _, id := range due {
		c, err := k.Channel(ctx, id)
		if err != nil {
			return err
		}
		if err := k.refund(ctx, c); err != nil {
			return err
		}
	}
	return k.prune(ctx, p)
}

// refund ends a channel.
func (k Keeper) refund(ctx context.Context, c types.Channel) error {
	client, err := k.addressOf(c.Client)
	if err != nil {
		return err
	}
	if err := k.channels.Remove(ctx, c.Id); err != nil {
		return err
	}
	if err := k.byClient.Remove(ctx, collections.Join([]byte(client), c.Id)); err != nil {
		return err
	}
	if c.Closes != 0 {
		if err := k.closing.Remove(ctx, collections.Join(c.Closes, c.Id)); err != nil {
			return err
		}
	}
	count, err := k.openCount.Get(ctx, client)
	if err != nil {
		return err
	}
	if count > 1 {
		err = k.openCount.Set(ctx, client, count-1)
	} else {
		err = k.openCount.Remove(ctx, client)
	}
	if err != nil {
		return err
	}
	if left := c.Left(); left > 0 {
		if err := k.bank.SendCoinsFromModuleToAccount(ctx, types.ModuleName, client, coins(left)); err != nil {
			return err
		}
	}
	emit(ctx, "channel_closed", c.Id, sdk.NewAttribute("refund", strconv.FormatUint(c.Left(), 10)))
	return nil
}

// prune removes receipts roots that are older than the parameters keep, one page a block.
func (k Keeper) prune(ctx context.Context, p types.Params) error {
	epoch, err := k.epochs.Number(ctx)
	if err != nil || epoch <= p.RetainEpochs {
		return err
	}
	var old []epochKey
	err = k.receipts.Walk(ctx, nil, func(key epochKey, _ types.Receipts) (bool, error) {
		if key.K1() >= epoch-p.RetainEpochs || len(old) >= int(p.ClosePage) {
			return true, nil
		}
		old = append(old, key)
		return false, nil
	})
	if err != nil {
		return err
	}
	for _, key := range old {
		if err := k.receipts.Remove(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func (k Keeper) addressOf(s string) (sdk.AccAddress, error) {
	b, err := k.addresses.StringToBytes(s)
	if err != nil {
		return nil, errors.Wrapf(types.ErrInvalidAddress, "%q: %v", s, err)
	}
	return b, nil
}

func coins(amount uint64) sdk.Coins {
	return sdk.NewCoins(sdk.NewCoin(types.BaseDenom, math.NewIntFromUint64(amount)))
}

func emit(ctx context.Context, kind string, channel uint64, attributes ...sdk.Attribute) {
	all := append([]sdk.Attribute{sdk.NewAttribute("channel", strconv.FormatUint(channel, 10))}, attributes...)
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent(kind, all...))
}
