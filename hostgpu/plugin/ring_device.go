package plugin

import (
	"sync/atomic"
)

// ringServer executes the records of one channel.
type ringServer struct {
	channel
	exec    *executor
	head    uint64
	closing atomic.Bool
	done    chan struct{}
}

func (s *server) openRing(index uint32, exec *executor) (*ringServer, error) {
	if index > channels {
		return nil, malformed("channel %d", index)
	}
	shared, err := s.sharedMemory()
	if err != nil {
		return nil, err
	}
	r := &ringServer{channel: channelAt(shared, int(index)-1), exec: exec, done: make(chan struct{})}
	go r.loop()
	return r, nil
}

// stop ends the loop once everything published has been executed.
func (r *ringServer) stop() {
	r.closing.Store(true)
	r.h.doorbell.Add(1)
	futexWake(&r.h.doorbell)
	<-r.done
}

func (r *ringServer) loop() {
	defer close(r.done)
	for {
		if tail := r.h.tail.Load(); tail != r.head {
			r.drain(tail)
			continue
		}
		if r.closing.Load() {
			return
		}
		// A host that is gone ends this process by its lifeline, not from here.
		sleep(&r.h.doorbell, &r.h.devWaits, &r.h.tail, r.head+1, &r.closing, false)
	}
}

// drain executes the records up to tail.
func (r *ringServer) drain(tail uint64) {
	for r.head != tail {
		pos := r.head % ringBytes
		limit := min(ringBytes, pos+(tail-r.head))
		if le.Uint32(r.ring[pos:]) == skipMark {
			r.head += ringBytes - pos
		} else {
			rec, n, err := decode(r.ring[pos:limit], r.exec.task)
			if err != nil {
				// Nothing after this can be understood.
				if r.exec.failed == nil {
					r.exec.failed = err
				}
				r.fail(err)
				r.head = tail
			} else {
				if err := r.exec.apply(rec, r.read); err != nil {
					r.fail(err)
				}
				r.head += uint64(n)
			}
		}
		r.h.head.Store(r.head)
		r.h.signalProgress(r.head)
	}
}

func (r *ringServer) read(n int64, read func(p []byte) error) error {
	if n > readChunk {
		return malformed("read of %d bytes", n)
	}
	return read(r.out[:n])
}

// fail publishes the first failure.
func (r *ringServer) fail(err error) {
	if r.h.status.Load() != 0 {
		return
	}
	f := failure(err)
	r.h.messageLen = uint32(copy(r.h.message[:], f.Message))
	r.h.status.Store(uint32(f.Kind))
}
