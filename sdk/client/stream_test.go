package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/verifier/commit"
)

const chainID = "assay-test"

// signer signs receipts as a miner's account does.
type signer struct{ key *secp256k1.PrivKey }

func (s signer) Address() []byte                 { return s.key.PubKey().Address() }
func (s signer) PublicKey() []byte               { return s.key.PubKey().Bytes() }
func (s signer) Sign(msg []byte) ([]byte, error) { return s.key.Sign(msg) }

type chain struct{}

func (chain) ChainID() string                     { return chainID }
func (chain) Epoch() uint64                       { return 7 }
func (chain) Status(context.Context) (any, error) { return nil, nil }

// engine serves the shipped model; loading it takes longer than the tests.
var engine = sync.OnceValues(func() (*gateway.Sandbox, error) {
	dev, err := cpudev.New(cpudev.Config{})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "client")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	rt, err := sandbox.New(sandbox.Config{CacheDir: dir})
	if err != nil {
		return nil, err
	}
	entry, err := catalog.Get(catalog.Llama)
	if err != nil {
		return nil, err
	}
	mod, err := rt.Admit(entry.Wasm)
	if err != nil {
		return nil, err
	}
	blob, err := catalog.Model(catalog.Opticks)
	if err != nil {
		return nil, err
	}
	file, err := manifest.DecodeModel(blob.Blob)
	if err != nil {
		return nil, err
	}
	e := gateway.NewSandbox(dev)
	return e, e.Serve(gateway.Served{Name: blob.Name, Module: mod, Info: &entry.Manifest, ModelHash: blob.Hash, Model: file})
})

// miner is a real gateway on a real socket.
type miner struct {
	*httptest.Server
	key   *secp256k1.PrivKey
	offer client.Offer
}

func startMiner(t *testing.T, change func(*gateway.Config)) *miner {
	t.Helper()
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	m := &miner{key: secp256k1.GenPrivKeyFromSecret([]byte("miner"))}
	cfg := gateway.Config{Engine: e, Signer: signer{m.key}, Network: chain{}}
	if change != nil {
		change(&cfg)
	}
	g, err := gateway.New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Server = httptest.NewServer(g)
	t.Cleanup(func() { g.Close(); m.Server.Close() })
	offers, err := client.Offers(t.Context(), m.URL)
	if err != nil || len(offers) != 1 {
		t.Fatalf("%d offers, %v", len(offers), err)
	}
	m.offer = offers[0]
	return m
}

func (m *miner) request(tokens uint32) commit.Request {
	return commit.Request{Module: m.offer.Module, Model: m.offer.Model, Seed: [32]byte{1}, Sampling: commit.Greedy(),
		MaxTokens: tokens, Prompt: []byte("The rays of light ")}
}

func TestStreamFromAGateway(t *testing.T) {
	m := startMiner(t, nil)
	var seen strings.Builder
	a, err := client.Stream(t.Context(), m.URL, m.request(32), client.StreamOptions{Token: func(tok client.Token) { seen.Write(tok.Text) }})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Tokens) != 32 || a.Text() != seen.String() || seen.Len() == 0 {
		t.Fatalf("%d tokens, text %q, streamed %q", len(a.Tokens), a.Text(), seen.String())
	}
	if string(a.Receipt.Miner) != string(m.key.PubKey().Address()) || a.Receipt.ChainID != chainID || a.Receipt.Epoch != 7 {
		t.Fatalf("receipt %+v", a.Receipt)
	}
	lie := *a
	lie.Tokens = append([]client.Token(nil), a.Tokens...)
	lie.Tokens[3].Text = []byte("?")
	if err := lie.Check(); !errors.Is(err, client.ErrForged) {
		t.Fatalf("an altered text: %v", err)
	}
}

// cutter is a TCP proxy that ends a connection, both ways, once it has passed
// the given number of bytes from the server; the connections after the last
// limit live.
type cutter struct {
	net.Listener
	to     string
	limits []int64
	n      atomic.Int64 // connections so far
}

func startCutter(t *testing.T, m *miner, limits ...int64) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: l, to: m.Listener.Addr().String(), limits: limits}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			limit := int64(1 << 40)
			if i := c.n.Add(1) - 1; i < int64(len(limits)) {
				limit = limits[i]
			}
			wg.Go(func() { c.pass(down, limit) })
		}
	})
	t.Cleanup(func() { l.Close(); http.DefaultClient.CloseIdleConnections(); wg.Wait() })
	return c
}

