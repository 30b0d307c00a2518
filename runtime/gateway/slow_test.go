package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/verifier/commit"
)

// wordy is the real engine, each of whose tokens has as much text as a token may.
type wordy struct{ gateway.Engine }

func (w wordy) Run(ctx context.Context, req commit.Request, emit func(uint32, []byte) bool) (gateway.Result, error) {
	text := []byte(strings.Repeat("x", commit.MaxText))
	return w.Engine.Run(ctx, req, func(token uint32, _ []byte) bool { return emit(token, text) })
}

func completionBody(prompt string, stream bool) string {
	return fmt.Sprintf(`{"model":"opticks","prompt":%q,"max_tokens":150,"temperature":0,"stream":%t}`, prompt, stream)
}

// say sends requests, one behind the other, on a connection of the test's that takes in few bytes.
func say(t *testing.T, srv *httptest.Server, method, path string, bodies ...string) net.Conn {
	t.Helper()
	c, err := narrowDial("tcp", srv.Listener.Addr().String())
	must(t, err)
	t.Cleanup(func() { c.Close() })
	for _, body := range bodies {
		_, err = fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
		must(t, err)
	}
	return c
}

// placed asks for a short answer of a server that has one place, until it is given.
func placed(t *testing.T, srv *httptest.Server) {
	t.Helper()
	for range 1_000_000 {
		switch got := post(t, srv.URL, `{"model":"opticks","prompt":"y","max_tokens":1,"temperature":0}`, ""); got {
		case http.StatusOK:
			return
		case http.StatusServiceUnavailable:
		default:
			t.Fatalf("status %d", got)
		}
	}
	t.Fatal("the place is never free")
}

// A client that stops reading is cut off, whatever it asked for, and its place is free by then.
func TestAReaderThatStopsIsCutOff(t *testing.T) {
	_, srv, offer, closed := serveWatched(t, gateway.Config{Engine: wordy{realEngine(t)}, Limits: gateway.Limits{Idle: 300 * time.Millisecond, Connections: 1}})
	for _, c := range []struct {
		name, method, path string
		bodies             []string
	}{
		{"events", http.MethodPost, "/v1/completions", []string{completionBody("a", true)}},
		{"a whole answer", http.MethodPost, "/v1/completions", []string{completionBody("b", false)}},
		{"files", http.MethodGet, "/page/noble-secp256k1.js", make([]string, 8)}, // more than is on its way in any case
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := say(t, srv, c.method, c.path, c.bodies...)
			for gone := range closed {
				if gone == conn.LocalAddr().String() {
					break
				}
			}
			for { // where this process was held up, the next request may be too slow as well
				resp, err := http.Post(srv.URL+"/v1/completions", "", strings.NewReader(`{"model":"opticks","prompt":"y","max_tokens":1,"temperature":0}`))
				if err != nil {
					continue
				}
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					return
				}
				if resp.StatusCode != http.StatusRequestTimeout {
					t.Fatalf("after it was cut off: %s", resp.Status)
				}
			}
		})
	}
	t.Run("WebSocket", func(t *testing.T) {
		ask(t, dialNarrow(t, srv), request(offer, 150), 0)
		for {
			ws, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(srv.URL, "http")+"/assay/v1/stream", nil)
			if err == nil {
				ws.Close()
				return
			}
			if resp != nil && resp.StatusCode != http.StatusServiceUnavailable {
				t.Fatal(err)
			}
		}
	})
}

// A connection on which nothing is asked does not hold its place for ever, though pings are answered.
func TestARestingConnectionIsClosed(t *testing.T) {
	_, srv, _ := serveWith(t, gateway.Config{Engine: realEngine(t), Limits: gateway.Limits{Rest: 200 * time.Millisecond}})
	if code, frames := closing(t, dial(t, srv)); code != websocket.CloseNormalClosure || len(frames) > 0 {
		t.Errorf("close code %d after %+v", code, frames)
	}
}

// A client that leaves in the middle frees its place at once, while the run goes on.
func TestAClientThatLeavesFreesItsPlace(t *testing.T) {
	for _, stream := range []bool{true, false} {
		gate := make(chan struct{})
		_, srv, _ := serveWith(t, gateway.Config{Engine: firstOf{realEngine(t), gate}, Limits: gateway.Limits{Connections: 1}})
		conn := say(t, srv, http.MethodPost, "/v1/completions", completionBody("a", stream))
		if stream {
			lines := bufio.NewReader(conn)
			for n := 0; n < 3; {
				line, err := lines.ReadString('\n')
				must(t, err)
				if strings.HasPrefix(line, "id: ") {
					n++
				}
			}
		} else {
			<-gate // the answer is under way
		}
		conn.Close()
		placed(t, srv)
	}
}

// firstOf is the real engine, which gives three tokens of a long answer and no more. It tells each one that came so far.
type firstOf struct {
	gateway.Engine
	there chan struct{}
}

func (f firstOf) Run(ctx context.Context, req commit.Request, emit func(uint32, []byte) bool) (gateway.Result, error) {
	n := 0
	return f.Engine.Run(ctx, req, func(token uint32, text []byte) bool {
		if n++; n > 3 {
			select {
			case f.there <- struct{}{}:
			case <-ctx.Done():
			}
			<-ctx.Done()
			return true
		}
		return emit(token, text)
	})
}

// A client that reads events, but not as fast as answers are forgotten, is told so in an event, and goes on where it was.
func TestASlowReaderOfEventsIsToldToComeBack(t *testing.T) {
	told := make(chan gateway.Answer, 64)
	_, srv, _ := serveWith(t, gateway.Config{Engine: wordy{realEngine(t)}, Limits: gateway.Limits{Idle: time.Hour, Keep: time.Millisecond}, Answered: func(a gateway.Answer) { told <- a }})
	body := completionBody("The rays ", true)
	slow := say(t, srv, http.MethodPost, "/v1/completions", body)
	<-told
	for again := false; !again; { // until its answer was forgotten
		post(t, srv.URL, body, "148")
		select {
		case <-told:
			again = true
		default:
		}
	}
	resp, err := http.ReadResponse(bufio.NewReader(slow), nil)
	must(t, err)
	defer resp.Body.Close()
	var code gateway.Code
	seqs := 0
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || code != "" {
			continue
		}
		var e event
		must(t, json.Unmarshal([]byte(data), &e))
		if code = e.Error.Code; code == "" {
			if e.Assay.Seq != uint32(seqs) {
				t.Fatalf("token %d where %d was due", e.Assay.Seq, seqs)
			}
			seqs++
		}
	}
	must(t, lines.Err()) // the stream ends as it should
	if code != gateway.CodeTooSlow || seqs == 0 || seqs >= 150 {
		t.Fatalf("%q after %d tokens", code, seqs)
	}
	_, again, _ := serveWith(t, gateway.Config{Engine: wordy{realEngine(t)}}) // which keeps answers for longer
	for done := false; !done; {
		had := seqs
		done, _ = events(t, again.URL, body, strconv.Itoa(seqs-1), func(e event) bool {
			if e.ID != "" && e.Assay.Seq == uint32(seqs) {
				seqs++
			}
			return true
		})
		if seqs == had && !done {
			t.Fatalf("stuck at %d", seqs)
		}
	}
	if seqs != 150 {
		t.Fatalf("%d tokens", seqs)
	}
}
