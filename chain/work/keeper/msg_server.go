package keeper

import (
	"bytes"
	"context"
	stderrors "errors"
	"strconv"

	"cosmossdk.io/collections"
	"cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/work/types"
	"github.com/assaynet/assay/verifier/commit"
)

// gasSignature is charged for checking a voucher: the SDK's cost of a secp256k1 signature.
const gasSignature = 20_000

type msgServer struct{ Keeper }

// NewMsgServer returns the handlers of the module's messages.
func NewMsgServer(k Keeper) types.MsgServer { return msgServer{k} }

var _ types.MsgServer = msgServer{}

// OpenChannel puts an amount into escrow for one miner.
func (s msgServer) OpenChannel(ctx context.Context, m *types.MsgOpenChannel) (*types.MsgOpenChannelResponse, error) {
	client, err := s.addressOf(m.Client)
	if err != nil {
		return nil, err
	}
	miner, err := s.addressOf(m.Miner)
	if err != nil {
		return nil, err
	}
	p, err := s.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(client, miner) {
		return nil, errors.Wrap(types.ErrSelfChannel, m.Client)
	}
	registered, jailed, err := s.miners.Miner(ctx, miner)
	if err != nil {
		return nil, err
	}
	if !registered || jailed {
		return nil, errors.Wrapf(types.ErrUnknownMiner, "%s is not registered, or jailed", m.Miner)
	}
	if m.Amount < p.MinEscrow {
		return nil, errors.Wrapf(types.ErrEscrowTooSmall, "%d%s, at least %d", m.Amount, types.BaseDenom, p.MinEscrow)
	}
	count, err := s.openCount.Get(ctx, client)
	if err != nil && !stderrors.Is(err, collections.ErrNotFound) {
		return nil, err
	}
	if count >= p.MaxChannels {
		return nil, errors.Wrapf(types.ErrTooManyChannels, "at most %d", p.MaxChannels)
	}
	// The bank refuses amounts that the client does not have, and so all that exceed the supply.
	if err := s.bank.SendCoinsFromAccountToModule(ctx, client, types.ModuleName, coins(m.Amount)); err != nil {
		return nil, err
	}
	id, err := s.nextChannel.Next(ctx)
	if err != nil {
		return nil, err
	}
	c := types.Channel{Id: id, Client: m.Client, Miner: m.Miner, Escrow: m.Amount}
	if err := s.channels.Set(ctx, id, c); err != nil {
		return nil, err
	}
	if err := s.byClient.Set(ctx, collections.Join([]byte(client), id)); err != nil {
		return nil, err
	}
	if err := s.openCount.Set(ctx, client, count+1); err != nil {
		return nil, err
	}
	emit(ctx, "channel_open", id, sdk.NewAttribute("client", m.Client), sdk.NewAttribute("miner", m.Miner),
		sdk.NewAttribute("amount", strconv.FormatUint(m.Amount, 10)))
	return &types.MsgOpenChannelResponse{Channel: id}, nil
}

