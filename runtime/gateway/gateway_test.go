package gateway_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/verifier/commit"
)

// signer signs with ed25519: the gateway does not care which scheme the
// miner's account uses.
type signer struct{ key ed25519.PrivateKey }

func (s signer) Address() []byte                 { return s.PublicKey()[:20] }
func (s signer) PublicKey() []byte               { return s.key.Public().(ed25519.PublicKey) }
func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

type network struct{}

func (network) ChainID() string                     { return "assay-test" }
func (network) Epoch() uint64                       { return 7 }
func (network) Status(context.Context) (any, error) { return map[string]int{"height": 12}, nil }

// engine is shared: loading the model and compiling the module takes longer
// than the tests.
var engine = sync.OnceValues(func() (*gateway.Sandbox, error) {
	dev, err := cpudev.New(cpudev.Config{})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "gateway")
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

func serve(t *testing.T, limits gateway.Limits) (*httptest.Server, gateway.Offer, ed25519.PublicKey) {
	t.Helper()
	return serveTelling(t, limits, nil)
}

func serveTelling(t *testing.T, limits gateway.Limits, tell func(gateway.Answer)) (*httptest.Server, gateway.Offer, ed25519.PublicKey) {
	t.Helper()
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := gateway.New(gateway.Config{Engine: e, Signer: signer{key}, Network: network{}, Limits: limits, Answered: tell}, nil)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); srv.Close() })
	return srv, e.Offers()[0], key.Public().(ed25519.PublicKey)
}

func dial(t *testing.T, srv *httptest.Server) *websocket.Conn {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(srv.URL, "http")+"/assay/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	if err := ws.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return ws
}

func request(o gateway.Offer, n uint32) commit.Request {
	return commit.Request{Module: o.Module, Model: o.Model, Seed: [32]byte{1}, Sampling: commit.Greedy(), MaxTokens: n, Prompt: []byte("The rays of light ")}
}

func ask(t *testing.T, ws *websocket.Conn, req commit.Request, from uint32) {
	t.Helper()
	if err := ws.WriteJSON(gateway.ClientFrame{Type: gateway.FrameInfer, Request: req.Bytes(), From: from}); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, ws *websocket.Conn) gateway.ServerFrame {
	t.Helper()
	var f gateway.ServerFrame
	if err := ws.ReadJSON(&f); err != nil {
		t.Fatal(err)
	}
	return f
}

// answer reads token frames up to the receipt.
func answer(t *testing.T, ws *websocket.Conn) (tokens []gateway.ServerFrame, last gateway.ServerFrame) {
	t.Helper()
	for {
		f := read(t, ws)
		if f.Type != gateway.FrameToken {
			return tokens, f
		}
		tokens = append(tokens, f)
	}
}

// Whoever runs the gateway is told of each answer once, however many follow it.
func TestAnsweredIsTold(t *testing.T) {
	told := make(chan gateway.Answer, 8)
	srv, offer, _ := serveTelling(t, gateway.Limits{}, func(a gateway.Answer) { told <- a })
	for range 2 { // the second one is served from what is kept
		ws := dial(t, srv)
		ask(t, ws, request(offer, 5), 0)
		answer(t, ws)
	}
	ws := dial(t, srv)
	ask(t, ws, request(offer, 7), 0)
	answer(t, ws)
	for _, want := range []uint32{5, 7} {
		if a := <-told; a.Tokens != want || a.Err != nil || a.Took <= 0 {
			t.Errorf("told of %d tokens in %v, %v; want %d", a.Tokens, a.Took, a.Err, want)
		}
	}
	if len(told) > 0 {
		t.Errorf("told of %d more answers", len(told))
	}
}

