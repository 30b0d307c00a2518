package till_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/runtime/till"
	"github.com/assaynet/assay/verifier/commit"
)

const chainID = "assay-test"

var minerAddress = []byte("miner address bytes.")

// ledger is the other side: a chain with the rules of chain/work.
type ledger struct {
	mu        sync.Mutex
	state     till.State
	channels  map[uint64]*till.Channel
	committed map[uint64]uint64 // receipts by epoch
	roots     map[uint64]commit.Root
	txs       int
	down      bool
	wait      chan int64 // heights handed to Run
}

func (c *ledger) Channel(_ context.Context, id uint64) (till.Channel, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch, ok := c.channels[id]
	if !ok {
		return till.Channel{}, till.ErrNoChannel
	}
	return *ch, nil
}

func (c *ledger) State(context.Context) (till.State, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, nil
}

func (c *ledger) WaitHeight(ctx context.Context, _ int64) (int64, error) {
	select {
	case h := <-c.wait:
		return h, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (c *ledger) CommitReceipts(_ context.Context, epoch uint64, root commit.Root, count uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.txs++
	if c.down {
		return errors.New("no connection")
	}
	if epoch > c.state.Epoch || epoch+1 < c.state.Epoch {
		return fmt.Errorf("%w: epoch %d in %d", till.ErrRefused, epoch, c.state.Epoch)
	}
	if c.committed[epoch] == 0 {
		c.committed[epoch], c.roots[epoch] = count, root
	}
	return nil
}

func (c *ledger) Settle(_ context.Context, v commit.Voucher, sig []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.txs++
	ch := c.channels[v.Channel]
	switch {
	case ch == nil, ch.Closes != 0 && c.state.Height >= ch.Closes, v.Amount <= ch.Settled, v.Amount > ch.Escrow,
		c.committed[v.Epoch] == 0, !ch.Verify(v.Bytes(), sig):
		return fmt.Errorf("%w: voucher %+v", till.ErrRefused, v)
	}
	ch.Settled = v.Amount
	return nil
}

// world is a till with one client's channel 1 of 1,000,000 ngnk; a byte costs
// 10 and a token 100.
type world struct {
	*testing.T
	c   *ledger
	t   *till.Till
	key ed25519.PrivateKey
	dir string
	n   byte
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, key: ed25519.NewKeyFromSeed(make([]byte, 32)), dir: filepath.Join(t.TempDir(), "till")}
	w.c = &ledger{state: till.State{Height: 410, Epoch: 5, EpochStart: 400, EpochEnd: 460, CloseBlocks: 40},
		channels: map[uint64]*till.Channel{}, committed: map[uint64]uint64{}, roots: map[uint64]commit.Root{}, wait: make(chan int64)}
	w.channel(1)
	w.open()
	return w
}

func (w *world) channel(id uint64) {
	pub := w.key.Public().(ed25519.PublicKey)
	w.c.channels[id] = &till.Channel{Miner: minerAddress, Escrow: 1_000_000, Verify: func(msg, sig []byte) bool { return ed25519.Verify(pub, msg, sig) }}
}

func (w *world) config() till.Config {
	return till.Config{Chain: w.c, Dir: w.dir, ChainID: chainID, Miner: minerAddress, PromptByte: 10, Token: 100, WorthSettling: 1}
}

// open opens the till, again after a restart.
func (w *world) open() {
	w.Helper()
	var err error
	if w.t, err = till.New(w.Context(), w.config()); err != nil {
		w.Fatal(err)
	}
}

// request is new each time: 10 bytes and 5 tokens, so at most 600 ngnk.
func (w *world) request() commit.Request {
	w.n++
	return commit.Request{Seed: [32]byte{w.n}, Sampling: commit.Greedy(), MaxTokens: 5, Prompt: []byte("ten bytes.")}
}

func (w *world) pay(channel, epoch, amount uint64) *gateway.Payment {
	v := commit.Voucher{ChainID: chainID, Channel: channel, Miner: minerAddress, Epoch: epoch, Amount: amount}
	return &gateway.Payment{Voucher: v, Signature: ed25519.Sign(w.key, v.Bytes())}
}

func (w *world) accept(p *gateway.Payment) (gateway.Bill, error) {
	return w.t.Accept(w.Context(), w.request(), p)
}

func (w *world) mustAccept(p *gateway.Payment) gateway.Bill {
	w.Helper()
	b, err := w.accept(p)
	if err != nil {
		w.Fatal(err)
	}
	return b
}

// serve answers a request of 10 bytes with the given tokens.
func (w *world) serve(b gateway.Bill, tokens uint32) uint64 {
	w.Helper()
	price := b.Price(gateway.Result{PromptTokens: 10, Tokens: tokens})
	if err := b.Charge(w.receipt(b, price)); err != nil {
		w.Fatal(err)
	}
	b.Release()
	return price
}

func (w *world) receipt(b gateway.Bill, price uint64) commit.Receipt {
	return commit.Receipt{ChainID: chainID, Channel: b.Channel(), Miner: minerAddress, Epoch: b.Epoch(), Request: [32]byte{w.n},
		Trap: uint8(abi.TrapNone), Price: price}
}

func (w *world) wantRefusal(err error, code gateway.Code) {
	w.Helper()
	var r *gateway.RefusedError
	if !errors.As(err, &r) || r.Code != code || r.Message == "" {
		w.Errorf("%v, want code %s", err, code)
	}
}

// at lets the till see a height: the second is taken when the first's work is done.
func (w *world) at(height int64) {
	w.Helper()
	w.c.mu.Lock()
	w.c.state.Height = height
	for w.c.state.Height >= w.c.state.EpochEnd {
		w.c.state.Epoch++
		w.c.state.EpochStart, w.c.state.EpochEnd = w.c.state.EpochEnd, w.c.state.EpochEnd+60
	}
	w.c.mu.Unlock()
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan error)
	go func() { done <- w.t.Run(ctx) }()
	w.c.wait <- height
	w.c.wait <- height
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		w.Fatal(err)
	}
}

