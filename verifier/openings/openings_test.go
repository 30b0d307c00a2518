package openings

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

const fold = 4

// world is one claim, three validators and the miner's real handler.
type world struct {
	claim   commit.Claim
	builder *commit.Builder
	digests [][]commit.Digest
	round   sample.Round
	keys    []*sample.SecretKey
	units   uint64
	openErr func(indexes []uint64) error // nil: opens everything
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{units: 90}
	var err error
	if w.builder, err = commit.NewBuilder(fold); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 75 {
		ds := make([]commit.Digest, fold)
		for i := range ds {
			for j := range ds[i] {
				ds[i][j] = byte(rng.Uint32())
			}
		}
		if _, err := w.builder.AddFold(ds); err != nil {
			t.Fatal(err)
		}
		w.digests = append(w.digests, ds)
	}
	w.claim = commit.Claim{Epoch: 5, Claimant: []byte("miner"), Root: w.builder.Root(), Count: w.builder.Count()}
	w.round = sample.Round{ChainID: "assay-1", Epoch: 5, Number: 0, ClaimsRoot: commit.ClaimsRoot([]commit.Claim{w.claim})}
	for i := range byte(3) {
		k, err := sample.GenerateKey(rand.NewChaCha8([32]byte{i}))
		if err != nil {
			t.Fatal(err)
		}
		w.keys = append(w.keys, k)
		w.round.Seats = append(w.round.Seats, sample.Seat{Validator: []byte{'v', i}, Power: 100, Key: k.Public()})
	}
	return w
}

func (w *world) Audit(_ context.Context, epoch, round uint64) (Audit, error) {
	if epoch != w.claim.Epoch || round != w.round.Number {
		return Audit{}, ErrUnknown
	}
	return Audit{Round: w.round, Claim: w.claim, Units: w.units}, nil
}

func (w *world) Open(_ context.Context, claim commit.Claim, indexes []uint64) ([]commit.Opening, error) {
	if w.openErr != nil {
		if err := w.openErr(indexes); err != nil {
			return nil, err
		}
	}
	var out []commit.Opening
	for _, x := range indexes {
		path, err := w.builder.InclusionProof(x/fold, claim.Count)
		if err != nil {
			return nil, err
		}
		out = append(out, commit.Opening{Index: x, Digests: slices.Clone(w.digests[x/fold]), Proof: path})
	}
	return out, nil
}

