package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"

	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/recheck"
)

// askSigner signs receipts as a miner's account.
type askSigner struct{ key *secp256k1.PrivKey }

func (s askSigner) Address() []byte                 { return s.key.PubKey().Address() }
func (s askSigner) PublicKey() []byte               { return s.key.PubKey().Bytes() }
func (s askSigner) Sign(msg []byte) ([]byte, error) { return s.key.Sign(msg) }

type askChain struct{}

func (askChain) ChainID() string                     { return "assay-test" }
func (askChain) Epoch() uint64                       { return 1 }
func (askChain) Status(context.Context) (any, error) { return nil, nil }

// liar computes honestly and tells another token at one place.
type liar struct{ gateway.Engine }

func (l liar) Run(ctx context.Context, req commit.Request, emit func(uint32, []byte) bool) (gateway.Result, error) {
	n := 0
	return l.Engine.Run(ctx, req, func(token uint32, text []byte) bool {
		if n++; n == 4 {
			token, text = 'Z', []byte("Z")
		}
		return emit(token, text)
	})
}

func TestAsk(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	e, err := newEngine(cacheDir())
	if err != nil {
		t.Fatal(err)
	}
	models := gateway.NewSandbox(e.native)
	t.Cleanup(func() {
		if err := errors.Join(models.Close(), e.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := serveShippedModel(e, models); err != nil {
		t.Fatal(err)
	}
	serve := func(engine gateway.Engine) string {
		g, err := gateway.New(gateway.Config{Engine: engine, Signer: askSigner{secp256k1.GenPrivKey()}, Network: askChain{}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewServer(g)
		t.Cleanup(func() { g.Close(); srv.Close() })
		return srv.URL
	}
	honest := serve(models)
	run := func(o askOptions, tty bool) (string, error) {
		var out bytes.Buffer
		err := ask(t.Context(), o, []byte("The Rays "), &out, tty)
		return out.String(), err
	}
	o := askOptions{endpoint: honest + "/", maxTokens: 12, topP: 1, output: "text"}
	piped, err := run(o, false)
	if err != nil || len(piped) < 12 || !strings.HasSuffix(piped, "\n") || strings.Contains(piped, "receipt") {
		t.Fatalf("piped: %q, %v", piped, err)
	}
	o.verify = true
	shown, err := run(o, true)
	if err != nil || !strings.HasPrefix(shown, piped) || !strings.Contains(shown, "re-run here") {
		t.Fatalf("shown: %q, %v", shown, err)
	}
	o.output = "json"
	object, err := run(o, false)
	var a answerJSON
	if jerr := json.Unmarshal([]byte(object), &a); err != nil || jerr != nil || !a.Verified || strings.TrimSpace(a.Text) != strings.TrimSpace(piped) || len(a.Tokens) != 12 {
		t.Fatalf("%q, %v, %v", object, err, jerr)
	}
	if rc, err := commit.DecodeReceipt(a.Receipt); err != nil || rc.Tokens != 12 {
		t.Fatalf("%+v, %v", rc, err)
	}

	o.endpoint = serve(liar{models})
	var fraud *recheck.ReceiptError
	if out, err := run(o, false); !errors.As(err, &fraud) || out != "" || failureOf(err).Kind != "false_answer" || exitStatus(err) != exitFalse {
		t.Errorf("a wrong token: %q, %v", out, err)
	}
	o.verify = false
	object, err = run(o, false)
	var wrong answerJSON
	if jerr := json.Unmarshal([]byte(object), &wrong); err != nil || jerr != nil {
		t.Fatalf("a wrong token, not run again: %q, %v, %v", object, err, jerr)
	}
	testVerifyReceipt(t, a, wrong)
	o.endpoint = honest
	var refused *client.RefusedError
	var out bytes.Buffer
	if err := ask(t.Context(), o, bytes.Repeat([]byte("x"), 4096), &out, false); !errors.As(err, &refused) || refused.Code != "prompt_too_long" || failureOf(err).Kind != "refused" || exitStatus(err) != exitFailed {
		t.Errorf("a long prompt: %v", err)
	}
	for _, change := range []func(*askOptions){
		func(o *askOptions) { o.model = "gpt" }, func(o *askOptions) { o.temperature = 17 }, func(o *askOptions) { o.topP = -1 },
		func(o *askOptions) { o.maxTokens = 0 }, func(o *askOptions) { o.endpoint = "http://127.0.0.1:1" },
	} {
		bad := o
		change(&bad)
		if _, err := run(bad, false); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	answer := &client.Answer{Request: commit.Request{Module: [32]byte{1}}}
	if err := verifyShipped(answer); !errors.Is(err, errNotShipped) {
		t.Errorf("another model: %v", err)
	}
}

func TestPlainWriter(t *testing.T) {
	for _, tty := range []bool{false, true} {
		var out bytes.Buffer
		w := &plainWriter{w: &out, raw: !tty}
		for _, b := range []byte("é\x1b[2J\a\n\tλ\xff") { // characters come in pieces
			w.Write([]byte{b})
		}
		w.Line()
		want := "é\x1b[2J\a\n\tλ\xff\n"
		if tty {
			want = "é·[2J·\n\tλ\uFFFD\n"
		}
		if out.String() != want {
			t.Errorf("tty %t: %q, want %q", tty, out.String(), want)
		}
	}
}
