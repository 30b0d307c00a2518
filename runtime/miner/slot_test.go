package miner

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
)

// 10,000 miners send their last commitments as late as all of them fit: no block gets more than it holds,
// and none of those blocks is left empty.
func TestSlotsHoldAllMiners(t *testing.T) {
	const miners, fit = 10_000, 398
	crowd := Crowd{Claims: miners, BlockClaims: fit}
	for number := range uint64(20) {
		e := Epoch{Number: number, Start: 1_000, CommitEnd: 1_100}
		slots := crowd.slots(e)
		if slots < miners/fit || slots > 2*miners/fit {
			t.Fatalf("%d slots", slots)
		}
		blocks := make(map[int64]int)
		for i := range miners {
			addr := sha256.Sum256(binary.BigEndian.AppendUint32(nil, uint32(i)))
			e.Slot = slotOf(e, addr[:20], slots)
			blocks[e.lastSend()]++
		}
		for h := e.lastBlock(); h > e.lastBlock()-slots; h-- {
			if n := blocks[h]; n == 0 || n > fit {
				t.Errorf("epoch %d: %d commitments at height %d, a block holds %d", number, n, h, fit)
			}
			delete(blocks, h)
		}
		if len(blocks) > 0 {
			t.Errorf("epoch %d: commitments outside the slots at %v", number, blocks)
		}
	}
}

// A slot costs nothing where all fit into the last block, is drawn anew in each epoch, and is never more
// than half of the blocks that take claims, however many commit.
func TestSlotsAreBounded(t *testing.T) {
	e := Epoch{Start: 100, CommitEnd: 162}
	for _, c := range []struct {
		crowd Crowd
		want  int64
	}{
		{Crowd{}, 1},
		{Crowd{Claims: 1 << 40}, 1}, // blocks without limit
		{Crowd{BlockClaims: 398}, 1},
		{Crowd{Claims: 398, BlockClaims: 398}, 1},
		{Crowd{Claims: 399, BlockClaims: 398}, 2},
		{Crowd{Claims: 100_000, BlockClaims: 398}, 30},
		{Crowd{Claims: 3, BlockClaims: 1}, 3},
		{Crowd{Claims: 1<<64 - 1, BlockClaims: 1}, 30},
	} {
		if got := c.crowd.slots(e); got != c.want {
			t.Errorf("%+v: %d slots, want %d", c.crowd, got, c.want)
		}
	}
	if got := (Crowd{Claims: 1_000, BlockClaims: 1}).slots(Epoch{Start: 5, CommitEnd: 6}); got != 1 {
		t.Errorf("an epoch that takes no claims has %d slots", got)
	}
	seen := make(map[int64]bool)
	for number := range uint64(64) {
		e.Number = number
		seen[slotOf(e, []byte("a miner"), 8)] = true
	}
	if len(seen) != 8 {
		t.Errorf("a miner has %d of 8 slots in 64 epochs", len(seen))
	}
}
