package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/assaynet/assay/sdk/client"
)

var (
	// errWrongChain: the node follows another chain than the one that was asked for.
	errWrongChain = errors.New("wrong chain")
	// errNoNode: what listens at the address can never be a node's gRPC server.
	errNoNode = errors.New("no node")
)

// Bounds of the pause between two tries to reach a node, and of one try.
const (
	firstPause = 250 * time.Millisecond
	longPause  = 5 * time.Second
	tryTimeout = 10 * time.Second
)

// nodeWatch says how a participant waits for its node. The zero value takes
// any chain and tells nobody.
type nodeWatch struct {
	// ChainID is the chain that the node must follow; empty: whichever it does.
	ChainID string
	// Waiting is told once each time that the node cannot be used, why and what
	// to do about it; Back once it can be used again. Nil: nobody is told.
	Waiting func(why string)
	Back    func(chainID string, height int64)
}

func (w nodeWatch) waiting(addr string, err error) {
	if w.Waiting != nil {
		w.Waiting(fmt.Sprintf("waiting for the node at %s: %s", addr, whyNot(err)))
	}
}

func (w nodeWatch) back(c *client.Client, height int64) {
	if w.Back != nil {
		w.Back(c.ChainID(), height)
	}
}

// errSyncing: the node answers, but from a state that is not the chain's newest.
var errSyncing = errors.New("the node is catching up")

// dial connects to a node and returns once it follows the chain. It tries
// until ctx ends; errWrongChain and errNoNode are final.
func (w nodeWatch) dial(ctx context.Context, addr string) (*client.Client, error) {
	var c *client.Client
	height, err := w.retry(ctx, addr, func(ctx context.Context) (int64, error) {
		if c == nil {
			var err error
			if c, err = client.Dial(ctx, client.Config{GRPC: addr}); err != nil {
				c = nil
				return 0, err
			}
		}
		return w.check(ctx, c)
	})
	if err != nil {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
		return nil, err
	}
	if height.waited {
		w.back(c, height.height)
	}
	return c, nil
}

// reached is the node's height, and whether there was a wait for it.
type reached struct {
	height int64
	waited bool
}

// retry tries with growing pauses until try succeeds, ends for good or ctx ends.
func (w nodeWatch) retry(ctx context.Context, addr string, try func(context.Context) (int64, error)) (reached, error) {
	var r reached
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		one, cancel := context.WithTimeout(ctx, tryTimeout)
		height, err := try(one)
		cancel()
		switch {
		case err == nil:
			r.height = height
			return r, nil
		case ctx.Err() != nil:
			return r, ctx.Err()
		}
		if err := final(addr, err); err != nil {
			return r, err
		}
		if !r.waited {
			w.waiting(addr, err)
			r.waited = true
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return r, ctx.Err()
		}
	}
}

// again calls f, and once more whenever the node went away in the middle.
func (w nodeWatch) again(ctx context.Context, addr string, c *client.Client, f func() error) error {
	for {
		err := f()
		if err == nil || ctx.Err() != nil || status.Code(unwrapStatus(err)) != codes.Unavailable {
			return err
		}
		w.waiting(addr, err)
		quiet := nodeWatch{ChainID: w.ChainID}
		r, err := quiet.retry(ctx, addr, func(ctx context.Context) (int64, error) { return w.check(ctx, c) })
		if err != nil {
			return err
		}
		w.back(c, r.height)
	}
}

// check returns the height of a node that can be used.
func (w nodeWatch) check(ctx context.Context, c *client.Client) (int64, error) {
	q := cmtservice.NewServiceClient(c.Conn())
	info, err := q.GetNodeInfo(ctx, &cmtservice.GetNodeInfoRequest{})
	if err != nil {
		return 0, err
	}
	got := info.DefaultNodeInfo.Network
	if want := w.ChainID; want != "" && got != want {
		return 0, fmt.Errorf("%w: the node follows %s, this miner belongs to %s: name a node of %s with --grpc, or use another --home", errWrongChain, got, want, want)
	}
	if got != c.ChainID() {
		return 0, fmt.Errorf("%w: the node follows %s, and followed %s before: start again if that is meant", errWrongChain, got, c.ChainID())
	}
	height, err := c.Height(ctx)
	if err != nil {
		return 0, err
	}
	s, err := q.GetSyncing(ctx, &cmtservice.GetSyncingRequest{})
	if err != nil {
		return 0, err
	}
	if s.Syncing {
		return 0, fmt.Errorf("%w, at height %d", errSyncing, height)
	}
	return height, nil
}

// follow watches the connection until ctx ends, which is no error, or the node
// comes back as one that cannot be used. Then check, which may be nil, says
// whether the run may go on.
func (w nodeWatch) follow(ctx context.Context, addr string, c *client.Client, check func(context.Context) error) error {
	conn := c.Conn()
	w.ChainID = c.ChainID()
	for state := conn.GetState(); ; state = conn.GetState() {
		if state != connectivity.TransientFailure {
			if !conn.WaitForStateChange(ctx, state) {
				return nil
			}
			continue
		}
		r, err := w.retry(ctx, addr, func(ctx context.Context) (int64, error) {
			height, err := w.check(ctx, c)
			if err == nil && check != nil {
				err = check(ctx)
			}
			return height, err
		})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if r.waited {
			w.back(c, r.height)
		}
	}
}

// final returns what no waiting mends.
func final(addr string, err error) error {
	switch {
	case errors.Is(err, errWrongChain), errors.Is(err, errNoNode), errors.Is(err, errUnregistered):
		return err
	case strings.Contains(err.Error(), "HTTP/1.1 header"):
		return fmt.Errorf("%w: %s answers HTTP, not gRPC: --grpc is a node's gRPC address, port 9090 unless its config/app.toml says otherwise", errNoNode, addr)
	case status.Code(unwrapStatus(err)) == codes.Unimplemented:
		return fmt.Errorf("%w: %s speaks gRPC but is not a node: %w", errNoNode, addr, err)
	}
	return nil
}

// unwrapStatus finds the gRPC error in a chain of errors.
func unwrapStatus(err error) error {
	var s interface {
		error
		GRPCStatus() *status.Status
	}
	if errors.As(err, &s) {
		return s
	}
	return err
}

// whyNot says why a node cannot be used and what to do, in one line.
func whyNot(err error) string {
	if errors.Is(err, errSyncing) {
		return err.Error() + "; going on by itself when it is done (`assay status` shows how far it is)"
	}
	text := err.Error()
	if s, ok := status.FromError(unwrapStatus(err)); ok {
		text = s.Message()
		if s.Code() == codes.DeadlineExceeded {
			text = fmt.Sprintf("no answer within %s", tryTimeout)
		}
	}
	if i := strings.LastIndex(text, "dial tcp "); i >= 0 {
		text = strings.Trim(text[i:], `"`)
	}
	return text + "; start it (`assay start`) or name another with --grpc; trying again until Ctrl-C"
}
