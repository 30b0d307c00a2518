package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/gorilla/websocket"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/verifier/commit"
)

// script is an honest answer of three tokens that a lie then alters.
type script struct {
	frames  []gateway.ServerFrame // tokens
	receipt commit.Receipt
	key     *secp256k1.PrivKey // signs the receipt
	pub     []byte             // goes with it; nil: key's
	cut     int                // bytes that the receipt lacks
	raw     func(*websocket.Conn)
	info    string // answer to GET /assay/v1/info
}

func (s *script) address() string { return fmt.Sprintf("%x", s.receipt.Miner) }

func honest(req commit.Request) *script {
	s := &script{key: secp256k1.GenPrivKeyFromSecret([]byte("miner"))}
	out := commit.NewOutput(req.Hash())
	for i, word := range []string{"a", "b", "c"} {
		sum := out.Add(uint32(i), []byte(word))
		s.frames = append(s.frames, gateway.ServerFrame{Type: gateway.FrameToken, Seq: uint32(i), Token: uint32(i), Text: []byte(word), Digest: sum[:]})
	}
	s.receipt = commit.Receipt{ChainID: chainID, Miner: s.key.PubKey().Address(), Epoch: 7, Request: req.Hash(), Module: req.Module,
		Model: req.Model, Output: out.Sum(), Trap: uint8(abi.TrapNone), PromptTokens: uint32(len(req.Prompt)), Tokens: 3}
	return s
}

