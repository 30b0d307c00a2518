package plugin

import (
	"fmt"

	"github.com/assaynet/assay/hostgpu/device"
	pb "github.com/assaynet/assay/hostgpu/plugin/devicepb"
)

// hostMem is memory of one life of the process.
type hostMem struct {
	id   uint64
	proc *process
}

// queue implements device.Queue. Once its process is dead, every call says so.
type queue struct {
	client  *Backend
	proc    *process
	stream  stream
	id      uint64
	channel int // 0: none
	closed  bool
}

var _ device.TransientQueue = (*queue)(nil)

// TransientTasks implements device.TransientQueue: a task is encoded when Run
// returns.
func (q *queue) TransientTasks() {}

// put sends one record.
func (q *queue) put(size int, encode func(b []byte) []byte) error {
	if q.proc.exited() {
		return q.proc.exitError()
	}
	b, err := q.stream.reserve(size)
	if err != nil {
		return err
	}
	return q.stream.commit(encode(b))
}

// own checks that memory lives in this queue's process: a share may come from
// a space whose process has died unnoticed.
func (q *queue) own(m device.Mem) (uint64, error) {
	h := m.(*hostMem)
	if h.proc != q.proc {
		return 0, h.proc.exitError()
	}
	return h.id, nil
}

func (q *queue) Alloc(n int64) (device.Mem, error) {
	m := &hostMem{q.client.ids.Add(1), q.proc}
	err := q.put(maxSmall, func(b []byte) []byte { return appendAlloc(b, m.id, n) })
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (q *queue) Free(m device.Mem) {
	id, err := q.own(m)
	if err != nil {
		return // it went with its process
	}
	// An error means that the process is gone, and the memory with it.
	_ = q.put(maxSmall, func(b []byte) []byte { return appendFree(b, id) })
}

func (q *queue) Write(m device.Mem, off int64, p []byte) error {
	id, err := q.own(m)
	for err == nil && len(p) > 0 {
		n := min(len(p), writeChunk)
		at, part := off, p[:n]
		err = q.put(writeFixed+n, func(b []byte) []byte { return appendWrite(b, id, at, part) })
		off += int64(n)
		p = p[n:]
	}
	return err
}

func (q *queue) Read(m device.Mem, off int64, p []byte) error {
	id, err := q.own(m)
	for err == nil && len(p) > 0 {
		n := min(len(p), readChunk)
		at := off
		err = q.put(maxSmall, func(b []byte) []byte { return appendRead(b, id, at, int64(n)) })
		if err == nil {
			err = q.stream.wait(p[:n])
		}
		off += int64(n)
		p = p[n:]
	}
	return err
}

func (q *queue) Run(t *device.Task) error {
	for i := range t.Tensors {
		if m := t.Tensors[i].Mem; m != nil {
			if _, err := q.own(m); err != nil {
				return err
			}
		}
	}
	return q.put(maxRun, func(b []byte) []byte {
		return appendRun(b, t, func(m device.Mem) uint64 { return m.(*hostMem).id })
	})
}

func (q *queue) Sync() error {
	if err := q.put(maxSmall, appendSync); err != nil {
		return err
	}
	return q.stream.wait(nil)
}

func (q *queue) Close() error {
	if q.closed {
		return nil
	}
	q.closed = true
	var err, cerr error
	if !q.proc.exited() {
		err = q.Sync()
		var r *pb.CloseQueueResponse
		ctx, cancel := q.proc.deadline()
		r, cerr = q.proc.rpc.CloseQueue(ctx, &pb.CloseQueueRequest{Queue: q.id})
		cancel()
		if cerr != nil {
			cerr = q.proc.callError(cerr)
		} else {
			cerr = reported(r.Failure)
		}
		if err == nil {
			err = cerr
		}
	}
	// A channel whose loop may still run is not used again.
	if q.channel != 0 && (cerr == nil || q.proc.exited()) {
		q.proc.giveChannel(q.channel)
	}
	return err
}

// execStream is a stream through gRPC: records are collected until one waits
// or the batch is large.
type execStream struct {
	proc  *process
	queue uint64
	buf   []byte
	data  []byte // of the last call
}

// batchBytes is when a batch is sent unasked. With one more record it stays
// below execLimit.
const batchBytes = 4 << 20

func (s *execStream) reserve(int) ([]byte, error) { return s.buf, nil }

func (s *execStream) commit(b []byte) error {
	s.buf = b
	if len(b) < batchBytes {
		return nil
	}
	return s.flush()
}

func (s *execStream) flush() error {
	ctx, cancel := s.proc.deadline()
	defer cancel()
	r, err := s.proc.rpc.Exec(ctx, &pb.ExecRequest{Queue: s.queue, Records: s.buf})
	s.buf = s.buf[:0]
	if err != nil {
		return s.proc.callError(err)
	}
	s.data = r.Data
	return reported(r.Failure)
}

func (s *execStream) wait(dst []byte) error {
	if err := s.flush(); err != nil {
		return err
	}
	if len(s.data) < len(dst) {
		return fmt.Errorf("%w: %d bytes read, want %d", ErrProtocol, len(s.data), len(dst))
	}
	copy(dst, s.data)
	return nil
}
