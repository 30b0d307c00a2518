package client_test

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/gorilla/websocket"

	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/verifier/commit"
)

// stuck is the real engine, which comes no further than some tokens.
type stuck struct {
	gateway.Engine
	after int
}

func (e stuck) Run(ctx context.Context, req commit.Request, emit func(uint32, []byte) bool) (gateway.Result, error) {
	n := 0
	return e.Engine.Run(ctx, req, func(token uint32, text []byte) bool {
		if n++; n > e.after {
			<-ctx.Done()
			return true
		}
		return emit(token, text)
	})
}

// A miner that is started again in the middle of an answer computes it again,
// and the client goes on where it was.
func TestAnswerSurvivesARestart(t *testing.T) {
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	key := secp256k1.GenPrivKeyFromSecret([]byte("miner"))
	start := func(e gateway.Engine, l net.Listener) (stop func()) {
		g, err := gateway.New(gateway.Config{Engine: e, Signer: signer{key}, Network: chain{}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewUnstartedServer(g)
		srv.Listener.Close()
		srv.Listener = l
		srv.Start()
		return func() { g.Close(); srv.Close() }
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	o := e.Offers()[0]
	req := commit.Request{Module: o.Module, Model: o.Model, Sampling: commit.Greedy(), MaxTokens: 24, Prompt: []byte("The rays ")}
	stop := start(stuck{e, 5}, l)
	var seqs []uint32
	a, err := client.Stream(t.Context(), "http://"+addr, req, client.StreamOptions{Pause: time.Millisecond, Token: func(tok client.Token) {
		if seqs = append(seqs, tok.Seq); len(seqs) == 5 {
			stop()
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			stop = start(e, l)
		}
	}})
	defer func() { stop() }()
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range seqs {
		if s != uint32(i) {
			t.Fatalf("tokens came as %v", seqs)
		}
	}
	if len(seqs) != 24 || a.Check() != nil {
		t.Fatalf("%d tokens, %v", len(seqs), a.Check())
	}
}

// The default outlives a miner that is away for a while.
func TestManyLostConnectionsInARow(t *testing.T) {
	m := startMiner(t, nil)
	c := startCutter(t, m, 1000, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60)
	a, err := client.Stream(t.Context(), "http://"+c.Addr().String(), m.request(48), client.StreamOptions{Pause: time.Microsecond})
	if err != nil || len(a.Tokens) != 48 {
		t.Fatalf("%v after %d connections", err, c.n.Load())
	}
}

// Busy is a refusal of a new request, and no end of one that was begun.
func TestBusyInAnAnswerIsTriedAgain(t *testing.T) {
	req := scriptRequest()
	busy := func(ws *websocket.Conn) {
		_ = ws.WriteJSON(gateway.ServerFrame{Type: gateway.FrameError, Code: gateway.CodeBusy, Message: "full"})
	}
	s := honest(req)
	s.raw = busy
	frames := s.frames
	s.frames = nil
	var refused *client.RefusedError
	var lost *client.LostError
	opt := client.StreamOptions{Retries: -1}
	if _, err := client.Stream(t.Context(), s.serve(t), req, opt); !errors.As(err, &refused) || errors.As(err, &lost) {
		t.Errorf("at first: %v", err)
	}
	begun := honest(req)
	begun.frames, begun.raw = frames[:2], busy
	if _, err := client.Stream(t.Context(), begun.serve(t), req, opt); !errors.As(err, &lost) {
		t.Errorf("in an answer: %v", err)
	}
}

// A miner that takes connections and says nothing is given up: in the
// handshake, and where a payer asks for its terms.
func TestAMuteMinerIsGivenUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
		}
	}()
	opt := client.StreamOptions{Idle: 100 * time.Millisecond, Retries: 1, Pause: time.Millisecond}
	var lost *client.LostError
	if _, err := client.Stream(t.Context(), "http://"+l.Addr().String(), scriptRequest(), opt); !errors.As(err, &lost) {
		t.Error(err)
	}
	opt.Payer, err = client.NewPayer(client.PayerConfig{Key: secp256k1.GenPrivKey(), ChainID: chainID, Channel: 1, Miner: make([]byte, 20), Escrow: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Stream(t.Context(), "http://"+l.Addr().String(), scriptRequest(), opt); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a payer: %v", err)
	}
}
