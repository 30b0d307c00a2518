package gateway_test

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/verifier/commit"
)

// gated is the real engine, whose tokens pass one by one as they are let.
type gated struct {
	gateway.Engine
	pass chan struct{} // one a token; closed: all
}

func (g gated) Run(ctx context.Context, req commit.Request, emit func(uint32, []byte) bool) (gateway.Result, error) {
	return g.Engine.Run(ctx, req, func(token uint32, text []byte) bool {
		select {
		case <-g.pass:
		case <-ctx.Done():
			return true
		}
		return emit(token, text)
	})
}

// failing is the real engine on a host that fails first.
type failing struct {
	gateway.Engine
	left *atomic.Int32
}

func (f failing) Run(ctx context.Context, req commit.Request, emit func(uint32, []byte) bool) (gateway.Result, error) {
	if f.left.Add(-1) >= 0 {
		return gateway.Result{}, errors.New("the device went away")
	}
	return f.Engine.Run(ctx, req, emit)
}

// narrow makes a server's connections hold few bytes, so that a client that
// does not read is noticed after few.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	c, err := n.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return c, c.(*net.TCPConn).SetWriteBuffer(1)
}

// serveWith serves on narrow connections with an engine of the test's.
func serveWith(t *testing.T, cfg gateway.Config) (*gateway.Server, *httptest.Server, gateway.Offer) {
	t.Helper()
	g, srv, offer, _ := serveWatched(t, cfg)
	return g, srv, offer
}

// serveWatched is serveWith, and tells of each connection that the server has closed, but for WebSockets, by the
// client's address.
func serveWatched(t *testing.T, cfg gateway.Config) (*gateway.Server, *httptest.Server, gateway.Offer, <-chan string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Signer, cfg.Network = signer{key}, network{}
	g, err := gateway.New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(g)
	srv.Listener = narrow{srv.Listener}
	closed := make(chan string, 1024)
	srv.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			select {
			case closed <- c.RemoteAddr().String():
			default: // nobody waits for so many
			}
		}
	}
	srv.Start()
	t.Cleanup(func() { g.Close(); srv.Close() })
	return g, srv, cfg.Engine.Offers()[0], closed
}

