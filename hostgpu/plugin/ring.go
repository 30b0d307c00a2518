package plugin

import (
	"sync/atomic"
	"unsafe"
)

// Shared memory is a row of channels, one for each open queue. A channel has a
// header page, a ring of records from the host to the device, and the place
// where the device puts what the host reads. Positions count bytes for ever;
// a record never wraps around the end of the ring, skipMark fills the rest.
const (
	channels    = 32
	ringBytes   = 4 << 20
	headerBytes = 4 << 10
	channelSize = headerBytes + ringBytes + readChunk
	sharedBytes = channels * channelSize
	skipMark    = 0xFFFFFFFF

	// spins is how often a side looks again before it sleeps: 10 to 40
	// microseconds, by how long the processor pauses, which is a few times the
	// cost of being woken.
	spins = 1000
)

// ringHeader is the first page of a channel. What a side writes for every
// record lies apart from what the other looks at for every record and that
// rarely changes, two cache lines apart because processors fetch them in pairs.
// A side that is about to sleep sets its flag and looks once more; the other,
// having published, looks at the flag, so that no wake-up is lost.
type ringHeader struct {
	tail atomic.Uint64 // host: bytes published
	_    [120]byte

	hostWaits atomic.Uint32 // host: sleeps on progress
	doorbell  atomic.Uint32 // host: counted up to wake the device
	target    atomic.Uint64 // host: the head that it sleeps for, written before hostWaits
	_         [112]byte

	head       atomic.Uint64 // device: bytes consumed
	status     atomic.Uint32 // device: pb.Failure_Kind of the first failure, 0 none
	messageLen uint32        // device: written before status
	_          [112]byte

	devWaits atomic.Uint32 // device: sleeps on doorbell
	progress atomic.Uint32 // device: counted up to wake the host
	_        [120]byte

	message [2048]byte
}

// channel is one side's view.
type channel struct {
	h    *ringHeader
	ring []byte
	out  []byte
}

func channelAt(shared []byte, index int) channel {
	b := shared[index*channelSize : (index+1)*channelSize]
	return channel{
		h:    (*ringHeader)(unsafe.Pointer(unsafe.SliceData(b))),
		ring: b[headerBytes : headerBytes+ringBytes : headerBytes+ringBytes],
		out:  b[headerBytes+ringBytes:],
	}
}

// reset makes a channel ready for a new queue; nobody uses it then.
func (c channel) reset() {
	clear(unsafe.Slice((*byte)(unsafe.Pointer(c.h)), headerBytes))
}

func (h *ringHeader) ringDoorbell() {
	if h.devWaits.Load() != 0 {
		h.doorbell.Add(1)
		futexWake(&h.doorbell)
	}
}

// signalProgress wakes a host that waits for head or less. One that waits for
// more sleeps on: a wake-up for every record costs the device more than the
// record's own way here.
func (h *ringHeader) signalProgress(head uint64) {
	if h.hostWaits.Load() != 0 && reached(head, h.target.Load()) {
		h.progress.Add(1)
		futexWake(&h.progress)
	}
}

// reached says whether a position is at target or beyond.
func reached(position, target uint64) bool { return int64(position-target) >= 0 }

// sleep waits until *position reaches target, or quit is set, or for one
// time-out of the futex if timed, and reports whether the position got there.
// It looks again and again at first. word is counted up by whoever moves the
// position there, if waits is set, and by whoever has set quit.
func sleep(word, waits *atomic.Uint32, position *atomic.Uint64, target uint64, quit *atomic.Bool, timed bool) bool {
	for range spins {
		if reached(position.Load(), target) {
			return true
		}
		pause()
	}
	bell := word.Load()
	waits.Store(1)
	if !reached(position.Load(), target) && !quit.Load() {
		futexWait(word, bell, timed)
	}
	waits.Store(0)
	return reached(position.Load(), target)
}
