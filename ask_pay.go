package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/chain/network"
	"github.com/assaynet/assay/sdk/client"
)

// payOptions are the flags of assay ask that say how to pay.
type payOptions struct {
	channel uint64 // 0: do not pay
	from    string
	home    string
	grpc    string
	limit   uint64
}

func (o *payOptions) flags(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.Uint64Var(&o.channel, "channel", 0, "number of the channel that pays, see assay tx work open-channel")
	fl.StringVar(&o.from, "from", "", "name of the channel's key")
	fl.StringVar(&o.home, "home", defaultHome(), "folder of the keys and of the channel's books")
	fl.StringVar(&o.grpc, "grpc", "127.0.0.1:9090", "gRPC address of a node, host:port; asked only to pay")
	fl.Uint64Var(&o.limit, "limit", 0, "most ngnk that the answer may cost (default: what the channel has left)")
	cmd.MarkFlagsRequiredTogether("channel", "from")
}

// payer opens the channel's books; nil where nothing is to be paid.
func (o payOptions) payer(ctx context.Context) (_ *client.Payer, err error) {
	if o.channel == 0 {
		return nil, nil
	}
	enc, err := client.NewEncoding()
	if err != nil {
		return nil, err
	}
	kr, err := network.OpenKeyring(o.home, "test", enc.Codec)
	if err != nil {
		return nil, err
	}
	key, err := namedKey(kr, o.from)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	c, err := client.Dial(ctx, client.Config{GRPC: o.grpc})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	channel, err := c.Channel(ctx, o.channel)
	if err != nil {
		return nil, err
	}
	if own := c.Account(key).Address(); channel.Client != own {
		return nil, fmt.Errorf("channel %d is %s's; %s is %s", o.channel, channel.Client, o.from, own)
	}
	miner, err := addressBytes(channel.Miner)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(o.home, "payer")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("books of channel %d: %w", o.channel, err)
	}
	return client.NewPayer(client.PayerConfig{
		Key: key, ChainID: c.ChainID(), Channel: o.channel, Miner: miner, Escrow: channel.Escrow, Limit: o.limit,
		File: filepath.Join(dir, fmt.Sprintf("%s-channel-%d.json", c.ChainID(), o.channel)),
	})
}