func (c *cutter) pass(down net.Conn, limit int64) {
	defer down.Close()
	up, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer up.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		copyN(up, down, 1<<40)
		up.Close()
	}()
	copyN(down, up, limit)
	down.Close()
	up.Close()
	<-done
}

func copyN(dst, src net.Conn, limit int64) {
	buf := make([]byte, 512)
	for limit > 0 {
		n, err := src.Read(buf[:min(limit, int64(len(buf)))])
		if n > 0 {
			if _, werr := dst.Write(buf[:n]); werr != nil {
				return
			}
			limit -= int64(n)
		}
		if err != nil {
			return
		}
	}
}

func TestStreamResumesWhereItBroke(t *testing.T) {
	m := startMiner(t, nil)
	req := m.request(48)
	whole, err := client.Stream(t.Context(), m.URL, req, client.StreamOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// The handshake has about 130 bytes, a token frame about 120. The second
	// connection dies in the handshake.
	c := startCutter(t, m, 1000, 60, 1500, 2000)
	var seqs []uint32
	a, err := client.Stream(t.Context(), "http://"+c.Addr().String(), req, client.StreamOptions{
		Token: func(tok client.Token) { seqs = append(seqs, tok.Seq) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.n.Load(); got != 5 {
		t.Errorf("%d connections; four were cut", got)
	}
	for i, s := range seqs {
		if s != uint32(i) {
			t.Fatalf("tokens came as %v", seqs)
		}
	}
	if a.Text() != whole.Text() || a.Receipt.Output != whole.Receipt.Output {
		t.Errorf("resumed %q, whole %q", a.Text(), whole.Text())
	}
}

func TestLostForGood(t *testing.T) {
	m := startMiner(t, nil)
	c := startCutter(t, m, 60, 60, 60, 60)
	var lost *client.LostError
	_, err := client.Stream(t.Context(), "http://"+c.Addr().String(), m.request(8), client.StreamOptions{Retries: 2})
	if !errors.As(err, &lost) || c.n.Load() != 3 {
		t.Fatalf("%v after %d connections", err, c.n.Load())
	}
	if _, err := client.Stream(t.Context(), "http://"+c.Addr().String(), m.request(8), client.StreamOptions{Retries: -1}); !errors.As(err, &lost) || c.n.Load() != 4 {
		t.Fatalf("%v after %d connections", err, c.n.Load())
	}
}

func TestRefusalsAreTyped(t *testing.T) {
	m := startMiner(t, nil)
	long, many, other := m.request(8), m.request(8), m.request(8)
	long.Prompt = []byte(strings.Repeat("x", int(m.offer.MaxPrompt)+1))
	many.MaxTokens = m.offer.MaxTokens + 1
	other.Model[0] ^= 1
	for code, req := range map[gateway.Code]commit.Request{
		gateway.CodePromptTooLong: long, gateway.CodeBadRequest: many, gateway.CodeUnknownModel: other,
	} {
		_, err := client.Stream(t.Context(), m.URL, req, client.StreamOptions{})
		var refused *client.RefusedError
		if !errors.As(err, &refused) || refused.Code != string(code) || refused.Message == "" {
			t.Errorf("%s: %v", code, err)
		}
	}
	if _, err := client.Stream(t.Context(), m.URL, commit.Request{}, client.StreamOptions{}); !errors.Is(err, commit.ErrBounds) {
		t.Errorf("a request outside its bounds is not sent: %v", err)
	}
	for _, endpoint := range []string{"ftp://x", "::", ""} {
		if _, err := client.Stream(t.Context(), endpoint, m.request(1), client.StreamOptions{}); err == nil {
			t.Errorf("endpoint %q was taken", endpoint)
		}
	}
	blank := httptest.NewServer(http.NotFoundHandler())
	defer blank.Close()
	if _, err := client.Stream(t.Context(), blank.URL, m.request(1), client.StreamOptions{}); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a server that is no miner: %v", err)
	}
}

func TestCancelEndsAStream(t *testing.T) {
	m := startMiner(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	_, err := client.Stream(ctx, m.URL, m.request(150), client.StreamOptions{Token: func(client.Token) {
		if n++; n == 3 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || n >= 150 {
		t.Fatalf("%v after %d tokens", err, n)
	}
}
