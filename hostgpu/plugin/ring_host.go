package plugin

import (
	"time"

	pb "github.com/assaynet/assay/hostgpu/plugin/devicepb"
)

// stream carries the records of one queue. reserve returns a slice to append
// one record of at most size bytes to, commit sends it. wait returns when all
// records so far have been executed, with the result of the last read in dst.
type stream interface {
	reserve(size int) ([]byte, error)
	commit(b []byte) error
	wait(dst []byte) error
}

// ringStream is a stream through shared memory. The other process can write
// everything there at any time: what is read from it is a number to check or
// bytes to copy, never a position that this side uses.
type ringStream struct {
	channel
	proc *process
	tail uint64
	head uint64 // the last one seen
}

// consumed reads the device's position.
func (s *ringStream) consumed() (uint64, error) {
	head := s.h.head.Load()
	if head-s.head > s.tail-s.head {
		return 0, s.proc.condemn(malformed("position %d is not between %d and %d", head, s.head, s.tail))
	}
	s.head = head
	return head, nil
}

func (s *ringStream) failed() error {
	st := s.h.status.Load()
	if st == 0 {
		return nil
	}
	n := min(s.h.messageLen, uint32(len(s.h.message)))
	return failureError(pb.Failure_Kind(st), string(s.h.message[:n]))
}

// nap is how long the host sleeps before it asks whether the device hangs. Its
// end is reported (process.ended), so nothing else needs the host to wake up:
// each time costs the processor some fifty looks of Go's scheduler.
const nap = 200 * time.Millisecond

// maxNap is the most that one sleep counts: a host that was stopped for longer
// has not seen the device do nothing.
const maxNap = 2 * nap

// await waits until the device has consumed all bytes before target.
func (s *ringStream) await(target uint64) error {
	seen, idle := s.head, time.Duration(0)
	s.h.target.Store(target)
	for {
		head, err := s.consumed()
		if err != nil {
			return err
		}
		if head >= target {
			return nil
		}
		if s.proc.exited() {
			return s.proc.exitError()
		}
		if head != seen {
			seen, idle = head, 0
		}
		begin := time.Now()
		if sleep(&s.h.progress, &s.h.hostWaits, &s.h.head, target, &s.proc.gone, true) {
			continue
		}
		if idle += min(time.Since(begin), maxNap); idle >= s.proc.hang {
			return s.proc.hung()
		}
	}
}

// room waits until size bytes fit.
func (s *ringStream) room(size uint64) error {
	if s.tail+size-s.head <= ringBytes {
		return nil
	}
	return s.await(s.tail + size - ringBytes)
}

func (s *ringStream) reserve(size int) ([]byte, error) {
	size = (size + 7) &^ 7
	if size > ringBytes/4 {
		return nil, malformed("record of %d bytes", size)
	}
	pos := s.tail % ringBytes
	if rest := ringBytes - pos; rest < uint64(size) {
		if err := s.room(rest); err != nil {
			return nil, err
		}
		le.PutUint32(s.ring[pos:], skipMark)
		s.tail += rest
		s.h.tail.Store(s.tail)
		pos = 0
	}
	if err := s.room(uint64(size)); err != nil {
		return nil, err
	}
	return s.ring[pos : pos : pos+uint64(size)], nil
}

func (s *ringStream) commit(b []byte) error {
	s.tail += uint64(len(b))
	s.h.tail.Store(s.tail)
	s.h.ringDoorbell()
	return nil
}

func (s *ringStream) wait(dst []byte) error {
	if err := s.await(s.tail); err != nil {
		return err
	}
	if err := s.failed(); err != nil {
		return err
	}
	if len(dst) > len(s.out) {
		return malformed("read of %d bytes", len(dst))
	}
	copy(dst, s.out)
	return nil
}
