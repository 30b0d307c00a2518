package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/verifier/commit"
)

// testInference: broken frames and over-long prompts are refused by name, the connection lives on,
// and a good request gets an answer whose receipt holds when it is run again.
func testInference(ctx context.Context, t *testing.T, n *testNet) {
	endpoint := n.nodes[1].member.Addresses.Serve
	offers, err := client.Offers(ctx, "http://"+endpoint)
	must(t, err)
	if len(offers) == 0 {
		t.Fatal("the miner offers no model")
	}
	request := func(change func(*commit.Request)) []byte {
		r := commit.Request{Module: offers[0].Module, Model: offers[0].Model, Seed: [32]byte{7}, MaxTokens: 12,
			Prompt: []byte("The Rays of Light "), Sampling: commit.Sampling{TopP: commit.Q16, Penalty: commit.Q16}}
		change(&r)
		return r.Bytes()
	}
	frame := func(change func(*commit.Request)) []byte {
		raw, err := json.Marshal(map[string]any{"type": "infer", "request": request(change)})
		must(t, err)
		return raw
	}
	same := func(*commit.Request) {}
	torn, err := json.Marshal(map[string]any{"type": "infer", "request": request(same)[1:]})
	must(t, err)
	ws, resp, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+endpoint+"/assay/v1/stream", nil)
	must(t, err)
	defer resp.Body.Close()
	defer ws.Close()
	type answer struct{ Type, Code, Message string }
	ask := func(kind int, msg []byte) (a answer) {
		must(t, ws.WriteMessage(kind, msg))
		must(t, ws.ReadJSON(&a))
		return a
	}
	for _, c := range []struct {
		name string
		kind int
		msg  []byte
		code string
		says string
	}{
		{"no JSON", websocket.TextMessage, []byte("{"), "bad_frame", ""},
		{"binary", websocket.BinaryMessage, frame(same), "bad_frame", ""},
		{"unknown type", websocket.TextMessage, []byte(`{"type":"boast"}`), "bad_frame", ""},
		{"torn request", websocket.TextMessage, torn, "bad_request", ""},
		{"over-long prompt", websocket.TextMessage, frame(func(r *commit.Request) { r.Prompt = []byte(strings.Repeat("x", 9_000)) }),
			"prompt_too_long", "takes at most"},
		{"unknown model", websocket.TextMessage, frame(func(r *commit.Request) { r.Model[0] ^= 1 }), "unknown_model", ""},
	} {
		if a := ask(c.kind, c.msg); a.Type != "error" || a.Code != c.code || a.Message == "" || !strings.Contains(a.Message, c.says) {
			t.Errorf("%s: %+v, want the error %s saying %q", c.name, a, c.code, c.says)
		}
	}
	if a := ask(websocket.TextMessage, frame(same)); a.Type != "token" {
		t.Errorf("after all refusals: %+v, want a token", a)
	}
	req, err := commit.DecodeRequest(request(same))
	must(t, err)
	got, err := client.Stream(ctx, "http://"+endpoint, req, client.StreamOptions{})
	must(t, err)
	if len(got.Tokens) != 12 {
		t.Errorf("%d tokens, want 12", len(got.Tokens))
	}
	must(t, verifyAnswer(ctx, n.engine, got))
}