// Settle pays the miner what the voucher grants beyond what was paid before. The receipts of the
// voucher's epoch must be committed.
func (s msgServer) Settle(ctx context.Context, m *types.MsgSettle) (*types.MsgSettleResponse, error) {
	miner, err := s.addressOf(m.Miner)
	if err != nil {
		return nil, err
	}
	c, err := s.Channel(ctx, m.Channel)
	if err != nil {
		return nil, err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	switch {
	case c.Miner != m.Miner:
		return nil, errors.Wrapf(types.ErrNotParty, "channel %d pays %s", c.Id, c.Miner)
	case !c.AcceptsSettlement(sdkCtx.BlockHeight()):
		return nil, errors.Wrapf(types.ErrChannelClosed, "channel %d, at height %d", c.Id, c.Closes)
	case m.Amount <= c.Settled:
		return nil, errors.Wrapf(types.ErrNothingToSettle, "%d, paid were %d", m.Amount, c.Settled)
	case m.Amount > c.Escrow:
		return nil, errors.Wrapf(types.ErrVoucherTooLarge, "%d, the escrow is %d", m.Amount, c.Escrow)
	}
	if committed, err := s.receipts.Has(ctx, collections.Join(m.Epoch, []byte(miner))); err != nil {
		return nil, err
	} else if !committed {
		return nil, errors.Wrapf(types.ErrNoReceipts, "of epoch %d by %s", m.Epoch, m.Miner)
	}
	if err := s.verifyVoucher(sdkCtx, c, m, miner); err != nil {
		return nil, err
	}

	paid := m.Amount - c.Settled
	c.Settled = m.Amount
	if err := s.channels.Set(ctx, c.Id, c); err != nil {
		return nil, err
	}
	if err := s.bank.SendCoinsFromModuleToAccount(ctx, types.ModuleName, miner, coins(paid)); err != nil {
		return nil, err
	}
	emit(ctx, "channel_settled", c.Id, sdk.NewAttribute("miner", m.Miner), sdk.NewAttribute("paid", strconv.FormatUint(paid, 10)))
	return &types.MsgSettleResponse{Paid: paid}, nil
}

func (k Keeper) verifyVoucher(ctx sdk.Context, c types.Channel, m *types.MsgSettle, miner sdk.AccAddress) error {
	client, err := k.addressOf(c.Client)
	if err != nil {
		return err
	}
	key, err := k.accounts.GetPubKey(ctx, client)
	if err != nil {
		return err
	}
	if key == nil {
		return errors.Wrapf(types.ErrInvalidSignature, "the key of %s is not known yet", c.Client)
	}
	ctx.GasMeter().ConsumeGas(gasSignature, "voucher")
	v := commit.Voucher{ChainID: ctx.ChainID(), Channel: c.Id, Miner: miner, Epoch: m.Epoch, Amount: m.Amount}
	if err := v.Validate(); err != nil {
		return errors.Wrap(types.ErrInvalidSignature, err.Error())
	}
	if !key.VerifySignature(v.Bytes(), m.Signature) {
		return errors.Wrapf(types.ErrInvalidSignature, "channel %d, epoch %d, amount %d", c.Id, m.Epoch, m.Amount)
	}
	return nil
}

// CloseChannel begins the closing, or ends it at once where the miner asks.
func (s msgServer) CloseChannel(ctx context.Context, m *types.MsgCloseChannel) (*types.MsgCloseChannelResponse, error) {
	c, err := s.Channel(ctx, m.Channel)
	if err != nil {
		return nil, err
	}
	switch m.Sender {
	case c.Miner:
		return &types.MsgCloseChannelResponse{}, s.refund(ctx, c)
	case c.Client:
	default:
		return nil, errors.Wrapf(types.ErrNotParty, "channel %d is between %s and %s", c.Id, c.Client, c.Miner)
	}
	if c.Closes != 0 {
		return nil, errors.Wrapf(types.ErrAlreadyClosing, "channel %d, at height %d", c.Id, c.Closes)
	}
	p, err := s.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	c.Closes = sdk.UnwrapSDKContext(ctx).BlockHeight() + 1 + int64(p.CloseBlocks)
	if err := s.channels.Set(ctx, c.Id, c); err != nil {
		return nil, err
	}
	if err := s.closing.Set(ctx, collections.Join(c.Closes, c.Id)); err != nil {
		return nil, err
	}
	emit(ctx, "channel_closing", c.Id, sdk.NewAttribute("closes", strconv.FormatInt(c.Closes, 10)))
	return &types.MsgCloseChannelResponse{Closes: c.Closes}, nil
}

// CommitReceipts commits once to a miner's receipts of the running epoch or the one before.
func (s msgServer) CommitReceipts(ctx context.Context, m *types.MsgCommitReceipts) (*types.MsgCommitReceiptsResponse, error) {
	if err := m.ValidateBasic(); err != nil {
		return nil, err
	}
	miner, err := s.addressOf(m.Miner)
	if err != nil {
		return nil, err
	}
	registered, jailed, err := s.miners.Miner(ctx, miner)
	if err != nil {
		return nil, err
	}
	if !registered || jailed {
		return nil, errors.Wrapf(types.ErrUnknownMiner, "%s is not registered, or jailed", m.Miner)
	}
	epoch, err := s.epochs.Number(ctx)
	if err != nil {
		return nil, err
	}
	if m.Epoch > epoch || m.Epoch+1 < epoch || m.Epoch == 0 {
		return nil, errors.Wrapf(types.ErrWrongEpoch, "%d; epoch %d and the one before are allowed", m.Epoch, epoch)
	}
	key := collections.Join(m.Epoch, []byte(miner))
	if given, err := s.receipts.Has(ctx, key); err != nil {
		return nil, err
	} else if given {
		return nil, errors.Wrapf(types.ErrDuplicateReceipts, "%s in epoch %d", m.Miner, m.Epoch)
	}
	r := types.Receipts{Epoch: m.Epoch, Miner: m.Miner, Root: m.Root, Count: m.Count, Height: sdk.UnwrapSDKContext(ctx).BlockHeight()}
	if err := s.receipts.Set(ctx, key, r); err != nil {
		return nil, err
	}
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent("receipts",
		sdk.NewAttribute("epoch", strconv.FormatUint(m.Epoch, 10)), sdk.NewAttribute("miner", m.Miner),
		sdk.NewAttribute("count", strconv.FormatUint(m.Count, 10))))
	return &types.MsgCommitReceiptsResponse{}, nil
}

// UpdateParams replaces the parameters.
func (s msgServer) UpdateParams(ctx context.Context, m *types.MsgUpdateParams) (*types.MsgUpdateParamsResponse, error) {
	if m.Authority != s.authority {
		return nil, errors.Wrapf(types.ErrInvalidAuthority, "%s, not %s", m.Authority, s.authority)
	}
	if err := m.Params.Validate(); err != nil {
		return nil, err
	}
	return &types.MsgUpdateParamsResponse{}, s.params.Set(ctx, m.Params)
}
