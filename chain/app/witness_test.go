package app

import (
	"bytes"
	"encoding/binary"
	"testing"

	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

func commitWork(epoch, count uint64) *sprinttypes.MsgCommitWork {
	return &sprinttypes.MsgCommitWork{Epoch: epoch, Count: count, Root: bytes.Repeat([]byte{byte(count)}, 32)}
}

// A witness remembers the newest commitments of each miner in one epoch, bit for bit, and not more
// than it has room for.
func TestWitness(t *testing.T) {
	w := new(witness)
	saw := func(m *sprinttypes.MsgCommitWork, miner string) bool {
		return w.Saw(m.Epoch, []byte(miner), m.Count, m.Root)
	}
	if saw(commitWork(0, 64), "a") {
		t.Error("saw something before anything was sent")
	}
	for count := range uint64(6) {
		w.note(commitWork(3, count), []byte("a"))
	}
	for count := range uint64(6) {
		if got, want := saw(commitWork(3, count), "a"), count >= 2; got != want {
			t.Errorf("commitment %d of 6: saw %v, want %v", count, got, want)
		}
	}
	other := commitWork(3, 5)
	other.Root[0]++
	if saw(other, "a") || saw(commitWork(3, 5), "b") || saw(commitWork(2, 5), "a") {
		t.Error("saw another root, miner or epoch")
	}
	other.Root = other.Root[:31]
	w.note(other, []byte("b")) // no commitment at all: must not be remembered, nor crash

	w.note(commitWork(4, 1), []byte("a"))
	if saw(commitWork(3, 5), "a") || !saw(commitWork(4, 1), "a") {
		t.Error("an earlier epoch is not forgotten")
	}
	for i := range uint64(witnessMiners + 10) {
		w.note(commitWork(5, 1), binary.BigEndian.AppendUint64(nil, i))
	}
	if len(w.seen) != witnessMiners {
		t.Errorf("%d miners are remembered, at most %d may be", len(w.seen), witnessMiners)
	}
	w.note(commitWork(5, 2), binary.BigEndian.AppendUint64(nil, 7))
	if !w.Saw(5, binary.BigEndian.AppendUint64(nil, 7), 2, commitWork(5, 2).Root) {
		t.Error("a full witness forgets whom it knows")
	}
}
