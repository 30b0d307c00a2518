package types

import (
	"cosmossdk.io/errors"
)

const (
	maxEscrow   = 1_000_000_000_000_000_000 // ngnk; above the supply
	maxBlocks   = 10_000_000
	maxChannels = 10_000
	maxPage     = 500
	rootBytes   = 32
	gnk         = 1_000_000_000
)

// DefaultParams suit a development network.
func DefaultParams() Params {
	return Params{
		MinEscrow:    gnk / 1000,
		CloseBlocks:  40,
		MaxChannels:  64,
		ClosePage:    100,
		RetainEpochs: 30,
	}
}

// Validate returns ErrInvalidParams and what is allowed.
func (p Params) Validate() error {
	for _, r := range []struct {
		name             string
		value, low, high uint64
	}{
		{"min_escrow", p.MinEscrow, 1, maxEscrow},
		{"close_blocks", p.CloseBlocks, 1, maxBlocks},
		{"max_channels", uint64(p.MaxChannels), 1, maxChannels},
		{"close_page", uint64(p.ClosePage), 1, maxPage},
		{"retain_epochs", p.RetainEpochs, 1, 1_000},
	} {
		if r.value < r.low || r.value > r.high {
			return errors.Wrapf(ErrInvalidParams, "%s is %d, allowed is %d to %d", r.name, r.value, r.low, r.high)
		}
	}
	return nil
}

// ValidateBasic checks what needs no state.
func (m *MsgCommitReceipts) ValidateBasic() error {
	if len(m.Root) != rootBytes {
		return errors.Wrapf(ErrInvalidRoot, "%d bytes, not %d", len(m.Root), rootBytes)
	}
	if m.Count == 0 {
		return errors.Wrap(ErrInvalidRoot, "no receipts, at least one")
	}
	return nil
}

// Left is what the channel still holds, in ngnk.
func (c Channel) Left() uint64 { return c.Escrow - c.Settled }

// AcceptsSettlement says whether a miner is in time in a block of the given height.
func (c Channel) AcceptsSettlement(height int64) bool {
	return c.Closes == 0 || height < c.Closes
}
