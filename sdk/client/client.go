package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// maxMessage bounds one gRPC answer: a block's worth of bytes with room.
const maxMessage = 32 << 20

// A node that comes back is used again within seconds: gRPC's own pause grows
// to two minutes, a third of a sprint.
var reconnect = backoff.Config{BaseDelay: 250 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second}

// connectTimeout is gRPC's default, which WithConnectParams would set to zero.
const connectTimeout = 20 * time.Second

// A call to a node whose machine is gone without a word fails after quietTime
// and quietTimeout, where TCP would go on for a quarter of an hour.
const (
	quietTime    = 30 * time.Second
	quietTimeout = 20 * time.Second
)

// Config says how to reach a node.
type Config struct {
	// GRPC is host:port of the node's gRPC server.
	GRPC string
	// ChainID is the chain that transactions are signed for. If empty it is
	// asked from the node.
	ChainID string
	// PollInterval is how often the client looks for a height or an included
	// transaction. Default 150 ms.
	PollInterval time.Duration
}

// Client is a connection to one node. It is safe for concurrent use.
type Client struct {
	cfg  Config
	conn *grpc.ClientConn
	enc  *Encoding
}

// Dial connects to a node. The connection is plain: use it on loopback or
// through a tunnel.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	if cfg.PollInterval <= 0 {
		cfg.PollInterval = 150 * time.Millisecond
	}
	enc, err := NewEncoding()
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(cfg.GRPC,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: connectTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: quietTime, Timeout: quietTimeout}),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodec(enc.grpcCodec()),
			grpc.MaxCallRecvMsgSize(maxMessage),
			grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		return nil, fmt.Errorf("client: connect to %s: %w", cfg.GRPC, err)
	}
	c := &Client{cfg: cfg, conn: conn, enc: enc}
	if cfg.ChainID == "" {
		info, err := cmtservice.NewServiceClient(conn).GetNodeInfo(ctx, &cmtservice.GetNodeInfoRequest{})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("client: ask %s for its chain: %w", cfg.GRPC, err), conn.Close())
		}
		c.cfg.ChainID = info.DefaultNodeInfo.Network
	}
	return c, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// ChainID is the chain that this client signs for.
func (c *Client) ChainID() string { return c.cfg.ChainID }

// Conn is the gRPC connection, for the query clients of the modules.
func (c *Client) Conn() *grpc.ClientConn { return c.conn }

// Height is the node's latest block height.
func (c *Client) Height(ctx context.Context) (int64, error) {
	b, err := cmtservice.NewServiceClient(c.conn).GetLatestBlock(ctx, &cmtservice.GetLatestBlockRequest{})
	if err != nil {
		return 0, fmt.Errorf("client: latest block: %w", err)
	}
	return b.SdkBlock.Header.Height, nil
}

// WaitHeight returns once the node has committed height h.
func (c *Client) WaitHeight(ctx context.Context, h int64) (int64, error) {
	for {
		now, err := c.Height(ctx)
		if err == nil && now >= h {
			return now, nil
		}
		if werr := c.pause(ctx); werr != nil {
			return now, errors.Join(werr, err)
		}
	}
}

// pause waits one poll interval or until ctx ends.
func (c *Client) pause(ctx context.Context) error {
	t := time.NewTimer(c.cfg.PollInterval)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
