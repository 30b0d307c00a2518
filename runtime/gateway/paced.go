package gateway

import (
	"bufio"
	"net"
	"net/http"
	"time"
)

// pace is how many bytes a client has to take in within Limits.Idle.
const pace = 16 << 10

// paced is an answer that a client cannot hold up by not taking it in: each 16 KiB may take Limits.Idle, and all that
// one Write is given Limits.Keep, the time for which it would be kept anyway. The connection then ends without a
// word, for which there is no room. It is an http.ResponseWriter of one request.
type paced struct {
	http.ResponseWriter
	rc     *http.ResponseController
	limits Limits
}

func newPaced(w http.ResponseWriter, limits Limits) *paced {
	p := &paced{ResponseWriter: w, rc: http.NewResponseController(w), limits: limits}
	p.until(time.Now().Add(limits.Idle)) // for what is written without Write
	return p
}

// until bounds the writes to come; a writer without deadlines is a test's.
func (p *paced) until(t time.Time) { _ = p.rc.SetWriteDeadline(t) }

func (p *paced) Write(b []byte) (n int, err error) {
	end := time.Now().Add(max(p.limits.Keep, p.limits.Idle))
	for {
		p.until(earlier(time.Now().Add(p.limits.Idle), end))
		m, err := p.ResponseWriter.Write(b[n:min(len(b), n+pace)])
		if n += m; err != nil || n == len(b) {
			return n, err
		}
	}
}

// FlushError is Flush within Limits.Idle.
func (p *paced) FlushError() error {
	p.until(time.Now().Add(p.limits.Idle))
	return p.rc.Flush()
}

// Unwrap is for http.ResponseController.
func (p *paced) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// Hijack is for WebSockets, which have deadlines of their own.
func (p *paced) Hijack() (net.Conn, *bufio.ReadWriter, error) { return p.rc.Hijack() }

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
