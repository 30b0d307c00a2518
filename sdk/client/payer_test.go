package client_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"

	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/runtime/till"
	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/verifier/commit"
)

// escrow is a chain that stands still: one channel of one client. What is
// cashed is tested with the till.
type escrow struct {
	till.Chain
	channel till.Channel
}

func (e escrow) State(context.Context) (till.State, error) {
	return till.State{Height: 10, Epoch: 7, EpochStart: 1, EpochEnd: 100, CloseBlocks: 40}, nil
}

func (e escrow) Channel(_ context.Context, id uint64) (till.Channel, error) {
	if id != 4 {
		return till.Channel{}, till.ErrNoChannel
	}
	return e.channel, nil
}

const escrowed = 20_000

// startCharging starts a miner that takes 10 ngnk a byte and 100 a token, and
// the payer of a client's channel to it.
func startCharging(t *testing.T, limits gateway.Limits, change func(*client.PayerConfig)) (*miner, *client.Payer) {
	t.Helper()
	key := secp256k1.GenPrivKeyFromSecret([]byte("client"))
	m := startMiner(t, func(cfg *gateway.Config) {
		chain := escrow{channel: till.Channel{Miner: cfg.Signer.Address(), Escrow: escrowed, Verify: key.PubKey().VerifySignature}}
		taken, err := till.New(t.Context(), till.Config{Chain: chain, Dir: t.TempDir(), ChainID: chainID,
			Miner: cfg.Signer.Address(), PromptByte: 10, Token: 100})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Till, cfg.Limits = taken, limits
	})
	cfg := client.PayerConfig{Key: key, ChainID: chainID, Channel: 4, Miner: m.key.PubKey().Address(), Escrow: escrowed}
	if change != nil {
		change(&cfg)
	}
	p, err := client.NewPayer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m, p
}

func TestPaidAnswers(t *testing.T) {
	books := filepath.Join(t.TempDir(), "books.json")
	var cfg client.PayerConfig
	m, p := startCharging(t, gateway.Limits{}, func(c *client.PayerConfig) { c.File = books; cfg = *c })
	req := m.request(16)
	price := uint64(len(req.Prompt))*10 + 16*100
	for i := range uint64(3) {
		req.Seed[1] = byte(i)
		a, err := client.Stream(t.Context(), m.URL, req, client.StreamOptions{Payer: p})
		if err != nil {
			t.Fatal(err)
		}
		if a.Receipt.Price != price || a.Receipt.Channel != 4 || p.Spent() != (i+1)*price {
			t.Fatalf("receipt %+v, spent %d", a.Receipt, p.Spent())
		}
	}
	p, err := client.NewPayer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	req.Seed[1] = 9
	if _, err := client.Stream(t.Context(), m.URL, req, client.StreamOptions{Payer: p}); err != nil || p.Spent() != 4*price {
		t.Fatalf("with the books of an earlier run: spent %d, %v", p.Spent(), err)
	}
	for range 20 {
		if req.Seed[1]++; err == nil {
			_, err = client.Stream(t.Context(), m.URL, req, client.StreamOptions{Payer: p})
		}
	}
	if !errors.Is(err, client.ErrTooExpensive) || p.Spent() != escrowed/price*price {
		t.Fatalf("beyond the escrow: spent %d, %v", p.Spent(), err)
	}
}

func TestAResumedAnswerIsPaidOnce(t *testing.T) {
	m, p := startCharging(t, gateway.Limits{}, nil)
	c := startCutter(t, m, 1<<20, 1500, 1500, 2000) // the first asks for the terms
	req := m.request(48)
	a, err := client.Stream(t.Context(), "http://"+c.Addr().String(), req, client.StreamOptions{Payer: p})
	if err != nil {
		t.Fatal(err)
	}
	if c.n.Load() < 4 || p.Spent() != a.Receipt.Price {
		t.Errorf("%d connections, spent %d, price %d", c.n.Load(), p.Spent(), a.Receipt.Price)
	}
	// The miner's books agree: the next request needs no more than its price.
	req.Seed[1]++
	if _, err := client.Stream(t.Context(), m.URL, req, client.StreamOptions{Payer: p}); err != nil {
		t.Fatal(err)
	}
}

