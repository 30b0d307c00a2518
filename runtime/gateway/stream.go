package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

var upgrader = websocket.Upgrader{
	ReadBufferSize: 4096, WriteBufferSize: 4096,
	// Receipts authenticate themselves and no cookie is ever read, so any
	// page may connect.
	CheckOrigin: func(*http.Request) bool { return true },
}

// serveStream holds one WebSocket: requests one after the other, each
// answered by token frames and a receipt, or by an error frame.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		http.Error(w, "too many connections; try again later", http.StatusServiceUnavailable)
		return
	}
	defer s.leave()
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	c := &conn{s: s, ws: ws, idle: s.cfg.Limits.Idle, frames: make(chan []byte, 1)}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	defer c.close()
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
	cancel context.CancelFunc
}

func (c *conn) close() {
	c.cancel()
	c.ws.Close()
}

// read hands messages to serve. Pongs and messages both count as life.
func (c *conn) read() {
	defer c.cancel()
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
	for {
		select {
		case <-c.ctx.Done():
			deadline := time.Now().Add(time.Second)
			_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, ""), deadline)
			return
		case <-ping.C:
			if c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(c.idle)) != nil {
				return
			}
		case msg := <-c.frames:
			if err := c.answer(msg, ping.C); err != nil {
				return
			}
		}
	}
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
			return c.ctx.Err()
		}
		if err != nil {
			continue // a slice ended
		}
		if !ok {
			return nil
		}
		if err := c.write(ServerFrame{Type: FrameToken, Seq: t.Seq, Token: t.ID, Text: t.Text, Digest: t.Digest[:]}); err != nil {
			return err
		}
		seq++
	}
}

func (c *conn) refuse(err error) error {
	r := refusal(err)
	return c.write(ServerFrame{Type: FrameError, Code: r.Code, Message: r.Message})
}

func (c *conn) write(f ServerFrame) error {
	if err := c.ws.SetWriteDeadline(time.Now().Add(c.idle)); err != nil {
		return err
	}
	return c.ws.WriteJSON(f)
}