func (w *world) settled(id, want uint64) {
	w.Helper()
	if ch, err := w.c.Channel(w.Context(), id); err != nil || ch.Settled != want {
		w.Errorf("channel %d: settled %d, want %d (%v)", id, ch.Settled, want, err)
	}
}

func TestChargesWhatWasDelivered(t *testing.T) {
	w := newWorld(t)
	if terms := w.t.Terms(); terms != (gateway.Terms{Epoch: 5, PromptByte: 10, Token: 100}) {
		t.Errorf("terms %+v", terms)
	}
	if price := w.serve(w.mustAccept(w.pay(1, 5, 600)), 3); price != 400 {
		t.Errorf("three tokens cost %d", price)
	}
	// 200 are left as credit: 800 in all do not cover 400 + 600, 1,000 do.
	_, err := w.accept(w.pay(1, 5, 999))
	w.wantRefusal(err, gateway.CodePayment)
	w.serve(w.mustAccept(w.pay(1, 5, 1000)), 5)
	// The credit of an old voucher is not forgotten for a smaller one.
	_, err = w.accept(w.pay(1, 5, 600))
	w.wantRefusal(err, gateway.CodePayment)
}

func TestRefusedRequestsCostNothing(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.mustAccept(w.pay(1, 5, 600)).Release() // the gateway was busy
	}
	// Held until the end, so two at once need two prices.
	b := w.mustAccept(w.pay(1, 5, 600))
	_, err := w.accept(w.pay(1, 5, 1199))
	w.wantRefusal(err, gateway.CodePayment)
	w.serve(w.mustAccept(w.pay(1, 5, 1200)), 5)
	w.serve(b, 5)
	w.at(462)
	w.settled(1, 1200)
}

func TestResumingIsFree(t *testing.T) {
	w := newWorld(t)
	req, p := w.request(), w.pay(1, 5, 600)
	first, err := w.t.Accept(t.Context(), req, p)
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.t.Accept(t.Context(), req, p)
	if err != nil || again != first {
		t.Fatalf("%v, %v", again == first, err)
	}
	for range 2 {
		if err := first.Charge(w.receipt(first, 600)); err != nil {
			t.Fatal(err)
		}
	}
	first.Release()
	if third, err := w.t.Accept(t.Context(), req, p); err != nil || third != first {
		t.Errorf("while the answer is kept: %v", err)
	} else {
		third.Release()
	}
	again.Release()
	_, err = w.t.Accept(t.Context(), req, p)
	w.wantRefusal(err, gateway.CodePayment) // forgotten: it would be computed again
	w.serve(w.mustAccept(w.pay(1, 5, 1200)), 5)
	if err := w.mustAccept(w.pay(1, 5, 1800)).Charge(commit.Receipt{Price: 601}); err == nil {
		t.Error("charged more than was held")
	}
}

func TestRefusedVouchers(t *testing.T) {
	w := newWorld(t)
	w.channel(2)
	w.c.channels[2].Miner = []byte("another")
	w.channel(3)
	w.c.channels[3].Closes = 500
	sign := func(v commit.Voucher) *gateway.Payment {
		return &gateway.Payment{Voucher: v, Signature: ed25519.Sign(w.key, v.Bytes())}
	}
	good := w.pay(1, 5, 600).Voucher
	otherChain, otherMiner := good, good
	otherChain.ChainID, otherMiner.Miner = "x", []byte("x")
	forged := w.pay(1, 5, 600)
	forged.Voucher.Amount++
	for name, p := range map[string]*gateway.Payment{
		"none": nil, "another chain": sign(otherChain), "another miner": sign(otherMiner),
		"no such channel": w.pay(9, 5, 600), "another miner's channel": w.pay(2, 5, 600), "closing": w.pay(3, 5, 600),
		"above the escrow": w.pay(1, 5, 1_000_001), "too little": w.pay(1, 5, 599), "altered": forged,
		"unsigned": {Voucher: good}, "old epoch": w.pay(1, 3, 600), "coming epoch": w.pay(1, 6, 600),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.accept(p)
			w.wantRefusal(err, gateway.CodePayment)
		})
	}
	if names, err := os.ReadDir(w.dir); err != nil || len(names) != 0 {
		t.Errorf("refused vouchers left %v, %v", names, err)
	}
	w.serve(w.mustAccept(sign(good)), 5)
}