func TestStreamEndsWithASignedReceipt(t *testing.T) {
	srv, offer, pub := serve(t, gateway.Limits{})
	ws := dial(t, srv)
	req := request(offer, 24)
	ask(t, ws, req, 0)
	tokens, last := answer(t, ws)
	if last.Type != gateway.FrameReceipt {
		t.Fatalf("last frame is %+v", last)
	}
	out := commit.NewOutput(req.Hash())
	for i, f := range tokens {
		if sum := out.Add(f.Token, f.Text); f.Seq != uint32(i) || !bytes.Equal(sum[:], f.Digest) {
			t.Fatalf("frame %d: seq %d, digest %x, want %x", i, f.Seq, f.Digest, sum)
		}
	}
	rc, err := commit.DecodeReceipt(last.Receipt)
	if err != nil {
		t.Fatal(err)
	}
	if rc.Output != out.Sum() || rc.Tokens != uint32(len(tokens)) || rc.Request != req.Hash() || rc.Trap != uint8(abi.TrapNone) || rc.Gas == 0 {
		t.Fatalf("receipt %+v", rc)
	}
	if !ed25519.Verify(pub, last.Receipt, last.Signature) {
		t.Fatal("signature does not verify")
	}

	// The connection serves the next request; resuming gives the same tail.
	ask(t, ws, req, 20)
	tail, again := answer(t, ws)
	if len(tail) != len(tokens)-20 || !bytes.Equal(again.Receipt, last.Receipt) {
		t.Fatalf("resumed at 20: %d tokens of %d", len(tail), len(tokens))
	}
	if tail[0].Seq != 20 || !bytes.Equal(tail[0].Digest, tokens[20].Digest) {
		t.Fatalf("resumed frame %+v, want %+v", tail[0], tokens[20])
	}
}

func TestBadFramesAreRefusedAndTheConnectionLives(t *testing.T) {
	srv, offer, _ := serve(t, gateway.Limits{})
	ws := dial(t, srv)
	good := request(offer, 4)
	long := good
	long.Prompt = bytes.Repeat([]byte("x"), int(offer.MaxPrompt)+1)
	many := good
	many.MaxTokens = offer.MaxTokens + 1
	stranger := good
	stranger.Model[0] ^= 1
	frame := func(req []byte) string {
		b, err := json.Marshal(gateway.ClientFrame{Type: gateway.FrameInfer, Request: req})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	cases := []struct {
		name, msg string
		want      gateway.Code
	}{
		{"not JSON", "hello", gateway.CodeBadFrame},
		{"two objects", frame(good.Bytes()) + "{}", gateway.CodeBadFrame},
		{"unknown field", `{"type":"infer","please":1}`, gateway.CodeBadFrame},
		{"unknown type", `{"type":"receipt"}`, gateway.CodeBadFrame},
		{"empty request", frame(nil), gateway.CodeBadRequest},
		{"truncated request", frame(good.Bytes()[:40]), gateway.CodeBadRequest},
		{"prompt too long", frame(long.Bytes()), gateway.CodePromptTooLong},
		{"too many tokens", frame(many.Bytes()), gateway.CodeBadRequest},
		{"unknown model", frame(stranger.Bytes()), gateway.CodeUnknownModel},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if err := ws.WriteMessage(websocket.TextMessage, []byte(c.msg)); err != nil {
				t.Fatal(err)
			}
			if f := read(t, ws); f.Type != gateway.FrameError || f.Code != c.want || f.Message == "" {
				t.Fatalf("got %+v, want code %s", f, c.want)
			}
		})
	}
	ask(t, ws, good, 0)
	if _, last := answer(t, ws); last.Type != gateway.FrameReceipt {
		t.Fatalf("after refusals: %+v", last)
	}
}

func TestBinaryFrameIsRefused(t *testing.T) {
	srv, _, _ := serve(t, gateway.Limits{})
	ws := dial(t, srv)
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if f := read(t, ws); f.Code != gateway.CodeBadFrame {
		t.Fatalf("got %+v", f)
	}
}