// serve plays the script to every connection.
func (s *script) serve(t *testing.T) string {
	t.Helper()
	up := websocket.Upgrader{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/assay/v1/info" {
			_, _ = io.WriteString(w, s.info)
			return
		}
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		if _, _, err := ws.ReadMessage(); err != nil {
			return
		}
		for _, f := range s.frames {
			if ws.WriteJSON(f) != nil {
				return
			}
		}
		if s.raw != nil {
			s.raw(ws)
		} else {
			sig, err := s.key.Sign(s.receipt.Bytes())
			if err != nil {
				t.Error(err)
			}
			pub := s.pub
			if pub == nil {
				pub = s.key.PubKey().Bytes()
			}
			if ws.WriteJSON(gateway.ServerFrame{Type: gateway.FrameReceipt, Seq: 3, Receipt: s.receipt.Bytes()[:len(s.receipt.Bytes())-s.cut], Signature: sig, PublicKey: pub}) != nil {
				return
			}
		}
		_, _, _ = ws.ReadMessage() // until the client leaves
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func scriptRequest() commit.Request {
	return commit.Request{Module: [32]byte{1}, Model: [32]byte{2}, Sampling: commit.Greedy(), MaxTokens: 3, Prompt: []byte("?")}
}

func TestScriptIsHonest(t *testing.T) {
	req := scriptRequest()
	a, err := client.Stream(t.Context(), honest(req).serve(t), req, client.StreamOptions{})
	if err != nil || a.Text() != "abc" {
		t.Fatalf("%+v, %v", a, err)
	}
}

func TestLiesAreNoticed(t *testing.T) {
	stranger := secp256k1.GenPrivKeyFromSecret([]byte("stranger"))
	send := func(kind int, msg string) func(*script) {
		return func(s *script) {
			s.raw = func(ws *websocket.Conn) { _ = ws.WriteMessage(kind, []byte(msg)) }
		}
	}
	for name, lie := range map[string]func(*script){
		"running digest":            func(s *script) { s.frames[1].Digest[0] ^= 1 },
		"no digest":                 func(s *script) { s.frames[0].Digest = nil },
		"token beside its digest":   func(s *script) { s.frames[2].Token++ },
		"text beside its digest":    func(s *script) { s.frames[2].Text = []byte("d") },
		"skipped token":             func(s *script) { s.frames = append(s.frames[:1], s.frames[2]) },
		"token twice":               func(s *script) { s.frames[1] = s.frames[0] },
		"more tokens than asked":    func(s *script) { f := s.frames[2]; f.Seq = 3; s.frames = append(s.frames, f) },
		"fewer tokens than receipt": func(s *script) { s.frames = s.frames[:2] },
		"receipt of fewer tokens":   func(s *script) { s.receipt.Tokens = 2 },
		"receipt of another output": func(s *script) { s.receipt.Output[0] ^= 1 },
		"of another request":        func(s *script) { s.receipt.Request[0] ^= 1 },
		"of another module":         func(s *script) { s.receipt.Module[0] ^= 1 },
		"of another model":          func(s *script) { s.receipt.Model[0] ^= 1 },
		"of another miner":          func(s *script) { s.receipt.Miner = stranger.PubKey().Address() },
		"with a price":              func(s *script) { s.receipt.Price = 5 },
		"on a channel":              func(s *script) { s.receipt.Channel = 5 },
		"signed by a stranger":      func(s *script) { s.pub = s.key.PubKey().Bytes(); s.key = stranger },
		"a stranger's key":          func(s *script) { s.pub = stranger.PubKey().Bytes() },
		"a short key":               func(s *script) { s.pub = []byte{2, 3} },
		"a key off the curve":       func(s *script) { s.pub = make([]byte, 33) },
		"receipt that is none": send(websocket.TextMessage,
			`{"type":"receipt","receipt":"AAAA","signature":"AAAA","public_key":"AAAA"}`),
		"truncated receipt": func(s *script) { s.cut = 1 },
		"receipt cut short": func(s *script) { s.cut = 40 },
		"no receipt at all": func(s *script) { s.cut = len(s.receipt.Bytes()) },
		"unknown frame":     send(websocket.TextMessage, `{"type":"surprise"}`),
		"not JSON":          send(websocket.TextMessage, `hello`),
		"binary":            send(websocket.BinaryMessage, `{"type":"token"}`),
		"oversized frame":   send(websocket.TextMessage, `{"type":"token","text":"`+strings.Repeat("A", 1<<20)+`"}`),
	} {
		t.Run(name, func(t *testing.T) {
			req := scriptRequest()
			s := honest(req)
			lie(s)
			_, err := client.Stream(t.Context(), s.serve(t), req, client.StreamOptions{})
			if !errors.Is(err, client.ErrForged) {
				t.Fatalf("%v", err)
			}
		})
	}
}

func TestSilenceEnds(t *testing.T) {
	req := scriptRequest()
	for name, raw := range map[string]func(*websocket.Conn){
		"mute": func(*websocket.Conn) {},
		"pings only": func(ws *websocket.Conn) {
			for ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)) == nil {
				// Each answer to a ping paces the next.
				ponged := errors.New("pong")
				ws.SetPongHandler(func(string) error { return ponged })
				if _, _, err := ws.ReadMessage(); !errors.Is(err, ponged) {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := honest(req)
			s.raw = raw
			var lost *client.LostError
			opt := client.StreamOptions{Idle: 100 * time.Millisecond, Stall: 200 * time.Millisecond, Retries: -1}
			if _, err := client.Stream(t.Context(), s.serve(t), req, opt); !errors.As(err, &lost) {
				t.Fatalf("%v", err)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		s := honest(req)
		ctx, cancel := context.WithCancel(t.Context())
		s.raw = func(*websocket.Conn) { cancel() }
		if _, err := client.Stream(ctx, s.serve(t), req, client.StreamOptions{}); !errors.Is(err, context.Canceled) {
			t.Fatalf("%v", err)
		}
	})
}

func TestInfoOfALiar(t *testing.T) {
	s := honest(scriptRequest())
	for _, info := range []string{
		"", "{", `{"miner":"xyz"}`, `{"miner":"` + strings.Repeat("00", 33) + `"}`,
		`{"offers":[{"name":"a","module":"00","model":"00"}]}`,
		`{"offers":[{"name":"a","module":"` + strings.Repeat("00", 40) + `","model":"` + strings.Repeat("00", 40) + `"}]}`,
		`{"terms":{"token":-1}}`, `{"offers":"` + strings.Repeat("x", 2<<20) + `"}`,
	} {
		s.info = info
		if _, err := client.Offers(t.Context(), s.serve(t)); err == nil {
			t.Errorf("%.60s was taken", info)
		}
	}
	if _, err := client.Offers(t.Context(), "http://127.0.0.1:1"); err == nil {
		t.Error("nobody answers there")
	}
}
