package app

import (
	"sync"

	sdk "github.com/cosmos/cosmos-sdk/types"

	sprintkeeper "github.com/assaynet/assay/chain/sprint/keeper"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

// Bounds of what a witness remembers: one entry is about 150 bytes, so it holds 60 MB at most, and
// that only where as many accounts commit as an epoch may have claims.
const (
	witnessMiners = 100_000
	witnessEach   = 4 // the newest commitments of a miner
)

// witness remembers which commitments of the running epoch this node's mempool was shown before the
// deadline, for the verdict of its validator. It is no part of the state: a node that restarts has
// seen nothing, and its validator vouches for nothing. It is safe for concurrent use.
type witness struct {
	mu    sync.Mutex
	epoch uint64
	seen  map[string][]commitment
}

type commitment struct {
	count uint64
	root  [32]byte
}

var _ sprinttypes.Witness = (*witness)(nil)

// note remembers a commitment that came in time.
func (w *witness) note(m *sprinttypes.MsgCommitWork, miner []byte) {
	if len(m.Root) != 32 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.epoch != m.Epoch || w.seen == nil {
		w.epoch, w.seen = m.Epoch, make(map[string][]commitment)
	}
	list, known := w.seen[string(miner)]
	if !known && len(w.seen) >= witnessMiners {
		return
	}
	if len(list) == witnessEach {
		list = list[1:]
	}
	w.seen[string(miner)] = append(list[:len(list):len(list)], commitment{m.Count, [32]byte(m.Root)})
}

// Saw says whether exactly this commitment came in time.
func (w *witness) Saw(epoch uint64, miner []byte, count uint64, root []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.epoch != epoch {
		return false
	}
	for _, c := range w.seen[string(miner)] {
		if c.count == count && string(c.root[:]) == string(root) {
			return true
		}
	}
	return false
}

// witnessDecorator is the last check of a transaction: who passes the others into the mempool for the
// first time, before the deadline, has been seen in time.
type witnessDecorator struct {
	sprint  sprintkeeper.Keeper
	witness *witness
}

func (d witnessDecorator) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool, next sdk.AnteHandler) (sdk.Context, error) {
	if !ctx.IsCheckTx() || ctx.IsReCheckTx() || simulate {
		return next(ctx, tx, simulate)
	}
	for _, msg := range tx.GetMsgs() {
		m, ok := msg.(*sprinttypes.MsgCommitWork)
		if !ok {
			continue
		}
		e, err := d.sprint.Epoch(ctx)
		if err != nil || m.Epoch != e.Number || !e.InTime(ctx.BlockHeight()) {
			continue // before the first epoch, of another one, or too late
		}
		if miner, err := sdk.AccAddressFromBech32(m.Miner); err == nil {
			d.witness.note(m, miner)
		}
	}
	return next(ctx, tx, simulate)
}
