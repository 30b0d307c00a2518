package till

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/assaynet/assay/verifier/commit"
)

// Run follows the chain until ctx ends: an epoch after its end, or earlier
// where a client closes its channel, it commits to the epoch's receipts and
// cashes the best vouchers. What the chain refuses is logged and left.
func (t *Till) Run(ctx context.Context) error {
	for h := int64(1); ; {
		now, err := t.cfg.Chain.WaitHeight(ctx, h)
		if err != nil {
			return err
		}
		h = now + 1
		if err := t.step(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			t.log.Error("till", "err", err)
		}
	}
}

// step does what is due at this height.
func (t *Till) step(ctx context.Context) error {
	s, err := t.cfg.Chain.State(ctx)
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.state = s
	last := max(s.Epoch, 1) - 1
	seal := last > t.sealed && (t.pending[last] == 0 || s.Height+grace >= s.EpochEnd)
	t.mu.Unlock()
	if s.Height >= s.EpochStart+settleAfter && t.swept < s.Epoch {
		if seal {
			if err := t.seal(ctx, last); err != nil {
				return err
			}
		}
		if t.isSealed(last) {
			if err := t.cashAll(ctx, last); err != nil {
				return err
			}
			t.swept = s.Epoch
		}
	}
	return t.closing(ctx, s)
}

func (t *Till) isSealed(epoch uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sealed >= epoch
}

// seal commits to an epoch's receipts, after which vouchers of it can be cashed.
func (t *Till) seal(ctx context.Context, epoch uint64) error {
	// From here on new vouchers must name a later epoch, and late receipts go
	// into the next root.
	t.mu.Lock()
	before := t.sealed
	t.sealed = epoch
	receipts, err := t.files.receipts(epoch)
	t.mu.Unlock()
	if err == nil && len(receipts) > 0 {
		err = t.cfg.Chain.CommitReceipts(ctx, epoch, commit.ReceiptsRoot(receipts), uint64(len(receipts)))
	}
	if err != nil && !errors.Is(err, ErrRefused) {
		t.mu.Lock()
		t.sealed = before
		t.mu.Unlock()
		return fmt.Errorf("till: commit to the receipts of epoch %d: %w", epoch, err)
	}
	if err != nil {
		t.log.Error("receipts refused", "epoch", epoch, "err", err)
	}
	if epoch > keepEpochs {
		t.files.forget(t.files.receiptsOf(epoch - keepEpochs))
	}
	return t.files.write(t.files.sealedPath(), epoch)
}

// channels lists those whose ledgers fit, in order.
func (t *Till) channels(fit func(*ledger) bool) []uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ids []uint64
	for id, l := range t.ledgers {
		if fit(l) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// cashAll cashes what is worth it.
func (t *Till) cashAll(ctx context.Context, epoch uint64) error {
	var errs []error
	for _, id := range t.channels(func(*ledger) bool { return true }) {
		ch, err := t.look(ctx, id)
		if err == nil && ch != nil {
			err = t.cash(ctx, id, *ch, epoch, t.cfg.WorthSettling)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// look asks for a channel. One that is gone takes its ledger with it: nothing
// more can be cashed.
func (t *Till) look(ctx context.Context, id uint64) (*Channel, error) {
	ch, err := t.cfg.Chain.Channel(ctx, id)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case errors.Is(err, ErrNoChannel):
		if l := t.ledgers[id]; l != nil && len(l.bills) == 0 {
			delete(t.ledgers, id)
			t.files.forget(t.files.channel(id))
		}
		return nil, nil
	case err != nil:
		return nil, err
	}
	if l := t.ledgers[id]; l != nil {
		l.settled = ch.Settled
	}
	return &ch, nil
}

// cash settles the best voucher of an epoch up to the given one.
func (t *Till) cash(ctx context.Context, id uint64, ch Channel, epoch, worth uint64) error {
	t.mu.Lock()
	var v voucher
	l := t.ledgers[id]
	ok := l != nil
	if ok {
		v, ok = l.cash(epoch)
		// What was granted but not used is credit, no reason to cash.
		ok = ok && v.Amount > l.refused && min(v.Amount, l.Spent) >= ch.Settled+worth
	}
	t.mu.Unlock()
	if !ok {
		return nil
	}
	err := t.cfg.Chain.Settle(ctx, commit.Voucher{ChainID: t.cfg.ChainID, Channel: id, Miner: t.cfg.Miner, Epoch: v.Epoch, Amount: v.Amount}, v.Signature)
	if errors.Is(err, ErrRefused) {
		t.mu.Lock()
		l.refused = v.Amount
		t.mu.Unlock()
	}
	if err != nil {
		return fmt.Errorf("till: settle channel %d: %w", id, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	l.settled = v.Amount
	return nil
}

// closing cashes the vouchers of channels whose clients are closing them. Where
// they belong to the running epoch, that epoch is sealed early.
func (t *Till) closing(ctx context.Context, s State) error {
	var errs []error
	for _, id := range t.channels(func(l *ledger) bool { return l.best() > max(l.settled, l.refused) }) {
		ch, err := t.look(ctx, id)
		if err != nil || ch == nil || ch.Closes == 0 || s.Height+1 >= ch.Closes {
			errs = append(errs, err)
			continue
		}
		t.mu.Lock()
		var newest voucher
		var spent uint64
		if l := t.ledgers[id]; l != nil {
			newest, _ = l.cash(s.Epoch)
			spent = l.Spent
		}
		sealed, busy := t.sealed, t.pending[s.Epoch] > 0
		t.mu.Unlock()
		if newest.Epoch == s.Epoch && newest.Epoch > sealed && spent >= ch.Settled+fee {
			if busy && s.Height+2*grace < ch.Closes {
				continue // its receipts are still being made
			}
			if err := t.seal(ctx, s.Epoch); err != nil {
				errs = append(errs, err)
				continue
			}
			sealed = s.Epoch
		}
		errs = append(errs, t.cash(ctx, id, *ch, sealed, fee))
	}
	return errors.Join(errs...)
}