// request is validator v's honest request for its whole sample.
func (w *world) request(v int) Request {
	p := w.keys[v].Prove(w.round.Input())
	d := w.round.Draw(w.round.Seats[v].Validator, w.claim.Claimant, w.claim.Count, w.units)
	return Request{Epoch: 5, Claimant: w.claim.Claimant, Validator: w.round.Seats[v].Validator, Proof: p, Indexes: d.Indexes(p.Output())}
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(Path, h)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func TestFetch(t *testing.T) {
	w := newWorld(t)
	var served atomic.Int64
	url := serve(t, NewHandler(HandlerConfig{Source: w, Served: func(q Request) { served.Add(int64(len(q.Indexes))) }}))
	c := NewClient(ClientConfig{})
	defer c.Close()
	for v := range w.keys {
		q := w.request(v)
		if len(q.Indexes) != 30 {
			t.Fatalf("%d indexes", len(q.Indexes))
		}
		for range 2 { // the second time from the remembered proof
			res := c.Fetch(t.Context(), url, q, w.claim, fold)
			if res.Err != nil || len(res.Missing) > 0 || len(res.Opened) != len(q.Indexes) {
				t.Fatalf("%+v", res.Err)
			}
			for i, o := range res.Opened {
				x := q.Indexes[i]
				if o.Opening.Index != x || o.Digest != w.digests[x/fold][x%fold] {
					t.Fatalf("unit %d", x)
				}
			}
		}
	}
	if served.Load() != 180 {
		t.Errorf("served %d", served.Load())
	}
}

// Each lie in a request is refused with its own code, over a real socket.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	url := serve(t, NewHandler(HandlerConfig{Source: w}))
	other := w.request(1)
	notDrawn := func(q Request) uint64 {
		for x := uint64(0); ; x++ {
			if !slices.Contains(q.Indexes, x) {
				return x
			}
		}
	}
	for name, c := range map[string]struct {
		bend func(*Request)
		code Code
	}{
		"epoch":                {func(q *Request) { q.Epoch++ }, CodeUnknownRound},
		"round":                {func(q *Request) { q.Round++ }, CodeUnknownRound},
		"claimant":             {func(q *Request) { q.Claimant = []byte("other") }, CodeUnknownClaim},
		"stranger":             {func(q *Request) { q.Validator = []byte("nobody") }, CodeNoSeat},
		"another's identity":   {func(q *Request) { q.Validator = w.round.Seats[1].Validator }, CodeBadProof},
		"another's proof":      {func(q *Request) { q.Proof = other.Proof }, CodeBadProof},
		"bent proof":           {func(q *Request) { q.Proof[50] ^= 1 }, CodeBadProof},
		"zero proof":           {func(q *Request) { q.Proof = sample.Proof{} }, CodeBadProof},
		"another's sample":     {func(q *Request) { q.Indexes = other.Indexes }, CodeNotDrawn},
		"one index not drawn":  {func(q *Request) { q.Indexes = []uint64{notDrawn(*q)} }, CodeNotDrawn},
		"index past the claim": {func(q *Request) { q.Indexes = []uint64{1 << 60} }, CodeNotDrawn},
		"no index":             {func(q *Request) { q.Indexes = nil }, CodeBadRequest},
		"unsorted":             {func(q *Request) { slices.Reverse(q.Indexes) }, CodeBadRequest},
		"repeated":             {func(q *Request) { q.Indexes[1] = q.Indexes[0] }, CodeBadRequest},
		"too many":             {func(q *Request) { q.Indexes = ascending(MaxIndexes + 1) }, CodeBadRequest},
		"too large":            {func(q *Request) { q.Indexes = ascending(MaxRequestBytes) }, CodeTooLarge},
		"no claimant":          {func(q *Request) { q.Claimant = nil }, CodeBadRequest},
		"long claimant":        {func(q *Request) { q.Claimant = make([]byte, commit.MaxAddress+1) }, CodeBadRequest},
	} {
		q := w.request(0)
		c.bend(&q)
		body, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, name, post(t, url, body), c.code)
	}
	good, err := json.Marshal(w.request(0))
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"empty": "", "no JSON": "openings please", "array": "[]", "number": "7", "trailing": string(good) + "{}",
		"unknown field": strings.Replace(string(good), `"epoch"`, `"admin":1,"epoch"`, 1),
		"negative":      strings.Replace(string(good), `"epoch":5`, `"epoch":-5`, 1),
		"float":         strings.Replace(string(good), `"epoch":5`, `"epoch":5.5`, 1),
		"bad hex":       strings.Replace(string(good), `"claimant":"`, `"claimant":"zz`, 1),
		"short proof":   `{"epoch":5,"round":0,"claimant":"00","validator":"00","proof":"AAAA","indexes":[1]}`,
	} {
		expect(t, name, post(t, url, []byte(body)), CodeBadRequest)
	}
	resp, err := http.Get(url + Path)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "GET", resp, CodeMethod)
	// None of it disturbed the honest request.
	cl := NewClient(ClientConfig{})
	defer cl.Close()
	if res := cl.Fetch(t.Context(), url, w.request(0), w.claim, fold); res.Err != nil {
		t.Error(res.Err)
	}
}

func ascending(n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = uint64(i)
	}
	return out
}

