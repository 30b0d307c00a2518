package sandbox

import (
	"encoding/binary"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/abi"
	"lukechampine.com/blake3"
)

// transcriptSlots is how many tensor digests may be queued on the device
// before the host waits for them.
const transcriptSlots = 1024

// Domain of a unit's digest and tag of recorded guest bytes; docs/spec/sandbox.md.
const (
	unitDomain = "assay/unit/1"
	bytesTag   = 0x00
)

// Unit is the result of one proof-of-work unit.
type Unit struct {
	Index  uint64
	Digest [abi.DigestSize]byte
	Keyed  [abi.DigestSize]byte // under the caller's key; zero without one
}

// transcript collects what the guest records in one pow_units call. Tensors
// are digested on the device, in call order, without waiting; the digests are
// read back together.
type transcript struct {
	space device.Space
	slots device.Handle   // u8 [transcriptSlots, 32], outside the guest's memory limit
	key   device.Handle   // u8 [1, 32]
	rows  []device.Handle // views of slots, made when first needed

	keyed   bool
	keySum  *blake3.Hasher
	sum     *blake3.Hasher
	limit   int64 // transcript bytes allowed for one unit
	entries []entry
	sizes   []int64 // bytes recorded so far, by unit
	pending int     // slots in use
	readBuf []byte
}

// entry is one contribution. For a tensor whose digest is still on the
// device, slot is its row; -1 otherwise.
type entry struct {
	unit          uint32
	slot          int32
	digest, keyed [abi.DigestSize]byte
}

// hostTensorBytes is what the host's own tensors cost in a job's space.
func hostTensorBytes() int64 {
	return device.Bytes(device.U8, device.Shape{Rows: transcriptSlots, Cols: abi.DigestSize}) +
		device.Bytes(device.U8, device.Shape{Rows: 1, Cols: abi.DigestSize})
}

// open allocates the host's tensors in the job's space, before the guest runs.
func (t *transcript) open(space device.Space) (err error) {
	t.space = space
	t.sum = blake3.New(abi.DigestSize, nil)
	if space == nil {
		return nil
	}
	if t.slots, err = space.Alloc(device.U8, device.Shape{Rows: transcriptSlots, Cols: abi.DigestSize}); err != nil {
		return err
	}
	t.key, err = space.Alloc(device.U8, device.Shape{Rows: 1, Cols: abi.DigestSize})
	return err
}

// begin starts the transcript of a call over n units.
func (t *transcript) begin(n int, key *[abi.DigestSize]byte, limit int64) error {
	t.entries, t.pending, t.limit = t.entries[:0], 0, limit
	t.sizes = append(t.sizes[:0], make([]int64, n)...)
	t.keyed = key != nil
	if key == nil {
		return nil
	}
	t.keySum = blake3.New(abi.DigestSize, key[:])
	if t.space == nil {
		return nil
	}
	return t.space.Write(t.key, 0, key[:])
}

func (t *transcript) grow(unit uint32, n int64) {
	t.sizes[unit] += n
	if t.sizes[unit] > t.limit {
		panic(&stop{trap: abi.TrapOutputLimit})
	}
}

// bytes records guest bytes: BLAKE3(0x00 ‖ b).
func (t *transcript) bytes(unit uint32, b []byte) {
	t.grow(unit, abi.DigestSize+int64(len(b)))
	e := entry{unit: unit, slot: -1, digest: tagged(t.sum, b)}
	if t.keyed {
		e.keyed = tagged(t.keySum, b)
	}
	t.entries = append(t.entries, e)
}

func tagged(h *blake3.Hasher, b []byte) (out [abi.DigestSize]byte) {
	h.Reset()
	h.Write([]byte{bytesTag})
	h.Write(b)
	h.Sum(out[:0])
	return out
}

// tensor records a tensor: the digest op of its present contents.
func (t *transcript) tensor(in *Instance, unit uint32, src *tensor) {
	t.grow(unit, abi.DigestSize)
	need := 1
	if t.keyed {
		need = 2
	}
	if t.pending+need > transcriptSlots {
		if err := t.flush(); err != nil {
			panic(deviceStop(err))
		}
	}
	slot := t.pending
	t.digest(in, slot, src.h, 0)
	if t.keyed {
		t.digest(in, slot+1, src.h, t.key)
	}
	t.pending += need
	t.entries = append(t.entries, entry{unit: unit, slot: int32(slot)})
}

func (t *transcript) digest(in *Instance, slot int, src, key device.Handle) {
	for len(t.rows) <= slot {
		h, err := t.space.View(t.slots, len(t.rows), device.Shape{Rows: 1, Cols: abi.DigestSize})
		if err != nil {
			panic(&stop{err: hostErr("device", err)})
		}
		t.rows = append(t.rows, h)
	}
	in.hs = append(in.hs[:0], t.rows[slot], src, key)
	if err := t.space.Run(device.Call{Op: device.OpDigest, Tensors: in.hs}); err != nil {
		panic(deviceStop(err))
	}
}

// flush waits for the queued digests and moves them into their entries.
func (t *transcript) flush() error {
	if t.pending == 0 {
		return nil
	}
	n := t.pending * abi.DigestSize
	if cap(t.readBuf) < n {
		t.readBuf = make([]byte, transcriptSlots*abi.DigestSize)
	}
	buf := t.readBuf[:n]
	if err := t.space.Read(t.slots, 0, buf); err != nil {
		return hostErr("device", err)
	}
	for i := len(t.entries) - 1; i >= 0 && t.pending > 0; i-- {
		e := &t.entries[i]
		if e.slot < 0 {
			continue
		}
		copy(e.digest[:], buf[int(e.slot)*abi.DigestSize:])
		t.pending--
		if t.keyed {
			copy(e.keyed[:], buf[int(e.slot+1)*abi.DigestSize:])
			t.pending--
		}
		e.slot = -1
	}
	return nil
}

// finish returns the digests of the units, in the order of indexes:
// BLAKE3(unitDomain ‖ index ‖ contributions in recorded order), and the same
// in keyed mode over the keyed contributions.
func (t *transcript) finish(indexes []uint64) ([]Unit, error) {
	if err := t.flush(); err != nil {
		return nil, err
	}
	// Contributions by unit, in order: a stable counting sort.
	start := make([]int, len(indexes)+1)
	for _, e := range t.entries {
		start[e.unit+1]++
	}
	for i := range indexes {
		start[i+1] += start[i]
	}
	order := make([]int32, len(t.entries))
	next := append([]int(nil), start[:len(indexes)]...)
	for i, e := range t.entries {
		order[next[e.unit]] = int32(i)
		next[e.unit]++
	}
	units := make([]Unit, len(indexes))
	for i, index := range indexes {
		own := order[start[i]:start[i+1]]
		units[i].Index = index
		units[i].Digest = t.unit(t.sum, index, own, false)
		if t.keyed {
			units[i].Keyed = t.unit(t.keySum, index, own, true)
		}
	}
	return units, nil
}

func (t *transcript) unit(h *blake3.Hasher, index uint64, own []int32, keyed bool) (out [abi.DigestSize]byte) {
	var head [len(unitDomain) + 8]byte
	copy(head[:], unitDomain)
	binary.LittleEndian.PutUint64(head[len(unitDomain):], index)
	h.Reset()
	h.Write(head[:])
	for _, i := range own {
		if keyed {
			h.Write(t.entries[i].keyed[:])
		} else {
			h.Write(t.entries[i].digest[:])
		}
	}
	h.Sum(out[:0])
	return out
}
