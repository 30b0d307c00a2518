package network

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	cmtcfg "github.com/cometbft/cometbft/config"
	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
)

// ErrTrust says that nodes show no header that a joining node could trust.
var ErrTrust = errors.New("network: no header to trust")

// trustTimeout bounds what Trust waits for the nodes, all together.
const trustTimeout = 30 * time.Second

// MaxTrusted bounds the nodes of StateSync.
const MaxTrusted = 16

// trustDepth is how far below the newest block the trusted header lies: below the snapshots that
// others keep. From there a light client goes up by few headers, while down it needs each one.
const trustDepth = 4 * defaultSnapshotBlocks

// Trust asks nodes for a header that all of them have. They must show the same one, of the chain
// and within the trust period: so whoever has no header from elsewhere is deceived only if all of
// them lie. Errors wrap ErrTrust and name the node. It writes nothing.
func Trust(ctx context.Context, chainID string, rpc []string) (*StateSync, error) {
	if len(rpc) == 0 || len(rpc) > MaxTrusted {
		return nil, fmt.Errorf("%w: %d nodes are named, want 1 to %d", ErrTrust, len(rpc), MaxTrusted)
	}
	ctx, cancel := context.WithTimeout(ctx, trustTimeout)
	defer cancel()
	nodes := make([]*rpchttp.HTTP, len(rpc))
	lowest, newest := int64(1), int64(math.MaxInt64)
	for i, url := range rpc {
		var err error
		if nodes[i], err = rpchttp.New(url, "/websocket"); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrTrust, url, err)
		}
		s, err := nodes[i].Status(ctx)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: ask %s: %w", ErrTrust, url, err)
		case s.NodeInfo.Network != chainID:
			return nil, fmt.Errorf("%w: %s follows chain %q, not %q", ErrTrust, url, s.NodeInfo.Network, chainID)
		case s.SyncInfo.LatestBlockHeight < 1:
			return nil, fmt.Errorf("%w: %s has no block yet", ErrTrust, url)
		}
		lowest, newest = max(lowest, s.SyncInfo.EarliestBlockHeight), min(newest, s.SyncInfo.LatestBlockHeight)
	}
	height := max(lowest, newest-trustDepth)
	y := &StateSync{RPC: slices.Clone(rpc), Height: height}
	for i, node := range nodes {
		r, err := node.Header(ctx, &height)
		if err != nil {
			return nil, fmt.Errorf("%w: ask %s for header %d: %w", ErrTrust, rpc[i], height, err)
		}
		if r.Header == nil || r.Header.Height != height || r.Header.ChainID != chainID || r.Header.ValidateBasic() != nil {
			return nil, fmt.Errorf("%w: %s shows no valid header %d of %q", ErrTrust, rpc[i], height, chainID)
		}
		if age := time.Since(r.Header.Time); age > trustPeriod {
			return nil, fmt.Errorf("%w: header %d of %s is %s old, at most %s", ErrTrust, height, rpc[i], age.Round(time.Minute), trustPeriod)
		}
		hash := r.Header.Hash()
		if i > 0 && !bytes.Equal(hash, y.Hash) {
			return nil, fmt.Errorf("%w: header %d is %X at %s and %X at %s: one of them follows another chain",
				ErrTrust, height, y.Hash, rpc[0], hash, rpc[i])
		}
		y.Hash = hash
	}
	return y, nil
}

// apply makes it a node's configuration.
func (y *StateSync) apply(cfg *cmtcfg.StateSyncConfig) {
	cfg.Enable = true
	cfg.RPCServers = y.RPC
	if len(y.RPC) == 1 {
		cfg.RPCServers = []string{y.RPC[0], y.RPC[0]} // CometBFT wants a witness
	}
	cfg.TrustHeight, cfg.TrustHash, cfg.TrustPeriod = y.Height, hex.EncodeToString(y.Hash), trustPeriod
}
