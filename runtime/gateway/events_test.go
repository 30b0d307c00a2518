package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/verifier/commit"
)

// event of a completion's stream. Assay is a token's, or in the last one the proof.
type event struct {
	ID      string `json:"-"` // of the event, not of the completion
	Choices []struct{ Text string }
	Assay   struct {
		Seq, Token       uint32
		Text, Digest     []byte
		Request, Receipt string
		Signature        string
		PublicKey        string `json:"public_key"`
	}
	Error struct{ Code gateway.Code }
}

func (e event) text() string {
	if e.Choices == nil {
		return "" // a comment
	}
	return e.Choices[0].Text
}

// events asks for a completion and hands each event over until next says stop
// or the stream ends. comments counts what only keeps the connection.
func events(t *testing.T, url, body, last string, next func(event) (more bool)) (done bool, comments int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s", resp.Status)
	}
	var id string
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if v, ok := strings.CutPrefix(line, "id: "); ok {
			id = v
		}
		if line == ":" {
			comments++
			if !next(event{}) {
				return false, comments
			}
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			return true, comments
		}
		e := event{ID: id}
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		if !next(e) {
			return false, comments
		}
		id = ""
	}
	return false, comments
}

const eventsBody = `{"model":"opticks","prompt":"The rays ","max_tokens":40,"temperature":0.7,"stream":true}`

// An event stream that broke goes on after the last event that came, and what
// came in pieces is held against the receipt.
func TestEventsResume(t *testing.T) {
	_, srv, _ := serveWith(t, gateway.Config{Engine: realEngine(t)})
	var whole, pieces strings.Builder
	if done, _ := events(t, srv.URL, eventsBody, "", func(e event) bool { whole.WriteString(e.text()); return true }); !done {
		t.Fatal("no [DONE]")
	}
	var tokens []event
	var proof event
	last := ""
	for done := false; !done; {
		n := 0
		done, _ = events(t, srv.URL, eventsBody, last, func(e event) bool {
			pieces.WriteString(e.text())
			if e.Choices == nil {
				return true
			}
			if e.Assay.Receipt != "" {
				proof = e
				return true
			}
			tokens = append(tokens, e)
			last = e.ID
			n++
			return n < 13 // then the connection is cut
		})
	}
	if pieces.String() != whole.String() || len(tokens) != 40 {
		t.Fatalf("%d tokens, %q in pieces, %q at once", len(tokens), pieces.String(), whole.String())
	}
	raw, err := base64.StdEncoding.DecodeString(proof.Assay.Receipt)
	if err != nil {
		t.Fatal(err)
	}
	rc, err := commit.DecodeReceipt(raw)
	if err != nil {
		t.Fatal(err)
	}
	out := commit.NewOutput(rc.Request)
	for i, e := range tokens {
		if sum := out.Add(e.Assay.Token, e.Assay.Text); e.Assay.Seq != uint32(i) || !bytes.Equal(sum[:], e.Assay.Digest) {
			t.Fatalf("token %d: %+v", i, e)
		}
	}
	if out.Sum() != rc.Output || rc.Tokens != 40 {
		t.Fatalf("receipt %+v", rc)
	}
	if resp := post(t, srv.URL, eventsBody, "x"); resp != http.StatusBadRequest {
		t.Errorf("an id that is none: %d", resp)
	}
}

func post(t *testing.T, url, body, last string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Last-Event-ID", last)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// halves is the real engine, whose tokens are halves of characters.
type halves struct{ gateway.Engine }

func (h halves) Run(ctx context.Context, req commit.Request, emit func(uint32, []byte) bool) (gateway.Result, error) {
	n := 0
	return h.Engine.Run(ctx, req, func(token uint32, _ []byte) bool {
		n++
		return emit(token, []byte("é"[(n-1)%2:][:1]))
	})
}

// A character whose bytes come in two tokens is one character, wherever the
// stream was cut.
func TestEventsKeepCharactersWhole(t *testing.T) {
	_, srv, _ := serveWith(t, gateway.Config{Engine: halves{realEngine(t)}})
	text, last := "", ""
	for done := false; !done; {
		done, _ = events(t, srv.URL, eventsBody, last, func(e event) bool {
			text += e.text()
			if e.ID != "" {
				last = e.ID
			}
			return e.ID == "" || e.Assay.Seq%3 != 2
		})
	}
	if text != strings.Repeat("é", 20) {
		t.Fatalf("%q", text)
	}
}

// While a token takes long, comments show that the miner is there.
func TestEventsAreKeptAlive(t *testing.T) {
	gate := make(chan struct{})
	_, srv, _ := serveWith(t, gateway.Config{Engine: gated{realEngine(t), gate}, Limits: gateway.Limits{Idle: 3 * time.Second}})
	n, tokens := 0, 0
	done, _ := events(t, srv.URL, eventsBody, "", func(e event) bool {
		if e.Choices == nil {
			if n++; n == 2 {
				close(gate)
			}
		} else if e.ID != "" {
			tokens++
		}
		return true
	})
	if !done || n < 2 || tokens != 40 {
		t.Fatalf("done %t with %d tokens after %d comments", done, tokens, n)
	}
}
