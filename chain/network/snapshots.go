package network

import (
	"context"
	"fmt"

	"cosmossdk.io/log/v2"

	serverconfig "github.com/cosmos/cosmos-sdk/server/config"
)

// snapshots takes a snapshot of the state at every interval-th height until ctx ends, and keeps
// the newest ones. The SDK would take them too, in goroutines that nothing waits for: one that is
// at work when the node stops reads a closed database and ends the process.
func (n *Node) snapshots(ctx context.Context, cfg serverconfig.StateSyncConfig, logger log.Logger) error {
	interval := int64(cfg.SnapshotInterval)
	for next := interval; ; next += interval {
		next = max(next, n.Height()/interval*interval)
		if err := n.WaitHeight(ctx, next); err != nil {
			if ctx.Err() != nil || !n.comet.IsRunning() {
				return ctx.Err()
			}
			next -= interval // too slow to follow the events; look again
			continue
		}
		m := n.app.SnapshotManager()
		if _, err := m.Create(uint64(next)); err != nil {
			// Nobody's block depends on it: the next one may succeed.
			logger.Error("no snapshot of the state was taken", "height", next, "err", err)
			continue
		}
		if _, err := m.Prune(cfg.SnapshotKeepRecent); err != nil {
			logger.Error("old snapshots of the state were not removed", "err", err)
		}
	}
}

// checkSnapshots refuses settings that the runner could not follow.
func checkSnapshots(cfg serverconfig.StateSyncConfig) error {
	if cfg.SnapshotInterval > 1<<32 {
		return fmt.Errorf("network: state-sync.snapshot-interval is %d blocks, at most 2^32", cfg.SnapshotInterval)
	}
	return nil
}
