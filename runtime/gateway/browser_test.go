package gateway_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/assaynet/assay/runtime/gateway"
)

// browser is a headless Chromium, driven by its debugging protocol.
type browser struct {
	t  *testing.T
	ws *websocket.Conn
	id int

	session string // of the tab that was opened last
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium here: the page is not looked at in a browser (Debian: chromium)")
	}
	dir := t.TempDir()
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--remote-debugging-port=0", "--user-data-dir="+filepath.Join(dir, "profile"), // A name that is not this machine's, so that the page is as one from elsewhere: without WebCrypto.
		"--host-resolver-rules=MAP miner.test 127.0.0.1", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+dir, "TMPDIR="+dir)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t}
	lines := bufio.NewScanner(stderr)
	var said strings.Builder
	address := ""
	for address == "" && lines.Scan() {
		fmt.Fprintln(&said, lines.Text())
		address, _ = strings.CutPrefix(lines.Text(), "DevTools listening on ")
		if address == lines.Text() {
			address = ""
		}
	}
	drained := make(chan struct{})
	go func() { defer close(drained); _, _ = io.Copy(io.Discard, stderr) }()
	t.Cleanup(func() {
		if b.ws != nil {
			_ = b.ws.WriteJSON(map[string]any{"id": 1 << 30, "method": "Browser.close"}) // ends its children too
			for _, _, err := b.ws.ReadMessage(); err == nil; _, _, err = b.ws.ReadMessage() {
			}
			b.ws.Close()
		} else {
			_ = cmd.Process.Kill()
		}
		<-drained
		_ = cmd.Wait()
	})
	if address == "" {
		t.Fatalf("chromium does not start: %s", &said)
	}
	if b.ws, _, err = websocket.DefaultDialer.Dial(address, nil); err != nil {
		t.Fatal(err)
	}
	return b
}

// call sends one command and waits for its answer; what else comes is skipped.
func (b *browser) call(session, method string, params any) json.RawMessage {
	b.t.Helper()
	b.id++
	if err := b.ws.WriteJSON(map[string]any{"id": b.id, "sessionId": session, "method": method, "params": params}); err != nil {
		b.t.Fatal(err)
	}
	for {
		var m struct {
			ID     int
			Result json.RawMessage
			Error  json.RawMessage
		}
		if err := b.ws.ReadJSON(&m); err != nil {
			b.t.Fatal(err)
		}
		if m.ID == b.id {
			if m.Error != nil {
				b.t.Fatalf("%s: %s", method, m.Error)
			}
			return m.Result
		}
	}
}