func post(t *testing.T, url string, body []byte) *http.Response {
	t.Helper()
	resp, err := http.Post(url+Path, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func expect(t *testing.T, name string, resp *http.Response, code Code) {
	t.Helper()
	defer resp.Body.Close()
	var e errorJSON
	raw, err := io.ReadAll(resp.Body)
	if err != nil || json.Unmarshal(raw, &e) != nil || e.Error == nil {
		t.Errorf("%s: status %d, body %q", name, resp.StatusCode, raw)
		return
	}
	if e.Error.Code != code || resp.StatusCode != statusOf[code] || e.Error.Message == "" {
		t.Errorf("%s: status %d, %v, want %s", name, resp.StatusCode, e.Error, code)
	}
}

func TestBusy(t *testing.T) {
	w := newWorld(t)
	entered, release := make(chan struct{}), make(chan struct{})
	w.openErr = func([]uint64) error { entered <- struct{}{}; <-release; return nil }
	url := serve(t, NewHandler(HandlerConfig{Source: w, Concurrent: 1}))
	c := NewClient(ClientConfig{})
	defer c.Close()
	first := make(chan Result, 1)
	go func() { first <- c.Fetch(t.Context(), url, w.request(0), w.claim, fold) }()
	<-entered
	res := c.Fetch(t.Context(), url, w.request(1), w.claim, fold)
	var refused *Error
	if !errors.As(res.Err, &refused) || refused.Code != CodeBusy || len(res.Missing) != 30 {
		t.Errorf("second request: %v, %d missing", res.Err, len(res.Missing))
	}
	close(release)
	if res := <-first; res.Err != nil {
		t.Error(res.Err)
	}
}

// A miner that withholds single units is pinned to those: the others are
// fetched in spite of it.
func TestWithheldUnitsAreIsolated(t *testing.T) {
	w := newWorld(t)
	q := w.request(0)
	secret := q.Indexes[7]
	w.openErr = func(indexes []uint64) error {
		if slices.Contains(indexes, secret) {
			return errors.New("no")
		}
		return nil
	}
	c := NewClient(ClientConfig{})
	defer c.Close()
	res := c.Fetch(t.Context(), serve(t, NewHandler(HandlerConfig{Source: w})), q, w.claim, fold)
	if !slices.Equal(res.Missing, []uint64{secret}) || len(res.Opened) != len(q.Indexes)-1 || res.Err == nil {
		t.Errorf("missing %v (withheld %d), %d opened, %v", res.Missing, secret, len(res.Opened), res.Err)
	}
}

// Whatever a lying miner answers, the client returns nothing unproven, within
// its bounds of time and size.
func TestLyingMiner(t *testing.T) {
	w := newWorld(t)
	q := w.request(0)
	honest := func(t *testing.T) [][]byte {
		opened, err := w.Open(t.Context(), w.claim, q.Indexes)
		if err != nil {
			t.Fatal(err)
		}
		var enc [][]byte
		for _, o := range opened {
			b, err := o.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			enc = append(enc, b)
		}
		return enc
	}
	answer := func(w http.ResponseWriter, v any) {
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Log(err)
		}
	}
	for name, c := range map[string]struct {
		serve   http.HandlerFunc
		missing int // of 30
		class   error
	}{
		"one false digest": {func(rw http.ResponseWriter, _ *http.Request) {
			enc := honest(t)
			enc[3][len(enc[3])/4] ^= 1
			answer(rw, response{enc})
		}, 1, ErrAnswer},
		"swapped": {func(rw http.ResponseWriter, _ *http.Request) {
			enc := honest(t)
			enc[0], enc[1] = enc[1], enc[0]
			answer(rw, response{enc})
		}, 2, ErrAnswer},
		"all the same": {func(rw http.ResponseWriter, _ *http.Request) { answer(rw, response{slices.Repeat(honest(t)[:1], 30)}) }, 29, ErrAnswer},
		"one too few":  {func(rw http.ResponseWriter, _ *http.Request) { answer(rw, response{honest(t)[1:]}) }, 30, ErrAnswer},
		"one too many": {func(rw http.ResponseWriter, _ *http.Request) { answer(rw, response{append(honest(t), nil)}) }, 30, ErrAnswer},
		"nothing":      {func(rw http.ResponseWriter, _ *http.Request) {}, 30, ErrAnswer},
		"garbage":      {func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, "<html>") }, 30, ErrAnswer},
		"status only":  {func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) }, 30, ErrAnswer},
		"wrong status": {func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(418)
			answer(rw, errorJSON{&Error{CodeBusy, "x"}})
		}, 30, ErrAnswer},
		"redirect": {func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, 30, ErrAnswer},
		"endless":        {func(rw http.ResponseWriter, _ *http.Request) { endless(rw) }, 30, ErrAnswer},
		"endless error":  {func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500); endless(rw) }, 30, ErrAnswer},
		"hang up":        {func(rw http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, 30, nil},
		"never answers":  {func(rw http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() }, 30, nil},
		"drips for ever": {drip, 30, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, c.serve)
			cl := NewClient(ClientConfig{Timeout: 500 * time.Millisecond})
			defer cl.Close()
			start := time.Now()
			res := cl.Fetch(t.Context(), url, q, w.claim, fold)
			if len(res.Missing) != c.missing || len(res.Opened) != 30-c.missing || res.Err == nil {
				t.Errorf("%d missing, want %d: %v", len(res.Missing), c.missing, res.Err)
			}
			if c.class != nil && !errors.Is(res.Err, c.class) {
				t.Errorf("%v, want %v", res.Err, c.class)
			}
			for _, o := range res.Opened {
				if x := o.Opening.Index; o.Digest != w.digests[x/fold][x%fold] {
					t.Errorf("unit %d: a digest the claim does not hold", x)
				}
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

func endless(w io.Writer) {
	chunk := bytes.Repeat([]byte("a"), 1<<16)
	for {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// drip sends a byte each time the peer's buffers are flushed, until it hangs up.
func drip(w http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
			if _, err := w.Write([]byte(" ")); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	}
}

func TestRemoteMessageIsBounded(t *testing.T) {
	w := newWorld(t)
	url := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(503)
		_ = json.NewEncoder(rw).Encode(errorJSON{&Error{CodeBusy, strings.Repeat("\u00e9", 1000)}})
	}))
	c := NewClient(ClientConfig{})
	defer c.Close()
	var e *Error
	if res := c.Fetch(t.Context(), url, w.request(0), w.claim, fold); !errors.As(res.Err, &e) || len(e.Message) > maxMessage+1 {
		t.Errorf("%v", res.Err)
	}
}

