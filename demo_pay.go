package main

import (
	"context"
	"fmt"
	"time"

	"cosmossdk.io/math"

	"github.com/assaynet/assay/sdk/client"
)

const (
	// demoPrice is what the serving miner takes for a byte and for a token, and
	// demoEscrow what the client puts into its channel, in ngnk.
	demoPrice  = 1_000_000
	demoEscrow = 1_000_000_000
	// payingNode serves for money; the others for free.
	payingNode = 1
	// demoSettling is how long the miner may take to cash a closing channel.
	demoSettling = 30 * time.Second
)

// demoChannel is a client's channel to the miner that charges.
type demoChannel struct {
	account *client.Account
	id      uint64
	payer   *client.Payer
}

// price is what the miner of a node charges.
func (d *demo) price(node int) int64 {
	if node == payingNode {
		return demoPrice
	}
	return 0
}

// openChannel puts a client's coins into escrow for the miner.
func (d *demo) openChannel(ctx context.Context) (*demoChannel, error) {
	c := d.net.nodes[payingNode].part.link.c
	account, err := d.net.account(ctx, payingNode, clientAccount)
	if err != nil {
		return nil, err
	}
	miner := d.net.nodes[payingNode].part.link.acct.Bytes()
	id, err := account.OpenChannel(ctx, miner, demoEscrow)
	if err != nil {
		return nil, err
	}
	payer, err := client.NewPayer(client.PayerConfig{
		Key: account.Key(), ChainID: c.ChainID(), Channel: id, Miner: miner, Escrow: demoEscrow,
	})
	if err != nil {
		return nil, err
	}
	return &demoChannel{account: account, id: id, payer: payer}, nil
}

// cashed closes the channel and waits until the miner has what it earned.
func (d *demo) cashed(ctx context.Context, ch *demoChannel, price uint64) error {
	c := d.net.nodes[payingNode].part.link.c
	if _, err := ch.account.CloseChannel(ctx, ch.id); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, demoSettling)
	defer cancel()
	for {
		on, err := c.Channel(ctx, ch.id)
		if err != nil {
			return err
		}
		if on.Settled > 0 {
			if on.Settled != price {
				return fmt.Errorf("the miner took %d ngnk for an answer of %d", on.Settled, price)
			}
			d.ok("paid by voucher: %s GNK settled out of %s GNK in escrow, no transaction a request",
				gnk(math.NewIntFromUint64(on.Settled)), gnk(math.NewIntFromUint64(on.Escrow)))
			return nil
		}
		h, err := c.Height(ctx)
		if err == nil {
			_, err = c.WaitHeight(ctx, h+1)
		}
		if err != nil {
			return fmt.Errorf("the miner has not cashed its voucher: %w", err)
		}
	}
}
