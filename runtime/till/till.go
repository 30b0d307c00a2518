package till

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/verifier/commit"
)

// Till is a gateway.Till over channels. Run must be running for vouchers to be
// cashed. It is safe for concurrent use.
type Till struct {
	cfg   Config
	log   *slog.Logger
	files files
	swept uint64 // epoch in which all channels were looked at; Run's own

	mu      sync.Mutex
	state   State
	ledgers map[uint64]*ledger
	sealed  uint64         // receipts of this epoch and all before are committed to
	pending map[uint64]int // bills by epoch that are neither charged nor let go
}

var _ gateway.Till = (*Till)(nil)

// New opens the till's folder and asks the chain where it is.
func New(ctx context.Context, cfg Config) (*Till, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.WorthSettling == 0 {
		cfg.WorthSettling = 10_000
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	t := &Till{cfg: cfg, log: cfg.Log, files: files{cfg.Dir}, pending: map[uint64]int{}}
	var err error
	if t.ledgers, t.sealed, err = t.files.load(); err != nil {
		return nil, err
	}
	if t.state, err = cfg.Chain.State(ctx); err != nil {
		return nil, fmt.Errorf("till: where the chain is: %w", err)
	}
	return t, nil
}

// Terms are the prices and the epoch that vouchers must name.
func (t *Till) Terms() gateway.Terms {
	t.mu.Lock()
	defer t.mu.Unlock()
	return gateway.Terms{Epoch: t.epoch(), PromptByte: t.cfg.PromptByte, Token: t.cfg.Token}
}

// epoch is the one that new vouchers belong to: the running one, or the next
// where the running one was sealed early. The caller holds mu.
func (t *Till) epoch() uint64 { return max(t.state.Epoch, t.sealed+1) }

// Accept checks a voucher and holds the most that the request can cost.
func (t *Till) Accept(ctx context.Context, req commit.Request, p *gateway.Payment) (gateway.Bill, error) {
	most := t.price(len(req.Prompt), req.MaxTokens)
	if p == nil {
		return nil, gateway.Refuse(gateway.CodePayment, "this miner charges %d ngnk a prompt byte and %d ngnk a token: send a voucher on a channel to it over the WebSocket", t.cfg.PromptByte, t.cfg.Token)
	}
	v := p.Voucher
	if v.ChainID != t.cfg.ChainID || string(v.Miner) != string(t.cfg.Miner) {
		return nil, gateway.Refuse(gateway.CodePayment, "the voucher is for miner %x on %s; this is miner %x on %s", v.Miner, v.ChainID, t.cfg.Miner, t.cfg.ChainID)
	}
	ch, err := t.cfg.Chain.Channel(ctx, v.Channel)
	if errors.Is(err, ErrNoChannel) {
		return nil, gateway.Refuse(gateway.CodePayment, "there is no channel %d", v.Channel)
	}
	if err != nil {
		return nil, fmt.Errorf("till: channel %d: %w", v.Channel, err)
	}
	switch {
	case string(ch.Miner) != string(t.cfg.Miner):
		return nil, gateway.Refuse(gateway.CodePayment, "channel %d pays another miner", v.Channel)
	case ch.Closes != 0:
		return nil, gateway.Refuse(gateway.CodePayment, "channel %d is being closed", v.Channel)
	case v.Amount > ch.Escrow:
		return nil, gateway.Refuse(gateway.CodePayment, "the voucher grants %d ngnk; channel %d has %d in escrow", v.Amount, v.Channel, ch.Escrow)
	case !ch.Verify(v.Bytes(), p.Signature):
		return nil, gateway.Refuse(gateway.CodePayment, "the voucher is not signed by the client of channel %d", v.Channel)
	}
	return t.hold(req.Hash(), most, ch, p)
}

// hold records a valid voucher and makes the bill.
func (t *Till) hold(request [32]byte, most uint64, ch Channel, p *gateway.Payment) (gateway.Bill, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := p.Voucher
	l := t.ledgers[v.Channel]
	if l != nil {
		if b := l.bills[request]; b != nil {
			b.holds++
			return b, nil
		}
	}
	// One epoch back is fine until its receipts are committed to.
	if now := t.epoch(); v.Epoch > now || v.Epoch <= t.sealed || v.Epoch+1 < now {
		return nil, gateway.Refuse(gateway.CodePayment, "the voucher names epoch %d; now is %d", v.Epoch, now)
	}
	// A voucher of the coming epoch can be cashed only then. A client that
	// closes now must not be refunded before.
	if left := t.state.EpochEnd - t.state.Height; v.Epoch > t.state.Epoch && left+settleAfter+2*grace > t.state.CloseBlocks {
		return nil, gateway.Refuse(gateway.CodeBusy, "this epoch's receipts are committed; paid requests are served again in %d blocks", left+settleAfter+2*grace-t.state.CloseBlocks)
	}
	if l == nil {
		if len(t.ledgers) >= maxChannels {
			return nil, gateway.Refuse(gateway.CodeBusy, "%d channels are in use", maxChannels)
		}
		// Where the books were lost, what was paid out was spent.
		l = &ledger{Channel: v.Channel, Spent: ch.Settled, bills: map[[32]byte]*bill{}}
	}
	l.settled = ch.Settled
	granted := max(l.best(), v.Amount)
	if need := l.Spent + l.held + most; granted < need {
		return nil, gateway.Refuse(gateway.CodePayment, "the voucher grants %d ngnk in all; spent are %d, held %d, and this request costs up to %d: at least %d needed",
			granted, l.Spent, l.held, most, need)
	}
	if v.Amount > l.best() {
		old := l.Vouchers
		l.add(voucher{Epoch: v.Epoch, Amount: v.Amount, Signature: p.Signature})
		if err := t.files.write(t.files.channel(l.Channel), l); err != nil {
			l.Vouchers = old
			return nil, fmt.Errorf("till: keep voucher: %w", err)
		}
	}
	t.ledgers[l.Channel] = l
	b := &bill{t: t, l: l, request: request, epoch: v.Epoch, most: most, holds: 1}
	l.bills[request] = b
	l.held += most
	t.pending[v.Epoch]++
	return b, nil
}

func (t *Till) price(promptBytes int, tokens uint32) uint64 {
	return uint64(promptBytes)*t.cfg.PromptByte + uint64(tokens)*t.cfg.Token
}

// bill is one request on one channel. The till's lock guards what changes.
type bill struct {
	t       *Till
	l       *ledger
	request [32]byte
	epoch   uint64
	most    uint64 // held until charged

	holds   int
	charged bool
}

func (b *bill) Channel() uint64 { return b.l.Channel }
func (b *bill) Epoch() uint64   { return b.epoch }

// Price of what was delivered; never above what was held.
func (b *bill) Price(res gateway.Result) uint64 {
	return min(b.most, b.t.price(int(res.PromptTokens), res.Tokens))
}

// Charge keeps the receipt and books its price.
func (b *bill) Charge(rc commit.Receipt) error {
	b.t.mu.Lock()
	defer b.t.mu.Unlock()
	if b.charged {
		return nil
	}
	if rc.Price > b.most {
		return fmt.Errorf("till: price of %d above the %d held", rc.Price, b.most)
	}
	// A run that outlasted its epoch goes into the next root.
	if err := b.t.files.append(max(b.epoch, b.t.sealed+1), rc); err != nil {
		return fmt.Errorf("till: keep receipt: %w", err)
	}
	b.l.Spent += rc.Price
	if err := b.t.files.write(b.t.files.channel(b.l.Channel), b.l); err != nil {
		// The receipt is kept: the charge stands, and the next write of the
		// ledger records it.
		b.t.log.Error("ledger not written", "channel", b.l.Channel, "err", err)
	}
	b.settle()
	b.charged = true
	return nil
}

// settle frees what was held; the caller holds the till's lock.
func (b *bill) settle() {
	b.l.held -= b.most
	if b.t.pending[b.epoch]--; b.t.pending[b.epoch] == 0 {
		delete(b.t.pending, b.epoch)
	}
}

func (b *bill) Release() {
	b.t.mu.Lock()
	defer b.t.mu.Unlock()
	if b.holds--; b.holds > 0 {
		return
	}
	delete(b.l.bills, b.request)
	if !b.charged {
		b.settle()
	}
}