func TestTarget(t *testing.T) {
	for _, bad := range []string{"", "host:80", "ftp://host", "http://", "http://user@host", "http://host/?q=1", "http://host/#f", "://", "http://%zz"} {
		if got, err := Target(bad); !errors.Is(err, ErrEndpoint) {
			t.Errorf("%q gave %q, %v", bad, got, err)
		}
	}
	for in, want := range map[string]string{"http://h:1": "http://h:1" + Path, "https://h/x/": "https://h/x" + Path} {
		if got, err := Target(in); err != nil || got != want {
			t.Errorf("%q gave %q, %v", in, got, err)
		}
	}
	c := NewClient(ClientConfig{})
	defer c.Close()
	if res := c.Fetch(t.Context(), "gopher://x", Request{Indexes: []uint64{1, 2}}, commit.Claim{}, 4); !errors.Is(res.Err, ErrEndpoint) || len(res.Missing) != 2 {
		t.Errorf("%+v", res)
	}
}

func TestFetchStopsWithItsContext(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	fetched := make(chan struct{})
	// An answer that were sent could win against the cancellation.
	w.openErr = func([]uint64) error { cancel(); <-fetched; return nil }
	c := NewClient(ClientConfig{})
	defer c.Close()
	res := c.Fetch(ctx, serve(t, NewHandler(HandlerConfig{Source: w})), w.request(0), w.claim, fold)
	close(fetched)
	if !errors.Is(res.Err, context.Canceled) || len(res.Missing) != 30 {
		t.Errorf("%v", res.Err)
	}
}

func FuzzRequest(f *testing.F) {
	b, err := json.Marshal(Request{Epoch: 1, Claimant: []byte{1}, Validator: []byte{2}, Indexes: []uint64{1, 5}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var q Request
		if json.Unmarshal(b, &q) != nil {
			return
		}
		again, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		var r Request
		if err := json.Unmarshal(again, &r); err != nil || !slices.Equal(q.Indexes, r.Indexes) || q.Proof != r.Proof {
			t.Fatalf("does not survive a round trip: %v", err)
		}
	})
}
