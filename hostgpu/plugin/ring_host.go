package plugin

import (
	"fmt"

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

// ringStream is a stream through shared memory.
type ringStream struct {
	channel
	proc *process
	tail uint64
}

func (s *ringStream) failed() error {
	if s.proc.exited() {
		return s.proc.exitError()
	}
	st := s.h.status.Load()
	if st == 0 {
		return nil
	}
	n := min(int(s.h.messageLen), len(s.h.message))
	return failureError(pb.Failure_Kind(st), string(s.h.message[:n]))
}

// until waits until ready, or until the queue or the process has failed.
func (s *ringStream) until(ready func() bool) error {
	for !ready() {
		if s.proc.exited() {
			return s.proc.exitError()
		}
		sleep(&s.h.progress, &s.h.hostWaits, ready)
	}
	return nil
}

func (s *ringStream) room(size uint64) error {
	return s.until(func() bool { return s.tail+size-s.h.head.Load() <= ringBytes })
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
	if err := s.until(func() bool { return s.h.head.Load() == s.tail }); err != nil {
		return err
	}
	if err := s.failed(); err != nil {
		return err
	}
	if len(dst) > len(s.out) {
		return fmt.Errorf("%w: read of %d bytes", ErrProtocol, len(dst))
	}
	copy(dst, s.out)
	return nil
}
