package miner

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Crowd is how many commitments there are at the end of an epoch, and how many fit.
type Crowd struct {
	// Claims that are expected in an epoch: those of the last one that was settled, 0 before.
	Claims uint64
	// BlockClaims is how many commitments a block holds while nobody pays; 0: without limit.
	BlockClaims uint64
}

// slots is how many of an epoch's last blocks the last commitments of all miners are spread over: as few
// as hold them with a quarter to spare, since miners draw their slots, and half of the blocks that take
// claims at most. Payments can take half of a block; what they keep out finds room in the quarter, in the
// block after or in the grace.
func (c Crowd) slots(e Epoch) int64 {
	half := max((e.lastBlock()-e.Start)/2, 1)
	if c.BlockClaims == 0 || c.Claims <= c.BlockClaims {
		return 1
	}
	each := max(c.BlockClaims*3/4, 1)
	return int64(min((c.Claims-1)/each+1, uint64(half)))
}

// slotOf is which of the last blocks is a miner's own: how many blocks before the last that takes claims.
// It is drawn anew in each epoch, so that what an early slot costs is everybody's in turn.
func slotOf(e Epoch, address []byte, slots int64) int64 {
	b := append([]byte("assay/slot/1"), binary.BigEndian.AppendUint64(nil, e.Number)...)
	sum := sha256.Sum256(append(b, address...))
	return int64(binary.BigEndian.Uint64(sum[:]) % uint64(slots))
}

// slot asks the chain for the crowd and returns the miner's slot; the last where that fails, and for who
// comes when its own has passed.
func (m *Miner) slot(ctx context.Context, e Epoch) int64 {
	crowd, err := m.cfg.Chain.Crowd(ctx)
	if err != nil {
		m.fail(ctx, e.Number, fmt.Errorf("ask how many commit: %w", err))
		return 0
	}
	slot := slotOf(e, m.cfg.Address, crowd.slots(e))
	if e.Height >= e.lastBlock()-slot {
		return 0
	}
	return slot
}
