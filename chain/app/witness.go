package app

import (
	"errors"
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
// deadline, for the verdict of its validator, and keeps them over a restart: see witness_file.go. It is
// no part of the state: a node that was down has not seen what came meanwhile, and its validator does not
// vouch for that. It is safe for concurrent use.
type witness struct {
	mu    sync.Mutex
	epoch uint64
	seen  map[string][]commitment
	file  witnessFile
	fail  func(error) // nil, or told once when the file fails; memory alone remembers from then on
}

// openWitness returns a witness that is kept in a file, with what it holds. Without a path nothing is
// kept. A file that fails stops no node.
func openWitness(path string, fail func(error)) *witness {
	w := &witness{file: witnessFile{path: path}, fail: fail}
	epoch, err := w.file.load(w.add)
	w.epoch = epoch
	w.failed(err)
	return w
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
		w.epoch, w.seen = m.Epoch, nil
		w.failed(w.file.begin(m.Epoch))
	}
	c := commitment{m.Count, [32]byte(m.Root)}
	w.add(miner, c)
	w.failed(w.file.append(miner, c))
}

// add remembers a commitment if there is room.
func (w *witness) add(miner []byte, c commitment) {
	if w.seen == nil {
		w.seen = make(map[string][]commitment)
	}
	list, known := w.seen[string(miner)]
	if !known && len(w.seen) >= witnessMiners {
		return
	}
	if len(list) == witnessEach {
		list = list[1:]
	}
	w.seen[string(miner)] = append(list[:len(list):len(list)], c)
}

// failed gives up the file if there is an error.
func (w *witness) failed(err error) {
	if err == nil {
		return
	}
	err = errors.Join(err, w.file.close())
	w.file = witnessFile{}
	if w.fail != nil {
		w.fail(err)
	}
}

// committed says that a block was committed: what was seen before it outlasts the machine.
func (w *witness) committed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed(w.file.sync())
}

// Close closes the file.
func (w *witness) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.file.close()
	w.file = witnessFile{}
	return err
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