func TestEpochsAreSettledOnce(t *testing.T) {
	w := newWorld(t)
	w.serve(w.mustAccept(w.pay(1, 5, 600)), 5)
	w.at(450)
	w.at(460) // epoch 6 has begun; clients of its first blocks may still name 5
	w.serve(w.mustAccept(w.pay(1, 5, 1200)), 5)
	w.serve(w.mustAccept(w.pay(1, 6, 1800)), 5)
	w.settled(1, 0)
	w.at(462)
	w.settled(1, 1200) // the best of epoch 5, though a newer one exists
	_, err := w.accept(w.pay(1, 5, 2400))
	w.wantRefusal(err, gateway.CodePayment)
	txs := w.c.txs
	w.at(463)
	if w.c.txs != txs || txs != 2 || w.c.committed[5] != 2 {
		t.Errorf("%d transactions, %d receipts", w.c.txs, w.c.committed[5])
	}
	w.at(522)
	w.settled(1, 1800)
}

func TestARunThatOutlastsItsEpoch(t *testing.T) {
	w := newWorld(t)
	b := w.mustAccept(w.pay(1, 5, 600))
	w.at(462)
	w.settled(1, 0) // its receipt is waited for
	w.serve(b, 5)
	w.at(463)
	w.settled(1, 600)
	b = w.mustAccept(w.pay(1, 6, 1200))
	w.at(514) // six blocks before the next epoch ends nothing is waited for
	w.at(575)
	w.serve(b, 5)
	w.serve(w.mustAccept(w.pay(1, 7, 1800)), 5)
	w.at(582)
	w.settled(1, 1800)
	if w.c.committed[7] != 2 {
		t.Errorf("%d receipts in the root of epoch 7", w.c.committed[7])
	}
}

func TestAClosingChannelIsCashedAtOnce(t *testing.T) {
	w := newWorld(t)
	w.channel(2)
	w.serve(w.mustAccept(w.pay(1, 5, 600)), 5)
	w.c.channels[1].Closes = 451
	w.at(412)
	w.settled(1, 600)
	if w.t.Terms().Epoch != 6 {
		t.Errorf("terms name epoch %d", w.t.Terms().Epoch)
	}
	// Vouchers name the next epoch now, but only once a closing cannot outrun it.
	_, err := w.accept(w.pay(2, 6, 600))
	w.wantRefusal(err, gateway.CodeBusy)
	_, err = w.accept(w.pay(2, 5, 600))
	w.wantRefusal(err, gateway.CodePayment)
	w.at(434)
	w.serve(w.mustAccept(w.pay(2, 6, 600)), 5)
	w.c.channels[2].Closes = 434 + 41
	for h := int64(435); h < 475; h++ {
		w.at(h)
	}
	w.settled(2, 600)
	delete(w.c.channels, 1)
	delete(w.c.channels, 2)
	w.at(522)
	if left, err := filepath.Glob(filepath.Join(w.dir, "channel-*")); err != nil || len(left) != 0 {
		t.Errorf("ledgers of channels that are gone: %v, %v", left, err)
	}
}

func TestRestartRemembers(t *testing.T) {
	w := newWorld(t)
	w.serve(w.mustAccept(w.pay(1, 5, 600)), 5)
	w.mustAccept(w.pay(1, 5, 1200)) // the miner dies during the answer
	w.open()
	_, err := w.accept(w.pay(1, 5, 1199))
	if err != nil { // 1,200 were granted, 600 spent
		t.Error(err)
	}
	_, err = w.accept(w.pay(1, 5, 1201))
	w.wantRefusal(err, gateway.CodePayment)
	w.open()
	w.c.down = true
	w.at(462)
	w.settled(1, 0)
	w.c.down = false
	w.at(463)
	w.settled(1, 1200)
	w.open()
	_, err = w.accept(w.pay(1, 5, 5000))
	w.wantRefusal(err, gateway.CodePayment) // sealed

	// Books that are lost: what was paid out counts as spent.
	w.dir = filepath.Join(t.TempDir(), "new")
	w.open()
	_, err = w.accept(w.pay(1, 6, 1799))
	w.wantRefusal(err, gateway.CodePayment)
	w.serve(w.mustAccept(w.pay(1, 6, 1800)), 5)

	if err := os.WriteFile(filepath.Join(w.dir, "channel-1.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := till.New(t.Context(), w.config()); err == nil {
		t.Error("a broken ledger was taken for an empty one")
	}
}