func TestUnpaidRequestsAreRefused(t *testing.T) {
	m, _ := startCharging(t, gateway.Limits{}, nil)
	var refused *client.RefusedError
	_, err := client.Stream(t.Context(), m.URL, m.request(8), client.StreamOptions{})
	if !errors.As(err, &refused) || refused.Code != string(gateway.CodePayment) {
		t.Errorf("no voucher: %v", err)
	}
	_, stranger := startCharging(t, gateway.Limits{}, func(c *client.PayerConfig) { c.Key = secp256k1.GenPrivKeyFromSecret([]byte("thief")) })
	_, err = client.Stream(t.Context(), m.URL, m.request(8), client.StreamOptions{Payer: stranger})
	if !errors.As(err, &refused) || refused.Code != string(gateway.CodePayment) || stranger.Spent() != 0 {
		t.Errorf("another's channel: %v, spent %d", err, stranger.Spent())
	}
	for name, change := range map[string]func(*client.PayerConfig){
		"another miner": func(c *client.PayerConfig) { c.Miner = []byte("another") },
		"another chain": func(c *client.PayerConfig) { c.ChainID = "another" },
	} {
		m, p := startCharging(t, gateway.Limits{}, change)
		if _, err := client.Stream(t.Context(), m.URL, m.request(8), client.StreamOptions{Payer: p}); !errors.Is(err, client.ErrWrongMiner) || p.Spent() != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	m, p := startCharging(t, gateway.Limits{}, func(c *client.PayerConfig) { c.Limit = 900 })
	if _, err := client.Stream(t.Context(), m.URL, m.request(8), client.StreamOptions{Payer: p}); !errors.Is(err, client.ErrTooExpensive) || p.Spent() != 0 {
		t.Errorf("above the limit: %v", err)
	}
	if _, err := client.Stream(t.Context(), m.URL, m.request(7), client.StreamOptions{Payer: p}); err != nil {
		t.Errorf("at the limit: %v", err) // 18 bytes and 7 tokens are 880
	}
}

func TestABusyMinerDoesNotCharge(t *testing.T) {
	m, p := startCharging(t, gateway.Limits{Runs: 1, Waiting: 1}, nil)
	// Two fill the places; the rest are refused while those run.
	var wg sync.WaitGroup
	var mu sync.Mutex
	var served, busy int
	for i := range byte(6) {
		wg.Go(func() {
			req := m.request(24)
			req.Seed[2] = i
			_, err := client.Stream(t.Context(), m.URL, req, client.StreamOptions{Payer: p})
			var refused *client.RefusedError
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				served++
			case errors.As(err, &refused) && refused.Code == string(gateway.CodeBusy):
				busy++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	price := uint64(18*10 + 24*100)
	if served < 2 || served+busy != 6 || p.Spent() != uint64(served)*price {
		t.Errorf("%d served, %d busy, spent %d", served, busy, p.Spent())
	}
	// Had the miner charged those that it refused, this would not be enough.
	req := m.request(8)
	if _, err := client.Stream(t.Context(), m.URL, req, client.StreamOptions{Payer: p}); err != nil {
		t.Error(err)
	}
}

func TestAPriceThatWasNotAgreed(t *testing.T) {
	req := scriptRequest()
	s := honest(req)
	_, p := startCharging(t, gateway.Limits{}, nil)
	for name, lie := range map[string]func(*commit.Receipt){
		"too much":        func(r *commit.Receipt) { r.Price = 311 },
		"another channel": func(r *commit.Receipt) { r.Channel = 5 },
		"nothing":         func(r *commit.Receipt) { r.Price, r.Channel = 0, 0 },
	} {
		liar := *s
		liar.receipt.Channel, liar.receipt.Price = 4, 310
		lie(&liar.receipt)
		liar.info = `{"chain_id":"` + chainID + `","miner":"` + s.address() + `","terms":{"epoch":7,"prompt_byte":10,"token":100}}`
		if _, err := client.Stream(t.Context(), liar.serve(t), req, client.StreamOptions{Payer: p}); !errors.Is(err, client.ErrForged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.info = `{"terms":{"prompt_byte":1000000000001}}`
	if _, err := client.Stream(t.Context(), s.serve(t), req, client.StreamOptions{Payer: p}); err == nil {
		t.Error("terms above the bound")
	}
}