// open makes a tab and returns a function that runs a script in it, whose promise it waits for.
func (b *browser) open(url string) func(script string) string {
	b.t.Helper()
	var target struct{ TargetID string }
	must(b.t, json.Unmarshal(b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}), &target))
	var at struct{ SessionID string }
	must(b.t, json.Unmarshal(b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}), &at))
	b.session = at.SessionID
	run := func(script string) string {
		b.t.Helper()
		raw := b.call(at.SessionID, "Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true})
		var r struct {
			Result           struct{ Value string }
			ExceptionDetails json.RawMessage
		}
		if err := json.Unmarshal(raw, &r); err != nil || r.ExceptionDetails != nil {
			b.t.Fatalf("%s: %s, %v", script, raw, err)
		}
		return r.Result.Value
	}
	b.call(at.SessionID, "Emulation.setDeviceMetricsOverride", map[string]any{"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": true})
	b.call(at.SessionID, "Page.navigate", map[string]any{"url": url})
	for run("location.href") != url { // a script that waits must not begin on the page before
	}
	return run
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// loaded waits until the page's script runs; asked asks what is in the form and waits for the verdict.
const (
	watch  = `(what => new Promise(go => { const look = () => { const v = what(); if (v) { go(v); return true; } }; if (!look()) { const o = new MutationObserver(() => { if (look()) o.disconnect(); }); o.observe(document, { subtree: true, childList: true, attributes: true, characterData: true }); } }))`
	loaded = watch + `(() => { const go = document.getElementById('go'); return go && !go.disabled && 'ready'; })`
	asked  = `document.getElementById('go').click(); ` + watch +
		`(() => { const v = document.getElementById('verdict'); return document.getElementById('go').textContent === 'Stream' && v.className && v.className !== 'soft' && v.className + ': ' + v.textContent; })`
	found = `[...document.querySelectorAll('#checks li')].map(e => e.textContent).join('\n') + '\n' + document.getElementById('next').textContent`
)

// meddler is a proxy before a miner that changes what passes on an event stream.
func meddler(t *testing.T, to string, change func(data string) string) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		u, err := url.Parse(to)
		if err != nil {
			t.Error(err)
			return
		}
		out.URL.Scheme, out.URL.Host, out.RequestURI = u.Scheme, u.Host, ""
		resp, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			return // the browser has left
		}
		defer resp.Body.Close()
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		if resp.Header.Get("Content-Type") == "text/event-stream" {
			w.WriteHeader(resp.StatusCode)
			for lines := bufio.NewReader(resp.Body); ; {
				line, err := lines.ReadString('\n')
				_, _ = io.WriteString(w, change(line))
				w.(http.Flusher).Flush()
				if err != nil {
					return
				}
			}
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// field changes a byte string of one JSON field.
func field(t *testing.T, line, name string, change func([]byte)) string {
	t.Helper()
	head, tail, ok := strings.Cut(line, `"`+name+`":"`)
	if !ok {
		return line
	}
	value, rest, _ := strings.Cut(tail, `"`)
	var b []byte
	must(t, json.Unmarshal([]byte(`"`+value+`"`), &b))
	change(b)
	coded, err := json.Marshal(b)
	must(t, err)
	return head + `"` + name + `":` + string(coded) + rest
}

// A person who looks at the page is told that an honest answer holds, and of each byte that was changed on its way
// that it does not.
func TestPageInABrowser(t *testing.T) {
	b := startBrowser(t)
	miner := newAccount(t)
	_, srv := serveSigned(t, gateway.Config{Engine: realEngine(t)}, miner)
	flip := func(b []byte) { b[len(b)/2] ^= 1 }
	cut := 0
	for _, c := range []struct {
		name, want, says string
		change           func(string) string
	}{
		{"cut off twice", "good: Checked", "✓ the 160 tokens above", func(l string) string {
			if strings.HasPrefix(l, "id: ") {
				if cut++; cut == 20 || cut == 31 {
					panic(http.ErrAbortHandler) // the connection ends in the middle of an event
				}
			}
			return l
		}},
		{"honest", "good: Checked", "✓ the signature is right", func(l string) string { return l }},
		{"text", "bad: DOES NOT MATCH", "", func(l string) string {
			if strings.Contains(l, `"seq":9,`) {
				head, assay, _ := strings.Cut(l, `"assay":`)
				l = head + `"assay":` + field(t, assay, "text", flip)
			}
			return l
		}},
		{"digest", "bad: DOES NOT MATCH", "", func(l string) string {
			if strings.Contains(l, `"seq":9,`) {
				l = field(t, l, "digest", flip)
			}
			return l
		}},
		{"signature", "bad: DOES NOT MATCH", "✗ the signature is not right", func(l string) string { return field(t, l, "signature", flip) }},
		{"receipt", "bad: DOES NOT MATCH", "✗", func(l string) string { return field(t, l, "receipt", flip) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			by := *b
			by.t = t
			run := by.open(strings.Replace(meddler(t, srv.URL, c.change).URL, "127.0.0.1", "miner.test", 1) + "/")
			b.id = by.id
			defer func() { b.id = by.id }()
			run(loaded)
			if subtle := run(`String(crypto.subtle)`); subtle != "undefined" {
				t.Errorf("the page has WebCrypto: %s", subtle)
			}
			if got := run(asked); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s, want %s", got, c.want)
			}
			said := run(found)
			if !strings.Contains(said, c.says) {
				t.Errorf("found %q, want %q", said, c.says)
			}
			if c.name == "honest" && (strings.Contains(said, "✗") || !strings.Contains(said, "assay verify receipt answer-")) {
				t.Errorf("found %q", said)
			}
			if wide := run(`document.documentElement.scrollWidth > innerWidth ? 'wide' : 'fits'`); wide != "fits" {
				t.Error("the page is wider than a telephone")
			}
		})
	}
}

// A person at the keyboard begins an answer with Enter, is not stopped by a second one, and ends it with Escape.
func TestPageByKeyboard(t *testing.T) {
	b := startBrowser(t)
	gate := make(chan struct{})
	_, srv := serveSigned(t, gateway.Config{Engine: firstOf{realEngine(t), gate}}, newAccount(t))
	run := b.open(srv.URL + "/")
	run(loaded)
	run(`document.getElementById('prompt').focus(); ''`)
	press := func(key, text string) {
		t.Helper()
		for _, kind := range []string{"keyDown", "keyUp"} {
			p := map[string]any{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": map[string]int{"Enter": 13, "Escape": 27}[key]}
			if kind == "keyDown" && text != "" {
				p["text"] = text
			}
			b.call(b.session, "Input.dispatchKeyEvent", p)
		}
	}
	verdict := func(has string) string {
		return watch + `(() => { const v = document.getElementById('verdict').textContent; return v.includes('` + has + `') && v; })`
	}
	press("Enter", "\r")
	run(verdict("3 tokens"))
	press("Enter", "\r")
	if got := run(`document.getElementById('go').textContent`); got != "Stop" {
		t.Errorf("after a second Enter the button says %q", got)
	}
	press("Escape", "")
	run(verdict("Stopped"))
	if got := run(found); !strings.Contains(got, "nobody has signed them") {
		t.Errorf("after Escape: %q", got)
	}
}

// The page as a browser gets it: its scripts as scripts, and nothing from elsewhere.
func TestPageIsServed(t *testing.T) {
	srv, _, _ := serve(t, gateway.Limits{})
	for path, want := range map[string]string{
		"/": "text/html", "/page/page.js": "text/javascript", "/page/noble-secp256k1.js": "text/javascript",
		"/page/noble-secp256k1.LICENSE": "text/plain", "/page/none.js": "", "/page/..%2fhttp.go": "",
	} {
		resp, err := http.Get(srv.URL + path)
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		must(t, errors.Join(err, resp.Body.Close()))
		if want == "" {
			if resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %s", path, resp.Status)
			}
			continue
		}
		if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), want) || len(body) == 0 {
			t.Errorf("%s: %s, %s, %d bytes", path, resp.Status, resp.Header.Get("Content-Type"), len(body))
		}
		if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'; script-src 'self';") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if bytes.Contains(body, []byte("<script>")) {
			t.Errorf("%s has a script that its policy forbids", path)
		}
	}
}
