package client

import (
	"context"
	"encoding/hex"
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/gogoproto/proto"

	"github.com/assaynet/assay/chain/params"
	worktypes "github.com/assaynet/assay/chain/work/types"
)

// OpenChannel puts an amount of ngnk into escrow for one miner and returns the
// channel's number.
func (a *Account) OpenChannel(ctx context.Context, miner []byte, amount uint64) (uint64, error) {
	to, err := sdk.Bech32ifyAddressBytes(params.Bech32Prefix, miner)
	if err != nil {
		return 0, fmt.Errorf("client: address of the miner: %w", err)
	}
	var out worktypes.MsgOpenChannelResponse
	if err := a.call(ctx, &worktypes.MsgOpenChannel{Client: a.Address(), Miner: to, Amount: amount}, &out); err != nil {
		return 0, fmt.Errorf("client: open channel: %w", err)
	}
	return out.Channel, nil
}

// CloseChannel begins the end of a channel: the miner may cash its last voucher
// until the returned height; then the rest of the escrow comes back.
func (a *Account) CloseChannel(ctx context.Context, id uint64) (closes int64, err error) {
	var out worktypes.MsgCloseChannelResponse
	if err := a.call(ctx, &worktypes.MsgCloseChannel{Sender: a.Address(), Channel: id}, &out); err != nil {
		return 0, fmt.Errorf("client: close channel %d: %w", id, err)
	}
	return out.Closes, nil
}

// Channel asks the chain for a channel.
func (c *Client) Channel(ctx context.Context, id uint64) (worktypes.Channel, error) {
	r, err := worktypes.NewQueryClient(c.conn).Channel(ctx, &worktypes.QueryChannelRequest{Id: id})
	if err != nil {
		return worktypes.Channel{}, fmt.Errorf("client: channel %d: %w", id, err)
	}
	return r.Channel, nil
}

// call sends one message and decodes its response.
func (a *Account) call(ctx context.Context, msg sdk.Msg, response proto.Message) error {
	r, err := a.Send(ctx, SendOptions{}, msg)
	if err != nil {
		return err
	}
	b, err := hex.DecodeString(r.Data)
	if err != nil {
		return fmt.Errorf("response: %w", err)
	}
	var data sdk.TxMsgData
	if err := proto.Unmarshal(b, &data); err != nil {
		return fmt.Errorf("response: %w", err)
	}
	if len(data.MsgResponses) != 1 {
		return fmt.Errorf("response holds %d answers to one message", len(data.MsgResponses))
	}
	if err := proto.Unmarshal(data.MsgResponses[0].Value, response); err != nil {
		return fmt.Errorf("response: %w", err)
	}
	return nil
}
