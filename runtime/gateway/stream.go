package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

var upgrader = websocket.Upgrader{
	ReadBufferSize: 4096, WriteBufferSize: 4096,
	// Receipts authenticate themselves and no cookie is ever read, so any
	// page may connect.
	CheckOrigin: func(*http.Request) bool { return true },
	Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
		writeErrorAs(w, status, &RefusedError{Code: CodeBadRequest, Message: reason.Error()})
	},
}

// parting is how long the last frame of a connection may take.
const parting = 3 * time.Second

// Where there is no place: what a client that has too many connections is told, what any is told where the
// gateway has, and when to come again.
const (
	tooMany    = "too many connections from your address; close one, or try again later"
	full       = "too many connections; try again later"
	retryAfter = "5" // seconds
)

// Why a connection is closed from here.
var (
	errSilent = errors.New("neither frame nor pong")
	errSlow   = errors.New("the answer was not read before it was forgotten")
	errRest   = errors.New("nothing was asked for a while")
)

// serveStream holds one WebSocket: requests one after the other, each
// answered by token frames and a receipt, or by an error frame.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request) {
	gone, ok := s.who.enter(r)
	if !ok {
		writeErrorAs(w, http.StatusTooManyRequests, &RefusedError{Code: CodeBusy, Message: tooMany})
		return
	}
	defer gone()
	if !s.enter() {
		writeError(w, &RefusedError{Code: CodeBusy, Message: full})
		return
	}
	defer s.leave()
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	c := &conn{s: s, ws: ws, idle: s.cfg.Limits.Idle, frames: make(chan []byte, 1)}
	c.ctx, c.cancel = context.WithCancelCause(s.ctx)
	defer c.close()
	// A write to a client that does not read must not hold up the end.
	context.AfterFunc(c.ctx, func() { time.AfterFunc(parting, func() { ws.Close() }) })
	ws.SetReadLimit(s.cfg.Limits.FrameBytes)
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		c.read()
	}()
	c.serve()
}

func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns >= s.cfg.Limits.Connections || s.ctx.Err() != nil {
		return false
	}
	s.conns++
	s.wg.Add(1)
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	s.conns--
	s.mu.Unlock()
	s.wg.Done()
}

// conn is one WebSocket. One goroutine reads (a client that goes away is
// noticed while an answer streams), one writes.
type conn struct {
	s      *Server
	ws     *websocket.Conn
	idle   time.Duration
	frames chan []byte

	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (c *conn) close() {
	c.cancel(nil)
	c.ws.Close()
}

// read hands messages to serve. Pongs and messages both count as life.
func (c *conn) read() {
	defer c.cancel(nil)
	alive := func() error { return c.ws.SetReadDeadline(time.Now().Add(c.idle)) }
	c.ws.SetPongHandler(func(string) error { return alive() })
	for {
		if alive() != nil {
			return
		}
		kind, msg, err := c.ws.ReadMessage()
		if errors.Is(err, websocket.ErrReadLimit) {
			return // gorilla has sent close code 1009, message too big
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			c.cancel(errSilent)
		}
		if err != nil {
			return
		}
		if kind != websocket.TextMessage {
			msg = nil // answered as a bad frame
		}
		select {
		case c.frames <- msg:
		case <-c.ctx.Done():
			return
		}
	}
}

func (c *conn) serve() {
	ping := time.NewTicker(c.idle / 3)
	defer ping.Stop()
	rest := time.NewTimer(c.s.cfg.Limits.Rest)
	defer rest.Stop()
	for {
		select {
		case <-c.ctx.Done():
			c.part(context.Cause(c.ctx))
			return
		case <-ping.C:
			if c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(c.idle)) != nil {
				return
			}
		case msg := <-c.frames:
			if err := c.answer(msg, ping.C); err != nil {
				c.part(err)
				return
			}
			rest.Reset(c.s.cfg.Limits.Rest)
		case <-rest.C:
			c.part(errRest)
			return
		}
	}
}

// part tells the client why the connection ends; a client that is gone hears nothing.
func (c *conn) part(err error) {
	code, why := websocket.CloseGoingAway, "the miner is shutting down"
	if c.s.ctx.Err() == nil {
		switch {
		case errors.Is(err, errSlow):
			code, why = websocket.CloseTryAgainLater, err.Error()
		case errors.Is(err, errRest):
			code, why = websocket.CloseNormalClosure, err.Error()
		case errors.Is(err, errSilent):
			code, why = websocket.ClosePolicyViolation, err.Error()
		default:
			return
		}
	}
	_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, why), time.Now().Add(parting))
}

// answer serves one request; an error means that the connection is gone.
func (c *conn) answer(msg []byte, ping <-chan time.Time) error {
	f, req, pay, err := decodeClientFrame(msg)
	if err != nil {
		return c.refuse(err)
	}
	if _, err := c.s.offer(req); err != nil {
		return c.refuse(err)
	}
	run, channel, err := c.s.admit(c.ctx, req, pay)
	if err != nil {
		return c.refuse(err)
	}
	defer c.s.release(run)
	if err := c.stream(run, f.From, ping); err != nil {
		return err
	}
	rc, err := c.s.receipt(req, run, channel)
	if err != nil {
		c.s.log.Error("no receipt", "err", err)
		return c.refuse(err)
	}
	return c.write(ServerFrame{Type: FrameReceipt, Seq: rc.receipt.Tokens, Receipt: rc.receipt.Bytes(), Signature: rc.signature, PublicKey: c.s.cfg.Signer.PublicKey()})
}

// stream sends tokens until the run ends.
func (c *conn) stream(r *run, from uint32, ping <-chan time.Time) error {
	// Pings must go out while a token takes long, so waiting happens in
	// slices no longer than the ping interval.
	began := time.Now()
	for seq := from; ; {
		ctx, cancel := context.WithTimeout(c.ctx, c.idle/3)
		t, ok, err := r.next(ctx, seq)
		cancel()
		select {
		case <-ping:
			if err := c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(c.idle)); err != nil {
				return err
			}
		default:
		}
		if c.ctx.Err() != nil {
			return context.Cause(c.ctx)
		}
		if err != nil {
			continue // a slice ended
		}
		if !ok {
			return nil
		}
		if seq > from && time.Since(began) > c.s.cfg.Limits.Keep && r.lags(seq) {
			return errSlow
		}
		if err := c.write(ServerFrame{Type: FrameToken, Seq: t.Seq, Token: t.ID, Text: t.Text, Digest: t.Digest[:]}); err != nil {
			return err
		}
		seq++
	}
}

func (c *conn) refuse(err error) error {
	if c.s.ctx.Err() != nil {
		return c.s.ctx.Err() // an end is no refusal: the client comes back for the rest
	}
	r := refusal(err)
	return c.write(ServerFrame{Type: FrameError, Code: r.Code, Message: r.Message})
}

func (c *conn) write(f ServerFrame) error {
	if err := c.ws.SetWriteDeadline(time.Now().Add(c.idle)); err != nil {
		return err
	}
	return c.ws.WriteJSON(f)
}
