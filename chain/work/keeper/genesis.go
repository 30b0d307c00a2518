package keeper

import (
	"context"
	stderrors "errors"

	"cosmossdk.io/collections"
	"cosmossdk.io/errors"
	"cosmossdk.io/math"

	"github.com/assaynet/assay/chain/work/types"
)

// InitGenesis takes over a genesis; it must run after the bank's, so that the escrow is in the
// module's account.
func (k Keeper) InitGenesis(ctx context.Context, g types.GenesisState) error {
	if err := g.Validate(); err != nil {
		return err
	}
	if err := k.params.Set(ctx, g.Params); err != nil {
		return err
	}
	if err := k.nextChannel.Set(ctx, g.NextChannel); err != nil {
		return err
	}
	for _, c := range g.Channels {
		client, err := k.addressOf(c.Client)
		if err != nil {
			return err
		}
		if err := k.channels.Set(ctx, c.Id, c); err != nil {
			return err
		}
		if err := k.byClient.Set(ctx, collections.Join([]byte(client), c.Id)); err != nil {
			return err
		}
		if c.Closes != 0 {
			if err := k.closing.Set(ctx, collections.Join(c.Closes, c.Id)); err != nil {
				return err
			}
		}
		count, err := k.openCount.Get(ctx, client)
		if err != nil && !stderrors.Is(err, collections.ErrNotFound) {
			return err
		}
		if err := k.openCount.Set(ctx, client, count+1); err != nil {
			return err
		}
	}
	for _, r := range g.Receipts {
		miner, err := k.addressOf(r.Miner)
		if err != nil {
			return err
		}
		if err := k.receipts.Set(ctx, collections.Join(r.Epoch, []byte(miner)), r); err != nil {
			return err
		}
	}
	return k.CheckInvariants(ctx)
}

// ExportGenesis returns the whole state.
func (k Keeper) ExportGenesis(ctx context.Context) (*types.GenesisState, error) {
	g := &types.GenesisState{}
	var err error
	if g.Params, err = k.params.Get(ctx); err != nil {
		return nil, err
	}
	if g.NextChannel, err = k.nextChannel.Peek(ctx); err != nil {
		return nil, err
	}
	err = k.channels.Walk(ctx, nil, func(_ uint64, c types.Channel) (bool, error) {
		g.Channels = append(g.Channels, c)
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	err = k.receipts.Walk(ctx, nil, func(_ epochKey, r types.Receipts) (bool, error) {
		g.Receipts = append(g.Receipts, r)
		return false, nil
	})
	return g, err
}

// CheckInvariants says whether the module's account covers what all channels have left. It walks
// all channels: for tests and genesis.
func (k Keeper) CheckInvariants(ctx context.Context) error {
	owed := math.ZeroInt()
	err := k.channels.Walk(ctx, nil, func(_ uint64, c types.Channel) (bool, error) {
		owed = owed.Add(math.NewIntFromUint64(c.Left()))
		return false, nil
	})
	if err != nil {
		return err
	}
	if has := k.bank.GetBalance(ctx, k.account, types.BaseDenom).Amount; has.LT(owed) {
		return errors.Wrapf(types.ErrInvalidGenesis, "the module account holds %s%s and owes %s", has, types.BaseDenom, owed)
	}
	return nil
}