func TestBrokenProtocolClosesWithAReason(t *testing.T) {
	srv, _, _ := serve(t, gateway.Limits{FrameBytes: 1024})
	cases := []struct {
		name  string
		write func(*websocket.Conn) error
		want  int
	}{
		{"frame above the limit", func(ws *websocket.Conn) error {
			return ws.WriteMessage(websocket.TextMessage, make([]byte, 4096))
		}, websocket.CloseMessageTooBig},
		{"reserved opcode", func(ws *websocket.Conn) error {
			_, err := ws.NetConn().Write([]byte{0x83, 0x80, 0, 0, 0, 0})
			return err
		}, websocket.CloseProtocolError},
		{"unmasked frame", func(ws *websocket.Conn) error {
			_, err := ws.NetConn().Write([]byte{0x81, 0x02, '{', '}'})
			return err
		}, websocket.CloseProtocolError},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ws := dial(t, srv)
			if err := c.write(ws); err != nil {
				t.Fatal(err)
			}
			_, _, err := ws.ReadMessage()
			if !websocket.IsCloseError(err, c.want) {
				t.Fatalf("got %v, want close code %d", err, c.want)
			}
		})
	}
}

func TestTooManyConnections(t *testing.T) {
	srv, _, _ := serve(t, gateway.Limits{Connections: 1})
	dial(t, srv)
	_, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(srv.URL, "http")+"/assay/v1/stream", nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("second connection: %v, %v", err, resp)
	}
	busy(t, resp)
	plain, err := http.Get(srv.URL + "/assay/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Body.Close()
	busy(t, plain)
}

// What is no handshake of a WebSocket is refused like any other request.
func TestNoHandshake(t *testing.T) {
	srv, _, _ := serve(t, gateway.Limits{})
	resp, err := http.Get(srv.URL + "/assay/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body struct {
		Error struct {
			Code    gateway.Code
			Message string
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || resp.StatusCode/100 != 4 || body.Error.Code != gateway.CodeBadRequest || body.Error.Message == "" {
		t.Fatalf("%s: %+v, %v", resp.Status, body, err)
	}
}

func TestCompletions(t *testing.T) {
	srv, offer, pub := serve(t, gateway.Limits{})
	post := func(body string) (*http.Response, []byte) {
		t.Helper()
		resp, err := http.Post(srv.URL+"/v1/completions", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var b bytes.Buffer
		if _, err := b.ReadFrom(resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp, b.Bytes()
	}
	type completion struct {
		Choices []struct{ Text string }
		Assay   struct {
			Receipt, Signature string
		}
	}
	resp, body := post(`{"model":"opticks","prompt":"The rays ","max_tokens":8,"temperature":0}`)
	var whole completion
	if err := json.Unmarshal(body, &whole); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	receipt, err := base64.StdEncoding.DecodeString(whole.Assay.Receipt)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := base64.StdEncoding.DecodeString(whole.Assay.Signature)
	if err != nil {
		t.Fatal(err)
	}
	if !ed25519.Verify(pub, receipt, sig) {
		t.Fatal("signature does not verify")
	}
	_, body = post(`{"model":"opticks","prompt":"The rays ","max_tokens":8,"temperature":0,"stream":true}`)
	var text string
	for event := range strings.SplitSeq(string(body), "\n") {
		data, ok := strings.CutPrefix(event, "data: {")
		if !ok {
			continue
		}
		var c completion
		if err := json.Unmarshal([]byte("{"+data), &c); err != nil {
			t.Fatalf("event %q: %v", event, err)
		}
		text += c.Choices[0].Text
	}
	if text != whole.Choices[0].Text || len(text) != 8 {
		t.Fatalf("streamed %q, whole %q", text, whole.Choices[0].Text)
	}
	for body, want := range map[string]int{
		"not json":                               http.StatusBadRequest,
		`{"model":"gpt"}`:                        http.StatusNotFound,
		`{"model":"opticks","temperature":99}`:   http.StatusBadRequest,
		`{"model":"opticks","max_tokens":99999}`: http.StatusBadRequest,
		`{"model":"opticks","prompt":"` + strings.Repeat("x", int(offer.MaxPrompt)+1) + `"}`: http.StatusRequestEntityTooLarge,
	} {
		if resp, b := post(body); resp.StatusCode != want || !bytes.Contains(b, []byte(`"message"`)) {
			t.Errorf("%.40s: %s %s, want %d", body, resp.Status, b, want)
		}
	}
}
