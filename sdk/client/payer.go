package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"

	"github.com/assaynet/assay/verifier/commit"
)

// PayerConfig of a channel that pays one miner.
type PayerConfig struct {
	Key     cryptotypes.PrivKey // of the channel's client
	ChainID string
	Channel uint64
	Miner   []byte // address bytes
	Escrow  uint64 // ngnk
	// Limit is the most, in ngnk, that one request may cost; 0: the escrow.
	Limit uint64
	// File keeps the books between runs. If empty, they start at nothing: use
	// that only for a new channel.
	File string
}

// Payment is a signed voucher.
type Payment struct {
	Voucher   commit.Voucher
	Signature []byte
	most      uint64
}

// Payer signs the vouchers of one channel. It is safe for concurrent use.
//
// A voucher covers the most that its request can cost; what the answer did not
// need is credit for the next one. Where a connection was lost for good the
// payer assumes that the request was charged.
type Payer struct {
	cfg PayerConfig

	mu    sync.Mutex
	books books
}

// books are the amounts that outlive a run, in ngnk.
type books struct {
	Spent uint64 `json:"spent"` // including what is held
	Best  uint64 `json:"best"`  // largest amount that was signed
}

// ErrTooExpensive is a request that the limit or the escrow does not cover.
var ErrTooExpensive = errors.New("client: the request costs more than allowed")

// ErrWrongMiner is a payer used with another miner or chain than its channel's.
var ErrWrongMiner = errors.New("client: the channel pays another miner")

// NewPayer opens the books of a channel.
func NewPayer(cfg PayerConfig) (*Payer, error) {
	v := commit.Voucher{ChainID: cfg.ChainID, Channel: cfg.Channel, Miner: cfg.Miner}
	if err := v.Validate(); err != nil {
		return nil, fmt.Errorf("client: payer: %w", err)
	}
	if cfg.Key == nil || cfg.Channel == 0 || cfg.Escrow == 0 {
		return nil, errors.New("client: payer: Key, Channel and Escrow are required")
	}
	if cfg.Limit == 0 || cfg.Limit > cfg.Escrow {
		cfg.Limit = cfg.Escrow
	}
	p := &Payer{cfg: cfg}
	if cfg.File == "" {
		return p, nil
	}
	b, err := os.ReadFile(cfg.File)
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &p.books)
	}
	if err != nil {
		return nil, fmt.Errorf("client: books of channel %d: %w", cfg.Channel, err)
	}
	return p, nil
}

// Next signs the voucher for a request at a miner's terms. Hand it to Done
// when it is known what the request cost.
func (p *Payer) Next(terms Terms, req commit.Request) (*Payment, error) {
	most := terms.Price(len(req.Prompt), req.MaxTokens)
	p.mu.Lock()
	defer p.mu.Unlock()
	if most > p.cfg.Limit || p.books.Spent+most > p.cfg.Escrow {
		return nil, fmt.Errorf("%w: up to %d ngnk; %d allowed a request, %d of %d left in channel %d",
			ErrTooExpensive, most, p.cfg.Limit, p.cfg.Escrow-min(p.cfg.Escrow, p.books.Spent), p.cfg.Escrow, p.cfg.Channel)
	}
	next := books{Spent: p.books.Spent + most, Best: max(p.books.Best, p.books.Spent+most)}
	pay := &Payment{most: most, Voucher: commit.Voucher{ChainID: p.cfg.ChainID, Channel: p.cfg.Channel, Miner: p.cfg.Miner, Epoch: terms.Epoch, Amount: next.Best}}
	var err error
	if pay.Signature, err = p.cfg.Key.Sign(pay.Voucher.Bytes()); err != nil {
		return nil, fmt.Errorf("client: sign voucher: %w", err)
	}
	// What was signed must be in the books before anybody sees it.
	if err := p.save(next); err != nil {
		return nil, err
	}
	p.books = next
	return pay, nil
}

// Done books what a request cost in the end: 0 if it was refused.
func (p *Payer) Done(pay *Payment, price uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.books.Spent -= pay.most - min(pay.most, price)
	pay.most = min(pay.most, price)
	return p.save(p.books)
}

// Spent is what was or may have been charged so far, in ngnk.
func (p *Payer) Spent() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.books.Spent
}

// save replaces the file so that a crash leaves the old or the new books.
func (p *Payer) save(b books) error {
	if p.cfg.File == "" {
		return nil
	}
	fail := func(err error) error { return fmt.Errorf("client: keep books of channel %d: %w", p.cfg.Channel, err) }
	raw, err := json.Marshal(b)
	if err != nil {
		return fail(err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(p.cfg.File), ".books-*")
	if err != nil {
		return fail(err)
	}
	defer os.Remove(tmp.Name()) // fails once it was renamed
	_, err = tmp.Write(raw)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fail(err)
	}
	if err := os.Rename(tmp.Name(), p.cfg.File); err != nil {
		return fail(err)
	}
	return nil
}

// stream pays for one answer and follows it.
func (p *Payer) stream(ctx context.Context, endpoint string, s *stream) (*Answer, error) {
	info, err := getInfo(ctx, endpoint, s.opt.Idle)
	if err != nil {
		return nil, err
	}
	if info.Terms != nil {
		if info.ChainID != p.cfg.ChainID || string(info.Miner) != string(p.cfg.Miner) {
			return nil, fmt.Errorf("%w: %x on %.50q; %s is %x on %.50q", ErrWrongMiner, p.cfg.Miner, p.cfg.ChainID, endpoint, info.Miner, info.ChainID)
		}
		s.terms = *info.Terms
		if s.payment, err = p.Next(s.terms, s.req); err != nil {
			return nil, err
		}
	}
	err = s.follow(ctx)
	if s.payment != nil {
		var (
			refused *RefusedError
			lost    *LostError
		)
		switch {
		case err == nil:
			err = p.Done(s.payment, s.answer.Receipt.Price)
		case !s.sent, errors.As(err, &refused) && !errors.As(err, &lost) && len(s.answer.Tokens) == 0:
			err = errors.Join(err, p.Done(s.payment, 0))
		}
	}
	if err != nil {
		return nil, err
	}
	return s.answer, nil
}
