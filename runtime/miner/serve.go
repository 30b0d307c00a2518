package miner

import (
	"context"
	"errors"
	"fmt"

	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/openings"
)

// source serves openings out of the stores.
type source Miner

// maxAudits bounds the remembered rounds, maxRound the numbers that the chain
// is asked about; its own bound on further rounds is below it.
const (
	maxAudits = 64
	maxRound  = 31
)

// Audit asks the chain once a round: claims and draws of a round are fixed.
func (s *source) Audit(ctx context.Context, epoch, round uint64) (openings.Audit, error) {
	m := (*Miner)(s)
	key := [2]uint64{epoch, round}
	m.mu.Lock()
	audit, ok := m.audits[key]
	// A stranger's numbers must not cost a query each: only of epochs that are
	// known here, and each number once a height.
	height := m.height.Load()
	at, missed := m.missed[key]
	known := m.epochs[epoch] != nil && round <= maxRound && (!missed || at != height)
	m.mu.Unlock()
	if ok {
		return audit, nil
	}
	if !known {
		return openings.Audit{}, openings.ErrUnknown
	}
	audit, err := m.cfg.Chain.Audit(ctx, epoch, round)
	m.mu.Lock()
	defer m.mu.Unlock()
	if errors.Is(err, openings.ErrUnknown) {
		if len(m.missed) >= maxAudits {
			clear(m.missed)
		}
		m.missed[key] = height
	}
	if err != nil {
		return openings.Audit{}, err
	}
	if len(m.audits) < maxAudits {
		m.audits[key] = audit
	}
	return audit, nil
}

// Open reads digests from the store, or has them computed again.
func (s *source) Open(ctx context.Context, claim commit.Claim, indexes []uint64) ([]commit.Opening, error) {
	return (*Miner)(s).openUnits(ctx, claim.Epoch, claim.Count, indexes)
}

func (m *Miner) openUnits(ctx context.Context, epoch, count uint64, indexes []uint64) ([]commit.Opening, error) {
	m.mu.Lock()
	state := m.epochs[epoch]
	m.mu.Unlock()
	if state == nil {
		return nil, openings.ErrUnknown
	}
	return state.store.Open(count, indexes, func(first, n uint64) ([]commit.Digest, error) {
		return state.recompute(ctx, first, n)
	})
}

// answerDemands answers on chain what was demanded on chain, block by block.
func (m *Miner) answerDemands(ctx context.Context) {
	sent := map[uint64]int64{} // demand to the height of the last answer
	for ctx.Err() == nil {
		demands, err := m.cfg.Chain.Demands(ctx)
		if err != nil {
			m.fail(ctx, 0, err)
		}
		open := make(map[uint64]int64, len(demands))
		for _, d := range demands {
			// An answer lands a block or two after it was sent.
			if at, ok := sent[d.ID]; ok && m.height.Load() < at+3 {
				open[d.ID] = at
				continue
			}
			if err := m.answer(ctx, d); err != nil {
				m.fail(ctx, d.Epoch, fmt.Errorf("demand %d: %w", d.ID, err))
			}
			open[d.ID] = m.height.Load()
		}
		sent = open // what is no longer open is forgotten
		m.wait(ctx, m.height.Load()+1)
	}
}

func (m *Miner) answer(ctx context.Context, d Demand) error {
	claim, err := m.cfg.Chain.Claim(ctx, d.Epoch)
	if err != nil {
		return err
	}
	opened, err := m.openUnits(ctx, d.Epoch, claim.Count, d.Indexes)
	if err != nil {
		return err
	}
	encoded := make([][]byte, len(opened))
	for i, o := range opened {
		if encoded[i], err = o.MarshalBinary(); err != nil {
			return err
		}
	}
	if err := m.cfg.Chain.Answer(ctx, d.ID, encoded); err != nil && !errors.Is(err, ErrRefused) {
		return err
	} else if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	m.observe(Event{Kind: EventAnswered, Epoch: d.Epoch, Number: d.ID, Units: uint64(len(opened))})
	return nil
}
