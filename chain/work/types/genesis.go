package types

import "cosmossdk.io/errors"

// DefaultGenesis is a chain without channels.
func DefaultGenesis() *GenesisState {
	return &GenesisState{Params: DefaultParams(), NextChannel: 1}
}

// Validate returns ErrInvalidGenesis or ErrInvalidParams.
func (g GenesisState) Validate() error {
	if err := g.Params.Validate(); err != nil {
		return err
	}
	if g.NextChannel == 0 {
		return errors.Wrap(ErrInvalidGenesis, "channels are numbered from 1")
	}
	seen := make(map[uint64]bool)
	for _, c := range g.Channels {
		if seen[c.Id] || c.Id == 0 || c.Id >= g.NextChannel {
			return errors.Wrapf(ErrInvalidGenesis, "channel %d: repeated or out of sequence", c.Id)
		}
		seen[c.Id] = true
		if c.Settled > c.Escrow || c.Escrow > maxEscrow {
			return errors.Wrapf(ErrInvalidGenesis, "channel %d: settled %d of %d", c.Id, c.Settled, c.Escrow)
		}
	}
	for _, r := range g.Receipts {
		if len(r.Root) != rootBytes {
			return errors.Wrapf(ErrInvalidGenesis, "receipts of %s in epoch %d: root", r.Miner, r.Epoch)
		}
	}
	return nil
}
