package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"
)

// lastEvent is the first token that a client lacks. A stream that broke is
// asked for again as browsers do: the same request, with the id of the last
// event that came.
func lastEvent(r *http.Request) (from uint32, err error) {
	id := r.Header.Get("Last-Event-ID")
	if id == "" {
		return 0, nil
	}
	seq, err := strconv.ParseUint(id, 10, 31)
	if err != nil {
		return 0, Refuse(CodeBadRequest, "Last-Event-ID is the id of an event of this answer, not %.20q", id)
	}
	return uint32(seq) + 1, nil
}

// streamed answers with server-sent events, as OpenAI's stream: true, from a
// token on. While a token takes long, comments keep proxies and the client
// waiting.
func (o *completionWriter) streamed(ctx context.Context, run *run, from uint32) {
	limits := o.s.cfg.Limits
	rc := http.NewResponseController(o.w)
	o.w.Header().Set("Content-Type", "text/event-stream")
	o.w.Header().Set("Cache-Control", "no-cache")
	write := func(format string, args ...any) bool {
		_, err := fmt.Fprintf(o.w, format, args...)
		return err == nil && rc.Flush() == nil
	}
	data := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // our own types
		}
		return b
	}
	fail := func(err error) {
		r := refusal(err)
		write("data: %s\n\n", data(map[string]any{"error": map[string]any{"message": r.Message, "code": r.Code}}))
	}
	began := time.Now()
	var text characters
	for seq := uint32(0); ; {
		slice, cancel := context.WithTimeout(ctx, limits.Idle/3)
		t, ok, err := run.next(slice, seq)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if !write(":\n\n") {
				return
			}
			continue
		}
		if !ok {
			break
		}
		seq++
		whole := text.add(t.Text)
		if t.Seq < from {
			continue
		}
		if t.Seq > from && time.Since(began) > limits.Keep && run.lags(t.Seq) {
			fail(Refuse(CodeTooSlow, "%v", errSlow))
			return
		}
		c := o.chunk(whole, nil)
		c.Assay = &completionToken{t.Seq, t.ID, t.Text, t.Digest[:]}
		if !write("id: %d\ndata: %s\n\n", t.Seq, data(c)) {
			return
		}
	}
	c, err := o.last(run, string(text.part))
	if err != nil {
		fail(err)
		return
	}
	if write("data: %s\n\n", data(c)) {
		write("data: [DONE]\n\n")
	}
}

// characters cuts text at the ends of characters: JSON has no place for half of
// one, and a token may be half of one.
type characters struct{ part []byte }

// add returns what is whole; the rest waits for the next call.
func (c *characters) add(b []byte) string {
	b = append(c.part, b...)
	whole := len(b)
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				whole -= n
			}
			break
		}
	}
	c.part = append([]byte(nil), b[whole:]...)
	return string(b[:whole])
}
