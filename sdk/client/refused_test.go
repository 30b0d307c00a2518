package client_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/sdk/client"
)

// occupy takes a connection to a miner, and says how to give it back.
func occupy(t *testing.T, m *miner) (leave func()) {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(m.URL, "http")+"/assay/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	return func() { ws.Close() }
}

// A miner that has no place for a connection says so as it says everything else, and when to come again.
func TestARefusedConnectionIsTyped(t *testing.T) {
	m := startMiner(t, func(cfg *gateway.Config) { cfg.Limits = gateway.Limits{Connections: 1} })
	leave := occupy(t, m)
	_, err := client.Stream(t.Context(), m.URL, m.request(4), client.StreamOptions{Retries: -1})
	var refused *client.RefusedError
	var lost *client.LostError
	if !errors.As(err, &lost) || !errors.As(err, &refused) || refused.Code != string(gateway.CodeBusy) || refused.Message == "" || refused.RetryAfter != 5*time.Second {
		t.Fatalf("%v: %+v", err, refused)
	}
	leave()
	// The pause is short and has no end here, so the client comes until the gateway has noticed.
	if _, err := client.Stream(t.Context(), m.URL, m.request(4), client.StreamOptions{Retries: 1 << 20, Pause: time.Microsecond}); err != nil {
		t.Fatal(err)
	}
}

// What was never sent cannot be charged.
func TestARefusedConnectionCostsNothing(t *testing.T) {
	m, p := startCharging(t, gateway.Limits{Connections: 1}, nil)
	leave := occupy(t, m)
	var refused *client.RefusedError
	if _, err := client.Stream(t.Context(), m.URL, m.request(8), client.StreamOptions{Payer: p, Retries: -1}); !errors.As(err, &refused) || p.Spent() != 0 {
		t.Fatalf("%v, spent %d", err, p.Spent())
	}
	leave()
	a, err := client.Stream(t.Context(), m.URL, m.request(8), client.StreamOptions{Payer: p, Retries: 1 << 20, Pause: time.Microsecond})
	if err != nil || p.Spent() != a.Receipt.Price {
		t.Fatalf("%v, spent %d", err, p.Spent())
	}
}

// A request that a miner may have taken stays in the books when the way back to it is refused: the miner may
// have charged it.
func TestARequestThatWasSentStaysInTheBooks(t *testing.T) {
	m, p := startCharging(t, gateway.Limits{}, nil)
	var streams atomic.Int32
	// The way there breaks as soon as the request has passed, and is refused from then on.
	way := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/assay/v1/stream" {
			http.Redirect(w, r, m.URL+r.URL.Path, http.StatusTemporaryRedirect)
			return
		}
		if streams.Add(1) > 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"error":{"code":"busy","message":"full"}}`))
			return
		}
		up, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer up.Close()
		_, _, _ = up.ReadMessage()
	}))
	defer way.Close()
	req := m.request(8)
	var refused *client.RefusedError
	_, err := client.Stream(t.Context(), way.URL, req, client.StreamOptions{Payer: p, Retries: 1, Pause: time.Microsecond})
	if most := uint64(len(req.Prompt))*10 + 8*100; !errors.As(err, &refused) || p.Spent() != most {
		t.Fatalf("%v, spent %d of %d", err, p.Spent(), most)
	}
}
