package openings

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/assaynet/assay/verifier/commit"
)

var (
	// ErrEndpoint: a registered endpoint that is no http or https address.
	ErrEndpoint = errors.New("openings: not an endpoint")
	// ErrAnswer: an answer that is too large, malformed, or not the openings
	// that were asked for.
	ErrAnswer = errors.New("openings: bad answer")
)

// ClientConfig of a Client. The zero value is usable.
type ClientConfig struct {
	Timeout  time.Duration // of one HTTP request; 0: 10 s
	Requests int           // most HTTP requests of one Fetch; 0: 24
}

// Client fetches openings. It is safe for concurrent use.
type Client struct {
	cfg  ClientConfig
	http *http.Client
}

// NewClient makes a client with its own connections. It follows no redirects.
func NewClient(cfg ClientConfig) *Client {
	if cfg.Timeout <= 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Requests <= 0 {
		cfg.Requests = 24
	}
	return &Client{cfg: cfg, http: &http.Client{
		Timeout: cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return fmt.Errorf("%w: redirects are not followed", ErrAnswer)
		},
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: cfg.Timeout / 2}).DialContext,
			MaxResponseHeaderBytes: 16 << 10,
			MaxIdleConns:           64,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        30 * time.Second,
			ResponseHeaderTimeout:  cfg.Timeout,
			TLSHandshakeTimeout:    cfg.Timeout / 2,
		},
	}}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Opened is a unit whose digest is proven to be what the claim commits to.
type Opened struct {
	Digest  commit.Digest
	Opening commit.Opening
}

// Result of a Fetch: every index asked for is in exactly one of the lists.
type Result struct {
	Opened  []Opened
	Missing []uint64 // sorted; not served, or served with an opening that does not verify
	Err     error    // why the last missing one is missing; nil if none is
}

// Fetch asks the miner at endpoint for the openings of a request and verifies
// them against the claim. Where a batch fails but the miner answers, it asks
// for halves, so that one withheld unit does not hide the others.
func (c *Client) Fetch(ctx context.Context, endpoint string, q Request, claim commit.Claim, fold uint64) Result {
	var res Result
	target, err := Target(endpoint)
	if err != nil {
		return Result{Missing: q.Indexes, Err: err}
	}
	budget := c.cfg.Requests
	work := [][]uint64{}
	for rest := q.Indexes; len(rest) > 0; {
		n := min(len(rest), MaxIndexes)
		work = append(work, rest[:n])
		rest = rest[n:]
	}
	for len(work) > 0 {
		batch := work[0]
		work = work[1:]
		if budget == 0 {
			res.Missing = append(res.Missing, batch...)
			continue
		}
		budget--
		q.Indexes = batch
		opened, missing, err := c.batch(ctx, target, q, claim, fold)
		res.Opened = append(res.Opened, opened...)
		if err == nil {
			continue
		}
		res.Err = err
		// Halves only where it can help: the miner is there and refuses.
		var refused *Error
		if len(missing) == len(batch) && len(batch) > 1 && errors.As(err, &refused) && refused.Code != CodeBusy {
			work = append(work, batch[:len(batch)/2], batch[len(batch)/2:])
			continue
		}
		res.Missing = append(res.Missing, missing...)
	}
	slices.Sort(res.Missing)
	return res
}

// batch makes one request. missing is what of it was not opened.
func (c *Client) batch(ctx context.Context, target string, q Request, claim commit.Claim, fold uint64) (opened []Opened, missing []uint64, err error) {
	encoded, err := c.post(ctx, target, q, fold)
	if err != nil {
		return nil, q.Indexes, err
	}
	for i, index := range q.Indexes {
		o, err2 := verified(encoded[i], index, claim, fold)
		if err2 != nil {
			missing, err = append(missing, index), err2
			continue
		}
		opened = append(opened, o)
	}
	return opened, missing, err
}

func verified(encoded []byte, index uint64, claim commit.Claim, fold uint64) (Opened, error) {
	var o commit.Opening
	if err := o.UnmarshalBinary(encoded); err != nil {
		return Opened{}, fmt.Errorf("%w: unit %d: %w", ErrAnswer, index, err)
	}
	if o.Index != index {
		return Opened{}, fmt.Errorf("%w: unit %d where %d was asked for", ErrAnswer, o.Index, index)
	}
	digest, err := o.Verify(claim.Root, claim.Count, fold)
	if err != nil {
		return Opened{}, fmt.Errorf("%w: unit %d: %w", ErrAnswer, index, err)
	}
	return Opened{digest, o}, nil
}

func (c *Client) post(ctx context.Context, target string, q Request, fold uint64) ([][]byte, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEndpoint, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("openings: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, remoteError(resp)
	}
	raw, err := readCapped(resp.Body, maxResponse(len(q.Indexes), fold))
	if err != nil {
		return nil, err
	}
	var answer response
	if err := decodeStrict(raw, &answer); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if len(answer.Openings) != len(q.Indexes) {
		return nil, fmt.Errorf("%w: %d openings for %d units", ErrAnswer, len(answer.Openings), len(q.Indexes))
	}
	return answer.Openings, nil
}

// maxResponse is the most bytes that n openings of one fold each take in JSON:
// base64 of the encoding, quotes and comma, and the object around them.
func maxResponse(n int, fold uint64) int64 {
	opening := commit.MaxOpeningBytes - (commit.MaxFold-int(min(fold, commit.MaxFold)))*commit.UnitDigestSize
	return int64(n*((opening+2)/3*4+3)) + 64
}

func readCapped(r io.Reader, limit int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("openings: %w", err)
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("%w: above %d bytes", ErrAnswer, limit)
	}
	return raw, nil
}

func remoteError(resp *http.Response) error {
	raw, err := readCapped(resp.Body, MaxErrorBytes)
	if err != nil {
		return err
	}
	var e errorJSON
	if json.Unmarshal(raw, &e) != nil || e.Error == nil || statusOf[e.Error.Code] != resp.StatusCode {
		return fmt.Errorf("%w: status %d", ErrAnswer, resp.StatusCode)
	}
	if len(e.Error.Message) > maxMessage {
		e.Error.Message = e.Error.Message[:maxMessage]
	}
	e.Error.Message = strings.ToValidUTF8(e.Error.Message, "?")
	return e.Error
}

// Target is the URL that openings of a registered endpoint are fetched from.
func Target(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%w: %.100q", ErrEndpoint, endpoint)
	}
	return u.JoinPath(Path).String(), nil
}
