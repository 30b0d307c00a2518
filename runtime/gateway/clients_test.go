package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/assaynet/assay/runtime/gateway"
)

// busy checks that a refused connection is told so in the form of every other error.
func busy(t *testing.T, resp *http.Response) {
	t.Helper()
	var body struct {
		Error struct {
			Code    gateway.Code
			Message string
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Errorf("%s: %v", resp.Status, err)
	}
	if body.Error.Code != gateway.CodeBusy || body.Error.Message == "" || resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%s: %+v, %v", resp.Status, body, resp.Header)
	}
}

// One client cannot take all connections: its next one is refused, others' are not, and a place that it
// gives back can be had again.
func TestConnectionsOfAClient(t *testing.T) {
	g, _, _ := serveWith(t, gateway.Config{Engine: realEngine(t), Limits: gateway.Limits{ClientConnections: 2}})
	// The addresses of clients, as a server on the Internet would see them.
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = r.Header.Get("From")
		g.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	dial := func(from string) (*websocket.Conn, int) {
		t.Helper()
		ws, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(srv.URL, "http")+"/assay/v1/stream", http.Header{"From": {from}})
		if err == nil {
			t.Cleanup(func() { ws.Close() })
			return ws, http.StatusSwitchingProtocols
		}
		if resp == nil {
			t.Fatal(err)
		}
		if resp.StatusCode == http.StatusTooManyRequests {
			busy(t, resp)
		}
		return nil, resp.StatusCode
	}
	for _, c := range []struct {
		from string
		want int
	}{
		{"203.0.113.5:1", http.StatusSwitchingProtocols},
		{"203.0.113.5:2", http.StatusSwitchingProtocols},
		{"203.0.113.5:3", http.StatusTooManyRequests},
		{"[::ffff:203.0.113.5]:4", http.StatusTooManyRequests}, // the same one
		{"203.0.113.6:1", http.StatusSwitchingProtocols},
		{"[2001:db8:1:2::1]:1", http.StatusSwitchingProtocols},
		{"[2001:db8:1:2::2]:1", http.StatusSwitchingProtocols},
		{"[2001:db8:1:2:ffff::3]:1", http.StatusTooManyRequests}, // the same network
		{"[2001:db8:1:3::1]:1", http.StatusSwitchingProtocols},
		{"127.0.0.1:1", http.StatusSwitchingProtocols},
		{"127.0.0.1:2", http.StatusSwitchingProtocols},
		{"127.0.0.1:3", http.StatusSwitchingProtocols}, // this machine
	} {
		if _, got := dial(c.from); got != c.want {
			t.Errorf("connection from %s: status %d, want %d", c.from, got, c.want)
		}
	}

	completion := httptest.NewRequest(http.MethodPost, "/v1/completions", strings.NewReader("{}"))
	completion.RemoteAddr = "203.0.113.5:9"
	w := httptest.NewRecorder()
	g.ServeHTTP(w, completion)
	if w.Code != http.StatusTooManyRequests || !strings.Contains(w.Body.String(), `"code":"busy"`) {
		t.Errorf("a completion of the same client: %d %s", w.Code, w.Body)
	}

	ws, _ := dial("198.51.100.1:1")
	if _, got := dial("198.51.100.1:2"); got != http.StatusSwitchingProtocols {
		t.Fatalf("second connection: %d", got)
	}
	ws.Close()
	for range 100_000 { // until the gateway has noticed
		if _, got := dial("198.51.100.1:3"); got == http.StatusSwitchingProtocols {
			return
		}
	}
	t.Error("the place of a closed connection is never free")
}