func realEngine(t *testing.T) gateway.Engine {
	t.Helper()
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func narrowDial(network, addr string) (net.Conn, error) {
	c, err := net.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	return c, c.(*net.TCPConn).SetReadBuffer(1)
}

// dialNarrow opens a stream whose client takes in few bytes that it does not read.
func dialNarrow(t *testing.T, srv *httptest.Server) *websocket.Conn {
	t.Helper()
	d := websocket.Dialer{NetDial: narrowDial}
	ws, _, err := d.Dial("ws"+strings.TrimPrefix(srv.URL, "http")+"/assay/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	return ws
}

// closing reads to the end of a connection: its close code, and what came before.
func closing(t *testing.T, ws *websocket.Conn) (int, []gateway.ServerFrame) {
	t.Helper()
	var frames []gateway.ServerFrame
	for {
		var f gateway.ServerFrame
		err := ws.ReadJSON(&f)
		var code *websocket.CloseError
		if errors.As(err, &code) {
			return code.Code, frames
		}
		if err != nil {
			return 0, frames
		}
		frames = append(frames, f)
	}
}

func TestAFailedRunIsNotKept(t *testing.T) {
	left := &atomic.Int32{}
	left.Store(1)
	_, srv, offer := serveWith(t, gateway.Config{Engine: failing{realEngine(t), left}})
	ws := dial(t, srv)
	ask(t, ws, request(offer, 4), 0)
	if f := read(t, ws); f.Code != gateway.CodeInternal {
		t.Fatalf("a failing host: %+v", f)
	}
	ask(t, ws, request(offer, 4), 0)
	if tokens, last := answer(t, ws); last.Type != gateway.FrameReceipt || len(tokens) != 4 {
		t.Fatalf("asked again: %+v after %d tokens", last, len(tokens))
	}
}

// A miner that ends in the middle of an answer refuses nothing: the client is
// to come back for the rest.
func TestShutdownInAnAnswerIsAClose(t *testing.T) {
	for range 20 { // whichever goroutine notices first
		gate := make(chan struct{}, 3)
		g, srv, offer := serveWith(t, gateway.Config{Engine: gated{realEngine(t), gate}})
		ws := dial(t, srv)
		ask(t, ws, request(offer, 8), 0)
		for range 3 {
			gate <- struct{}{}
			if f := read(t, ws); f.Type != gateway.FrameToken {
				t.Fatalf("%+v", f)
			}
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		if code, frames := closing(t, ws); code != websocket.CloseGoingAway || len(frames) > 0 {
			t.Fatalf("close code %d after %+v", code, frames)
		}
	}
}

// A peer that vanished answers no ping: the server notices, in an answer too,
// and its place is free again.
func TestAPeerThatVanishedIsNoticed(t *testing.T) {
	_, srv, offer := serveWith(t, gateway.Config{Engine: gated{realEngine(t), make(chan struct{})}, Limits: gateway.Limits{Idle: time.Second, Connections: 1}})
	for _, asks := range []bool{false, true} {
		var ws *websocket.Conn
		for ws == nil {
			next, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(srv.URL, "http")+"/assay/v1/stream", nil)
			if err == nil {
				ws = next
			} else if resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
				t.Fatal(err)
			}
		}
		defer ws.Close()
		ws.SetPingHandler(func(string) error { return nil })
		if asks {
			ask(t, ws, request(offer, 8), 0)
		}
		if code, frames := closing(t, ws); code != websocket.ClosePolicyViolation || len(frames) > 0 {
			t.Errorf("asked %t: close code %d after %+v", asks, code, frames)
		}
	}
}

// A client that takes nothing in is cut off, keeps nobody's answer and no
// memory, and a server that closes does not wait for it.
func TestAClientThatDoesNotReadIsDropped(t *testing.T) {
	g, srv, offer := serveWith(t, gateway.Config{Engine: realEngine(t), Limits: gateway.Limits{Idle: time.Hour}})
	slow := dialNarrow(t, srv)
	for range 4 {
		ask(t, slow, request(offer, 150), 0)
	}
	ws := dial(t, srv)
	ask(t, ws, request(offer, 150), 0)
	if tokens, last := answer(t, ws); last.Type != gateway.FrameReceipt || len(tokens) != 150 {
		t.Fatalf("beside a slow client: %+v after %d tokens", last, len(tokens))
	}
	if err := g.Close(); err != nil { // the slow client has read nothing
		t.Fatal(err)
	}
}

// A client that reads, but not as fast as answers are forgotten, is told so.
func TestASlowReaderIsToldToComeBack(t *testing.T) {
	told := make(chan gateway.Answer, 64)
	_, srv, offer := serveWith(t, gateway.Config{Engine: realEngine(t), Limits: gateway.Limits{Keep: time.Millisecond}, Answered: func(a gateway.Answer) { told <- a }})
	req := request(offer, 150)
	slow := dialNarrow(t, srv)
	ask(t, slow, req, 0)
	<-told
	for again := false; !again; { // until its answer was forgotten
		ws := dial(t, srv)
		ask(t, ws, req, 149)
		_ = read(t, ws)
		ws.Close()
		select {
		case <-told:
			again = true
		default:
		}
	}
	code, frames := closing(t, slow)
	if code != websocket.CloseTryAgainLater || len(frames) == 0 || len(frames) >= 150 {
		t.Fatalf("close code %d after %d frames", code, len(frames))
	}
	for i, f := range frames {
		if f.Type != gateway.FrameToken || f.Seq != uint32(i) {
			t.Fatalf("frame %d: %+v", i, f)
		}
	}
	_, later, _ := serveWith(t, gateway.Config{Engine: realEngine(t)}) // which keeps answers for longer
	for done := false; !done; {
		ws := dial(t, later)
		ask(t, ws, req, uint32(len(frames)))
		for f := (gateway.ServerFrame{}); !done && ws.ReadJSON(&f) == nil; f = (gateway.ServerFrame{}) {
			if done = f.Type == gateway.FrameReceipt; !done {
				if f.Type != gateway.FrameToken || f.Seq != uint32(len(frames)) {
					t.Fatalf("after %d frames: %+v", len(frames), f)
				}
				frames = append(frames, f)
			}
		}
		ws.Close()
	}
	if len(frames) != 150 {
		t.Fatalf("%d tokens", len(frames))
	}
}

// An HTTP client that trickles its body holds its place for a bounded time.
func TestSlowBodiesAreDropped(t *testing.T) {
	_, srv, _ := serveWith(t, gateway.Config{Engine: realEngine(t), Limits: gateway.Limits{Idle: 200 * time.Millisecond}})
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout {
		t.Fatalf("half a body: %s", resp.Status)
	}
}
