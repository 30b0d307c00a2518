package types

import (
	"errors"
	"math/rand/v2"
	"testing"

	"cosmossdk.io/math"
)

func TestTakenSplits(t *testing.T) {
	p := Params{PromptBps: 1_000}
	for _, c := range []struct {
		pay        int64
		late, of   uint64
		incl, lost int64
	}{
		{1_000_000, 0, 10, 6_000, 0}, // three fifths of a block's 10,000
		{1_000_000, 1, 10, 5_400, 10_000},
		{1_000_000, 9, 10, 600, 90_000},
		{1_000_000, 10, 10, 0, 100_000}, // after the phase
		{1_000_000, 0, 1, 60_000, 0},
		{999, 3, 7, 4, 42}, // 4.89 and 42.8, rounded down
		{9, 0, 10, 0, 0},
		{0, 3, 10, 0, 0},
		{1_000_000, 0, 0, 0, 0}, // nothing was taken
	} {
		incl, late := Taken{Late: c.late, Of: c.of}.Split(math.NewInt(c.pay), p)
		if !incl.Equal(math.NewInt(c.incl)) || !late.Equal(math.NewInt(c.lost)) {
			t.Errorf("%d, %d of %d blocks late: %s for the proposer and %s lost, want %d and %d", c.pay, c.late, c.of, incl, late, c.incl, c.lost)
		}
	}
}

func TestTakenIn(t *testing.T) {
	for _, c := range []struct {
		blocks   uint64
		left     int64
		late, of uint64
	}{{10, 10, 0, 10}, {10, 1, 9, 10}, {10, 0, 10, 10}, {10, -5, 10, 10}, {10, 99, 0, 10}, {0, 0, 1, 1}} {
		if got := TakenIn(nil, c.blocks, c.left); got.Late != c.late || got.Of != c.of {
			t.Errorf("%d of %d blocks left: late by %d of %d", c.left, c.blocks, got.Late, got.Of)
		}
	}
}

// Whatever is paid, a block of waiting costs the sender more than an accomplice's block saves; who leaves a
// message to its own next block is paid less for it; and three messages of a round never cost all of the pay.
func TestWaitingNeverPays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		p := Params{PromptBps: 1 + uint32(r.IntN(maxPrompt))}
		of := 1 + r.Uint64N(2_000)
		late := r.Uint64N(of)
		pay := math.NewIntFromUint64(r.Uint64N(1 << 50)).AddRaw(100_000_000_000)
		incl, lost := Taken{Late: late, Of: of}.Split(pay, p)
		after, more := Taken{Late: late + 1, Of: of}.Split(pay, p)
		kept := pay.Sub(incl).Sub(lost)
		if among := pay.Sub(more); !among.LT(kept) {
			t.Fatalf("%s, %d of %d blocks late: %s for who sends it now, a block later accomplices share %s", pay, late, of, kept, among)
		}
		if !after.LT(incl) || incl.IsNegative() || lost.IsNegative() {
			t.Fatalf("%s, %d of %d blocks late: the proposer gets %s, a block later %s", pay, late, of, incl, after)
		}
		if all := incl.Add(lost).MulRaw(3); all.GT(pay.MulRaw(3).QuoRaw(4)) {
			t.Fatalf("%s: three messages, %d of %d blocks late, cost %s", pay, late, of, all)
		}
	}
}

func TestPromptParams(t *testing.T) {
	for bps, ok := range map[uint32]bool{0: true, 1_000: true, 2_500: true, 2_501: false, 1 << 31: false} {
		p := DefaultParams()
		p.PromptBps = bps
		if err := p.Validate(); (err == nil) != ok || (err != nil && !errors.Is(err, ErrInvalidParams)) {
			t.Errorf("prompt_bps %d: %v", bps, err)
		}
	}
	for _, bad := range []Taken{{Late: 2, Of: 1}, {Proposer: make([]byte, 33), Of: 1}, {Of: 1 << 60}} {
		if err := bad.Validate(); !errors.Is(err, ErrInvalidGenesis) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if err := (Taken{Proposer: make([]byte, 20), Late: 3, Of: 3}).Validate(); err != nil {
		t.Error(err)
	}
}
